"""The work list: open holds, one per object and cause; and which of them are alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import hold
from chartpost.mappings.model import Problem

#: Notes of holds that were neither dismissed nor simply retried.
WAIVED, EDITED = "(waived)", "(edited)"
#: How many problems of one message tell it from others.
_TOLD = 5
_UNKNOWN_CODE = re.compile(r'code "(.*)" is not in table (\S+)')
_ORDINAL = re.compile(r"\[\d+\]")
_QUOTED = re.compile(r'"[^"]*"|\d+')
_CLOSE = (
    update(hold)
    .where(
        hold.c.object.in_(bindparam("objects", expanding=True)), hold.c.cause.in_(bindparam("causes", expanding=True)),
        hold.c.state == states.Hold.OPEN,
    )
    .values(state=states.Hold.DONE, closed_at=bindparam("now"))
)  # fmt: skip


def likeness(cause: str, place: str, problems: Iterable[Problem | str] = ()) -> str:
    """Return what holds share that one change mends: "unreadable_line his kinds ZB", "refused chart AE". Pure.

    `place` is the source or the destination. `problems` say more: what a map found wrong, or words such as an answer
    code. Unknown codes count by table and code, all else by its path without ordinals; values are left out.
    """
    parts = sorted({_kind_of(one) for one in problems} - {""})
    return " ".join(filter(None, (cause, place, "; ".join(parts[:_TOLD]))))


def unknown_code(problem: Problem) -> tuple[str, str] | None:
    """Return table and code, when the problem is a code that its table does not know."""
    found = _UNKNOWN_CODE.search(problem.cause)
    return (found[2], found[1]) if found else None


def _kind_of(problem: Problem | str) -> str:
    if isinstance(problem, str):
        return problem
    if (code := unknown_code(problem)) is not None:
        return " ".join(code)
    # What is wrong stays, without the value that is: an amount differs from message to message.
    cause = " ".join(_QUOTED.sub("", problem.cause).split())
    return f"{_ORDINAL.sub('', problem.path)} {cause}"


def add(tx: Tx, obj: str, cause: str, text: str, fix: str, like: str = "") -> None:
    """Open a hold on `obj` ("message:7") unless the same one is open. `text` and `fix` carry no personal data.

    `like` is its likeness; without one it is like all others of its cause that have none.
    """
    tx.insert_new(hold, [_row(tx, obj, cause, text, fix, like)])


def add_new(tx: Tx, wanted: Sequence[tuple[str, str, str, str, str]]) -> None:
    """Open holds (object, cause, text, fix, likeness) on what this transaction made: nothing can be open on it."""
    if rows := [_row(tx, *one) for one in wanted]:
        tx.run(insert(hold), rows)


def close(tx: Tx, obj: str, cause: str) -> None:
    """Close the open hold on `obj` of this cause, if there is one: what it waited for has happened."""
    close_many(tx, [obj], [cause])


def close_many(tx: Tx, objects: Collection[str], causes: Collection[str]) -> None:
    """Close the open holds on any of these objects that have any of these causes, in one statement."""
    if objects:
        tx.run(_CLOSE, [{"objects": list(objects), "causes": list(causes), "now": tx.now}])


def moot(tx: Tx, requests: Iterable[str]) -> None:
    """Close what waits on requests (public ids) that ended since nothing is owed on them, or in favour of another.

    Who could not be told need not be. What nobody knows stays for a person.
    """
    objects = [f"request:{public_id}" for public_id in requests]
    if objects:
        waits = hold.c.object.in_(objects), hold.c.state == states.Hold.OPEN, hold.c.cause != "notice_unknown"
        tx.run(update(hold).where(*waits).values(state=states.Hold.DONE, closed_at=tx.now))


def _row(tx: Tx, obj: str, cause: str, text: str, fix: str, like: str) -> dict[str, Any]:
    row = {"object": obj, "cause": cause, "text": text, "fix": fix, "likeness": like}
    return row | {"state": states.Hold.OPEN, "at": tx.now}
