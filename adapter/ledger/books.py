"""A working set of accounts inside one write transaction: loaded in bulk, changed in memory, written in bulk.

A batch of messages costs the same handful of statements as one message; a payment uses the same book.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, bindparam, exists, func, insert, select, update

from chartpost.adapter.ledger import errands, gathering, holds, identities, payers, states
from chartpost.adapter.ledger.reversals import Line, pair
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, card_part, card_session, entry, message, payment, posting, request

#: Kind of the entries that a person here made of money that was paid otherwise.
ELSEWHERE = "elsewhere"
#: Kinds of entries that are money which somebody paid; what else lowers a balance was not owed.
PAYMENTS = frozenset(["card", ELSEWHERE, "payment", "patient_payment"])
#: What a request is made of besides its state, as Ask and the table both call it.
_OF_ASK = ("asked", "advance", "due_on", "said", "language", "paused", "expires_at")
_LIVE_SESSION = (states.CardSession.MINTING, states.CardSession.OPEN)

# What every batch runs is made once: making a statement takes longer than SQLite takes to run it.
_MINE: BindParameter[Any] = bindparam("ids", expanding=True)
_ACCOUNTS = (
    select(account).where(account.c.key.in_(bindparam("keys", expanding=True))).order_by(account.c.id).with_for_update()
)
_ENTRIES = (
    select(
        entry.c.account_id, entry.c.amount, entry.c.kind, entry.c.reference, entry.c.likeness, entry.c.item,
        entry.c.message_id,
    )
    .where(entry.c.account_id.in_(_MINE))
    .order_by(entry.c.id)
)  # fmt: skip
_REQUESTS = select(request).where(request.c.account_id.in_(_MINE), request.c.state == "open")
_SESSIONS = (
    select(card_part.c.account_id, card_session.c.public_id, card_part.c.amount)
    .join(card_session, card_session.c.id == card_part.c.card_session_id)
    .where(card_part.c.account_id.in_(_MINE), card_session.c.state.in_(_LIVE_SESSION))
)
_HELD = (
    select(message.c.lane, func.min(message.c.id).label("first"))
    # An ADT that is held holds no money.
    .where(
        message.c.lane.in_(bindparam("lanes", expanding=True)), message.c.state == "held",
        message.c.type.not_like("ADT%"),
    )
    .group_by(message.c.lane)
)  # fmt: skip


def _new(names: Iterable[str]) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}") for name in names}


_OF_ACCOUNT = (
    "balance", "patient", "guarantor", "chart", "stopped", "patient_only", "others", "provider", "withheld", "approved",
)  # fmt: skip
_CHANGE_ACCOUNT = update(account).where(account.c.id == bindparam("which")).values(_new(_OF_ACCOUNT))
_CHANGE_REQUEST = (
    update(request)
    .where(request.c.id == bindparam("which"))
    # A person may have reopened it.
    .values(_new((*_OF_ASK, "note")) | {"state": states.Request.OPEN, "closed_at": None})
)


@dataclass(slots=True)
class Ask:
    """The open request of an account."""

    public_id: str
    asked: int
    id: int | None = None
    state: states.Request = states.Request.OPEN
    token_hash: str = ""
    generation: int = 0
    expires_at: dt.datetime | None = None
    advance: int = 0  #: asked for even where less is owed, until it is paid
    due_on: str = ""  #: ISO date
    made_by: str = ""
    said: dict[str, Any] | None = None  #: payer, recipients and items, as a person said
    note: str = ""
    language: str = ""
    paused: str = ""


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
    others: dict[str, Any] | None = None  #: who else may be written to, by role
    provider: str = ""  #: FT1-20.1 of the newest charge that names one
    withheld: int = 0  #: what a person said is not asked for
    approved: int = 0  #: up to so much a person has approved
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
    identified: str | None = None  #: by what its identities are on record (identities.mark); None: none are
    changes: list[int] = field(default_factory=list)  #: messages that changed its people or patient, still to be noted
    renewed: bool = False  #: other names or contacts, or a stop that was lifted: perhaps somebody can be told now

    def add(self, cause: str, kind: str, amount: int, at: dt.datetime, **more: Any) -> None:
        """Append one entry; `cause` is unique in the whole ledger."""
        line = Line(amount, kind, more.get("reference", ""), more.get("likeness", ""), more.get("item", ""))
        line.message_id = more.get("message_id") or 0
        self.lines.append(line)
        self.balance += amount
        if amount < 0 and kind in PAYMENTS and self.ask is not None:
            self.ask.advance = max(0, self.ask.advance + amount)
        blank = {"message_id": None, "payment_id": None, "reference": "", "likeness": "", "item": "", "text": None}
        self.entries.append(blank | {"cause": cause, "kind": kind, "amount": amount, "at": at} | more)


def load(tx: Tx, keys: Iterable[str]) -> dict[str, Book]:
    """Load the accounts with these keys, locked until the transaction ends; a key without an account is left out."""
    books = {row.key: _book(row) for row in tx.all(_ACCOUNTS, {"keys": list(set(keys))})}
    by_id = {book.id: book for book in books.values()}
    if by_id:
        mine = {"ids": list(by_id)}
        for row in tx.all(_ENTRIES, mine):
            line = Line(row.amount, row.kind, row.reference, row.likeness, row.item, row.message_id or 0)
            by_id[row.account_id].lines.append(line)
        for book in books.values():
            pair(book.lines)
        for row in tx.all(_REQUESTS, mine):
            by_id[row.account_id].ask = ask_of(row)
        for row in tx.all(_SESSIONS, mine):
            by_id[row.account_id].session = (row.public_id, row.amount)
        if unasked := [book.key for book in books.values() if book.ask is None and book.balance > 0]:
            for key, window in gathering.load(tx, unasked).items():
                books[key].window = window
    return books


def held_lanes(tx: Tx, lanes: Iterable[str]) -> dict[str, int]:
    """Return the first message that waits for a person in each of these lanes that has one."""
    return {row.lane: row.first for row in tx.all(_HELD, {"lanes": list(set(lanes))})}


def flush(tx: Tx, books: Iterable[Book]) -> list[Book]:
    """Write everything that changed, a statement a table; return the books whose request was opened."""
    books = list(books)
    _write_accounts(tx, books)
    identities.write(tx, books)
    payers.write(tx, books)
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


def ask_of(row: Any) -> Ask:
    """Return a row of the table as the open request of its account; one that a person reopens is open by that."""
    return Ask(
        row.public_id, row.asked, row.id, token_hash=row.token_hash, generation=row.generation,
        expires_at=row.expires_at, advance=row.advance, due_on=row.due_on, made_by=row.made_by, said=row.said,
        note=(row.note or b"").decode(), language=row.language, paused=row.paused,
    )  # fmt: skip


def _book(row: Any) -> Book:
    return Book(
        key=row.key, source=row.source, facility=row.facility, number=row.number.decode(), currency=row.currency,
        patient=row.patient, guarantor=row.guarantor, chart=row.chart, stopped=row.stopped,
        patient_only=row.patient_only, others=row.others, provider=row.provider, withheld=row.withheld,
        approved=row.approved, id=row.id, balance=row.balance, was=row.balance,
        identified=identities.mark(row.chart),
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
                "patient_only": book.patient_only, "others": book.others, "provider": book.provider,
                "withheld": book.withheld, "approved": book.approved,
            }
            for book in new
        ]  # fmt: skip
        ids = dict(tx.run(insert(account).returning(account.c.key, account.c.id), rows).all())
        for book in new:
            book.id = ids[book.key]
    if old:
        changes = [{f"new_{name}": getattr(book, name) for name in _OF_ACCOUNT} | {"which": book.id} for book in old]
        tx.run(_CHANGE_ACCOUNT, changes)


def _write_requests(tx: Tx, books: list[Book]) -> list[Book]:
    opened = [book for book in books if book.ask is not None and book.ask.id is None]
    # Closed ones first: at most one request is open per account, and the database insists.
    for book in books:
        for ask in book.closed:
            if ask.id is None:
                continue
            closing = update(request).where(request.c.id == ask.id)
            tx.run(closing.values(state=ask.state, asked=ask.asked, advance=ask.advance, closed_at=tx.now))
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for book in books:
        for ask in [*(ask for ask in book.closed if ask.id is None), *([book.ask] if book.ask else [])]:
            if ask.id is not None:
                values = {f"new_{name}": getattr(ask, name) for name in _OF_ASK}
                changed.append({"which": ask.id, "new_note": ask.note.encode() or None, **values})
                continue
            new.append({
                "public_id": ask.public_id, "account_id": book.id, "state": ask.state, "asked": ask.asked,
                "generation": ask.generation, "token_hash": ask.token_hash, "opened_at": tx.now,
                "expires_at": ask.expires_at, "closed_at": None if ask.state == states.Request.OPEN else tx.now,
                "advance": ask.advance, "due_on": ask.due_on, "made_by": ask.made_by, "said": ask.said,
                "note": ask.note.encode() or None, "language": ask.language, "paused": ask.paused,
            })  # fmt: skip
    if new:
        ids = dict(tx.run(insert(request).returning(request.c.public_id, request.c.id), new).all())
        for book in opened:
            assert book.ask is not None
            book.ask.id = ids[book.ask.public_id]
    if changed:
        tx.run(_CHANGE_REQUEST, changed)
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
