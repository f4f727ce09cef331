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
    for book in changed:
        if book.was == book.balance:
            continue
        facility, owed = flow.facility(book.facility), ask.wanted(book)
        most, maximum = ask.limit(book, facility), facility.amounts.maximum
        cause = MAXIMUM if maximum is not None and owed > facility.minor(maximum) else REVIEW
        above = most is not None and owed > most
        for other in (REVIEW, MAXIMUM):
            if not above or other != cause:
                holds.close(tx, f"account:{book.id}", other)
        if most is None or not above:
            continue
        text = f"{Money(minor=owed, currency=book.currency)} is owed, and no more than "
        text += f"{Money(minor=most, currency=book.currency)} is asked for without a person's word"
        fix = "if the amount is right, retry this hold with --yes and it is asked for; else correct it in the chart"
        if cause == MAXIMUM:
            fix = "correct it in the chart or settle it by other means; amounts.maximum of the facility says no more"
        holds.add(tx, f"account:{book.id}", cause, text, fix, holds.likeness(cause, book.source))
