"""What a FHIR Invoice means for its account. It states the whole, so its entry is the difference to what was counted.

    draft                          nothing yet
    issued                         the patient's share of it is owed; a changed one is an adjustment by the difference
    balanced                       settled: what is left was paid elsewhere
    cancelled, entered-in-error    withdrawn; what was paid already is the account's credit

The later statement wins, whatever the order in which they are worked: one that was held, or whose payer had to be
fetched, changes nothing once a newer one has spoken.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.charges import share
from chartpost.adapter.flow.charges.lines import Decided, Verdict, hold
from chartpost.adapter.flow.charges.restate import restate
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.settings import Source
from chartpost.mappings.model import Kind, Money, Reading

#: How messages of this kind are called in the column `type`.
TYPE = "Invoice"
WITHDRAWN = frozenset({"cancelled", "entered-in-error"})
#: Kinds of entries that a statement made; money that came in is not among them.
_STATED = frozenset({"charge", "adjustment", "balance"})


def judge(tx: Tx, row: Any, reading: Reading, source: Source, book: Book, timezone: str) -> Decided:
    """Return the one entry that brings the account to what the Invoice states, none, or a verdict.

    `timezone` (IANA) is the facility's.
    """
    if (later := _later(tx, row)) is not None:
        return Verdict(states.Message.IGNORED, f"M{later} states a later state of this Invoice", [])
    if reading.status == "balanced":
        return _settled(row, book)
    if reading.status == "draft":
        if not _stated(book):
            return Verdict(states.Message.IGNORED, "a draft: not issued yet", [])
        return hold(
            "back_to_draft", "an Invoice that was issued is a draft again",
            "ask the sender what is owed now; a new issued Invoice, or a cancelled one, settles it",
        )  # fmt: skip
    if reading.status == "issued" and any(line.kind == "payment" for line in book.lines):
        return hold(
            "reopened", "an Invoice that was balanced is issued again; what is still owed it does not say",
            "compare with the chart, and correct the account by hand",
        )  # fmt: skip
    if source.share == "balance" and reading.status == "issued":
        return restate(tx, row, reading, book, timezone)
    owed, notes = (
        (0, [_note(f"withdrawn: {reading.status}")]) if reading.status in WITHDRAWN else share_of(reading, source)
    )
    foreign = next((charge for charge in reading.charges if charge.amount.currency != book.currency), None)
    if foreign is not None and reading.status not in WITHDRAWN:
        return hold(
            "currency", f"an amount in {foreign.amount.currency} for an account in {book.currency}",
            "bill other currencies through an account and a facility of their own", notes,
        )  # fmt: skip
    before = _stated(book)
    difference = owed - before
    if difference == 0:
        return [], notes
    description = next((charge.description for charge in reading.charges if charge.description), "")
    kind = "adjustment" if before or difference < 0 else "charge"
    notes.append(_note(f"counted: {difference:+d} minor units"))
    return [(f"message:{row.id}:1", kind, difference, {"text": description.encode()})], notes


def _later(tx: Tx, row: Any) -> int | None:
    """Return the id of a newer statement on the same Invoice that has been worked; one that was dismissed is none."""
    worked = message.c.state.in_((states.Message.TRANSLATED, states.Message.IGNORED))
    statement = select(message.c.id).where(
        message.c.lane == row.lane, message.c.type == TYPE, message.c.id > row.id, worked,
        message.c.reason.not_like("dismissed%"),
    )  # fmt: skip
    found = tx.scalar(statement.order_by(message.c.id.desc()).limit(1))
    return int(found) if found is not None else None


def _settled(row: Any, book: Book) -> Decided:
    if not book.lines:
        return Verdict(states.Message.IGNORED, "settled before anything was asked for", [])
    if book.balance <= 0:
        return Verdict(states.Message.IGNORED, "settled, as the account is here", [])
    left = Money(minor=book.balance, currency=book.currency)
    return [(f"message:{row.id}:1", "payment", -book.balance, {})], [_note(f"settled elsewhere: {left}")]


def share_of(reading: Reading, source: Source) -> tuple[int, list[dict[str, Any]]]:
    """Return the patient's share in minor units, and what was decided about each amount."""
    owed, notes = 0, []
    for charge in reading.charges:
        if charge.kind is Kind.COPAY and source.share != "copay":
            continue  # it is part of the total, which the rule looks at
        own = share.share(source.share, charge, reading, source.self_pay_classes)
        owed += own.amount or 0
        notes.append(_note(f"{'counted' if own.amount else 'not counted'}: {own.why}"))
    return owed, notes


def _stated(book: Book) -> int:
    """What the account's statements come to so far, in minor units."""
    return sum(line.amount for line in book.lines if line.kind in _STATED)


def _note(value: str) -> dict[str, Any]:
    return {"target": "invoice", "path": "", "raw": "", "value": value}
