"""Message rows in a transaction of ours, beside all else that it changes: for what nobody brought to a door."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import insert, select

from chartpost.adapter.ledger.intake import Row
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import message

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def keep(tx: Tx, rows: Sequence[Row]) -> list[int]:
    """Store rows that are judged alone (`since` is None); return their ids, in order."""
    ids: list[int] = []
    for row in rows:
        values = {name: value for name, value in row._asdict().items() if name in message.c}
        values["received_at"] = _EPOCH + dt.timedelta(microseconds=row.received_at)
        values["parent_id"] = ids[-row.back] if row.back else None
        ids.append(tx.run(insert(message).returning(message.c.id), [values]).scalar_one())
    return ids


def kept(tx: Tx, row: Row) -> int | None:
    """Return the id of a message that says the same, byte for byte, and became the same; None where there is none."""
    same = (message.c.source == row.source, message.c.control_key == row.control_key, message.c.digest == row.digest)
    found: int | None = tx.scalar(select(message.c.id).where(*same, message.c.state == row.state).limit(1))
    return found
