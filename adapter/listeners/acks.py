"""The acknowledgements of one door: to each message what its fate says, under an MSH-10 of its own."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence

from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.ledger.intake import Fate
from chartpost.mappings.hl7.ack import ack


class Acks:
    """Makes acknowledgements and counts them."""

    def __init__(self) -> None:
        # 20 characters, the length of MSH-10: unlike any other start's, and counting.
        self._prefix = secrets.token_hex(5).upper()
        self._count = 0

    def make(self, receipts: Sequence[Receipt], fates: Sequence[Fate], now: dt.datetime) -> list[bytes]:
        """Return the acknowledgements, in order, of those messages that are answered at once."""
        return [
            ack(receipt.header, fate.ack_code, receipt.problem, control_id=self._control_id(), now=now)
            for receipt, fate in zip(receipts, fates, strict=True)
            if fate.ack_code
        ]

    def _control_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:010d}"
