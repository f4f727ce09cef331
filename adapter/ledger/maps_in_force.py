"""Which map is in force where, since when, and which changed file is refused: rows of `cursor`, and holds.

So every process can say it, whichever of them has read the files (livemaps.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, delete, select, update

from chartpost.adapter.ledger import holds, states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import cursor, hold

CAUSE = "map_refused"
#: Problems that a hold spells out.
SHOWN = 3
_PREFIX = "map/"
#: What a map is for.
Use = Literal["source", "destination", "shadow"]


def row_name(use: Use, place: str) -> str:
    """Return the name of the row that tells of a map."""
    return f"{_PREFIX}{use}/{place}"


def begin(tx: Tx, names: Iterable[str]) -> None:
    """Forget maps that are no longer configured, and what an earlier process refused: this one has read all of them."""
    for row in tx.all(select(cursor.c.name).where(cursor.c.name.like(f"{_PREFIX}%"))):
        if row.name not in names:
            tx.run(delete(cursor).where(cursor.c.name == row.name))
    old = (hold.c.cause == CAUSE, hold.c.state == states.Hold.OPEN)
    tx.run(update(hold).where(*old).values(state=states.Hold.DONE, closed_at=tx.now))


def note(tx: Tx, name: str, label: str, refused: str) -> None:
    """Keep which map is in force, since when, and why a newer one is not."""
    before = tx.one(select(cursor.c.value, cursor.c.at).where(cursor.c.name == name))
    same = before is not None and json.loads(before.value)["map"] == label
    values = {"value": json.dumps({"map": label, "refused": refused}), "at": before.at if same and before else tx.now}
    if before is None:
        tx.insert_new(cursor, [{"name": name, **values}])
    else:
        tx.run(update(cursor).where(cursor.c.name == name).values(values))


def refused(tx: Tx, file: str, problems: Sequence[str]) -> None:
    """Open the hold of a map file, or bring it up to date."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    text = f"the changed map is not in force, the one before it is: {'; '.join(problems[:SHOWN])}{more}"
    fix = "correct the file, or put back what was there before; it is read again by itself"
    obj = f"map:{file}"
    is_open = (hold.c.object == obj, hold.c.cause == CAUSE, hold.c.state == states.Hold.OPEN)
    tx.run(update(hold).where(*is_open).values(text=text))
    holds.add(tx, obj, CAUSE, text, fix)


def mended(tx: Tx, file: str) -> None:
    """Close the hold of a map file."""
    holds.close(tx, f"map:{file}", CAUSE)


def in_force(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield which map is in force where, since when, and why a newer one is not."""
    rows = connection.execute(select(cursor).where(cursor.c.name.like(f"{_PREFIX}%")).order_by(cursor.c.name))
    for row in rows:
        _, use, place = row.name.split("/", 2)
        told = json.loads(row.value)
        yield {"use": use, "place": place, "map": told["map"], "since": row.at, "refused": told["refused"]}
