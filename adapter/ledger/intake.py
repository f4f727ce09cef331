"""The door's transaction: message rows in, made durable all at once, and judged against what came before.

One transaction carries every frame that waits; the caller acknowledges after it, never before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from chartpost.adapter.errors import CannotStore
from chartpost.adapter.ledger.holds import likeness
from chartpost.adapter.ledger.intake_sql import Cursor, Postgresql, Sqlite, Values
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.states import Hold, Message
from chartpost.adapter.ledger.store import Store

#: A day in microseconds, the unit of every stored time.
DAY = 86_400_000_000


class Row(NamedTuple):
    """One message as the door judged it, before it is known whether it came before."""

    source: str
    control_key: str  #: MSH-3 | MSH-4 | MSH-10; without MSH-10 the digest stands in its place
    control_id: str
    type: str
    version: str
    lane: str
    received_at: int  #: microseconds since 1970
    raw: bytes  #: as received; sealed here
    digest: bytes
    ack_code: str  #: what is to be answered, "" for nothing
    state: str
    reason: str
    since: int | None  #: a copy received at or after this time (microseconds) is a duplicate; None: judged alone
    back: int = 0  #: how many rows before this one its batch stands; 0: it came by itself
    #: Of a batch: cause, text and fix of a hold on it, unless all that is in it came before.
    hold: tuple[str, str, str] | None = None


class Fate(NamedTuple):
    """What became of a row."""

    id: int
    state: str
    ack_code: str  #: for a duplicate, what the first was answered


#: Rows, what became of them, and how many seconds their commit took.
Observe = Callable[[Sequence[Row], Sequence[Fate], float], None]


class _Earlier(NamedTuple):
    id: int
    parent_id: int | None
    state: str
    ack_code: str


class Intake:
    """Stores what the doors received. Holds one connection of its own; one thread at a time calls `commit`."""

    def __init__(self, store: Store, observe: Observe | None = None) -> None:
        """`observe` is told of every commit; it must be cheap and must not raise."""
        self._store = store
        self._observe = observe
        self._connection: Any = None
        self._sql: Sqlite | Postgresql = Sqlite() if store.dialect == "sqlite" else Postgresql()
        #: Whether a commit waits for a server: it then belongs in a thread, not in the event loop.
        self.remote = self._sql.remote

    def commit(self, rows: list[Row]) -> list[Fate]:
        """Store the rows in one transaction and return what became of each, in order.

        A copy of a message (same source, control key and digest within its time) is a duplicate and gets the first's
        answer; the same key with another body is held for a person. Raises CannotStore: then nothing is stored, and
        nothing may be acknowledged.
        """
        began = time.perf_counter()
        try:
            with self._store.turns.door():
                fates = self._transaction(rows)
        except Exception as error:
            self._drop()
            # Type only: a driver's text may show the parameters of the statement.
            raise CannotStore(f"{len(rows)} messages not stored ({type(error).__name__})") from None
        if self._observe is not None:
            self._observe(rows, fates, time.perf_counter() - began)
        return fates

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transaction(self, rows: list[Row]) -> list[Fate]:
        if self._connection is None:
            self._connection = self._store.engine.raw_connection()
        cursor = self._connection.cursor()
        try:
            judged = [row for row in rows if row.since is not None]
            keys = {(row.source, row.control_key) for row in judged}
            self._sql.begin(cursor, keys)
            if len(keys) == len(judged) and self._all_new(cursor, judged):
                fates = self._store_new(cursor, rows)
            else:
                fates = []
                for row in rows:
                    fates.append(self._store_one(cursor, row, fates))
            self._tell_of_batches(cursor, rows, fates)
            cursor.execute("COMMIT")
            return fates
        finally:
            cursor.close()

    def _all_new(self, cursor: Cursor, judged: list[Row]) -> bool:
        """Say that no row repeats anything: nearly every group, and then two statements do for all of it."""
        for source in {row.source for row in judged}:
            of_it = [row for row in judged if row.source == source]
            since = min(row.since or 0 for row in of_it)
            if self._sql.any_known(cursor, source, [row.control_key for row in of_it], since):
                return False
        return True

    def _store_new(self, cursor: Cursor, rows: list[Row]) -> list[Fate]:
        """Store rows that repeat nothing, in as few statements as the batches among them allow."""
        fates: list[Fate] = []
        while len(fates) < len(rows):
            first = last = len(fates)
            while last < len(rows) and (not rows[last].back or last - rows[last].back < first):
                last += 1  # whatever it belongs to has its id already
            run = rows[first:last]
            parents = [fates[place - row.back].id if row.back else None for place, row in enumerate(run, first)]
            ids = self._sql.insert_all(cursor, [_values(*one) for one in zip(run, parents, strict=True)])
            fates += [Fate(id_, row.state, row.ack_code) for id_, row in zip(ids, run, strict=True)]
        return fates

    def _store_one(self, cursor: Cursor, row: Row, before: list[Fate]) -> Fate:
        """Store a row that may repeat an earlier one, or one of `before`, or belong to a batch among these."""
        parent = before[-row.back].id if row.back else None
        changed = None
        if row.since is not None:
            key = (row.source, row.control_key, row.since)
            found = cursor.execute(self._sql.same_key, key).fetchone()
            if found is not None and bytes(found[4]) != row.digest:
                changed = _Earlier(*found[:4])
                found = cursor.execute(self._sql.same_body, (*key, row.digest)).fetchone()
            if found is not None:
                first, changed = _Earlier(*found[:4]), None
                parent = first.parent_id if first.state == Message.DUPLICATE else first.id
                row = row._replace(
                    ack_code=first.ack_code, state=Message.DUPLICATE.value, reason=f"the same as message {parent}"
                )
            elif changed is not None:
                reason = f"the number of message {changed.id} with another content"
                row = row._replace(state=Message.HELD.value, reason=reason)
        number = self._sql.insert(cursor, _values(row, parent))
        if changed is not None:
            cursor.execute(self._sql.hold, _hold(number, changed.id, row.received_at, row.source))
        return Fate(number, row.state, row.ack_code)

    def _tell_of_batches(self, cursor: Cursor, rows: list[Row], fates: list[Fate]) -> None:
        """Open the holds that batches ask for; a copy of a batch was told of when the first came."""
        for place, (row, fate) in enumerate(zip(rows, fates, strict=True)):
            if row.hold is None:
                continue
            inside = [fates[other].state for other in range(place + 1, len(rows)) if rows[other].back == other - place]
            if any(state != Message.DUPLICATE for state in inside):
                like = likeness(row.hold[0], row.source)
                values = (f"message:{fate.id}", *row.hold, Hold.OPEN.value, row.received_at, like)
                cursor.execute(self._sql.hold, values)

    def _drop(self) -> None:
        """Let go of the connection, whatever state it is in: the next commit takes a fresh one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()


def _values(row: Row, parent: int | None = None) -> Values:
    source, key, control_id, kind, version, lane, received_at, raw, digest, ack_code, state, reason, *_ = row
    sealed = keyring().seal(raw)
    return source, parent, key, control_id, kind, version, lane, received_at, sealed, digest, ack_code, state, reason


def _hold(number: int, earlier: int, at: int, source: str) -> Values:
    text = (
        f"Message {number} has the control id (MSH-10) of message {earlier}, received before, but another content. "
        "Nothing of it was counted."
    )
    fix = (
        "Ask the sending system which of the two is right. If the control id was used again for a new message, "
        "release this one; if it is a mistaken resend, dismiss it."
    )
    like = likeness("changed_duplicate", source)
    return f"message:{number}", "changed_duplicate", text, fix, Hold.OPEN.value, at, like
