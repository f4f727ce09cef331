"""What a FHIR ChargeItem means for its account: one line, stated anew each time. Others may lie on the same account.

    planned                                  nothing yet
    billable, billed                         the patient's share of it is owed; a changed one by the difference
    not-billable, aborted, entered-in-error  what was counted of it is taken back; what was paid is the account's credit

An entry is what it states now minus what its earlier statements made. The later statement wins, whatever the order in
which they are worked; a ChargeItem is known by what the door knew it by (receive_invoice.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.charges import invoice
from chartpost.adapter.flow.charges.lines import Decided, Verdict, hold
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.invoices import CHARGE_ITEM, item_reference
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.settings import Source
from chartpost.mappings.fhir.billed import BILLED
from chartpost.mappings.model import Reading

#: How messages of this kind are called in the column `type`.
TYPE = CHARGE_ITEM


def judge(tx: Tx, row: Any, reading: Reading, source: Source, book: Book) -> Decided:
    """Return the one entry that brings the account to what the ChargeItem states of its line, none, or a verdict."""
    if (later := _later(tx, row)) is not None:
        return Verdict(states.Message.IGNORED, f"M{later} states a later state of this ChargeItem", [])
    item = item_reference(row.control_key)
    before = sum(line.amount for line in book.lines if line.reference == item)
    if reading.status == "planned":
        if before == 0:
            return Verdict(states.Message.IGNORED, "planned: not billable yet", [])
        return hold(
            "back_to_draft", "a ChargeItem that was billable is planned again",
            "ask the sender what is owed now; a new billable ChargeItem, or an aborted one, settles it",
        )  # fmt: skip
    owed, notes = 0, [_note(f"withdrawn: {reading.status}")]
    if reading.status in BILLED[TYPE].asks:
        owed, notes = invoice.share_of(reading, source)
        foreign = next((charge for charge in reading.charges if charge.amount.currency != book.currency), None)
        if foreign is not None:
            return hold(
                "currency", f"an amount in {foreign.amount.currency} for an account in {book.currency}",
                "bill other currencies through an account and a facility of their own", notes,
            )  # fmt: skip
    difference = owed - before
    if difference == 0:
        return [], notes
    notes.append(_note(f"counted: {difference:+d} minor units"))
    description = next((charge.description for charge in reading.charges if charge.description), "")
    kind = "adjustment" if before or difference < 0 else "charge"
    more = {"reference": item, "text": description.encode()}
    return [(f"message:{row.id}:1", kind, difference, more)], notes


def _later(tx: Tx, row: Any) -> int | None:
    """Return the id of a newer statement on the same ChargeItem that was worked; one that was dismissed is none."""
    worked = message.c.state.in_((states.Message.TRANSLATED, states.Message.IGNORED))
    statement = select(message.c.id).where(
        message.c.source == row.source, message.c.control_key == row.control_key, message.c.type == TYPE,
        message.c.id > row.id, worked, message.c.reason.not_like("dismissed%"),
    )  # fmt: skip
    found = tx.scalar(statement.order_by(message.c.id.desc()).limit(1))
    return int(found) if found is not None else None


def _note(value: str) -> dict[str, Any]:
    return {"target": "chargeitem", "path": "", "raw": "", "value": value}
