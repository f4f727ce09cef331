"""How long a first request waits for more charges: the open errand `gather` of an account holds both ends of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from chartpost.adapter.ledger import errands
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import errand

GATHER = "gather"


class Window(NamedTuple):
    """The time in which charges of one account are gathered."""

    first: dt.datetime  #: when the first of them came
    due: dt.datetime  #: when the payer is asked, unless more comes


def load(tx: Tx, keys: Iterable[str]) -> dict[str, Window]:
    """Return the windows of those accounts (by key) that have one. The accounts are locked by now."""
    wanted = select(errand.c.subject, errand.c.created_at, errand.c.due_at)
    rows = tx.all(wanted.where(errand.c.kind == GATHER, errand.c.subject.in_(list(keys)), errands.is_open()))
    return {row.subject: Window(row.created_at, row.due_at) for row in rows}


def save(tx: Tx, windows: Mapping[str, Window]) -> None:
    """Write windows down: those that are open are moved, the others opened. One errand an account, never two."""
    if not windows:
        return
    tx.work.add(GATHER)
    # Also one that is being worked at this moment: it looks again once it has the account (flow/gather.py).
    moved = update(errand).where(errand.c.kind == GATHER, errand.c.subject == bindparam("which"), errands.is_open())
    tx.run(
        moved.values(created_at=bindparam("new_first"), due_at=bindparam("new_due")),
        [{"which": key, "new_first": one.first, "new_due": one.due} for key, one in windows.items()],
    )
    rows = [
        {
            "kind": GATHER, "subject": key, "lane": f"{GATHER}:{key}", "state": "due",
            "created_at": one.first, "due_at": one.due,
        }
        for key, one in windows.items()
    ]  # fmt: skip
    tx.insert_new(errand, rows)
