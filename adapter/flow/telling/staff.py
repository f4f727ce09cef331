"""What people of the practice are told by e-mail of a payment, within seconds: planned in the transaction that has it.

No patient and no amount: a payment is named by its id. Who is told stands with each user (`tell: [payments]`); a
clinician hears only of payments for their own work, with `billing: true`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.flow.telling.reach import EMAIL, Way
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, payment
from chartpost.adapter.users import User


def plan(flow: Flow, tx: Tx, payments: Sequence[str]) -> None:
    """Plan who is told of one payment, given the public ids of its rows: each user once, whichever concern them."""
    told: set[str] = set()
    hearing = [(name, user) for name, user in flow.settings.users.items() if "payments" in user.tell]
    for row in _rows(tx, payments) if hearing else ():
        for name, user in hearing:
            way = way_to(flow, user, row.facility) if name not in told and concerns(user, row) else None
            if way is not None:
                told.add(name)
                said = {"purpose": "staff", "step": row.payment, "language": "en", "staff": name}
                notify.tell(tx, row.key, row.request_id, way, **said)


def concerns(user: User, row: Any) -> bool:
    """Say whether a user may hear of a payment, and it concerns them; `row`: its account's facility and provider."""
    if "payments:read" not in user.allowed or (user.facilities and row.facility not in user.facilities):
        return False
    return user.role != "clinician" or (row.provider != "" and row.provider in user.provider_ids)


def way_to(flow: Flow, user: User, facility: str) -> Way | None:
    """Return the way to a user: the facility's first notifier that sends e-mail; None where there is none."""
    configured = flow.settings.facilities.get(facility)
    if configured is None or configured.mail is None or user.email is None:
        return None
    world = flow.world.notifiers
    names = (name for name in configured.notifiers if name in world and world[name].channel == EMAIL)
    first = next(names, None)
    return Way(first, EMAIL, user.email) if first is not None else None


def _rows(tx: Tx, payments: Sequence[str]) -> Sequence[Any]:
    return tx.all(
        select(
            payment.c.public_id.label("payment"), payment.c.request_id, account.c.key, account.c.facility,
            account.c.provider,
        )
        .join(account, account.c.id == payment.c.account_id)
        .where(payment.c.public_id.in_(payments))
        .order_by(payment.c.id)
    )  # fmt: skip
