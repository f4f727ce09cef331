"""The patient's side of a request: look (changes nothing), begin (mints a card page), returned (tells the truth)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, exc, func, select

from chartpost.adapter.errors import ChartpostError
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import account, card_session, payment, request
from chartpost.adapter.ports import SessionState
from chartpost.mappings.model import Money


@dataclass(frozen=True, slots=True)
class PayView:
    """What a link shows now: no name, no service, no date, because whoever holds the link may see it."""

    state: str  #: open, paid, settled, cancelled or expired
    facility: str
    owed: Money  #: zero unless open
    paid: Money  #: through us, on this request
    pending: bool  #: a payer finished the card page, and the money is not recorded yet
    contact: str  #: how to reach the facility, "" when it is not configured
    locale: str = "en_US"


class PayRefused(ChartpostError):
    """Nothing was charged. `reason`: not_open, amount, busy (a payment is under way) or provider (try again later)."""

    def __init__(self, reason: Literal["not_open", "amount", "busy", "provider"], view: PayView) -> None:
        super().__init__(reason)
        self.reason = reason
        self.view = view


def look(flow: Flow, token: str) -> PayView | None:
    """Return what the link shows, or None for a link that we never made. Changes nothing: scanners open links too."""
    with flow.store.read() as connection:
        row = _find(connection, token)
        return None if row is None else _view(flow, connection, row)


def begin(flow: Flow, token: str, amount: int | None) -> str:
    """Return the address of a hosted card page for `amount` minor units (None: all that is owed now).

    The same amount again gets the same page; another amount closes the first page before a new one is made. Raises
    PayRefused.
    """
    for _ in range(3):
        try:
            session_id, stale, url = _choose(flow, token, amount)
        except exc.IntegrityError:  # another tab was faster: there is a live session now
            continue
        if url:
            return url
        if stale:
            outcome = card.expire(flow, stale)
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


def _choose(flow: Flow, token: str, amount: int | None) -> tuple[str, str, str]:
    """Decide in one transaction: (session to mint, session to close first, page that is open already)."""
    with flow.store.write() as tx:
        row = _find(tx.connection, token)
        if row is None:
            raise LookupError("no such link")
        # What is owed is only certain once the account is ours alone: look again.
        tx.one(select(account.c.id).where(account.c.id == row.account_id).with_for_update())
        row = _find(tx.connection, token)
        view = _view(flow, tx.connection, row)
        if view.state != states.Request.OPEN:
            raise PayRefused("not_open", view)
        if view.pending:
            raise PayRefused("busy", view)
        wanted = view.owed.minor if amount is None else amount
        if not 0 < wanted <= view.owed.minor:
            raise PayRefused("amount", view)
        there = card.live(tx, row.account_id)
        if there is None:
            return card.insert_new(tx, flow, row, wanted, row.currency), "", ""
        fresh = there.expires_at - tx.now > card.TOO_OLD
        if there.amount == wanted and there.request_id == row.id and fresh:
            if there.state == states.CardSession.OPEN:
                return "", "", there.url
            return there.public_id, "", ""  # an earlier POST was cut off: the same key again
        return "", there.public_id, ""


def returned(
    flow: Flow, token: str, session_id: str
) -> Literal["recorded", "received", "processing", "open", "closed", "unknown"]:
    """Say what became of a card page, whether our record or the browser came first. Changes nothing.

    recorded: in the ledger; received: the provider has the money, our record follows; processing: a slow method;
    open: not paid; closed: can no longer be paid; unknown: no such page, or nobody answers.
    """
    with flow.store.read() as connection:
        row = _find(connection, token)
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


def _find(connection: Connection, token: str) -> Any:
    columns = (account.c.facility, account.c.currency)
    return connection.execute(
        select(request, *columns)
        .join(account, account.c.id == request.c.account_id)
        .where(request.c.token_hash == link.token_hash(token))
    ).first()


def _view(flow: Flow, connection: Connection, row: Any) -> PayView:
    paid = connection.scalar(select(func.sum(payment.c.amount)).where(payment.c.request_id == row.id)) or 0
    finished = select(card_session.c.id).where(
        card_session.c.request_id == row.id,
        card_session.c.state == states.CardSession.COMPLETE,
        ~select(payment.c.id).where(payment.c.card_session_id == card_session.c.id).exists(),
    )
    facility = flow.facility(row.facility)
    state = row.state
    if state == states.Request.OPEN and row.expires_at is not None and row.expires_at <= flow.store.clock():
        state = states.Request.EXPIRED  # its errand is about to say so
    return PayView(
        state=str(state),
        facility=facility.name,
        owed=Money(minor=row.asked if state == states.Request.OPEN else 0, currency=row.currency),
        paid=Money(minor=paid, currency=row.currency),
        pending=connection.execute(finished).first() is not None,
        contact=facility.contact,
    )
