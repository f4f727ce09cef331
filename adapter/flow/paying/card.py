"""Card sessions: committed before the provider hears of them; at most one open per account; minted by POST only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.attempt import Tried, attempt, close
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import holds, states
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_part, card_session, payment, request
from chartpost.adapter.ledger.tables import attempt as attempts
from chartpost.adapter.ports import HostedSession, SessionRequest, SessionState

#: Stripe's shortest life of a page is 30 minutes from its own clock; the rest is room for ours.
LIFE = dt.timedelta(minutes=35)
#: A page that is about to close is not offered again.
TOO_OLD = dt.timedelta(minutes=3)
_STATE_OF = {
    SessionState.OPEN: states.CardSession.OPEN,
    SessionState.COMPLETE: states.CardSession.COMPLETE,
    SessionState.EXPIRED: states.CardSession.EXPIRED,
}
#: Stands for the link's token in stored addresses: the database must not be able to open a patient's page.
_OF_LINK = "{link}"
#: account → request, minor units
Parts = Mapping[int, tuple[int, int]]
LIVE = (states.CardSession.MINTING, states.CardSession.OPEN)


def live(tx: Tx, accounts: Collection[int]) -> Sequence[Any]:
    """Return the live card sessions that pay one of these accounts; each account has one at most."""
    paying = select(card_part.c.card_session_id).where(card_part.c.account_id.in_(accounts), card_part.c.live)
    return tx.all(select(card_session).where(card_session.c.id.in_(paying)).order_by(card_session.c.id))


def parts(tx: Tx, session: int) -> Parts:
    """Return what a session pays, the oldest request first."""
    its = select(card_part).where(card_part.c.card_session_id == session).order_by(card_part.c.id)
    return {row.account_id: (row.request_id, row.amount) for row in tx.all(its)}


def pending(connection: Connection, accounts: Collection[int]) -> bool:
    """Say whether a payer has finished a card page for one of these accounts, and its money is not recorded yet."""
    finished = (
        select(card_session.c.id)
        .join(card_part, card_part.c.card_session_id == card_session.c.id)
        .where(
            card_part.c.account_id.in_(accounts),
            card_session.c.state == states.CardSession.COMPLETE,
            ~select(payment.c.id).where(payment.c.card_session_id == card_session.c.id).exists(),
        )
    )
    return connection.execute(finished.limit(1)).first() is not None


def insert_new(tx: Tx, flow: Flow, asked: Any, wanted: Parts, currency: str) -> str:
    """Commit-to-be a new session that pays these parts; return its public id, the idempotency key.

    `asked` is the request whose link was opened: there the payer comes back to. It may be none of the parts.
    """
    session_id = public_id("C")
    page = link.address(flow, asked.facility, _OF_LINK)
    facility = flow.facility(asked.facility)
    row = {
        "public_id": session_id, "account_id": asked.account_id, "request_id": asked.id,
        "provider": facility.provider, "state": states.CardSession.MINTING,
        "amount": sum(amount for _, amount in wanted.values()), "currency": currency,
        "success_url": f"{page}/return?s={session_id}", "cancel_url": f"{page}/back",
        "expires_at": (tx.now + LIFE).replace(microsecond=0), "created_at": tx.now,
    }  # fmt: skip
    number = tx.run(insert(card_session).returning(card_session.c.id), [row]).scalar_one()
    rows = [
        {"card_session_id": number, "account_id": one, "request_id": request_id, "amount": amount, "live": True}
        for one, (request_id, amount) in wanted.items()
    ]
    tx.run(insert(card_part), rows)
    return session_id


def mint(flow: Flow, session_id: str, *, to_close: bool = False) -> Tried[HostedSession]:
    """Ask the provider for the hosted page and record it. Repeatable: the session's id is the idempotency key.

    With `to_close` a refusal is no trouble: then there is no page to close.
    """
    with flow.store.read() as connection:
        row = connection.execute(
            select(card_session, account.c.facility, request.c.public_id.label("asked_by"), request.c.generation)
            .join(account, account.c.id == card_session.c.account_id)
            .join(request, request.c.id == card_session.c.request_id)
            .where(card_session.c.public_id == session_id)
        ).one()
    token = link.token(flow.link_key, row.asked_by, row.generation)
    wanted = SessionRequest(
        reference=row.public_id, amount=row.amount, currency=row.currency,
        payee=flow.facility(row.facility).message_name,
        success_url=row.success_url.replace(_OF_LINK, token), cancel_url=row.cancel_url.replace(_OF_LINK, token),
        expires_at=row.expires_at,
    )  # fmt: skip
    provider = flow.world.providers[row.provider]
    subject = f"card_session:{session_id}/create"
    tried = attempt(
        flow.store, subject, lambda: provider.create_session(wanted), repeatable=True,
        still=lambda tx: _locked(tx, session_id).state in LIVE,
    )  # fmt: skip
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.value is not None:
            _record(tx, session_id, tried.value)
        elif tried.outcome == "refused":
            move(tx, session_id, states.CardSession.FAILED)
        if tried.outcome == "refused" and not to_close:
            holds.add(
                tx, f"card_session:{session_id}", "provider_refused",
                f"the payment provider refused to open a card page: {tried.detail}",
                "check the provider's keys and account; the payer may simply try again",
            )  # fmt: skip
    return tried


def expire(flow: Flow, session_id: str) -> Literal["expired", "complete", "gone", "later"]:
    """Close a card page at the provider. "complete": the payer was faster; "later": nobody answered, try again."""
    with flow.store.write() as tx:
        row = _locked(tx, session_id)
        if row is None or row.state not in LIVE:
            return "gone"
        called = select(attempts.c.id).where(attempts.c.subject == f"card_session:{session_id}/create")
        if not row.provider_ref and tx.one(called) is None:  # committed, and the provider was never called
            move(tx, session_id, states.CardSession.EXPIRED)
            return "expired"
    reference = row.provider_ref
    if not reference:
        # The same key again tells us what the page is called, or that there is none.
        minted = mint(flow, session_id, to_close=True)
        if minted.outcome == "refused":
            return "gone"
        if minted.value is None:
            return "later"
        reference = minted.value.provider_ref
    provider = flow.world.providers[row.provider]
    subject = f"card_session:{session_id}/expire"
    tried = attempt(flow.store, subject, lambda: provider.expire_session(reference), repeatable=True)
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.outcome == "refused":
            holds.add(
                tx, f"card_session:{session_id}", "not_closed",
                f"the payment provider refused to close a card page: {tried.detail}",
                "close it in the provider's own dashboard; until then it can be paid",
            )  # fmt: skip
        if tried.value is None:
            return "later"
        holds.close(tx, f"card_session:{session_id}", "not_closed")
        _record(tx, session_id, tried.value)
    return "complete" if tried.value.state is SessionState.COMPLETE else "expired"


def _record(tx: Tx, session_id: str, hosted: HostedSession) -> None:
    values: dict[str, Any] = {"provider_ref": hosted.provider_ref}
    if hosted.url:
        values["url"] = hosted.url
    tx.run(update(card_session).where(card_session.c.public_id == session_id).values(values))
    move(tx, session_id, _STATE_OF[hosted.state])


def _locked(tx: Tx, session_id: str) -> Any:
    return tx.one(select(card_session).where(card_session.c.public_id == session_id).with_for_update())


def move(tx: Tx, session_id: str, after: states.CardSession) -> None:
    """Move a session on; what is no legal move came out of order and changes nothing."""
    row = _locked(tx, session_id)
    if row is not None and states.allowed(states.CardSession(row.state), after):
        tx.run(update(card_session).where(card_session.c.public_id == session_id).values(state=after))
        tx.run(update(card_part).where(card_part.c.card_session_id == row.id).values(live=after in LIVE))
