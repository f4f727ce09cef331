"""A request follows the balance of its account: opened, raised, lowered, closed. Pure: changes the book in memory.

It does so silently, under the same link: one notice when it opens, and the page always shows what is owed now.
"""

from __future__ import annotations

import datetime as dt

from chartpost.adapter.flow.asking import link
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.adapter.ledger.gathering import Window
from chartpost.adapter.ledger.ids import public_id
from chartpost.mappings.model import Money

#: A request waits for more charges for so many times its hours, and no longer.
PATIENCE = 3


def follow(
    book: Book, link_key: bytes, now: dt.datetime, days: int | None, *, paying: bool = False, gather: int | None = None
) -> str:
    """Bring the request into line with the balance; return in a few words what happened, "" when nothing did.

    `days`: a request expires after so many (None: never); `paying`: money through us moved the balance; `gather`: hours
    without a new charge before a request opens (None: at once).
    """
    owed, ask = book.balance, book.ask
    if ask is None:
        if owed <= 0:
            book.window = None
        if owed <= 0 or paying:  # what was paid late, after a request had ended, is no reason to ask again
            return ""
        return _open(book, link_key, now, days) if gather is None else _wait(book, now, dt.timedelta(hours=gather))
    if owed <= 0:
        ask.state = states.Request.PAID if paying else states.Request.SETTLED
        ask.asked = 0
        book.closed.append(ask)
        book.ask = None
        _withdraw_session(book, 0)
        return f"request {ask.state}"
    before, ask.asked = ask.asked, owed
    _withdraw_session(book, owed)
    if owed == before:
        return ""
    was, now_owed = Money(minor=before, currency=book.currency), Money(minor=owed, currency=book.currency)
    return f"request {'raised' if owed > before else 'lowered'} from {was.amount} to {now_owed}"


def opens(book: Book, amount: int) -> bool:
    """Say whether an entry of `amount` minor units makes `follow` open a request, or wait to open one."""
    return book.ask is None and book.window is None and book.balance + amount > 0


def _wait(book: Book, now: dt.datetime, span: dt.timedelta) -> str:
    """Ask later: `span` after the last charge, and not beyond three times that after the first."""
    charged = any(row["amount"] > 0 for row in book.entries)
    if book.window is None or charged:
        first = book.window.first if book.window else now
        book.window = Window(first, min(now + span, first + PATIENCE * span))
        book.gathers = True
    return f"to be asked for from {book.window.due:%Y-%m-%d %H:%M} UTC"


def _open(book: Book, link_key: bytes, now: dt.datetime, days: int | None) -> str:
    request_id = public_id("R")
    ask = Ask(request_id, book.balance, token_hash=link.token_hash(link.token(link_key, request_id)))
    if days is not None:
        ask.expires_at = now + dt.timedelta(days=days)
        book.errands.append(("lapse", request_id, f"lapse:{request_id}", ask.expires_at))
    book.ask, book.window = ask, None
    return "request opened"


def _withdraw_session(book: Book, owed: int) -> None:
    """Close the card page that would take more than is owed now."""
    if book.session is not None and book.session[1] > owed:
        book.errands.append(("expire", book.session[0], f"expire:{book.session[0]}", None))
