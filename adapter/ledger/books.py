"""A working set of accounts inside one write transaction: loaded in bulk, changed in memory, written in bulk.

A batch of messages costs the same handful of statements as one message; a payment uses the same book.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, exists, func, insert, select, update

from chartpost.adapter.ledger import errands, gathering, holds, identities, states
from chartpost.adapter.ledger.reversals import Line, pair
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_session, entry, message, payment, posting, request

_LIVE_SESSION = (states.CardSession.MINTING, states.CardSession.OPEN)


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
    stopped: str = ""  #: why nobody is asked
    patient_only: bool = False  #: a confidential visit: the guarantor learns of nothing
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
    window: gathering.Window | None = None  #: something is owed, and nobody is asked yet: more may come
    gathers: bool = False  #: the window is new, or was moved
    identified: str | None = None  #: the PID-3 by which its identities are on record; None: none are
    changes: list[int] = field(default_factory=list)  #: messages that changed its people or patient, still to be noted
    renewed: bool = False  #: other names or contacts, or a stop that was lifted: perhaps somebody can be told now

    def add(self, cause: str, kind: str, amount: int, at: dt.datetime, **more: Any) -> None:
        """Append one entry; `cause` is unique in the whole ledger."""
        line = Line(amount, kind, more.get("reference", ""), more.get("likeness", ""), more.get("item", ""))
        line.message_id = more.get("message_id") or 0
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
        columns = (
            entry.c.account_id, entry.c.amount, entry.c.kind, entry.c.reference, entry.c.likeness, entry.c.item,
            entry.c.message_id,
        )  # fmt: skip
        for row in tx.all(select(*columns).where(entry.c.account_id.in_(by_id)).order_by(entry.c.id)):
            line = Line(row.amount, row.kind, row.reference, row.likeness, row.item, row.message_id or 0)
            by_id[row.account_id].lines.append(line)
        for book in books.values():
            pair(book.lines)
        for row in tx.all(select(request).where(request.c.account_id.in_(by_id), request.c.state == "open")):
            by_id[row.account_id].ask = Ask(row.public_id, row.asked, row.id)
        sessions = select(card_session.c.account_id, card_session.c.public_id, card_session.c.amount)
        for row in tx.all(
            sessions.where(card_session.c.account_id.in_(by_id), card_session.c.state.in_(_LIVE_SESSION))
        ):
            by_id[row.account_id].session = (row.public_id, row.amount)
        if unasked := [book.key for book in books.values() if book.ask is None and book.balance > 0]:
            for key, window in gathering.load(tx, unasked).items():
                books[key].window = window
    return books


def held_lanes(tx: Tx, lanes: Iterable[str]) -> dict[str, int]:
    """Return the first message that waits for a person in each of these lanes that has one."""
    # An ADT that is held holds no money.
    where = (message.c.lane.in_(list(set(lanes))), message.c.state == "held", message.c.type.not_like("ADT%"))
    first = func.min(message.c.id).label("first")
    return {row.lane: row.first for row in tx.all(select(message.c.lane, first).where(*where).group_by(message.c.lane))}


def flush(tx: Tx, books: Iterable[Book]) -> list[Book]:
    """Write everything that changed, a statement a table; return the books whose request was opened."""
    books = list(books)
    _write_accounts(tx, books)
    identities.write(tx, books)
    rows = [row | {"account_id": book.id} for book in books for row in book.entries]
    if rows:
        tx.run(insert(entry), rows)
    opened = _write_requests(tx, books)
    holds.moot(tx, [ask.public_id for book in books for ask in book.closed])
    moved = [(book, ask) for book in books for ask in book.closed]
    for book, ask in [*moved, *((book, book.ask) for book in opened if book.ask is not None)]:
        tx.moved("request", ask.state, book.facility, book.key, request=ask.public_id)
    errands.add_all(tx, [wanted for book in books for wanted in book.errands])
    gathering.save(tx, {book.key: book.window for book in books if book.gathers and book.window is not None})
    return opened


def _book(row: Any) -> Book:
    return Book(
        key=row.key, source=row.source, facility=row.facility, number=row.number.decode(), currency=row.currency,
        patient=row.patient, guarantor=row.guarantor, chart=row.chart, stopped=row.stopped,
        patient_only=row.patient_only, id=row.id, balance=row.balance, was=row.balance,
        identified=identities.field(row.chart),
    )  # fmt: skip


def _write_accounts(tx: Tx, books: list[Book]) -> None:
    old = [book for book in books if book.id is not None]
    new = [book for book in books if book.id is None]
    if new:
        rows = [
            {
                "key": book.key, "source": book.source, "facility": book.facility, "number": book.number.encode(),
                "currency": book.currency, "balance": book.balance, "patient": book.patient,
                "guarantor": book.guarantor, "chart": book.chart, "created_at": tx.now, "stopped": book.stopped,
                "patient_only": book.patient_only,
            }
            for book in new
        ]  # fmt: skip
        ids = dict(tx.run(insert(account).returning(account.c.key, account.c.id), rows).all())
        for book in new:
            book.id = ids[book.key]
    if old:
        statement = update(account).where(account.c.id == bindparam("which"))
        columns = ("balance", "patient", "guarantor", "chart", "stopped", "patient_only")
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
        rows = [
            {
                "which": book.id, "new_balance": book.balance, "new_patient": book.patient,
                "new_guarantor": book.guarantor, "new_chart": book.chart, "new_stopped": book.stopped,
                "new_patient_only": book.patient_only,
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
