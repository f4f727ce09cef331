"""What people change about a request that is there. Its link stays the same whatever happens to it.

Each is one transaction with its account locked: of two who change the same at once the second sees what the first did.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, get_args

from sqlalchemy import func, select

from chartpost.adapter.flow.asking import accounts, ask, limits, link, remind
from chartpost.adapter.flow.charges import elsewhere
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import card
from chartpost.adapter.flow.requests import find, look, planned, recipients, terms
from chartpost.adapter.flow.requests import wish as wishes
from chartpost.adapter.flow.requests.planned import Message
from chartpost.adapter.flow.requests.wish import Item
from chartpost.adapter.ledger import acts, books, errands, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import entry
from chartpost.mappings.model import Money

#: How money was paid otherwise.
Method = Literal["cash", "cheque", "card_terminal", "transfer", "other"]
METHODS: tuple[Method, ...] = get_args(Method)
#: Why nobody is reminded, when a person said so.
BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be different; what is None stays as it is."""

    amount: Decimal | None = None  #: in major units
    currency: str = ""  #: if it is said, it must be the account's
    payer: str | None = None  #: "": the guarantor, else the patient
    recipients: str | None = None  #: as in Wish; new ones are told, old ones not again
    note: str | None = None
    due_on: dt.date | None = None
    language: str | None = None
    items: tuple[Item, ...] | None = None  #: (): none any more
    approved: bool = False
    seen: str = ""  #: the version that the person saw (look.Shown.version); "": whatever it is


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a change."""

    request: str
    state: str  #: of the request, now
    text: str  #: what happened, in a sentence without a person's data
    messages: tuple[Message, ...] = ()  #: what is sent because of it


def edit(flow: Flow, request_id: str, wanted: Edit, *, by: str, preview: bool = False) -> Changed:
    """Change an open request; with `preview` only say what would come of it. Raises No."""
    with planned.writing(flow, preview=preview) as tx:
        row, book, asked = find.open_request(tx, request_id)
        if wanted.seen and wanted.seen != look.version(tx.connection, row):
            raise No("somebody changed the request since you looked at it: look again")
        facility, parts = flow.facility(book.facility), []
        said = dict(asked.said or {})
        if wanted.amount is not None or wanted.items is not None:
            _reprice(flow, tx, book, wanted, said, by)
            parts.append("amount and items" if wanted.items is not None else "amount")
        if wanted.payer is not None:
            _put(said, "payer", wishes.one_line(wanted.payer, "the payer's name"))
            parts.append("payer")
        if wanted.note is not None:
            asked.note = wishes.note(wanted.note)
            parts.append("note")
        if wanted.due_on is not None:
            asked.due_on = wishes.due(wanted.due_on, tx.now, facility)
            parts.append("due date")
        if wanted.language is not None:
            asked.language = wishes.language(wanted.language, facility)
            parts.append("language")
        told = ""
        if wanted.recipients is not None:
            _put(said, "recipients", wishes.recipients(wanted.recipients, facility))
            parts.append("recipients")
        if not parts:
            raise No("say what is to be different")
        asked.said = said or None
        what = ask.follow(book, flow.link_key, tx.now, facility)
        accounts.write(flow, tx, [book])
        if wanted.due_on is not None:
            remind.soon(tx, request_id)
        if wanted.recipients is not None:
            told = recipients.renew(flow, tx, book)
        if wanted.amount is not None or wanted.items is not None:
            limits.seen(tx, book)
        text = "; ".join(filter(None, (f"changed: {', '.join(parts)}", what, told)))
        done = _done(tx, request_id, book, by, "edit", text)
        return replace(done, messages=_sent(flow, tx, row, preview=preview))


def cancel(flow: Flow, request_id: str, *, by: str, why: str = "") -> Changed:
    """Withdraw an open request: what it asked for is not asked for again by the next charge. Raises No."""
    with flow.store.write() as tx:
        _, book, _ = find.open_request(tx, request_id)
        was = Money(minor=ask.wanted(book), currency=book.currency)  # also what was too much to be asked for at once
        book.withheld = max(0, book.balance)
        ask.close(book, states.Request.CANCELLED)
        accounts.write(flow, tx, [book])
        limits.seen(tx, book)
        text = f"withdrawn; {was} are not asked for any more"
        return _done(tx, request_id, book, by, "cancel", text, wishes.note(why))


def extend(flow: Flow, request_id: str, expires: str, *, by: str) -> Changed:
    """Give a request another end (as in Wish.expires), from now on; one that has expired is open again. Raises No."""
    with flow.store.write() as tx:
        row, book = find.request_of(tx, request_id)
        facility = flow.facility(book.facility)
        ends = wishes.expiry(expires, tx.now, facility)
        if row.state == states.Request.EXPIRED:
            # As much as it asked for, less what was paid since; of what is owed no more than was not withheld.
            amount = row.asked - _paid_since(tx, row) if row.advance else min(row.asked, ask.wanted(book))
            if amount <= 0:
                raise No("what it asked for is owed no more; to ask for anything else, reopen it with an amount")
            _open_again(flow, tx, row, book, amount, approved=False)
            remind.soon(tx, request_id)
        elif book.ask is None or book.ask.public_id != request_id:
            raise No(f"the request is {row.state}: only one that is open or has expired gets another end")
        assert book.ask is not None
        book.ask.expires_at = ends
        accounts.write(flow, tx, [book])
        _lapse_then(tx, request_id, ends)
        until = f"it ends on {ends:%Y-%m-%d %H:%M} UTC" if ends is not None else "it has no end"
        again = "open again; " if row.state == states.Request.EXPIRED else ""
        return _done(tx, request_id, book, by, "extend", f"{again}{until}")


def resend(flow: Flow, request_id: str, *, by: str, sure: bool = False, preview: bool = False) -> Changed:
    """Tell the payer once more; with `preview` only say what would be sent. Raises No.

    `sure`: also where the last message may still arrive.
    """
    with planned.writing(flow, preview=preview) as tx:
        row, book, _ = find.open_request(tx, request_id)
        if book.stopped:
            raise No(f"nobody is written to about this account: {book.stopped.replace('_', ' ')}")
        act = acts.note(tx, by, "resend", f"request:{request_id}")
        text = recipients.again(flow, tx, book, f"resend:{act}", sure=sure)
        return Changed(request_id, _state(book), text, _sent(flow, tx, row, preview=preview))


def settle(
    flow: Flow, request_id: str, *, method: str, by: str, amount: Decimal | None = None, reference: str = "",
    sure: bool = False,
) -> Changed:  # fmt: skip
    """Record what was paid otherwise (None: all that is asked), by one of METHODS. Raises No.

    The chart is not told: its own cashier books it, and what it then says of it counts no second time. `sure`: it is
    another payment than the one of this amount that the chart has told of.
    """
    if method not in METHODS:
        raise No(f"a method is one of {', '.join(METHODS)}")
    with flow.store.write() as tx:
        _, book, asked = find.open_request(tx, request_id)
        refuse_while_paid(tx, book)
        paid = asked.asked if amount is None else wishes.minor(amount, book.currency)
        if paid > (most := max(asked.asked, book.balance)):
            raise No(f"{Money(minor=most, currency=book.currency)} is owed: more than that is not paid on it")
        if not sure and elsewhere.told(book.lines, paid):
            raise No("the chart has told of a payment of this amount, and it counts; if this is another, say --yes")
        reference = wishes.one_line(reference, "the reference")
        words = "; ".join(filter(None, (f"{Money(minor=paid, currency=book.currency)} by {method}", reference)))
        act = acts.note(tx, by, "settle", f"request:{request_id}", words)
        elsewhere.add(book, act, paid, tx.now)
        what = ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility))
        accounts.write(flow, tx, [book])
        left = "" if book.ask is None else f"; {Money(minor=book.ask.asked, currency=book.currency)} is still asked for"
        text = f"{Money(minor=paid, currency=book.currency)} recorded as paid by {method.replace('_', ' ')}"
        return Changed(request_id, _state(book), f"{text}{left or f'; {what}'}")


def unsettle(flow: Flow, request_id: str, *, amount: Decimal, by: str) -> Changed:
    """Take back that so much was paid otherwise, which was a mistake; the chart has not told of it. Raises No."""
    with flow.store.write() as tx:
        row, book = find.request_of(tx, request_id)
        paid = wishes.minor(amount, book.currency)
        if not elsewhere.awaited(book.lines, paid):
            raise No("nobody here said that so much was paid otherwise, or the chart has told of it since")
        shown = Money(minor=paid, currency=book.currency)
        act = acts.note(tx, by, "unsettle", f"request:{request_id}", str(shown))
        elsewhere.take_back(book, act, paid, tx.now)
        what = ""
        if book.ask is not None:
            what = ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility))
        accounts.write(flow, tx, [book])
        text = f"{shown} taken back, and owed again; {what or 'nobody is asked for it: reopen the request'}"
        still_open = book.ask is not None and book.ask.public_id == request_id
        return Changed(request_id, str(states.Request.OPEN if still_open else row.state), text)


def reopen(
    flow: Flow, request_id: str, *, by: str, amount: Decimal | None = None, expires: str = "", approved: bool = False
) -> Changed:
    """Ask again under the same link for what is still owed (None: all of it). Raises No."""
    with flow.store.write() as tx:
        row, book = find.request_of(tx, request_id)
        facility = flow.facility(book.facility)
        wanted = None if amount is None else wishes.minor(amount, book.currency)
        ends = wishes.expiry(expires, tx.now, facility)
        _open_again(flow, tx, row, book, wanted, approved=terms.approval(flow, by, approved))
        assert book.ask is not None
        book.ask.expires_at = ends
        accounts.write(flow, tx, [book])
        limits.seen(tx, book)
        remind.soon(tx, request_id)
        _lapse_then(tx, request_id, ends)
        asked = Money(minor=book.ask.asked, currency=book.currency)
        return _done(tx, request_id, book, by, "reopen", f"open again, for {asked}; nobody was told of it")


def pause(flow: Flow, request_id: str, *, by: str) -> Changed:
    """Remind nobody of it. Raises No."""
    return _set_paused(flow, request_id, by, BY_HAND, "pause", "nobody is reminded of it any more")


def resume(flow: Flow, request_id: str, *, by: str) -> Changed:
    """Remind again, whatever it was paused for. Raises No."""
    return _set_paused(flow, request_id, by, "", "resume", "reminders go on")


def _set_paused(flow: Flow, request_id: str, by: str, paused: str, verb: str, text: str) -> Changed:
    with flow.store.write() as tx:
        _, book, asked = find.open_request(tx, request_id)
        if bool(asked.paused) == bool(paused):
            raise No("its reminders are paused already" if paused else "its reminders are not paused")
        asked.paused = paused
        accounts.write(flow, tx, [book])
        remind.soon(tx, request_id)
        return _done(tx, request_id, book, by, verb, text)


# ------------------------------------------------------------------------------------------------------------ within


def _reprice(flow: Flow, tx: Tx, book: Book, wanted: Edit, said: dict[str, Any], by: str) -> None:
    """Let the open request be for another amount, or for other items, or both."""
    assert book.ask is not None
    refuse_while_paid(tx, book)
    items = wanted.items or ()
    if wanted.items is None and said.get("items"):
        raise No("its items add up to another amount: say what the items are now, too")
    amount = wishes.amount(wanted.amount, wanted.currency, items, book.currency)
    if amount is not None:
        facility = flow.facility(book.facility)
        terms.ask_for(book, book.ask, amount, facility, approved=terms.approval(flow, by, wanted.approved))
    if wanted.items is not None:
        _put(said, "items", wishes.itemised(items, book.currency)[0])


def _open_again(flow: Flow, tx: Tx, row: Any, book: Book, amount: int | None, *, approved: bool) -> None:
    """Make a request that has ended the open one of its account. Raises No."""
    if not states.allowed(states.Request(row.state), states.Request.OPEN):
        raise No(f"the request is {row.state}: there is nothing to open again")
    terms.refuse(book)
    refuse_while_paid(tx, book)
    again = books.ask_of(row)
    facility, again.advance = flow.facility(book.facility), 0
    terms.ask_for(book, again, amount, facility, approved=approved)
    if again.due_on and again.due_on < tx.now.astimezone(facility.zone).date().isoformat():
        again.due_on = ask.due_on(tx.now, facility)  # nobody is overdue the moment it opens
    book.ask, book.window = again, None
    again.asked = ask.wanted(book)
    tx.moved("request", again.state, book.facility, book.key, request=again.public_id)


def _paid_since(tx: Tx, row: Any) -> int:
    """Return how many minor units were paid on the account of a request since that ended: its advance knows nothing."""
    its = entry.c.account_id == row.account_id, entry.c.at >= row.closed_at
    paid = select(func.sum(entry.c.amount)).where(*its, entry.c.kind.in_(books.PAYMENTS), entry.c.amount < 0)
    return -int(tx.scalar(paid) or 0)


def _sent(flow: Flow, tx: Tx, row: Any, *, preview: bool) -> tuple[Message, ...]:
    hide = link.token(flow.link_key, row.public_id, row.generation) if preview else ""
    return planned.messages(flow, tx, row.public_id, hide=hide)[0]


def refuse_while_paid(tx: Tx, book: Book) -> None:
    """Raise No while money is under way for an account: nobody knows yet how much is left."""
    if book.id is not None and card.pending(tx.connection, [book.id]):
        raise No("the payer has just paid, and it is not recorded yet: look again in a moment")


def _lapse_then(tx: Tx, request_id: str, ends: dt.datetime | None) -> None:
    """Let a request end then; one without an end is left alone when the errand finds it."""
    if ends is not None:
        errands.move(tx, "lapse", request_id, f"lapse:{request_id}", ends)


def _put(said: dict[str, Any], key: str, value: Any) -> None:
    said.pop(key, None)
    if value:
        said[key] = value


def _done(tx: Tx, request_id: str, book: Book, by: str, verb: str, text: str, why: str = "") -> Changed:
    acts.note(tx, by, verb, f"request:{request_id}", "; ".join(filter(None, (text, why))))
    return Changed(request_id, _state(book), text)


def _state(book: Book) -> str:
    """Return the state of the request that was worked on."""
    assert book.ask is not None or book.closed
    return str(book.closed[-1].state if book.ask is None else states.Request.OPEN)
