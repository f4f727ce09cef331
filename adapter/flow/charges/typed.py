"""Payments that a person types into the chart, because the destination that would tell it is only tried (in shadow).

The card payment has lowered the account already. So what the chart then says of it is neither our echo, of which we
know that it is ours, nor another payment: it is the same one, and counts no second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import payment, posting
from chartpost.mappings.model import Charge

#: In `answer_code` of a posting that was typed; its `answer_text` says where the chart told of it.
TYPED = "TYPED"
DIFFERS, MAYBE = "typed_differs", "maybe_typed"

Why = tuple[str, str, str]  #: of a hold: cause, text, fix


@dataclass(slots=True)
class _Awaited:
    """A payment of the account that no chart was told of by us."""

    id: int
    amount: int
    provider_ref: str
    postings: list[str]
    where: str  #: where the chart told of it: "M12, line 1"; "" where it has not yet


def judge(tx: Tx, book: Book, charge: Charge, message_id: int) -> tuple[Why | None, str] | None:
    """Say of a payment line that it is one of ours that was typed: a problem or None, and a note. None: it is not.

    The payment is marked, so that the next line of the same amount is another one's.
    """
    where, amount = f"M{message_id}, line {charge.ordinal}", -charge.amount.minor
    awaited = [] if book.id is None else _awaited(tx, book.id)
    free = [one for one in awaited if one.where in ("", where)]
    named = next((one for one in awaited if _names(charge, one)), None)
    if named is not None and not (named in free and named.amount == amount):
        why = "of another amount than it" if named in free else f"which the chart told of before ({named.where})"
        text = f"a payment line that names one of ours, {why}; no chart was told of it by us"
        return (DIFFERS, text, "compare with the chart and correct it there, then dismiss this"), ""
    same = named or next((one for one in free if one.amount == amount), None)
    if same is None:
        return None
    values = {"answer_code": TYPED, "answer_text": where, "changed_at": tx.now}
    tx.run(update(posting).where(posting.c.public_id.in_(same.postings)).values(values))
    return None, "the same payment as one of ours, typed by a person: counted already"


def doubt(tx: Tx, book: Book) -> Why | None:
    """Return why a payment of another amount may not simply be counted: one of ours has not been typed yet."""
    if book.id is None or not any(not one.where for one in _awaited(tx, book.id)):
        return None
    text = "a payment of another amount than one of ours, which a person was to type into the chart"
    fix = "compare with the chart: dismiss it if it is ours, mistyped; if it is another payment, retry with --yes"
    return MAYBE, text, fix


def _names(charge: Charge, one: _Awaited) -> bool:
    by_reference = bool(charge.payment_reference) and charge.payment_reference == one.provider_ref
    return by_reference or charge.reference in one.postings


def _awaited(tx: Tx, account_id: int) -> list[_Awaited]:
    """Return the account's payments of which every posting is in shadow, oldest first."""
    columns: tuple[Any, ...] = (
        payment.c.id, payment.c.amount, payment.c.provider_ref, posting.c.public_id, posting.c.state,
        posting.c.answer_code, posting.c.answer_text,
    )  # fmt: skip
    statement = select(*columns).join(posting, posting.c.payment_id == payment.c.id)
    found: dict[int, _Awaited] = {}
    sent: set[int] = set()
    for row in tx.all(statement.where(payment.c.account_id == account_id).order_by(payment.c.id)):
        one = found.setdefault(row.id, _Awaited(row.id, row.amount, row.provider_ref, [], ""))
        one.postings.append(row.public_id)
        one.where = one.where or (row.answer_text if row.answer_code == TYPED else "")
        if row.state != states.Posting.SHADOWED:
            sent.add(row.id)
    return [one for one in found.values() if one.id not in sent]
