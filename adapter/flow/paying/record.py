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
from chartpost.adapter.flow.asking import accounts, ask
from chartpost.adapter.flow.attempt import learned
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import allocate, card
from chartpost.adapter.flow.posting import batch
from chartpost.adapter.flow.telling import consent, dead_ends, notify, reach, receipts, staff
from chartpost.adapter.ledger import books, contact_facts, errands, events, holds, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_session, event, notice, payment, posting, request
from chartpost.adapter.ledger.tables import errand as errand_table
from chartpost.adapter.log import get
from chartpost.adapter.ports import EventType, NoticeEvent, NoticeReport, PaymentEvent

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
            if events.store(tx, provider, told.event_id, told.type, told.reference, raw):
                events.settle(tx, provider, told.event_id, apply(flow, tx, provider, told))
    except Transient:
        raise
    except Exception as error:
        # The event is worth more than its effect: keep it, answer 200, and let an errand try the effect again.
        log.error("event.not_applied", exc_info=error, provider=provider, event_id=told.event_id)
        with flow.store.write() as tx:
            if events.store(tx, provider, told.event_id, told.type, told.reference, raw):
                errands.add(tx, "apply", f"{provider}/{told.event_id}", f"apply:{told.event_id}")


def apply(flow: Flow, tx: Tx, provider: str, told: PaymentEvent) -> str:
    """Give an event its effect; return "" when it had one, else why it has none."""
    if told.type is EventType.UNKNOWN:
        return "an event of no effect here"
    mine = (card_session.c.public_id == told.reference, card_session.c.provider == provider)
    session = tx.one(select(card_session).where(*mine).with_for_update())  # always before its accounts
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
    """Write down one payment of the provider: a payment of ours for each account that it pays."""
    parts = card.parts(tx, session.id)
    keys = tx.connection.scalars(select(account.c.key).where(account.c.id.in_(parts)))
    shelf = {book.id: book for book in books.load(tx, keys).values()}
    known = select(payment.c.id).where(payment.c.provider == provider, payment.c.provider_ref == told.payment_ref)
    if tx.one(known):
        return "the payment is in the ledger already"
    if told.currency != session.currency or told.amount <= 0:
        raise Permanent(f"a payment in {told.currency} for an account in {session.currency}")
    card.move(tx, session.public_id, states.CardSession.COMPLETE)
    amounts = [amount for _, amount in parts.values()]
    if told.amount != session.amount:
        amounts = list(allocate.oldest_first(told.amount, amounts))
    paid: list[tuple[Book, int, str]] = []
    for (account_id, (request_id, _)), amount in zip(parts.items(), amounts, strict=True):
        if amount:
            paid.append(_one(tx, provider, told, session, shelf[account_id], request_id, amount))
    if told.amount != session.amount:
        holds.add(
            tx, f"payment:{paid[0][2]}", "amount_differs",
            f"the provider reports {told.amount} minor units, the card page asked for {session.amount}",
            "compare with the provider's own record; the ledger holds what the provider reports",
        )  # fmt: skip
    for book in shelf.values():
        book.session = None if book.session and book.session[0] == session.public_id else book.session
        ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility), paying=True)
    accounts.write(flow, tx, shelf.values())
    for book, payment_id, name in paid:
        _post_everywhere(flow, tx, book, payment_id, f"payment:{name}")
    for tell in (receipts.plan, staff.plan):
        tell(flow, tx, [name for _, _, name in paid])
    return ""


def _one(
    tx: Tx, provider: str, told: PaymentEvent, session: Any, book: Book, request_id: int, amount: int
) -> tuple[Book, int, str]:
    """Write what one account was paid, in minor units; return its book, and the payment's id and public id."""
    name = public_id("M")
    values = {
        "public_id": name, "account_id": book.id, "request_id": request_id, "card_session_id": session.id,
        "provider": provider, "provider_ref": told.payment_ref, "amount": amount, "currency": told.currency,
        "medium": told.medium, "paid_at": told.created,
    }  # fmt: skip
    payment_id = int(tx.run(insert(payment).returning(payment.c.id), [values]).scalar_one())
    book.add(f"payment:{payment_id}", "card", -amount, tx.now, payment_id=payment_id)
    ids = {"payment": name, "minor": amount, "currency": told.currency}
    tx.moved("payment", "recorded", provider, book.key, **ids)
    return book, payment_id, name


def _post_everywhere(flow: Flow, tx: Tx, book: Book, payment_id: int, obj: str) -> None:
    configured = flow.settings.sources.get(book.source)
    if configured is None:
        why = f"no chart is told of the payment: source {book.source} is not in the configuration"
        return holds.add(
            tx, obj, "not_posted", why,
            "post it in the chart by hand; put the source back, and the next payment goes there",
        )  # fmt: skip
    for destination in configured.destinations:
        posting_id = public_id("P")
        place = flow.settings.destinations.get(destination)
        by_day = place is not None and place.batch == "day"
        day = batch.name(book.facility, tx.now, flow.facility(book.facility).timezone) if by_day else ""
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
        if not events.store(tx, notifier, told.event_id, told.report, wanted, body):
            return
        notify.lock(tx, wanted)
        found = tx.one(
            select(notice).where(notice.c.public_id == wanted, notice.c.notifier == notifier).with_for_update()
        )
        why = "not ours: it names no notice of this system" if found is None else report(flow, tx, found, told)
        events.settle(tx, notifier, told.event_id, why)


def report(flow: Flow, tx: Tx, found: Any, told: NoticeEvent) -> str:
    """Give a report on a notice (its row, locked) its effect; return "" when it had one, else why it has none."""
    if told.report is NoticeReport.UNKNOWN:
        return "says nothing about the end"
    learned(tx, f"notice:{found.public_id}")
    after = states.Notice(told.report.value)
    if not notify.move(tx, found.public_id, after, provider_ref=told.provider_ref, code=told.code):
        return f"came late: the notice is {found.state} already"
    unknown = select(notice.c.id).where(
        notice.c.request_id == found.request_id, notice.c.state == states.Notice.UNKNOWN,
        notice.c.purpose.in_(("request", "reminder")),
    )  # fmt: skip
    if tx.one(unknown) is None:  # else the question is about another message to the same payer
        request_id = tx.scalar(select(request.c.public_id).where(request.c.id == found.request_id))
        holds.close(tx, f"request:{request_id}", "notice_unknown")
    if after is states.Notice.DELIVERED:
        contact_facts.revive(tx, found.recipient_key)
    if after is not states.Notice.UNDELIVERED:
        holds.close(tx, f"notice:{found.public_id}", "receipt_not_sent")
    else:
        dead_ends.learn(flow, tx, found.notifier, found.channel, found.recipient.decode(), told.code)
        stopped = consent.refused(flow, tx, found, told.code)
        notify.fall_back(flow, tx, found.public_id, stopped or reach.undelivered(found.channel, told.code))
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
                events.settle(tx, provider, event_id, apply(flow, tx, provider, told))
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
