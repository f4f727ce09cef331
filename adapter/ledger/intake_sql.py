"""The door's statements in the words of each database; what they mean stands in intake.py.

Raw DBAPI, because this is the one place where a few microseconds a message decide what a burst costs
(docs/decisions/0002).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

Values = tuple[Any, ...]

#: Control keys that are locked one by one. A server has some thousands of locks in all, and a file may hold more.
MOST_LOCKS = 4_000

# What was refused or unreadable is no first: a sender, or a configuration, put right may send it again.
_SAME_KEY = (
    "SELECT id, parent_id, state, ack_code, digest FROM message WHERE source = ? AND control_key = ?"
    " AND received_at >= ? AND lane <> '' ORDER BY received_at, id LIMIT 1"
)
_SAME_BODY = _SAME_KEY.replace(" ORDER BY", " AND digest = ? ORDER BY")
_ANY_KEY = "SELECT 1 FROM message WHERE source = ? AND control_key {} AND received_at >= ? LIMIT 1"
_INSERT = (
    "INSERT INTO message (source, parent_id, control_key, control_id, type, version, lane, received_at, raw, digest,"
    " ack_code, state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_HOLD = "INSERT INTO hold (object, cause, text, fix, state, at, likeness) VALUES (?, ?, ?, ?, ?, ?, ?)"


_LOCK = (
    "SELECT CASE place WHEN 1 THEN pg_advisory_xact_lock_shared(key) ELSE pg_advisory_xact_lock(key) END"
    " FROM unnest(%s::bigint[]) WITH ORDINALITY AS wanted (key, place)"
)


class Cursor(Protocol):
    """What both drivers offer."""

    lastrowid: Any

    def execute(self, statement: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, statement: str, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Any: ...
    def close(self) -> Any: ...


class Sqlite:
    """SQLite: microseconds a statement, so that the event loop may wait for them."""

    same_key, same_body, hold = _SAME_KEY, _SAME_BODY, _HOLD
    remote = False
    _any_key = _ANY_KEY.format("IN (SELECT value FROM json_each(?))")

    def begin(self, cursor: Cursor, keys: Iterable[tuple[str, str]]) -> None:
        """Begin, as the only writer."""
        cursor.execute("BEGIN IMMEDIATE")

    def any_known(self, cursor: Cursor, source: str, keys: Sequence[str], since: int) -> bool:
        """Say whether one of the control keys came at or after `since`."""
        return cursor.execute(self._any_key, (source, json.dumps(keys), since)).fetchone() is not None

    def insert(self, cursor: Cursor, values: Values) -> int:
        """Insert one message and return its id."""
        cursor.execute(_INSERT, values)
        return int(cursor.lastrowid)

    def insert_all(self, cursor: Cursor, rows: list[Values]) -> Sequence[int]:
        """Insert messages and return their ids: consecutive, because nobody else writes meanwhile."""
        cursor.executemany(_INSERT, rows)
        last = cursor.execute("SELECT last_insert_rowid()").fetchone()[0]
        return range(last - len(rows) + 1, last + 1)


class Postgresql:
    """PostgreSQL: every statement is a way there and back, so that a commit belongs in a thread."""

    same_key, same_body, hold = (text.replace("?", "%s") for text in (_SAME_KEY, _SAME_BODY, _HOLD))
    remote = True
    _any_key = _ANY_KEY.format("= ANY(?)").replace("?", "%s")
    _insert = _INSERT.replace("?", "%s") + " RETURNING id"

    def begin(self, cursor: Cursor, keys: Iterable[tuple[str, str]]) -> None:
        """Begin (the driver does, at the first statement), and queue behind whoever stores the same control keys.

        Two replicas of a door would otherwise both find nothing and count a message twice. The locks are taken in
        order, so that no two wait for each other, and end with the transaction. Whoever has too many keys has the
        door for itself: the others share it.
        """
        numbers = sorted({_lock_number(*key) for key in keys})
        if len(numbers) > MOST_LOCKS:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_DOOR,))
        elif numbers:
            cursor.execute(_LOCK, ([_DOOR, *numbers],))

    def any_known(self, cursor: Cursor, source: str, keys: Sequence[str], since: int) -> bool:
        """Say whether one of the control keys came at or after `since`."""
        return cursor.execute(self._any_key, (source, list(keys), since)).fetchone() is not None

    def insert(self, cursor: Cursor, values: Values) -> int:
        """Insert one message and return its id."""
        return int(cursor.execute(self._insert, values).fetchone()[0])

    def insert_all(self, cursor: Any, rows: list[Values]) -> Sequence[int]:
        """Insert messages in one way there and back, and return their ids."""
        cursor.executemany(self._insert, rows, returning=True)
        found: list[int] = []
        while True:
            found.append(cursor.fetchone()[0])
            if not cursor.nextset():
                return found


def _lock_number(source: str, control_key: str) -> int:
    name = f"{source}\x1f{control_key}".encode("utf-8", "replace")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)


#: The lock of the door as a whole.
_DOOR = _lock_number("", "")
