"""Amounts that do not go out by themselves: above `review_above` or `maximum` of a facility a person looks first."""

from __future__ import annotations

from collections.abc import Iterable

from chartpost.adapter.flow.asking import ask
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import holds
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.mappings.model import Money

REVIEW, MAXIMUM = "above_review", "above_maximum"


def tell(flow: Flow, tx: Tx, changed: Iterable[Book]) -> None:
    """Say of accounts that were written in this transaction whether a person has to look before more is asked."""
    moved = [(f"account:{book.id}", book, *_above(flow, book)) for book in changed if book.was != book.balance]
    holds.close_many(tx, [obj for obj, _, cause, _ in moved if not cause], (REVIEW, MAXIMUM))
    for obj, book, cause, most in moved:
        if not cause:
            continue
        holds.close(tx, obj, MAXIMUM if cause == REVIEW else REVIEW)
        owed = f"{Money(minor=ask.wanted(book), currency=book.currency)} is owed, and"
        text = f"{owed} no more than {Money(minor=most, currency=book.currency)} is asked for without a person's word"
        fix = "if the amount is right, retry this hold with --yes and it is asked for; else correct it in the chart"
        if cause == MAXIMUM:
            text = f"{owed} more than {flow.facility(book.facility).amounts.maximum} {book.currency} is never asked for"
            fix = "correct it in the chart or settle it by other means; amounts.maximum of the facility says no more"
        holds.add(tx, obj, cause, text, fix, holds.likeness(cause, book.source))


def _above(flow: Flow, book: Book) -> tuple[str, int]:
    """Return the cause for which more than so many minor units are not asked for, "" where nothing is above."""
    facility, owed = flow.facility(book.facility), ask.wanted(book)
    most, maximum = ask.limit(book, facility), facility.amounts.maximum
    if most is None or owed <= most:
        return "", 0
    return (MAXIMUM if maximum is not None and owed > facility.minor(maximum) else REVIEW), most


def seen(tx: Tx, book: Book) -> None:
    """Close what waits for a person to look at the amount of an account: somebody has."""
    holds.close_many(tx, [f"account:{book.id}"], (REVIEW, MAXIMUM))
