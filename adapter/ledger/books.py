"""A working set of accounts inside one write transaction: loaded in bulk, changed in memory, written in bulk.

A batch of messages costs the same handful of statements as one message; a payment uses the same book.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, exists, func, insert, select, update

from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_session, entry, message, payment, posting, request

_LIVE_SESSION = (states.CardSession.MINTING, states.CardSession.OPEN)


@dataclass(slots=True)
class Line:
    """What the rules need to know of one entry."""

    amount: int
    kind: str
    reference: str
    likeness: str
    item: str
    reversed: bool = False  #: a later negative line took it back


@dataclass(slots=True)
class Ask:
    """The open request of an account."""

    public_id: str
    asked: int
    id: int | None = None
    state: states.Request = states.Request.OPEN
    token_hash: str = ""
    expires_at: dt.datetime | None = None


@dataclass(slots=True)
class Book:
    """One account, its lines and its open request. Amounts are minor units of `currency`."""

    key: str
    source: str
    facility: str
    number: str
    currency: str
    patient: dict[str, Any]
    guarantor: dict[str, Any] | None
    chart: dict[str, str]
    id: int | None = None
    balance: int = 0
    was: int = 0  #: the balance when it was loaded
    lines: list[Line] = field(default_factory=list)
    ask: Ask | None = None
    session: tuple[str, int] | None = None  #: public id and amount of the open card session
    held: bool = False  #: an earlier message of this account waits for a person
    entries: list[dict[str, Any]] = field(default_factory=list)  #: still to be written
    errands: list[errands.Wanted] = field(default_factory=list)
    closed: list[Ask] = field(default_factory=list)

    def add(self, cause: str, kind: str, amount: int, at: dt.datetime, **more: Any) -> None:
        """Append one entry; `cause` is unique in the whole ledger."""
        line = Line(amount, kind, more.get("reference", ""), more.get("likeness", ""), more.get("item", ""))
        self.lines.append(line)
        self.balance += amount
        blank = {"message_id": None, "payment_id": None, "reference": "", "likeness": "", "item": "", "text": None}
        self.entries.append(blank | {"cause": cause, "kind": kind, "amount": amount, "at": at} | more)


def load(tx: Tx, keys: Iterable[str]) -> dict[str, Book]:
    """Load the accounts with these keys, locked until the transaction ends; a key without an account is left out."""
    wanted = list(set(keys))
    rows = tx.all(select(account).where(account.c.key.in_(wanted)).order_by(account.c.id).with_for_update())
    books = {row.key: _book(row) for row in rows}
    by_id = {book.id: book for book in books.values()}
    if by_id:
        columns = (entry.c.account_id, entry.c.amount, entry.c.kind, entry.c.reference, entry.c.likeness, entry.c.item)
        for row in tx.all(select(*columns).where(entry.c.account_id.in_(by_id)).order_by(entry.c.id)):
            by_id[row.account_id].lines.append(Line(row.amount, row.kind, row.reference, row.likeness, row.item))
        for book in books.values():
            pair_reversals(book.lines)
        for row in tx.all(select(request).where(request.c.account_id.in_(by_id), request.c.state == "open")):
            by_id[row.account_id].ask = Ask(row.public_id, row.asked, row.id)
        sessions = select(card_session.c.account_id, card_session.c.public_id, card_session.c.amount)
        for row in tx.all(
            sessions.where(card_session.c.account_id.in_(by_id), card_session.c.state.in_(_LIVE_SESSION))
        ):
            by_id[row.account_id].session = (row.public_id, row.amount)
    return books


def held_lanes(tx: Tx, lanes: Iterable[str]) -> dict[str, int]:
    """Return the first message that waits for a person in each of these lanes that has one."""
    where = (message.c.lane.in_(list(set(lanes))), message.c.state == "held")
    first = func.min(message.c.id).label("first")
    return {row.lane: row.first for row in tx.all(select(message.c.lane, first).where(*where).group_by(message.c.lane))}


def flush(tx: Tx, books: Iterable[Book]) -> list[Book]:
    """Write everything that changed, a statement a table; return the books whose request was opened."""
    books = list(books)
    _write_accounts(tx, books)
    rows = [row | {"account_id": book.id} for book in books for row in book.entries]
    if rows:
        tx.run(insert(entry), rows)
    opened = _write_requests(tx, books)
    moved = [(book, ask) for book in books for ask in book.closed]
    for book, ask in [*moved, *((book, book.ask) for book in opened if book.ask is not None)]:
        tx.moved("request", ask.state, book.facility, book.key, request=ask.public_id)
    errands.add_all(tx, [wanted for book in books for wanted in book.errands])
    for book in books:
        if book.balance < 0 and book.entries:
            holds.add(
                tx,
                f"account:{book.id}",
                "credit_balance",
                f"the account is {-book.balance} minor units {book.currency} in credit",
                "refund the payer, or let the credit stand against the next charge",
            )
        elif book.was < 0 <= book.balance:
            holds.close(tx, f"account:{book.id}", "credit_balance")
    return opened


def _book(row: Any) -> Book:
    return Book(
        key=row.key, source=row.source, facility=row.facility, number=row.number.decode(), currency=row.currency,
        patient=row.patient, guarantor=row.guarantor, chart=row.chart, id=row.id, balance=row.balance, was=row.balance,
    )  # fmt: skip


def pair_reversals(lines: list[Line]) -> None:
    """Mark the positive lines that later negative ones took back, and only those (`reverses`)."""
    for line in lines:
        line.reversed = False
    for position, line in enumerate(lines):
        if line.amount < 0 and line.kind != "card":
            for earlier in lines[:position]:
                if reverses(line, earlier):
                    earlier.reversed = True
                    break


def reverses(line: Line, earlier: Line) -> bool:
    """Say whether a negative line takes an earlier positive one back.

    The same amount, and evidence that it is the same thing: Transaction ID (FT1-2) or code (FT1-7). For a payment made
    elsewhere the exact amount is the evidence, because desks do not know our lines.
    """
    if earlier.reversed or earlier.amount != -line.amount:
        return False
    same = bool(line.reference and line.reference == earlier.reference) or bool(line.item and line.item == earlier.item)
    return same or line.kind == "payment"


def _write_accounts(tx: Tx, books: list[Book]) -> None:
    old = [book for book in books if book.id is not None]
    new = [book for book in books if book.id is None]
    if new:
        rows = [
            {
                "key": book.key, "source": book.source, "facility": book.facility, "number": book.number.encode(),
                "currency": book.currency, "balance": book.balance, "patient": book.patient,
                "guarantor": book.guarantor, "chart": book.chart, "created_at": tx.now,
            }
            for book in new
        ]  # fmt: skip
        ids = dict(tx.run(insert(account).returning(account.c.key, account.c.id), rows).all())
        for book in new:
            book.id = ids[book.key]
    if old:
        statement = update(account).where(account.c.id == bindparam("which"))
        values: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in ("balance", "patient", "guarantor", "chart")
        }
        rows = [
            {
                "which": book.id, "new_balance": book.balance, "new_patient": book.patient,
                "new_guarantor": book.guarantor, "new_chart": book.chart,
            }
            for book in old
        ]  # fmt: skip
        tx.run(statement.values(values), rows)


def _write_requests(tx: Tx, books: list[Book]) -> list[Book]:
    opened = [book for book in books if book.ask is not None and book.ask.id is None]
    # Closed ones first: at most one request is open per account, and the database insists.
    for book in books:
        for ask in book.closed:
            if ask.id is None:
                continue
            closing = update(request).where(request.c.id == ask.id)
            tx.run(closing.values(state=ask.state, asked=ask.asked, closed_at=tx.now))
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for book in books:
        for ask in [*(ask for ask in book.closed if ask.id is None), *([book.ask] if book.ask else [])]:
            if ask.id is not None:
                changed.append({"which": ask.id, "new_asked": ask.asked})
                continue
            new.append({
                "public_id": ask.public_id, "account_id": book.id, "state": ask.state, "asked": ask.asked,
                "generation": 0, "token_hash": ask.token_hash, "opened_at": tx.now, "expires_at": ask.expires_at,
                "closed_at": None if ask.state == states.Request.OPEN else tx.now,
            })  # fmt: skip
    if new:
        ids = dict(tx.run(insert(request).returning(request.c.public_id, request.c.id), new).all())
        for book in opened:
            assert book.ask is not None
            book.ask.id = ids[book.ask.public_id]
    if changed:
        tx.run(update(request).where(request.c.id == bindparam("which")).values(asked=bindparam("new_asked")), changed)
    return opened


def is_our_payment(tx: Tx, book: Book, payment_reference: str, reference: str) -> bool:
    """Say whether a payment line names a payment or a posting of ours on this account: our own echo."""
    ours = select(payment.c.id).where(payment.c.account_id == book.id)
    if payment_reference and tx.one(ours.where(payment.c.provider_ref == payment_reference)):
        return True
    named = exists().where(posting.c.payment_id == payment.c.id, posting.c.public_id == reference)
    return bool(reference and tx.one(ours.where(named)))


def has_payment_of(tx: Tx, book: Book, amount: int) -> bool:
    """Say whether a payment of exactly this amount came through us for this account."""
    statement = select(payment.c.id).where(payment.c.account_id == book.id, payment.c.amount == amount)
    return tx.one(statement) is not None


def has_unposted_payment(tx: Tx, book: Book) -> bool:
    """Say whether a payment through us may not be in the chart yet."""
    pending = posting.c.state.not_in([states.Posting.ACCEPTED])
    statement = select(posting.c.id).join(payment, payment.c.id == posting.c.payment_id)
    return tx.one(statement.where(payment.c.account_id == book.id, pending).limit(1)) is not None
