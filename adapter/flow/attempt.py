"""Every call to the outside follows one pattern: commit the attempt, call, commit the outcome.

`attempt` commits the row and makes the call; whoever made it closes the row in the transaction of the effect. A row
that was never closed is a call of which nobody knows whether it happened: it is repeated only where the other side
makes repeating harmless (an idempotency key, a destination that drops duplicates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import attempt as table
from chartpost.adapter.log import get

log = get(__name__)
T = TypeVar("T")
Outcome = Literal["done", "refused", "transient", "unknown"]


@dataclass(frozen=True, slots=True)
class Tried(Generic[T]):
    """What came of a call: `value` with `done`, else the reason (without personal data) and the other side's code."""

    subject: str
    outcome: Outcome
    value: T | None = None
    detail: str = ""
    code: str = ""


def attempt(
    store: Store, subject: str, call: Callable[[], T], *, repeatable: bool, still: Callable[[Tx], bool] | None = None
) -> Tried[T]:
    """Call the outside once, on the record.

    `subject` names the row it is for ("notice:4"). With `repeatable` false, an earlier attempt without an outcome means
    `unknown` and nothing is called. `still` is asked in the transaction that commits the attempt: False means that the
    call is no longer wanted, `transient`, and nothing is called.
    """
    with store.write() as tx:
        if still is not None and not still(tx):
            return Tried(subject, "transient", detail="no longer wanted")
        if not repeatable and interrupted(tx.connection, subject):
            return Tried(subject, "unknown", detail="interrupted: the process ended during the call")
        tx.run(insert(table), [{"subject": subject, "started_at": tx.now}])
    try:
        return Tried(subject, "done", call())
    except Transient as error:
        return Tried(subject, "transient", detail=str(error))
    except Permanent as error:
        return Tried(subject, "refused", detail=str(error), code=error.code)
    except Ambiguous as error:
        return Tried(subject, "unknown", detail=str(error))
    except Exception as error:  # a plugin's bug: it may have happened before or after the effect
        log.error("attempt.failed", exc_info=error, subject=subject)
        return Tried(subject, "unknown", detail=f"an unexpected {type(error).__name__} in the plugin")


def interrupted(connection: Connection, subject: str) -> bool:
    """Say whether a call for `subject` was begun and nobody knows its outcome."""
    began = select(table.c.id).where(table.c.subject == subject, table.c.ended_at.is_(None))
    return connection.execute(began).first() is not None


def silences(tx: Tx, subject: str) -> int:
    """Count the calls for `subject` of which nobody knows whether they happened."""
    return int(
        tx.scalar(select(func.count(table.c.id)).where(table.c.subject == subject, table.c.outcome == "unknown"))
    )


def learned(tx: Tx, subject: str) -> None:
    """Close an open attempt whose outcome the other side reported by another way."""
    values = {"ended_at": tx.now, "outcome": "done", "detail": "learned from a report"}
    tx.run(update(table).where(table.c.subject == subject, table.c.ended_at.is_(None)).values(values))


def close(tx: Tx, tried: Tried[T]) -> None:
    """Record the outcome, in the transaction of its effect."""
    values = {"ended_at": tx.now, "outcome": tried.outcome, "detail": tried.detail}
    tx.run(update(table).where(table.c.subject == tried.subject, table.c.ended_at.is_(None)).values(values))
