"""The work list: open holds, one per object and cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import hold


def add(tx: Tx, obj: str, cause: str, text: str, fix: str) -> None:
    """Open a hold on `obj` ("message:7") unless the same one is open. `text` and `fix` carry no personal data."""
    tx.insert_new(hold, [_row(tx, obj, cause, text, fix)])


def add_new(tx: Tx, wanted: Sequence[tuple[str, str, str, str]]) -> None:
    """Open holds (object, cause, text, fix) on objects that this transaction made: nothing can be open on them."""
    if rows := [_row(tx, *one) for one in wanted]:
        tx.run(insert(hold), rows)


def close(tx: Tx, obj: str, cause: str) -> None:
    """Close the open hold on `obj` of this cause, if there is one: what it waited for has happened."""
    tx.run(
        update(hold)
        .where(hold.c.object == obj, hold.c.cause == cause, hold.c.state == states.Hold.OPEN)
        .values(state=states.Hold.DONE, closed_at=tx.now)
    )


def _row(tx: Tx, obj: str, cause: str, text: str, fix: str) -> dict[str, Any]:
    return {"object": obj, "cause": cause, "text": text, "fix": fix, "state": states.Hold.OPEN, "at": tx.now}
