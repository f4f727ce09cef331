"""Which amount a notice may name, where its facility lets it, and how it is written."""

from __future__ import annotations

import datetime as dt

from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency
from sqlalchemy import Connection, select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.flow.telling import allowed
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import account, notice, notice_cover, payment, request
from chartpost.mappings.model import Money


def amount(flow: Flow, notice_id: str) -> Money:
    """Return what was paid, of a receipt; else what is due on all the requests that a notice speaks of."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                notice.c.id, notice.c.purpose, notice.c.step, notice.c.request_id, account.c.currency,
                account.c.facility,
            )
            .join(request, request.c.id == notice.c.request_id)
            .join(account, account.c.id == request.c.account_id)
            .where(notice.c.public_id == notice_id)
        ).one()  # fmt: skip
        if row.purpose == "receipt":
            return Money(minor=_paid(connection, row.step), currency=row.currency)
        covered = select(notice_cover.c.request_id, notice_cover.c.step).where(notice_cover.c.notice_id == row.id)
        own = row.step if row.purpose == "reminder" else ""  # a request that is sent once more has one too
        about = [(row.request_id, own), *((one, step) for one, step in connection.execute(covered))]
        today = flow.store.clock().astimezone(flow.facility(row.facility).zone).date()
        return Money(minor=sum(_due(connection, one, step, today) for one, step in about), currency=row.currency)


def _paid(connection: Connection, payment_id: str) -> int:
    """Add up what one payment brought, to however many accounts."""
    told = select(payment.c.provider, payment.c.provider_ref).where(payment.c.public_id == payment_id)
    one = connection.execute(told).one()
    same = payment.c.provider == one.provider, payment.c.provider_ref == one.provider_ref
    return sum(connection.scalars(select(payment.c.amount).where(*same)))


def _due(connection: Connection, request_id: int, step: str, today: dt.date) -> int:
    """Return what may not wait beyond today, or beyond the day that a reminder is about; 0 once nothing is asked."""
    its = request.c.id == request_id, request.c.state == states.Request.OPEN  # one that has expired keeps its amount
    asked = connection.scalar(select(request.c.asked).where(*its)) or 0
    return plan.due_now(asked, plan.of(connection, request_id), max(today, allowed.anchor(step)) if step else today)


def shown(money: Money, language: str, region: str) -> str:
    """Write an amount as people of the language do in the region: $1,234.50. Without spaces that a text cannot have."""
    try:
        where = Locale.parse(f"{language}_{region}")
    except (ValueError, UnknownLocaleError):
        where = Locale.parse(language)
    # Never rounded: CLDR has no decimals for some currencies that have minor units in ISO 4217.
    written = format_currency(money.amount, money.currency, locale=where, decimal_quantization=False)
    return " ".join(str(written).split())
