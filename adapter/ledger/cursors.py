"""How far something that is read again and again was read, by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import cursor


def value(tx: Tx, name: str) -> str | None:
    """Return what was put down under a name, locked until the end of the transaction; None for nothing."""
    found: Any = tx.scalar(select(cursor.c.value).where(cursor.c.name == name).with_for_update())
    return None if found is None else str(found)


def put(tx: Tx, name: str, value: str) -> None:
    """Put a value down under a name."""
    values = {"value": value, "at": tx.now}
    tx.insert_new(cursor, [values | {"name": name}])
    tx.run(update(cursor).where(cursor.c.name == name).values(values))


def count(tx: Tx, name: str) -> None:
    """Count one more under a name: whoever sees another number than before knows that something came."""
    put(tx, name, str(int(value(tx, name) or 0) + 1))
