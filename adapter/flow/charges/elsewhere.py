"""Money that a person here says was paid otherwise: in cash, at the desk's terminal. Pure: changes the book in memory.

The chart's own cashier books it, too, and the chart then tells of it. That is the same money, and counts no second
time: the line is kept as an entry of 0 beside the one that the person made, so that the next of its amount is another,
that it is known when it is sent again, and that the money is owed again when the chart takes it back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from chartpost.adapter.ledger.books import ELSEWHERE, Book
from chartpost.adapter.ledger.reversals import MONEY, TOLD, Line

NOTE = "the same money as a person here said was paid otherwise: counted already"


def add(book: Book, act: int, amount: int, at: dt.datetime) -> None:
    """Lower an account by `amount` minor units that were paid otherwise, as act number `act` says."""
    book.add(f"act:{act}", ELSEWHERE, -amount, at)


def take_back(book: Book, act: int, amount: int, at: dt.datetime) -> None:
    """Raise an account again by `amount` minor units: it was a mistake to say that they were paid otherwise.

    What of an advance they had paid is asked for again.
    """
    if book.ask is not None and book.ask.advance:
        book.ask.advance += amount
    book.add(f"act:{act}", ELSEWHERE, amount, at)


def told(lines: Iterable[Line], amount: int) -> bool:
    """Say whether the chart told of a payment of so many minor units that counts."""
    return any(line.kind in MONEY and line.amount == -amount and not line.reversed for line in lines)


def awaited(lines: Sequence[Line], amount: int) -> bool:
    """Say whether a person recorded a payment of so many minor units of which the chart has not told yet.

    What was recorded before the chart last stated what is owed in all is in that.
    """
    lines = lines[max((n for n, line in enumerate(lines, 1) if line.kind == "balance"), default=0) :]
    own = [line.amount for line in lines if line.kind == ELSEWHERE]
    return own.count(-amount) - own.count(amount) > sum(line.item == f"{TOLD}{amount}" for line in lines)


def since_balance(lines: Iterable[Line]) -> int:
    """Return how many minor units a person recorded since the chart last stated what is owed in all."""
    total = 0
    for line in lines:
        total = 0 if line.kind == "balance" else total - line.amount if line.kind == ELSEWHERE else total
    return total


def mark(line: Line, amount: int) -> Line:
    """Return what is kept of a line of the chart that tells of it: nothing more is paid by it."""
    return replace(line, amount=0, item=f"{TOLD}{amount}")
