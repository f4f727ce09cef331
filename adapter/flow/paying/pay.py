"""The patient pays: begin mints a card page, returned tells the truth about it. What a link shows is in view.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import exc, select

from chartpost.adapter.errors import ChartpostError
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card, family
from chartpost.adapter.flow.paying.view import PayView as PayView
from chartpost.adapter.flow.paying.view import find, view_of
from chartpost.adapter.flow.paying.view import look as look
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import account, card_session, payment
from chartpost.adapter.ports import SessionState


class PayRefused(ChartpostError):
    """Nothing was charged. `reason`: not_open, amount, parts (of several accounts: not theirs, or less is owed by now),
    busy (a payment is under way) or provider (try again later).
    """

    def __init__(self, reason: Literal["not_open", "amount", "parts", "busy", "provider"], view: PayView) -> None:
        super().__init__(reason)
        self.reason = reason
        self.view = view


def begin(flow: Flow, token: str, amount: int | None = None, parts: Mapping[str, int] | None = None) -> str:
    """Return the address of a hosted card page for `amount` minor units (None: all that is owed now).

    `parts` instead: several accounts of the payer at once, each request's public id with its minor units. That is only
    for a payer who has shown who they are, which is not asked here; whether the accounts are theirs is. The same choice
    again gets the same page; another choice closes the pages that are open for its accounts before a new one is made.
    Raises PayRefused.
    """
    for _ in range(3):
        try:
            session_id, stale, url = _choose(flow, token, amount, parts)
        except exc.IntegrityError:  # another tab was faster: there is a live session now
            continue
        if url:
            return url
        if stale:
            for one in stale:
                outcome = card.expire(flow, one)
                if outcome == "complete":
                    raise _refused(flow, token, "busy")
                if outcome == "later":
                    raise _refused(flow, token, "provider")
            continue
        minted = card.mint(flow, session_id)
        hosted = minted.value
        if hosted is None:
            raise _refused(flow, token, "amount" if minted.code.startswith("amount") else "provider")
        if hosted.state is not SessionState.OPEN:
            raise _refused(flow, token, "busy")
        return hosted.url
    raise _refused(flow, token, "busy")


def _choose(flow: Flow, token: str, amount: int | None, parts: Mapping[str, int] | None) -> tuple[str, list[str], str]:
    """Decide in one transaction: (session to mint, sessions to close first, page that is open already)."""
    with flow.store.write() as tx:
        row = find(tx.connection, token)
        if row is None:
            raise LookupError("no such link")
        ours = {row.account_id}
        if parts is not None:
            ours |= {one.account_id for one in family.of(flow, tx.connection, row)}
        # What is owed is only certain once the accounts are ours alone: look again.
        tx.all(select(account.c.id).where(account.c.id.in_(ours)).order_by(account.c.id).with_for_update())
        row = find(tx.connection, token)
        view = view_of(flow, tx.connection, row)
        if view.state != states.Request.OPEN:
            raise PayRefused("not_open", view)
        all_open = [one for one in family.of(flow, tx.connection, row) if one.account_id in ours]
        if parts is None:
            chosen = [(one, one.amount if amount is None else amount) for one in all_open if one.own]
            if not chosen:  # it lapsed this very moment
                raise PayRefused("not_open", view)
        else:
            chosen = [(one, parts[one.request]) for one in all_open if one.request in parts]
            if not chosen or len(chosen) < len(parts) or any(part > one.amount for one, part in chosen):
                raise PayRefused("parts", view)
        if not family.payable(tx, flow.facility(row.facility), chosen):
            raise PayRefused("amount", view)
        if card.pending(tx.connection, [one.account_id for one, _ in chosen]):
            raise PayRefused("busy", view)
        wanted = {one.account_id: (one.request_id, amount) for one, amount in chosen}
        there = card.live(tx, wanted)
        if not there:
            return card.insert_new(tx, flow, row, wanted, row.currency), [], ""
        page = there[0]
        fresh = page.expires_at - tx.now > card.TOO_OLD
        if len(there) == 1 and fresh and page.request_id == row.id and card.parts(tx, page.id) == wanted:
            if page.state == states.CardSession.OPEN:
                return "", [], page.url
            return page.public_id, [], ""  # an earlier POST was cut off: the same key again
        return "", [one.public_id for one in there], ""


def returned(
    flow: Flow, token: str, session_id: str
) -> Literal["recorded", "received", "processing", "open", "closed", "unknown"]:
    """Say what became of a card page, whether our record or the browser came first. Changes nothing.

    recorded: in the ledger; received: the provider has the money, our record follows; processing: a slow method;
    open: not paid; closed: can no longer be paid; unknown: no such page, or nobody answers.
    """
    with flow.store.read() as connection:
        row = find(connection, token)
        if row is None:
            return "unknown"
        session = connection.execute(
            select(card_session).where(card_session.c.public_id == session_id, card_session.c.request_id == row.id)
        ).first()
        if session is None:
            return "unknown"
        if connection.execute(select(payment.c.id).where(payment.c.card_session_id == session.id)).first():
            return "recorded"
    if not session.provider_ref:
        return "unknown"
    try:
        hosted = flow.world.providers[session.provider].retrieve_session(session.provider_ref)
    except ChartpostError:
        return "unknown"
    if hosted.paid:
        return "received"
    match hosted.state:
        case SessionState.COMPLETE:
            return "processing"
        case SessionState.OPEN:
            return "open"
        case SessionState.EXPIRED:
            return "closed"


def _refused(flow: Flow, token: str, reason: Literal["amount", "busy", "provider"]) -> PayRefused:
    view = look(flow, token)
    if view is None:
        raise LookupError("no such link")
    return PayRefused(reason, view)
