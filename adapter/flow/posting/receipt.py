"""receipt: what an engine says of the postings that it takes from its queue itself (a destination of `type: broker`).

Our part ends with the broker's confirm. What the engine, and the chart behind it, made of a posting comes back on
posting.receipt.<destination>; if nothing comes, a person is told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.posting.deliver import heard, move
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import posting
from chartpost.adapter.ports import Answer, Verdict
from chartpost.mappings import receipt
from chartpost.queues.envelope import Envelope

#: The type of such a destination.
BROKER = "broker"
#: Minutes without a receipt before a person is told, where the destination says nothing else (senders/broker.py).
ALERT_AFTER = 60

#: What an answer settles, of the holds on its posting.
_SETTLES = {
    Verdict.RECEIVED: ("no_receipt",),
    Verdict.ACCEPTED: ("no_receipt", "refused", "unknown"),
    Verdict.REFUSED: ("no_receipt", "unknown"),
}


class UnknownPosting(Exception):
    """A receipt names no posting that was told to its destination."""


def handed_over(flow: Flow, errand: Errand) -> None:
    """Note that the broker confirmed the posting of the errand's subject: it is the engine's now."""
    with flow.store.write() as tx:
        row = tx.one(select(posting).where(posting.c.public_id == errand.subject).with_for_update())
        errands.done(tx, errand)
        if row is None:
            return
        holds.close(tx, f"destination:{row.destination}", "not_reachable")
        if row.state not in (states.Posting.DUE, states.Posting.PUBLISHED):
            return  # the engine was faster than our commit, or a person settled it
        move(tx, row.public_id, states.Posting.PUBLISHED, {})
        due = tx.now + _patience(flow, row.destination)
        errands.add(tx, "receipt_due", row.public_id, f"receipt_due:{row.public_id}", due)


def run(flow: Flow, destination: str, envelope: Envelope) -> None:
    """Record one receipt from a destination. Raises NoReceipt or UnknownPosting: it belongs into the dead queue."""
    told = receipt.read(envelope.body)
    answer = Answer(Verdict(told.state), told.code, told.reason, envelope.body)
    copies = (told.control_id, envelope.correlation_id)
    with flow.store.write() as tx:
        row = _find(tx, destination, (told.posting, *copies))
        earlier = row.control_id not in copies and any(_posting(name) == row.public_id for name in copies)
        if earlier and answer.verdict is not Verdict.ACCEPTED:
            return  # said again of a copy that was refused: it says nothing of the one on its way
        # Whoever answers has read it, even where the broker's confirm is not on record yet.
        move(tx, row.public_id, states.Posting.PUBLISHED, {})
        if heard(tx, row.public_id, answer, destination):
            for cause in _SETTLES[answer.verdict]:
                holds.close(tx, f"posting:{row.public_id}", cause)


def overdue(flow: Flow, errand: Errand) -> None:
    """Tell a person when the posting of the errand's subject was published and nothing was heard of it since."""
    with flow.store.write() as tx:
        row = tx.one(select(posting).where(posting.c.public_id == errand.subject))
        if row is not None and row.state == states.Posting.PUBLISHED:
            due = row.changed_at + _patience(flow, row.destination)
            if tx.now < due:  # it was sent again meanwhile
                return errands.again(tx, errand, due)
            holds.add(
                tx, f"posting:{errand.subject}", "no_receipt",
                f"{row.destination} has not said since {row.changed_at:%Y-%m-%d %H:%M} UTC that it took the posting",
                f"see that the engine reads its queue of postings and answers on posting.receipt.{row.destination}; "
                "a receipt that comes later settles this",
                holds.likeness("no_receipt", row.destination),
            )  # fmt: skip
        errands.done(tx, errand)
    return None


def _patience(flow: Flow, destination: str) -> dt.timedelta:
    configured = flow.settings.destinations.get(destination)
    minutes = configured.options.get("alert_after_minutes", ALERT_AFTER) if configured is not None else 0
    return dt.timedelta(minutes=int(minutes))


def _find(tx: Tx, destination: str, names: Iterable[str]) -> Any:
    """Return ids of the first posting that goes by one of these, locked. Raises UnknownPosting."""
    told = select(posting.c.public_id, posting.c.control_id).where(posting.c.destination == destination)
    for name in filter(None, names):
        row = tx.one(told.where(posting.c.public_id == _posting(name)).with_for_update())
        if row is not None:
            return row
    raise UnknownPosting


def _posting(name: str) -> str:
    """Return the posting's id of a control id: itself, or "P…-2" of what was written anew (release.py)."""
    return name.partition("-")[0]
