"""expire, lapse: nobody can pay any more what is no longer owed, or what has lapsed."""

from __future__ import annotations

from sqlalchemy import select, update

from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.ledger import errands, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import account, card_part, card_session, request


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
        its = request.c.public_id == errand.subject
        # Whoever changes a request holds its account: looked at only then, it may have another end by now, or none.
        owner = select(account.c.id).join(request, request.c.account_id == account.c.id)
        tx.one(owner.where(its).with_for_update(of=account))
        row = tx.one(select(request).where(its))
        ends = row.expires_at if row is not None and row.state == states.Request.OPEN else None
        if ends is not None and ends > tx.now:
            return errands.again(tx, errand, ends)
        if row is not None and ends is not None:
            tx.run(update(request).where(request.c.id == row.id).values(state="expired", closed_at=tx.now))
            pages = select(card_session.c.public_id).join(card_part, card_part.c.card_session_id == card_session.c.id)
            for session in tx.all(pages.where(card_part.c.request_id == row.id, card_part.c.live)):
                errands.add(tx, "expire", session.public_id, f"expire:{session.public_id}")
        errands.done(tx, errand)
    return None
