"""How a person's decision about a hold is carried out: in one transaction, once; who decided, and why, stays on it.

What cannot be done changes nothing and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import hold


@dataclass(frozen=True, slots=True)
class Release:
    """What came of one decision: what happens now, or why nothing does (`done` is False)."""

    id: str  #: "H4", or a posting's public id
    object: str  #: "message:7": what waited
    cause: str
    done: bool
    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """What the person said."""

    by: str
    note: str = ""
    sure: bool = False  #: they have looked: where nobody knows, and where a rule of ours says wait


class No(Exception):
    """It cannot be done. Rolls the transaction back."""


def decide(store: Store, number: int, act: Callable[[Tx, Any], str]) -> Release:
    """Let `act` settle hold `number` and say what happens now. It closes the hold once it has locked its object."""
    held: Any = None
    try:
        with store.write() as tx:
            held = tx.one(select(hold).where(hold.c.id == number))
            if held is None:
                raise No("there is no such hold; `chartpost holds` lists them")
            if held.state != states.Hold.OPEN:
                raise No("it is done already")
            newest = tx.scalar(select(func.max(hold.c.id)))
            text = act(tx, held)
            waits = _waits_again(tx, held.object, newest)
    except No as no:
        return Release(f"H{number}", held.object if held else "", held.cause if held else "", False, str(no))
    return Release(f"H{number}", held.object, held.cause, True, f"{text}{waits}")


def _waits_again(tx: Tx, obj: str, newest: int) -> str:
    """Say what opened on the object in this very transaction: the cause is still there."""
    still = select(hold).where(hold.c.object == obj, hold.c.state == states.Hold.OPEN, hold.c.id > newest)
    return "".join(f"; it waits again, {row.cause}: {row.text} (H{row.id})" for row in tx.all(still))


def close(tx: Tx, held: Any, word: Word) -> None:
    """Close one hold. Its object is locked by now: everybody takes the object first, so nobody waits in a ring."""
    if _closing(tx, (hold.c.id == held.id,), word) != 1:
        raise No("somebody else was faster")


def close_all(tx: Tx, obj: str, word: Word) -> int:
    """Close whatever is open on an object; return how many holds that were."""
    return _closing(tx, (hold.c.object == obj,), word)


def _closing(tx: Tx, where: tuple[Any, ...], word: Word) -> int:
    values = {"state": states.Hold.DONE, "closed_at": tx.now, "closed_by": word.by, "note": word.note}
    return int(tx.run(update(hold).where(*where, hold.c.state == states.Hold.OPEN).values(values)).rowcount)
