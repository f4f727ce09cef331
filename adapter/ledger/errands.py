"""Errands: added in the transaction that wants them, announced by the relay, worked in lane order, one at a time.

The row is the truth; a Kombu delivery is only a wake-up that carries its id. An errand that was leased when the process
died is due again once its lease is over; its own data directory, which one process at a time may use, frees it at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, exists, literal_column, or_, select, text, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import errand

#: Longer than the longest call outside, so that nobody else takes an errand that is still being worked.
LEASE = dt.timedelta(seconds=120)
_OPEN = ("due", "leased")


def is_open(of: FromClause = errand) -> ColumnElement[bool]:
    """Return the condition that errands are open, word for word that of their indexes.

    SQLite takes such an index only where the words stand in the statement: a parameter would have it read every errand.
    """
    return of.c.state.in_([literal_column(f"'{state}'") for state in _OPEN])


@dataclass(frozen=True, slots=True)
class Errand:
    """One row, as its worker sees it. `attempts` counts this one."""

    id: int
    kind: str
    subject: str
    lane: str
    attempts: int


def add(tx: Tx, kind: str, subject: str, lane: str, due: dt.datetime | None = None) -> None:
    """Ask for an errand; the same one still open is not asked for twice."""
    add_all(tx, [(kind, subject, lane, due)])


Wanted = tuple[str, str, str, dt.datetime | None]  #: kind, subject, lane, due (None: now)


def add_all(tx: Tx, wanted: Iterable[Wanted]) -> None:
    """Ask for several errands at once."""
    rows = [
        {"kind": kind, "subject": subject, "lane": lane, "state": "due", "due_at": due or tx.now, "created_at": tx.now}
        for kind, subject, lane, due in wanted
    ]
    if rows:
        tx.work.update(str(row["kind"]) for row in rows)
        tx.insert_new(errand, rows)


def hurry(tx: Tx, kind: str, subject: str, lane: str) -> None:
    """Make an errand due now, or ask for it where none is open; one that is being worked goes on."""
    move(tx, kind, subject, lane, tx.now)


def move(tx: Tx, kind: str, subject: str, lane: str, due: dt.datetime) -> None:
    """Make an errand due then, or ask for it where none is open; one that is being worked goes on."""
    tx.run(update(errand).where(*_waiting(kind, subject)).values(due_at=due))
    add(tx, kind, subject, lane, due)


def _waiting(kind: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return errand.c.kind == kind, errand.c.subject == subject, errand.c.state == states.Errand.DUE, is_open()


def look_again(tx: Tx, kind: str, subject: str, lane: str) -> None:
    """Let an errand that recurs look now at what has changed: whatever its time was for until now is over."""
    add(tx, kind, subject, lane)
    tx.run(update(errand).where(*_waiting(kind, subject)).values(due_at=tx.now, done_at=tx.now))


def claim(store: Store, errand_id: int) -> Errand | None:
    """Lease the errand for which somebody was woken, if it is the first open one of its lane and due.

    It and no other: a wake-up that comes twice must not start the next one, whose body it does not carry.
    """
    with store.write() as tx:
        lane = tx.scalar(select(errand.c.lane).where(errand.c.id == errand_id))
        return None if lane is None else _claim_first(tx, lane, errand_id)


def claim_next(store: Store, lane: str) -> Errand | None:
    """Lease the next due errand of a lane, so that one wake-up can work the lane off."""
    with store.write() as tx:
        return _claim_first(tx, lane)


def _claim_first(tx: Tx, lane: str, wanted: int | None = None) -> Errand | None:
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lane))"), {"lane": lane})
    first = tx.one(select(errand).where(errand.c.lane == lane, is_open()).order_by(errand.c.id).limit(1))
    if first is None or first.due_at > tx.now or wanted not in (None, first.id):
        return None
    if first.state == states.Errand.LEASED and first.leased_until > tx.now:
        return None
    values = {"state": "leased", "leased_until": tx.now + LEASE, "leased_by": tx.owner, "attempts": first.attempts + 1}
    tx.run(update(errand).where(errand.c.id == first.id).values(values))
    return Errand(first.id, first.kind, first.subject, lane, first.attempts + 1)


def done(tx: Tx, item: Errand) -> None:
    """Mark an errand done, in the transaction of its own effect."""
    tx.run(update(errand).where(errand.c.id == item.id).values(state="done", done_at=tx.now, error=""))
    tx.work.add(item.kind)  # the next of its lane may go


def again(tx: Tx, item: Errand, due: dt.datetime, error: str = "") -> None:
    """Put an errand back for later; `error` is a short reason without personal data ("" for one that recurs)."""
    values: dict[str, Any] = {"state": "due", "due_at": due, "error": error}
    if not error:
        values |= {"done_at": tx.now, "attempts": 0}
    tx.run(update(errand).where(errand.c.id == item.id).values(values))
    tx.work.add(item.kind)


def bury(tx: Tx, item: Errand, error: str) -> None:
    """Give an errand up: it was tried too often. Whoever calls this opens a hold."""
    tx.run(update(errand).where(errand.c.id == item.id).values(state="dead", done_at=tx.now, error=error))
    tx.work.add(item.kind)


def release_leases(store: Store) -> None:
    """Make due again what the last process of this data directory had leased; nobody else works it any more."""
    with store.write() as tx:
        mine = (errand.c.state == "leased", errand.c.leased_by == store.owner)
        tx.run(update(errand).where(*mine).values(state="due", leased_until=None, leased_by=""))


@dataclass(frozen=True, slots=True)
class Head:
    """The first open errand of a lane."""

    id: int
    kind: str
    subject: str


def heads(connection: Connection, kind: str, now: dt.datetime, limit: int) -> Sequence[Head]:
    """Return the first open errand of each lane that is due (or whose lease is over): what the relay announces.

    All errands of a lane are of one kind, because the name of a lane begins with it.
    """
    earlier = errand.alias()
    blocked = exists().where(and_(earlier.c.lane == errand.c.lane, earlier.c.id < errand.c.id, is_open(earlier)))
    ready = or_(errand.c.state == "due", errand.c.leased_until < now)
    statement = select(errand.c.id, errand.c.kind, errand.c.subject).where(
        errand.c.kind == kind, is_open(), errand.c.due_at <= now, ready, ~blocked
    )
    rows = connection.execute(statement.order_by(errand.c.due_at, errand.c.id).limit(limit))
    return [Head(*row) for row in rows]
