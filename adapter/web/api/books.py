"""Payments, the work list, what people did, messages and how it goes, as a caller may see them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    case,
    exists,
    func,
    or_,
    select,
)

from chartpost.adapter import status
from chartpost.adapter.flow.answering.choices import PAYER
from chartpost.adapter.ledger.tables import (
    account,
    act,
    card_session,
    hold,
    message,
    notice,
    payment,
    posting,
    request,
)
from chartpost.adapter.web.api import shown
from chartpost.adapter.web.api.access import Caller
from chartpost.adapter.web.api.pages import Page, page_of
from chartpost.adapter.web.api.table import Call, Moment
from chartpost.mappings.model import Money


class PaymentsWanted(Page):
    facility: str = ""
    since: Moment | None = None


class MessagesWanted(Page):
    source: str = ""
    state: str = ""


class ActsWanted(Page):
    by: str = ""


def payments(call: Call) -> shown.Payments:
    wanted: PaymentsWanted = call.query
    statement = paid().where(call.caller.sees())
    if wanted.facility:
        statement = statement.where(account.c.facility == wanted.facility)
    if wanted.since is not None:
        since = wanted.since if wanted.since.tzinfo else wanted.since.replace(tzinfo=dt.UTC)
        statement = statement.where(payment.c.paid_at >= since)
    if wanted.before is not None:
        statement = statement.where(payment.c.id < wanted.before)
    with call.flow.store.read() as connection:
        ordered = statement.order_by(payment.c.id.desc()).limit(wanted.limit + 1)
        numbers = [row.id for row in connection.execute(ordered)]
        found = shown_payments(connection, ordered)
    more = str(numbers[wanted.limit - 1]) if len(numbers) > wanted.limit else ""
    return shown.Payments(items=found[: wanted.limit], next=more)


def paid() -> Select[Any]:
    columns = (payment, account.c.facility, request.c.public_id.label("of_request"))
    joined = select(*columns).join(account, account.c.id == payment.c.account_id)
    return joined.join(request, request.c.id == payment.c.request_id)


def shown_payments(connection: Connection, statement: Select[Any]) -> list[shown.PaymentShown]:
    rows = connection.execute(statement).all()
    told: dict[int, dict[str, str]] = {}
    columns = (posting.c.payment_id, posting.c.destination, posting.c.state)
    for one in connection.execute(select(*columns).where(posting.c.payment_id.in_([row.id for row in rows]))):
        told.setdefault(one.payment_id, {})[one.destination] = one.state
    return [
        shown.PaymentShown(
            id=row.public_id, account=f"A{row.account_id}", request=row.of_request,
            amount=Money(minor=row.amount, currency=row.currency), medium=row.medium, paid_at=row.paid_at,
            postings=told.get(row.id, {}),
        )
        for row in rows
    ]  # fmt: skip


def holds(call: Call) -> shown.Holds:
    """Return the work list. Who may see some facilities only is shown what is about an account or source of theirs."""
    wanted: Page = call.query
    with call.flow.store.read() as connection:
        statement = select(hold).where(hold.c.state == "open")
        if call.caller.user.facilities:
            statement = statement.where(_waiting(call))
        rows, after = page_of(connection, statement, hold.c.id, wanted)
    return shown.Holds(items=[_hold(row) for row in rows], next=after)


def sees_hold(call: Call, number: int) -> bool:
    """Say whether the caller may know of a hold."""
    if not call.caller.user.facilities:
        return True
    with call.flow.store.read() as connection:
        found = select(hold.c.id).where(hold.c.id == number, _waiting(call))
        return connection.execute(found).first() is not None


def hold_object(call: Call, number: int) -> str:
    """Return what a hold is about, "" where there is none."""
    with call.flow.store.read() as connection:
        return connection.scalar(select(hold.c.object).where(hold.c.id == number)) or ""


def _objects(who: Caller) -> Any:
    """Select what hangs on the accounts that somebody sees: the accounts, their requests and their payments."""
    of_accounts = select("account:" + account.c.id.cast(hold.c.object.type)).where(who.sees())
    mine = account.c.id == request.c.account_id
    of_requests = select("request:" + request.c.public_id).join(account, mine).where(who.sees())
    of_payments = (
        select("payment:" + payment.c.public_id).join(account, account.c.id == payment.c.account_id).where(who.sees())
    )
    return of_accounts.union(of_requests, of_payments)


def _waiting(call: Call) -> ColumnElement[bool]:
    """Return the condition for what waits for somebody: what is about their accounts, or came from their sources."""

    def named(noun: str) -> Any:  # looked up by its index: a ledger of years has few open holds and many messages
        return case((hold.c.object.like(f"{noun}:%"), func.substr(hold.c.object, len(noun) + 2)))

    def seen(table: Table, tables: FromClause, owner: Any) -> ColumnElement[bool]:
        theirs = select(table.c.id).select_from(tables.join(account, account.c.id == owner))
        return exists(theirs.where(table.c.public_id == named(table.name), call.caller.sees()))

    asked = notice.join(request, request.c.id == notice.c.request_id)
    told = posting.outerjoin(payment, payment.c.id == posting.c.payment_id)
    return or_(
        exists().where(account.c.id == named("account").cast(BigInteger), call.caller.sees()),
        exists().where(message.c.id == named("message").cast(BigInteger), message.c.source.in_(_sources(call))),
        *(seen(table, table, table.c.account_id) for table in (request, payment, card_session)),
        seen(notice, asked, request.c.account_id),
        seen(posting, told, func.coalesce(posting.c.account_id, payment.c.account_id)),
    )


def _sources(call: Call) -> list[str]:
    """Return the sources of the facilities that the caller works for."""
    sources = call.flow.settings.sources
    return [name for name, source in sources.items() if source.facility in call.caller.user.facilities]


def _hold(row: Any) -> shown.HoldShown:
    return shown.HoldShown(
        id=f"H{row.id}", object=row.object, cause=row.cause, text=row.text, fix=row.fix, at=row.at
    )  # fmt: skip


def acts(call: Call) -> shown.Acts:
    wanted: ActsWanted = call.query
    statement = select(act)
    if wanted.by:
        statement = statement.where(act.c.by == wanted.by)
    if call.caller.user.facilities:
        statement = statement.where(act.c.object.in_(_objects(call.caller)))
    with call.flow.store.read() as connection:
        rows, after = page_of(connection, statement, act.c.id, wanted)
    return shown.Acts(items=[shown_act(row) for row in rows], next=after)


def shown_act(row: Any, *, answers: bool = False) -> shown.ActShown:
    """Return an act. What a payer wrote is for whoever `answers` it, and stands in no list."""
    note = (row.note or b"").decode() if answers or row.by != PAYER else ""
    return shown.ActShown(id=row.id, by=row.by, verb=row.verb, object=row.object, note=note, at=row.at)


def messages(call: Call) -> shown.Messages:
    """Return what came through the doors: of a source whose facility the caller may know of."""
    wanted: MessagesWanted = call.query
    names = ("source", "type", "control_id", "state", "reason", "map", "received_at", "done_at")
    statement = select(message.c.id, message.c.ack_code, *(message.c[name] for name in names))
    if call.caller.user.facilities:
        statement = statement.where(message.c.source.in_(_sources(call)))
    for name in ("source", "state"):
        if value := getattr(wanted, name):
            statement = statement.where(message.c[name] == value)
    with call.flow.store.read() as connection:
        rows, after = page_of(connection, statement, message.c.id, wanted)
    items = [
        shown.MessageShown(id=f"M{row.id}", ack=row.ack_code, **{name: getattr(row, name) for name in names})
        for row in rows
    ]
    return shown.Messages(items=items, next=after)


def how_it_goes(call: Call) -> shown.StatusShown:
    """Say how the machine goes; sums of money, which are of all facilities, only to who may know of all."""
    with call.flow.store.read() as connection:
        found = status.status(connection, call.flow.settings, call.flow.store.clock())
    if call.caller.user.facilities:
        found |= {"payments": [], "requests": []}
    return shown.StatusShown.model_validate(found)
