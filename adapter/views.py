"""What the lists show: one row for everything stored, as plain values. Reads only (docs/reference/cli.md).

Amounts come twice: as people write them ("45.00") and in minor units. Times are UTC, ISO 8601. No names, no contact
data and no descriptions of treatment: those stand in `chartpost trace --reveal`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from chartpost.adapter.ledger.errands import is_open
from chartpost.adapter.ledger.tables import (
    account,
    card_session,
    consent,
    entry,
    errand,
    hold,
    message,
    notice,
    payment,
    posting,
    request,
)
from chartpost.mappings.model import Money

View = dict[str, Any]

#: One letter before a number names a row that has no public id of its own.
LETTERS = {"message": "M", "account": "A", "hold": "H", "errand": "E"}


def iso(when: dt.datetime | None) -> str | None:
    """Return a time as 2026-03-14T10:22:33Z, to the millisecond where it has one."""
    if when is None:
        return None
    return when.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace(".000", "").replace("+00:00", "Z")


def money(minor: int, currency: str) -> str:
    """Return minor units as an amount with the currency's decimals: 4500 USD is "45.00"."""
    return str(Money(minor=minor, currency=currency).amount)


def named(obj: str) -> str:
    """Return "message:7" as people and `chartpost trace` call it: "M7"; "posting:P…" by its public id."""
    noun, _, key = obj.partition(":")
    return LETTERS.get(noun, "") + key


def messages(connection: Connection) -> Iterator[View]:
    """Everything that came through a door."""
    cause = (
        select(func.min(hold.c.cause))
        .where(hold.c.object == "message:" + message.c.id.cast(hold.c.object.type), hold.c.state == "open")
        .scalar_subquery()
    )
    sealed = ("raw", "trace", "digest", "fetched", "edited", "report", "shadow")
    columns = [column for column in message.c if column.name not in sealed]
    for row in connection.execute(select(*columns, cause.label("cause")).order_by(message.c.id)):
        yield {
            "id": f"M{row.id}",
            "source": row.source,
            "type": row.type,
            "version": row.version,
            "control_id": row.control_id,
            "ack": row.ack_code,
            "state": row.state,
            "reason": row.reason,
            "hold": row.cause,
            "parent": f"M{row.parent_id}" if row.parent_id else None,
            "map": row.map,
            "received_at": iso(row.received_at),
            "done_at": iso(row.done_at),
        }


def accounts(connection: Connection) -> Iterator[View]:
    """What is owed at each place."""
    open_request = select(request.c.account_id, request.c.public_id).where(request.c.state == "open").subquery()
    counted = select(entry.c.account_id, func.count().label("entries")).group_by(entry.c.account_id).subquery()
    statement = (
        select(account, open_request.c.public_id, counted.c.entries)
        .outerjoin(open_request, open_request.c.account_id == account.c.id)
        .outerjoin(counted, counted.c.account_id == account.c.id)
    )
    for row in connection.execute(statement.order_by(account.c.id)):
        yield {
            "id": f"A{row.id}",
            "number": row.number.decode("utf-8", "replace"),
            "source": row.source,
            "facility": row.facility,
            "balance": money(row.balance, row.currency),
            "balance_minor": row.balance,
            "withheld": money(row.withheld, row.currency),
            "withheld_minor": row.withheld,
            "currency": row.currency,
            "entries": row.entries or 0,
            "open_request": row.public_id,
            "created_at": iso(row.created_at),
        }


def requests(connection: Connection) -> Iterator[View]:
    """Every ask."""
    paid = (
        select(payment.c.request_id, func.sum(payment.c.amount).label("paid")).group_by(payment.c.request_id).subquery()
    )
    statement = (
        select(request, account.c.number, account.c.currency, account.c.facility, paid.c.paid)
        .join(account, account.c.id == request.c.account_id)
        .outerjoin(paid, paid.c.request_id == request.c.id)
    )
    for row in connection.execute(statement.order_by(request.c.id)):
        yield {
            "id": row.public_id,
            "account": f"A{row.account_id}",
            "number": row.number.decode("utf-8", "replace"),
            "facility": row.facility,
            "state": row.state,
            "asked": money(row.asked, row.currency),
            "asked_minor": row.asked,
            "paid": money(int(row.paid or 0), row.currency),
            "paid_minor": int(row.paid or 0),
            "currency": row.currency,
            "made_by": row.made_by,
            "due_on": row.due_on,
            "paused": row.paused,
            "opened_at": iso(row.opened_at),
            "expires_at": iso(row.expires_at),
            "closed_at": iso(row.closed_at),
        }


def notices(connection: Connection) -> Iterator[View]:
    """Every SMS and e-mail."""
    columns = [column for column in notice.c if column.name != "recipient"]
    its = (errand.c.kind == "notify") & (errand.c.subject == notice.c.public_id)
    statement = (
        select(*columns, request.c.public_id.label("request"), errand.c.due_at)
        .join(request, request.c.id == notice.c.request_id)
        .outerjoin(errand, its & is_open())
    )
    for row in connection.execute(statement.order_by(notice.c.id)):
        yield {
            "id": row.public_id,
            "request": row.request,
            "purpose": row.purpose,
            "step": row.step,
            "channel": row.channel,
            "notifier": row.notifier,
            "state": row.state,
            "due_at": iso(row.due_at),
            "code": row.code,
            "provider_ref": row.provider_ref,
            "created_at": iso(row.created_at),
            "changed_at": iso(row.changed_at),
        }


def payments(connection: Connection) -> Iterator[View]:
    """Money that moved through a provider, and whether each chart knows: paid and posted are two questions."""
    told: dict[int, dict[str, str]] = {}
    for row in connection.execute(select(posting.c.payment_id, posting.c.destination, posting.c.state)):
        told.setdefault(row.payment_id, {})[row.destination] = row.state
    statement = (
        select(payment, request.c.public_id.label("request"), card_session.c.public_id.label("card_session"))
        .join(request, request.c.id == payment.c.request_id)
        .join(card_session, card_session.c.id == payment.c.card_session_id)
    )
    for row in connection.execute(statement.order_by(payment.c.id)):
        yield {
            "id": row.public_id,
            "account": f"A{row.account_id}",
            "request": row.request,
            "card_session": row.card_session,
            "amount": money(row.amount, row.currency),
            "amount_minor": row.amount,
            "currency": row.currency,
            "medium": row.medium,
            "provider": row.provider,
            "provider_ref": row.provider_ref,
            "posted": told.get(row.id, {}),
            "paid_at": iso(row.paid_at),
        }


def postings(connection: Connection) -> Iterator[View]:
    """Every movement told to a destination, and what it answered."""
    columns = [column for column in posting.c if column.name not in ("account_id", "body", "answer")]
    whose = func.coalesce(payment.c.account_id, posting.c.account_id).label("account_id")
    statement = select(
        *columns, payment.c.public_id.label("payment"), payment.c.amount, payment.c.currency, whose
    ).outerjoin(payment, payment.c.id == posting.c.payment_id)  # a consent that a chart is told of is no money
    for row in connection.execute(statement.order_by(posting.c.id)):
        yield {
            "id": row.public_id,
            "payment": row.payment or "",
            "account": f"A{row.account_id}",
            "destination": row.destination,
            "kind": row.kind,
            "amount": "" if row.payment is None else money(row.amount, row.currency),
            "amount_minor": row.amount,
            "currency": row.currency or "",
            "state": row.state,
            "control_id": row.control_id,
            "answer_code": row.answer_code,
            "answer_text": row.answer_text,
            "created_at": iso(row.created_at),
            "changed_at": iso(row.changed_at),
        }


def consents(connection: Connection) -> Iterator[View]:
    """Every word of consent. Whose it is, is masked, and known only where the ledger has written there."""
    newest = select(notice.c.recipient_key, func.max(notice.c.id).label("id")).where(notice.c.recipient.is_not(None))
    known = newest.group_by(notice.c.recipient_key).subquery()
    whose = select(known.c.recipient_key, notice.c.recipient).join(notice, notice.c.id == known.c.id).subquery()
    statement = select(consent, whose.c.recipient).outerjoin(whose, whose.c.recipient_key == consent.c.key)
    for row in connection.execute(statement.order_by(consent.c.id)):
        yield {
            "id": row.id,
            "channel": row.channel,
            "number": masked(row.channel, row.recipient.decode()) if row.recipient else "",
            "state": row.state,
            "scope": row.scope,
            "origin": row.origin,
            "evidence": row.evidence,
            "by": row.by,
            "at": iso(row.at),
        }


def masked(channel: str, to: str) -> str:
    """Return a number or address so that its owner knows it again, and nobody else learns it."""
    name, _, domain = to.partition("@")
    return f"•••• {to[-4:]}" if channel == "sms" else f"{name[:1]}•••@{domain[:1]}•••"


def holds(connection: Connection) -> Iterator[View]:
    """The work list: what waits for a person, why, and what would help."""
    yield from map(hold_view, connection.execute(select(hold).order_by(hold.c.id)))


def hold_view(row: Any) -> View:
    """Return one hold as the list shows it."""
    return {
        "id": f"H{row.id}",
        "object": named(row.object),
        "kind": row.object.partition(":")[0],
        "cause": row.cause,
        "text": row.text,
        "fix": row.fix,
        "state": row.state,
        "at": iso(row.at),
        "closed_at": iso(row.closed_at),
        "closed_by": row.closed_by,
        "note": row.note,
    }


def errands(connection: Connection) -> Iterator[View]:
    """Work to do outside the transaction that asked for it."""
    for row in connection.execute(select(errand).order_by(errand.c.id)):
        yield {
            "id": f"E{row.id}",
            "kind": row.kind,
            "subject": row.subject,
            "state": row.state,
            "attempts": row.attempts,
            "error": row.error,
            "due_at": iso(row.due_at),
            "created_at": iso(row.created_at),
            "done_at": iso(row.done_at),
        }


@dataclass(frozen=True, slots=True)
class List:
    """One list: how it is read, and which of its fields fit a terminal."""

    rows: Callable[[Connection], Iterator[View]]
    columns: tuple[str, ...]


LISTS = {
    "messages": List(messages, ("id", "received_at", "source", "type", "control_id", "ack", "state", "hold", "reason")),
    "accounts": List(
        accounts, ("id", "number", "source", "facility", "balance", "currency", "entries", "open_request")
    ),
    "requests": List(requests, ("id", "account", "state", "asked", "paid", "currency", "opened_at", "closed_at")),
    "notices": List(notices, ("id", "request", "purpose", "channel", "state", "code", "changed_at")),
    "payments": List(payments, ("id", "account", "request", "amount", "currency", "medium", "posted", "paid_at")),
    "postings": List(
        postings,
        ("id", "payment", "destination", "amount", "currency", "state", "answer_code", "answer_text", "changed_at"),
    ),
    "consents": List(consents, ("at", "channel", "number", "state", "scope", "origin", "evidence")),
    "holds": List(holds, ("id", "object", "cause", "text", "fix", "state", "at")),
    "errands": List(errands, ("id", "kind", "subject", "state", "attempts", "error", "due_at")),
}
