"""A request that a person makes: what would be sent, and to whom; and then the same for good, in one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exc

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.asking import accounts, ask, limits, link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests import find, planned, terms
from chartpost.adapter.flow.requests import wish as wishes
from chartpost.adapter.flow.requests.planned import Message as Message
from chartpost.adapter.flow.requests.wish import Item as Item
from chartpost.adapter.flow.requests.wish import Wish as Wish
from chartpost.adapter.ledger import acts
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.mappings.model import Money


@dataclass(frozen=True, slots=True)
class Made:
    """A request as it was made, or would be."""

    request: str  #: its public id; "" in a preview
    link: str  #: "" in a preview
    account: str  #: "A7"; "" for one that would be opened
    facility: str
    amount: Money
    owed: Money  #: on the account
    payer: str
    language: str
    due_on: str  #: ISO date, "" for none
    expires_at: dt.datetime | None
    messages: tuple[Message, ...]
    why_nobody: str = ""  #: where there is no message at all: why, and what to do


def preview(flow: Flow, wish: Wish, *, by: str) -> Made:
    """Return what `make` would do and send: it is made, looked at, and rolled back. Raises No."""
    return _make(flow, wish, by, preview=True)


def make(flow: Flow, wish: Wish, *, by: str) -> Made:
    """Make the request, in one transaction with all that follows from it. Raises No."""
    return _make(flow, wish, by, preview=False)


def facility_of(flow: Flow, account: str, source: str = "") -> str:
    """Return the facility of the account that a wish names. Raises No where there is none."""
    return find.facility_of(flow, account, source)


def _make(flow: Flow, wish: Wish, by: str, *, preview: bool) -> Made:
    try:
        with planned.writing(flow, preview=preview) as tx:
            return _made(flow, tx, wish, by, preview=preview)
    except exc.IntegrityError:  # two tabs opened the same new account
        raise No("somebody else was faster: the account has a request by now") from None


def _made(flow: Flow, tx: Tx, wish: Wish, by: str, *, preview: bool) -> Made:
    book = find.account_of(flow, tx, wish)
    new, facility = book.id is None, flow.facility(book.facility)
    terms.refuse(book)
    said, amount = what_is_said(wish, book, facility)
    ask.open_request(
        book, flow.link_key, tx.now, facility, made_by=by, said=said or None, note=wishes.note(wish.note),
        language=wishes.language(wish.language, facility), due_on=wishes.due(wish.due_on, tx.now, facility),
        expires_at=wishes.expiry(wish.expires, tx.now, facility),
    )  # fmt: skip
    assert book.ask is not None
    terms.ask_for(book, book.ask, amount, facility, approved=terms.approval(flow, by, wish.approved))
    book.ask.asked = ask.wanted(book)
    accounts.write(flow, tx, [book])
    limits.seen(tx, book)
    request_id, asked = book.ask.public_id, Money(minor=book.ask.asked, currency=book.currency)
    acts.note(tx, by, "make", f"request:{request_id}", str(asked))
    token = link.token(flow.link_key, request_id)
    messages, why_nobody = planned.messages(flow, tx, request_id, hide=token if preview else "")
    return Made(
        request="" if preview else request_id,
        link="" if preview else link.address(flow, book.facility, token),
        account="" if preview and new else f"A{book.id}",
        facility=book.facility, amount=asked, owed=Money(minor=book.balance, currency=book.currency),
        payer=(said or {}).get("payer") or terms.payer_of(book), language=book.ask.language, due_on=book.ask.due_on,
        expires_at=book.ask.expires_at, messages=messages, why_nobody=why_nobody,
    )  # fmt: skip


def what_is_said(wish: Wish, book: Book, facility: Facility) -> tuple[dict[str, Any], int | None]:
    """Return what of a wish is kept with its request, and the amount in minor units (None: not said). Raises No."""
    said: dict[str, Any] = {}
    if payer := wishes.one_line(wish.payer, "the payer's name"):
        said["payer"] = payer
    if recipients := wishes.recipients(wish.recipients, facility):
        said["recipients"] = recipients
    amount = wishes.amount(wish.amount, wish.currency, wish.items, book.currency)
    if wish.items:
        said["items"], _ = wishes.itemised(wish.items, book.currency)
    return said, amount
