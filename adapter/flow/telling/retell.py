"""What other names and contacts mean for a request that is open: who was not to be reached may be, by now.

A number that goes away is not used any more, and a new one is tried where the old ones led to nobody. Who was told
already is not told again, and what may have gone out is never repeated. Whom a person named stays, whatever the chart
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.attempt import interrupted
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import notify, reach
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import holds, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import attempt, hold, notice

#: Holds of a request that a new number or address may settle.
_SETTLED = (
    "no_contact", "no_phone", "no_email", "no_consent", "opted_out", "landline", "contact_gone", "notice_refused",
    "notice_undelivered", "account_stopped",
)  # fmt: skip
#: Notices that the payer has, or may have.
_TOLD = (states.Notice.SENT, states.Notice.DELIVERED, states.Notice.UNKNOWN)


def plan(flow: Flow, tx: Tx, renewed: Iterable[Book]) -> None:
    """Tell by the ways that are there now, for accounts whose people changed in this transaction."""
    for book in renewed:
        if book.ask is not None and book.ask.id is not None:
            _plan(flow, tx, book, book.ask.id, f"request:{book.ask.public_id}")


def _plan(flow: Flow, tx: Tx, book: Book, request_id: int, obj: str) -> None:
    columns = (notice.c.public_id, notice.c.channel, notice.c.recipient, notice.c.state)
    asked = notice.c.request_id == request_id, notice.c.purpose == "request"
    rows = tx.all(select(*columns).where(*asked).order_by(notice.c.id))
    if (_said(book) or {}).get("recipients"):
        return _named(flow, tx, book, request_id, obj, _tried(tx, rows))
    waiting = rows[-1] if rows and rows[-1].state == states.Notice.DUE else None
    if waiting is not None:
        to = reach.recipient(waiting.channel, _asked(flow, book))
        if to == waiting.recipient.decode() or not withdrawn(tx, waiting.public_id):
            return None
    waits = _waits(tx, obj)
    if waiting is None and (not waits or any(row.state in _TOLD for row in rows)):
        return None
    way = _new_way(flow, book, _tried(tx, [row for row in rows if row is not waiting]))
    if way.why_not is None:
        for cause in waits:
            holds.close(tx, obj, cause)
        notify.tell(tx, book.key, request_id, way)
    elif waiting is not None:
        holds.add(tx, obj, *way.why_not, holds.likeness(way.why_not[0], book.source))
    return None


def _named(flow: Flow, tx: Tx, book: Book, request_id: int, obj: str, tried: set[tuple[str, str]]) -> None:
    """Tell those whom a person named and who could not be told before."""
    waits = _waits(tx, obj)
    ways = [way for way in notify.ways(flow, book) if not way.why_not and (way.channel, way.to) not in tried]
    if waits and ways:
        for cause in waits:
            holds.close(tx, obj, cause)
        for way in ways:
            notify.tell(tx, book.key, request_id, way)


def _waits(tx: Tx, obj: str) -> list[str]:
    """Return why a request waits for a person, as far as another contact may settle it."""
    causes = hold.c.object == obj, hold.c.state == states.Hold.OPEN, hold.c.cause.in_(_SETTLED)
    return [row.cause for row in tx.all(select(hold.c.cause).where(*causes))]


def _said(book: Book) -> dict[str, Any] | None:
    return book.ask.said if book.ask is not None else None


def _asked(flow: Flow, book: Book) -> tuple[reach.Person, ...]:
    return reach.ordered(book, flow.facility(book.facility).contacts, _said(book))


def withdrawn(tx: Tx, notice_id: str) -> bool:
    """Take back a notice that is due; False when it is being sent right now, or was."""
    subject = f"notice:{notice_id}"
    if interrupted(tx.connection, subject):
        return False
    # Locked, it cannot begin to be sent; it may have begun before we had the lock.
    state = tx.scalar(select(notice.c.state).where(notice.c.public_id == notice_id).with_for_update())
    if state != states.Notice.DUE or interrupted(tx.connection, subject):
        return False
    notify.uncover(tx, notice_id)
    return notify.move(tx, notice_id, states.Notice.BLOCKED)


def _tried(tx: Tx, rows: Sequence[Any]) -> set[tuple[str, str]]:
    """Return channel and recipient of what went out or was refused; what was taken back before is as good as new."""
    blocked = [f"notice:{row.public_id}" for row in rows if row.state == states.Notice.BLOCKED]
    refused = select(attempt.c.subject).where(attempt.c.subject.in_(blocked), attempt.c.outcome != "transient")
    begun = set(tx.connection.scalars(refused))
    sent = [row for row in rows if row.state != states.Notice.BLOCKED or f"notice:{row.public_id}" in begun]
    return {(row.channel, row.recipient.decode()) for row in sent if row.recipient}


def _new_way(flow: Flow, book: Book, tried: set[tuple[str, str]]) -> Way:
    """Return the first way that was not tried, or why there is none."""
    after = None
    while True:
        way = notify.find_way(flow, book, after)
        if way.why_not or way.to is None or (way.channel, way.to) not in tried:
            return way
        after = SimpleNamespace(channel=way.channel, notifier=way.notifier)
