"""expire, lapse: nobody can pay any more what is no longer owed, or what has lapsed."""

from __future__ import annotations

from sqlalchemy import select, update

from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.ledger import errands, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import card_session, request


def run(flow: Flow, errand: Errand) -> None:
    """Close the card page whose public id is the errand's subject; if the payer was faster, the event will tell."""
    outcome = card.expire(flow, errand.subject)
    with flow.store.write() as tx:
        if outcome == "later":
            errands.again(tx, errand, tx.now + delay(errand.attempts), "the payment provider did not answer")
        else:
            errands.done(tx, errand)


def lapse(flow: Flow, errand: Errand) -> None:
    """Expire the request whose time is over, and its card page with it."""
    with flow.store.write() as tx:
        row = tx.one(select(request).where(request.c.public_id == errand.subject))
        if row is not None and row.state == states.Request.OPEN:
            tx.run(update(request).where(request.c.id == row.id).values(state="expired", closed_at=tx.now))
            for session in tx.all(
                select(card_session.c.public_id).where(
                    card_session.c.request_id == row.id, card_session.c.state.in_(("minting", "open"))
                )
            ):
                errands.add(tx, "expire", session.public_id, f"expire:{session.public_id}")
        errands.done(tx, errand)
