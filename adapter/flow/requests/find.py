"""Which account, and which request, a person means; each is locked from here on until the transaction ends."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, select

from chartpost.adapter.flow.charges import shadow
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests import wish as wishes
from chartpost.adapter.flow.requests.wish import Wish
from chartpost.adapter.ledger import books, sealed, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, request
from chartpost.mappings.model import Party

_OUR_NAME = re.compile(r"[Aa]([0-9]{1,18})")


def key_of(flow: Flow, connection: Connection, number: str, source: str) -> str | None:
    """Return the key of an account: "A7", or with a source its number there; None where it is not here. Raises No."""
    number, source = number.strip(), source.strip()
    if not source:
        if not (found := _OUR_NAME.fullmatch(number)):
            raise No("say which account: A and a number from `chartpost accounts`, or its own number and its source")
        key = connection.scalar(select(account.c.key).where(account.c.id == int(found[1])))
        if key is None:
            raise No("there is no such account; `chartpost accounts` lists them")
        return str(key)
    if source not in flow.settings.sources:
        raise No(f"there is no source of that name; sources: {', '.join(sorted(flow.settings.sources))}")
    if not number:
        raise No("say which account: its number is empty")
    key = _key(flow, number, source)
    return key if connection.scalar(select(account.c.id).where(account.c.key == key)) is not None else None


def facility_of(flow: Flow, number: str, source: str) -> str:
    """Return the facility of an account, also of one that is not here yet. Raises No."""
    with flow.store.read() as connection:
        key = key_of(flow, connection, number, source)
        found = connection.scalar(select(account.c.facility).where(account.c.key == key)) if key is not None else None
    return str(found) if found is not None else flow.source(source.strip()).facility


def account_of(flow: Flow, tx: Tx, wish: Wish) -> Book:
    """Return the account that a wish is about; where it is not here yet, a new one for an advance. Raises No."""
    key = key_of(flow, tx.connection, wish.account, wish.source)
    if key is not None:
        return books.load(tx, [key])[key]
    source, number = wish.source.strip(), wish.account.strip()
    facility = flow.source(source).facility
    if shadow.is_dry(flow, source):
        raise No("the source is only tried (shadow): nobody is asked for what is its")
    if not flow.facility(facility).amounts.higher:
        raise No(f"source {source} has sent nothing of this account yet, and by amounts.higher nothing is asked before")
    if wish.amount is None and not wish.items:
        raise No(f"source {source} has sent nothing of this account yet: say how much is to be asked for")
    if not (name := wishes.one_line(wish.patient, "the patient's name")):
        raise No(f"source {source} has sent nothing of this account yet: say the patient's name")
    given, _, family = name.rpartition(" ")
    # A FHIR source names an account by system and value.
    return Book(
        key=_key(flow, number, source), source=source, facility=facility, number=number.rpartition("|")[2],
        currency=flow.facility(facility).currency,
        patient=Party(role="patient", family=family, given=given).model_dump(mode="json"), guarantor=None, chart={},
    )  # fmt: skip


def request_of(tx: Tx, request_id: str) -> tuple[Any, Book]:
    """Return a request's row and its account. Raises No."""
    of_request = select(account.c.key).join(request, request.c.account_id == account.c.id)
    key = tx.scalar(of_request.where(request.c.public_id == request_id))
    if key is None:
        raise No("there is no such request; `chartpost requests` lists them")
    book = books.load(tx, [key])[key]
    # Only now nobody else changes it.
    return tx.one(select(request).where(request.c.public_id == request_id)), book


def open_request(tx: Tx, request_id: str) -> tuple[Any, Book, books.Ask]:
    """Return an open request. Raises No for one that is not."""
    row, book = request_of(tx, request_id)
    if book.ask is None or book.ask.public_id != request_id:
        raise No(f"the request is {row.state}: {_INSTEAD.get(row.state, 'nothing of it can be changed')}")
    return row, book, book.ask


_INSTEAD = {
    str(states.Request.EXPIRED): "extend it, or reopen it",
    str(states.Request.CANCELLED): "reopen it",
    str(states.Request.SETTLED): "if something is owed, reopen it",
    str(states.Request.PAID): "nothing is owed on it any more",
}


def _key(flow: Flow, number: str, source: str) -> str:
    return sealed.keyring().search(source, flow.source(source).facility, number)
