"""A request follows the balance of its account: opened, raised, lowered, closed. Pure: changes the book in memory.

It does so silently, under the same link: one notice when it opens, and the page always shows what is owed now.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.asking import link
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.adapter.ledger.gathering import Window
from chartpost.adapter.ledger.ids import public_id
from chartpost.mappings.model import Money

#: A request waits for more charges for so many times its hours, and no longer.
PATIENCE = 3


def wanted(book: Book) -> int:
    """Return what there is to ask for, in minor units: the balance without what a person withheld, or an advance."""
    return max(book.balance - book.withheld, book.ask.advance if book.ask is not None else 0)


def limit(book: Book, facility: Facility) -> int | None:
    """Return up to how many minor units may be asked for without another word of a person; None: no limit."""
    most, review = facility.amounts.maximum, facility.amounts.review_above
    limits = [] if review is None else [max(facility.minor(review), book.approved)]
    if most is not None:
        limits.append(facility.minor(most))
    return min(limits, default=None)


def follow(
    book: Book, link_key: bytes, now: dt.datetime, facility: Facility, *, paying: bool = False, gather: bool = False
) -> str:
    """Bring the request into line with the balance; return in a few words what happened, "" when nothing did.

    `paying`: money through us moved the balance; `gather`: the facility may wait for more charges before it asks.
    """
    book.withheld = max(0, min(book.withheld, book.balance))
    owed, most, ask = wanted(book), limit(book, facility), book.ask
    if ask is None:
        if owed <= 0:
            book.window = None
        waited = most is not None and book.was - book.withheld > most  # for a person, who need not look any more
        if owed <= 0 or (paying and not waited):  # what was paid late, after a request had ended, asks nobody again
            return ""
        if most is not None and owed > most:
            book.window = None
            return "not asked for: a person looks first"
        if facility.amounts.minimum is not None and owed < facility.minor(facility.amounts.minimum):
            book.window = None
            return "too little to be asked for"
        if gather and facility.gather_hours is not None:
            return _wait(book, now, dt.timedelta(hours=facility.gather_hours))
        return open_request(book, link_key, now, facility)
    if owed <= 0:
        close(book, states.Request.PAID if paying else states.Request.SETTLED)
        return f"request {book.closed[-1].state}"
    before, ask.asked = ask.asked, owed if most is None else min(owed, most)
    _withdraw_session(book, ask.asked)
    if ask.asked == before:
        return ""
    was, is_now = Money(minor=before, currency=book.currency), Money(minor=ask.asked, currency=book.currency)
    return f"request {'raised' if ask.asked > before else 'lowered'} from {was.amount} to {is_now}"


def close(book: Book, state: states.Request) -> None:
    """End the open request, and the card page that could still be paid."""
    assert book.ask is not None
    book.ask.state, book.ask.asked, book.ask.advance = state, 0, 0
    book.closed.append(book.ask)
    book.ask = None
    _withdraw_session(book, 0)


def opens(book: Book, amount: int, facility: Facility) -> bool:
    """Say whether an entry of `amount` minor units makes `follow` open a request, or wait to open one."""
    owed, most, least = book.balance + amount - book.withheld, limit(book, facility), facility.amounts.minimum
    out = (most is not None and owed > most) or (least is not None and owed < facility.minor(least))
    return book.ask is None and book.window is None and owed > 0 and not out


def _wait(book: Book, now: dt.datetime, span: dt.timedelta) -> str:
    """Ask later: `span` after the last charge, and not beyond three times that after the first."""
    charged = any(row["amount"] > 0 for row in book.entries)
    if book.window is None or charged:
        first = book.window.first if book.window else now
        book.window = Window(first, min(now + span, first + PATIENCE * span))
        book.gathers = True
    return f"to be asked for from {book.window.due:%Y-%m-%d %H:%M} UTC"


def open_request(book: Book, link_key: bytes, now: dt.datetime, facility: Facility, **said: Any) -> str:
    """Ask for what is wanted now; `said` are fields of Ask that a person filled in."""
    request_id = public_id("R")
    ask = Ask(request_id, 0, token_hash=link.token_hash(link.token(link_key, request_id)), **said)
    book.ask, book.window = ask, None
    ask.asked = wanted(book)
    if "expires_at" not in said and facility.request_days is not None:
        ask.expires_at = now + dt.timedelta(days=facility.request_days)
    if ask.expires_at is not None:
        book.errands.append(("lapse", request_id, f"lapse:{request_id}", ask.expires_at))
    ask.due_on = ask.due_on or due_on(now, facility)
    return "request opened"


def due_on(now: dt.datetime, facility: Facility) -> str:
    """Return the day (ISO) on which a request is due that opens now, "" where nobody is reminded."""
    if facility.reminders is None:
        return ""
    return (now.astimezone(facility.zone).date() + dt.timedelta(days=facility.reminders.due_days)).isoformat()


def _withdraw_session(book: Book, owed: int) -> None:
    """Close the card page that would take more than is owed now."""
    if book.session is not None and book.session[1] > owed:
        book.errands.append(("expire", book.session[0], f"expire:{book.session[0]}", None))
