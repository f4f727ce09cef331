"""The open requests of one payer at one facility, to be seen and paid together (docs/admin/families.md).

Only whoever has shown who they are may see them: the link of one account says nothing of another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import allocate
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.ledger import payers, states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, request


@dataclass(frozen=True, slots=True)
class Owed:
    """An open request of a payer."""

    request: str  #: its public id
    request_id: int
    account_id: int
    amount: int  #: minor units that are asked now
    currency: str
    patient: str  #: whose account it is
    opened_at: dt.datetime
    own: bool  #: the request that was asked about


def of(flow: Flow, connection: Connection, row: Any) -> tuple[Owed, ...]:
    """Return the open requests of the payer of a request (a row with its `id`), its own among them, oldest first.

    A request stands alone where its account is stopped or confidential, where a person named another payer, and where
    somebody said "not me".
    """
    asked = connection.execute(_open(flow).where(request.c.id == row.id)).first()
    if asked is None:
        return ()
    found = [asked]
    if _may_join(asked):
        others = _open(flow).where(
            account.c.id.in_(payers.joined(asked.account_id)),
            account.c.id != asked.account_id,
            account.c.facility == asked.facility,
            account.c.currency == asked.currency,
        )
        found += filter(_may_join, connection.execute(others))
    found.sort(key=lambda one: (one.opened_at, one.id))
    return tuple(
        Owed(
            one.public_id, one.id, one.account_id, one.asked, one.currency, _named(one.patient), one.opened_at,
            one.id == row.id,
        )
        for one in found
    )  # fmt: skip


def _open(flow: Flow) -> Any:
    columns = (
        account.c.facility, account.c.currency, account.c.patient, account.c.guarantor, account.c.patient_only,
        account.c.stopped,
    )  # fmt: skip
    lasts = or_(request.c.expires_at.is_(None), request.c.expires_at > flow.store.clock())
    joined = select(request, *columns).join(account, account.c.id == request.c.account_id)
    return joined.where(request.c.state == states.Request.OPEN, lasts)


def _may_join(one: Any) -> bool:
    """Say whether a request may be seen beside others: a person may have named another payer than the account's."""
    said = (one.said or {}).get("payer") or ""
    same = not said or _words(said) == _words(_named(payers.payer(one)))
    return same and not one.patient_only and not one.stopped and one.paused != "not_me"


def _named(party: Mapping[str, Any]) -> str:
    return f"{party.get('given', '')} {party.get('family', '')}".strip()


def _words(name: str) -> list[str]:
    return sorted(name.replace(",", " ").casefold().split())


def spread(owed: Sequence[Owed], total: int) -> dict[str, int]:
    """Return how much of `total` minor units each request gets, the oldest first; what gets nothing is left out."""
    shares = zip(owed, allocate.oldest_first(total, [one.amount for one in owed]), strict=True)
    return {one.request: share for one, share in shares if share}


def payable(tx: Tx, facility: Facility, choice: Sequence[tuple[Owed, int]]) -> bool:
    """Say whether these amounts may be paid in one payment, by the rules of their facility.

    Each is more than nothing and no more than is asked. What is neither all of an account nor what its plan makes due
    now is a part: the facility may allow none, or the whole payment may be too small for one.
    """
    if not all(0 < amount <= one.amount for one, amount in choice):
        return False
    today = tx.now.astimezone(facility.zone).date()
    due = (plan.due_now(one.amount, plan.of(tx.connection, one.request_id), today) for one, _ in choice)
    if all(amount in (one.amount, now) for (one, amount), now in zip(choice, due, strict=True)):
        return True
    least = facility.amounts.part_minimum
    total = sum(amount for _, amount in choice)
    return facility.amounts.parts and (least is None or total >= facility.minor(least))
