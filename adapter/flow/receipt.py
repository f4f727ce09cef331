"""receipt: what an engine says of the postings that it takes from its queue itself (a destination of `type: broker`).

Our part ends with the broker's confirm. What the engine, and the chart behind it, made of a posting comes back on
posting.receipt.<destination>; if nothing comes, a person is told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deliver import heard, move
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
        if row is None or row.state not in (states.Posting.DUE, states.Posting.PUBLISHED):
            return  # the engine was faster than our commit, or a person settled it
        move(tx, row.public_id, states.Posting.PUBLISHED, {})
        configured = flow.settings.destinations.get(row.destination)
        minutes = configured.options.get("alert_after_minutes", ALERT_AFTER) if configured is not None else 0
        due = tx.now + dt.timedelta(minutes=int(minutes))
        errands.add(tx, "receipt_due", row.public_id, f"receipt_due:{row.public_id}", due)


def run(flow: Flow, destination: str, envelope: Envelope) -> None:
    """Record one receipt from a destination. Raises NoReceipt or UnknownPosting: it belongs into the dead queue."""
    told = receipt.read(envelope.body)
    answer = Answer(Verdict(told.state), told.code, told.reason, envelope.body)
    with flow.store.write() as tx:
        posting_id = _find(tx, destination, (told.posting, told.control_id, envelope.correlation_id))
        # Whoever answers has read it, even where the broker's confirm is not on record yet.
        move(tx, posting_id, states.Posting.PUBLISHED, {})
        if heard(tx, posting_id, answer):
            for cause in _SETTLES[answer.verdict]:
                holds.close(tx, f"posting:{posting_id}", cause)


def overdue(flow: Flow, errand: Errand) -> None:
    """Tell a person when the posting of the errand's subject was published and nothing was heard of it since."""
    with flow.store.write() as tx:
        row = tx.one(select(posting).where(posting.c.public_id == errand.subject))
        if row is not None and row.state == states.Posting.PUBLISHED:
            holds.add(
                tx, f"posting:{errand.subject}", "no_receipt",
                f"{row.destination} has not said since {row.changed_at:%Y-%m-%d %H:%M} UTC that it took the posting",
                f"see that the engine reads its queue of postings and answers on posting.receipt.{row.destination}; "
                "a receipt that comes later settles this",
            )  # fmt: skip
        errands.done(tx, errand)


def _find(tx: Tx, destination: str, names: Iterable[str]) -> str:
    """Return the public id of the first posting that goes by one of these, locked. Raises UnknownPosting."""
    told = select(posting.c.public_id).where(posting.c.destination == destination).with_for_update()
    for name in filter(None, names):
        # The two are the same today, and only one of them has an index.
        row = tx.one(told.where(posting.c.public_id == name)) or tx.one(told.where(posting.c.control_id == name))
        if row is not None:
            return str(row.public_id)
    raise UnknownPosting
