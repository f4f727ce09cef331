"""record: door 2. What a payment or SMS service tells us: verified, stored and applied in one transaction, then 200.

Events repeat, arrive out of order, and some belong to others on the same account. What cannot be applied now stays
`received` and is retried by an errand; the service gets its 200 all the same, because the event is safely here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import insert, select, update

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.flow.asking import accounts, ask, notify, reach
from chartpost.adapter.flow.attempt import learned
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.flow.posting import batch
from chartpost.adapter.ledger import books, errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_session, event, notice, payment, posting, request
from chartpost.adapter.ledger.tables import errand as errand_table
from chartpost.adapter.log import get
from chartpost.adapter.ports import EventType, NoticeReport, PaymentEvent

#: How often lost webhooks are looked for, and how far each look reaches back beyond the last.
POLL_EVERY = dt.timedelta(seconds=60)
OVERLAP = dt.timedelta(minutes=10)
FIRST_LOOK = dt.timedelta(days=3)

log = get(__name__)


def payment_event(flow: Flow, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Take a webhook of a payment provider; return once it is committed. Raises Permanent when it is not authentic."""
    take(flow, provider, flow.world.providers[provider].parse_event(body, headers), body)


def take(flow: Flow, provider: str, told: PaymentEvent, raw: bytes) -> None:
    """Store one verified event and apply it, once, whoever brought it: the webhook or the poll."""
    try:
        with flow.store.write() as tx:
            if _store(tx, provider, told.event_id, told.type, told.reference, raw):
                _settle(tx, provider, told.event_id, apply(flow, tx, provider, told))
    except Transient:
        raise
    except Exception as error:
        # The event is worth more than its effect: keep it, answer 200, and let an errand try the effect again.
        log.error("event.not_applied", exc_info=error, provider=provider, event_id=told.event_id)
        with flow.store.write() as tx:
            if _store(tx, provider, told.event_id, told.type, told.reference, raw):
                errands.add(tx, "apply", f"{provider}/{told.event_id}", f"apply:{told.event_id}")


def apply(flow: Flow, tx: Tx, provider: str, told: PaymentEvent) -> str:
    """Give an event its effect; return "" when it had one, else why it has none."""
    if told.type is EventType.UNKNOWN:
        return "an event of no effect here"
    session = tx.one(
        select(card_session, account.c.key, account.c.source, account.c.facility)
        .join(account, account.c.id == card_session.c.account_id)
        .where(card_session.c.public_id == told.reference, card_session.c.provider == provider)
    )
    if session is None:
        return "not ours: it names no card session of this system"
    if told.session_ref and not session.provider_ref:
        # The webhook was faster than our own record of the call.
        tx.run(update(card_session).where(card_session.c.id == session.id).values(provider_ref=told.session_ref))
    learned(tx, f"card_session:{session.public_id}/create")
    match told.type:
        case EventType.EXPIRED:
            card.move(tx, session.public_id, states.CardSession.EXPIRED)
        case EventType.FAILED:
            card.move(tx, session.public_id, states.CardSession.FAILED)
        case EventType.PENDING:
            card.move(tx, session.public_id, states.CardSession.COMPLETE)
        case EventType.PAID:
            return _paid(flow, tx, provider, told, session)
    return ""


def _paid(flow: Flow, tx: Tx, provider: str, told: PaymentEvent, session: Any) -> str:
    book = books.load(tx, [session.key])[session.key]
    known = select(payment.c.id).where(payment.c.provider == provider, payment.c.provider_ref == told.payment_ref)
    if tx.one(known):
        return "the payment is in the ledger already"
    if told.currency != book.currency or told.amount <= 0:
        raise Permanent(f"a payment in {told.currency} for an account in {book.currency}")
    card.move(tx, session.public_id, states.CardSession.COMPLETE)
    book.session = None if book.session and book.session[0] == session.public_id else book.session
    values = {
        "public_id": public_id("M"), "account_id": book.id, "request_id": session.request_id,
        "card_session_id": session.id, "provider": provider, "provider_ref": told.payment_ref, "amount": told.amount,
        "currency": told.currency, "medium": told.medium, "paid_at": told.created,
    }  # fmt: skip
    payment_id = tx.run(insert(payment).returning(payment.c.id), [values]).scalar_one()
    if told.amount != session.amount:
        holds.add(
            tx, f"payment:{values['public_id']}", "amount_differs",
            f"the provider reports {told.amount} minor units, the card page asked for {session.amount}",
            "compare with the provider's own record; the ledger holds what the provider reports",
        )  # fmt: skip
    book.add(f"payment:{payment_id}", "card", -told.amount, tx.now, payment_id=payment_id)
    ids = {"payment": values["public_id"], "minor": told.amount, "currency": told.currency}
    tx.moved("payment", "recorded", provider, book.key, **ids)
    ask.follow(book, flow.link_key, tx.now, flow.facility(session.facility), paying=True)
    accounts.write(flow, tx, [book])
    _post_everywhere(flow, tx, session, payment_id, f"payment:{values['public_id']}")
    return ""


def _post_everywhere(flow: Flow, tx: Tx, session: Any, payment_id: int, obj: str) -> None:
    configured = flow.settings.sources.get(session.source)
    if configured is None:
        why = f"no chart is told of the payment: source {session.source} is not in the configuration"
        return holds.add(
            tx, obj, "not_posted", why,
            "post it in the chart by hand; put the source back, and the next payment goes there",
        )  # fmt: skip
    for destination in configured.destinations:
        posting_id = public_id("P")
        place = flow.settings.destinations.get(destination)
        by_day = place is not None and place.batch == "day"
        day = batch.name(session.facility, tx.now, flow.facility(session.facility).timezone) if by_day else ""
        row = {
            "public_id": posting_id, "payment_id": payment_id, "destination": destination, "kind": "payment",
            "state": states.Posting.DUE, "control_id": posting_id, "batch": day, "created_at": tx.now,
            "changed_at": tx.now,
        }  # fmt: skip
        tx.run(insert(posting), [row])
        errands.add(tx, "post", posting_id, f"post:{destination}")
    return None


def notice_report(flow: Flow, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Take a status callback of an SMS service. Raises Permanent when it is not authentic.

    The notice's own id is in the callback's address, so that a report which is faster than our record still finds it.
    """
    told = flow.world.notifiers[notifier].parse_report(url, body, headers)
    wanted = parse_qs(urlsplit(url).query).get("notice", [""])[0]
    with flow.store.write() as tx:
        if not _store(tx, notifier, told.event_id, told.report, wanted, body):
            return
        found = tx.one(
            select(notice).where(notice.c.public_id == wanted, notice.c.notifier == notifier).with_for_update()
        )
        why = "not ours: it names no notice of this system" if found is None else _report(flow, tx, found, told)
        _settle(tx, notifier, told.event_id, why)


def _report(flow: Flow, tx: Tx, found: Any, told: Any) -> str:
    if told.report is NoticeReport.UNKNOWN:
        return "says nothing about the end"
    learned(tx, f"notice:{found.public_id}")
    after = states.Notice(told.report.value)
    if not notify.move(tx, found.public_id, after, provider_ref=told.provider_ref, code=told.code):
        return f"came late: the notice is {found.state} already"
    unknown = select(notice.c.id).where(
        notice.c.request_id == found.request_id, notice.c.state == states.Notice.UNKNOWN
    )
    if tx.one(unknown) is None:  # else the question is about another message to the same payer
        request_id = tx.scalar(select(request.c.public_id).where(request.c.id == found.request_id))
        holds.close(tx, f"request:{request_id}", "notice_unknown")
    if after is states.Notice.UNDELIVERED:
        notify.fall_back(flow, tx, found.public_id, reach.undelivered(found.channel, told.code))
    return ""


def retry(flow: Flow, errand: Errand) -> None:
    """apply: try the effect of a stored event again."""
    provider, _, event_id = errand.subject.partition("/")
    with flow.store.read() as connection:
        row = connection.execute(select(event).where(event.c.provider == provider, event.c.event_id == event_id)).one()
    told = flow.world.providers[provider].read_event(row.raw)
    try:
        with flow.store.write() as tx:
            if row.state == states.Event.RECEIVED:
                _settle(tx, provider, event_id, apply(flow, tx, provider, told))
                holds.close(tx, f"event:{event_id}", "not_applied")
            errands.done(tx, errand)
    except Permanent as error:
        with flow.store.write() as tx:
            holds.add(
                tx, f"event:{event_id}", "not_applied", f"an event of the provider cannot be applied: {error}",
                "compare with the provider's own record and correct the account by hand",
            )  # fmt: skip
            errands.again(tx, errand, tx.now + delay(errand.attempts) * 60, str(error))


def poll(flow: Flow, errand: Errand) -> None:
    """Fetch what webhooks may have lost, and come back in a minute."""
    provider = errand.subject
    with flow.store.read() as connection:
        last = connection.scalar(select(errand_table.c.done_at).where(errand_table.c.id == errand.id))
    now = flow.store.clock()
    since = last - OVERLAP if last else now - FIRST_LOOK
    try:
        for told, raw in flow.world.providers[provider].events_since(since):
            take(flow, provider, told, raw)
    except (Transient, Permanent) as error:
        with flow.store.write() as tx:
            errands.again(tx, errand, tx.now + max(delay(errand.attempts), dt.timedelta(seconds=10)), str(error))
        return
    with flow.store.write() as tx:
        errands.again(tx, errand, now + POLL_EVERY)


def _store(tx: Tx, provider: str, event_id: str, kind: str, reference: str, raw: bytes) -> bool:
    """Keep an event; False when it is here already."""
    if tx.one(select(event.c.id).where(event.c.provider == provider, event.c.event_id == event_id)):
        return False
    row = {"provider": provider, "event_id": event_id, "type": str(kind), "reference": reference, "raw": raw}
    tx.run(insert(event), [row | {"state": states.Event.RECEIVED, "at": tx.now}])
    return True


def _settle(tx: Tx, provider: str, event_id: str, why_not: str) -> None:
    state = states.Event.IGNORED if why_not else states.Event.APPLIED
    where = (event.c.provider == provider, event.c.event_id == event_id)
    tx.run(update(event).where(*where).values(state=state, reason=why_not))
