"""What a link shows once its visitor has shown who they are: the note, what it is for, whose it is, what was paid."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from chartpost.adapter.flow.answering import identify
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import family
from chartpost.adapter.flow.paying.family import Owed
from chartpost.adapter.flow.paying.view import PayView, find, view_of
from chartpost.adapter.ledger.tables import entry, payment
from chartpost.mappings.model import Money

#: Lines and payments of an account that are shown: the newest.
MOST = 50


@dataclass(frozen=True, slots=True)
class Item:
    """One line of what is asked for."""

    text: str  #: "" where the chart says nothing; then its kind is told
    kind: str  #: of an entry; "item" where a person wrote it
    amount: Money  #: below zero where it lowers what is owed
    quantity: str = (
        ""  #: of an item that a person wrote: "2", and beside it what one costs and what the line is changed by
    )
    each: Decimal = Decimal(0)  #: major units
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Paid:
    """One payment through us."""

    id: str  #: its public id: the number of the receipt
    amount: Money
    on: dt.date  #: in the facility's calendar
    medium: str  #: "card/visa"


@dataclass(frozen=True, slots=True)
class Details:
    """All that a verified visitor is shown. It prints as nothing: it names people."""

    view: PayView
    patient: str = field(repr=False)
    payer: str = field(repr=False)
    note: str = field(repr=False)
    items: tuple[Item, ...] = field(repr=False)
    payments: tuple[Paid, ...] = field(repr=False)
    paid: Money = field(repr=False)  #: below zero: what payments through us took off these items
    family: tuple[Owed, ...] = field(repr=False)  #: what a payer owes on several accounts; () for one


def details(flow: Flow, token: str, cookie: str, language: str = "") -> Details | None:
    """Return what a visitor may see, None for one who has not shown who they are. Raises LookupError."""
    with flow.store.read() as connection:
        row = find(connection, token)
        if row is None:
            raise LookupError("no such link")
        who = identify.visitor(flow, connection, row, cookie)
        if not who:
            return None
        owed = family.of(flow, connection, row) if who == "payer" else ()
        zone = flow.facility(row.facility).zone
        return Details(
            view=view_of(flow, connection, row, language),
            patient=_name(row.patient),
            payer=_payer(row),
            note=(row.note or b"").decode(),
            items=_items(connection, row),
            payments=_payments(flow, connection, row),
            paid=_paid(connection, row),
            family=tuple(replace(one, opened_at=one.opened_at.astimezone(zone)) for one in owed) if owed[1:] else (),
        )


def _name(party: Mapping[str, Any]) -> str:
    return f"{party.get('given', '')} {party.get('family', '')}".strip()


def _payer(row: Any) -> str:
    """Whom a person named, else who pays by the chart; of a confidential visit that is the patient."""
    own = row.patient if row.guarantor is None or row.patient_only else row.guarantor
    return str((row.said or {}).get("payer") or _name(own))


def _items(connection: Connection, row: Any) -> tuple[Item, ...]:
    """What a person wrote takes the place of the chart's lines."""
    if said := (row.said or {}).get("items"):
        return tuple(_written(one, row.currency) for one in said)
    newest = select(entry).where(entry.c.account_id == row.account_id, entry.c.kind != "card", entry.c.amount != 0)
    found = connection.execute(newest.order_by(entry.c.id.desc()).limit(MOST)).all()
    return tuple(
        Item((one.text or b"").decode().strip(), one.kind, Money(minor=one.amount, currency=row.currency))
        for one in reversed(found)
    )


def _written(one: Mapping[str, str], currency: str) -> Item:
    total = Money.of(Decimal(one["total"]), currency)
    amounts = (Decimal(one.get(name, "0")) for name in ("unit_amount", "discount", "tax"))
    return Item(one["description"], "item", total, one.get("quantity", ""), *amounts)


def _paid(connection: Connection, row: Any) -> Money:
    """What a person wrote is what this request is for; the chart's lines are the whole account's."""
    of_account = select(func.sum(payment.c.amount)).where(payment.c.account_id == row.account_id)
    own = payment.c.request_id == row.id
    paid = connection.scalar(of_account.where(own) if (row.said or {}).get("items") else of_account)
    return Money(minor=-(paid or 0), currency=row.currency)


def _payments(flow: Flow, connection: Connection, row: Any) -> tuple[Paid, ...]:
    zone = flow.facility(row.facility).zone
    newest = select(payment).where(payment.c.account_id == row.account_id).order_by(payment.c.id.desc()).limit(MOST)
    return tuple(
        Paid(
            one.public_id, Money(minor=one.amount, currency=one.currency), one.paid_at.astimezone(zone).date(),
            one.medium,
        )
        for one in connection.execute(newest)
    )  # fmt: skip
