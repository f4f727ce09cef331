"""expire, lapse: nobody can pay any more what is no longer owed, or what has lapsed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.flow.telling.reach import Why
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_part, card_session, notice, request

#: The payer has it, or may have.
_TOLD = (states.Notice.SENT, states.Notice.DELIVERED, states.Notice.UNKNOWN)
EXPIRED_FIRST: Why = (
    "expires_first", "the request has expired before the payer was told of it: the message still waits",
    "give the request more time and resend it, or give the link to the payer by other means",
)  # fmt: skip


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
            _untold(tx, row)
            for session in tx.all(pages.where(card_part.c.request_id == row.id, card_part.c.live)):
                errands.add(tx, "expire", session.public_id, f"expire:{session.public_id}")
        errands.done(tx, errand)
    return None


def _untold(tx: Tx, row: Any) -> None:
    """Say to a person that a request has ended before the payer was told of it: its message still waits."""
    asked = notice.c.request_id == row.id, notice.c.purpose == "request"
    found = set(tx.connection.scalars(select(notice.c.state).where(*asked)))
    if states.Notice.DUE in found and not found & set(_TOLD):
        holds.add(tx, f"request:{row.public_id}", *EXPIRED_FIRST)
