"""One request as those who work with it see it: everything a person set, and what became of it. Reads only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.requests import terms
from chartpost.adapter.ledger.tables import account, act, payment, request
from chartpost.mappings.model import Money


@dataclass(frozen=True, slots=True)
class Shown:
    """A request. Has names and contact data: for those who may see them."""

    request: str
    version: str  #: another one whenever anybody changed anything
    account: str  #: "A7"
    number: str
    source: str
    facility: str
    state: str
    asked: Money
    owed: Money  #: on the account
    paid: Money  #: on this request, through us
    link: str
    payer: str
    recipients: tuple[str, ...]  #: as a person said them; none: whom the chart names
    note: str
    due_on: str
    opened_at: dt.datetime
    expires_at: dt.datetime | None
    language: str
    paused: str
    made_by: str
    items: tuple[dict[str, Any], ...]  #: as they are kept: description, quantity, unit_amount, discount, tax, total


def look(flow: Flow, request_id: str) -> Shown | None:
    """Return a request by its public id, None where there is none."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                request, account.c.number, account.c.source, account.c.facility, account.c.currency,
                account.c.balance, account.c.patient, account.c.guarantor, account.c.patient_only,
            )
            .join(account, account.c.id == request.c.account_id)
            .where(request.c.public_id == request_id)
        ).first()  # fmt: skip
        if row is None:
            return None
        paid = connection.scalar(select(func.sum(payment.c.amount)).where(payment.c.request_id == row.id))
        seen = version(connection, row)
    said, currency = row.said or {}, row.currency
    token = link.token(flow.link_key, row.public_id, row.generation)
    return Shown(
        request=row.public_id, version=seen, account=f"A{row.account_id}",
        number=row.number.decode("utf-8", "replace"), source=row.source, facility=row.facility, state=row.state,
        asked=Money(minor=row.asked, currency=currency), owed=Money(minor=row.balance, currency=currency),
        paid=Money(minor=int(paid or 0), currency=currency), link=link.address(flow, row.facility, token),
        payer=said.get("payer") or terms.payer_of(row),
        recipients=tuple(one["to"] for one in said.get("recipients", ())), note=(row.note or b"").decode(),
        due_on=row.due_on, opened_at=row.opened_at, expires_at=row.expires_at, language=row.language,
        paused=row.paused, made_by=row.made_by, items=tuple(said.get("items", ())),
    )  # fmt: skip


def version(connection: Connection, row: Any) -> str:
    """Return what tells one look at a request (its row) from another, if anything was changed between them."""
    newest = connection.scalar(select(func.max(act.c.id)).where(act.c.object == f"request:{row.public_id}"))
    return f"{newest or 0}.{row.asked}.{row.state}"
