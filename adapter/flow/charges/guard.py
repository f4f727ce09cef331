"""The blast guard of a source: an old feed that is played again, or a flood, waits for a person before anybody is told.

Two limits. Charges of long ago hold their message as `old_charges`. Once a source has opened so many requests within
an hour, further messages that would open one are held as `too_many_requests`; whatever concerns a request that is open
goes on. How many were opened is a row in the table `cursor`, written in the transaction that opens them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from chartpost.adapter.flow.asking import ask
from chartpost.adapter.flow.charges.lines import Counted, Verdict, hold
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import cursor
from chartpost.mappings.model import Reading

OLD, MANY = "old_charges", "too_many_requests"
#: Minutes that are counted: the one that runs, and sixty whole ones before it.
_MINUTES = 61


class Opened:
    """How many requests a source opened lately, by the minute. Pure; it is stored as text: "29671200:3 29671201:1"."""

    def __init__(self, text: str, now: dt.datetime) -> None:
        self.minute = int(now.timestamp()) // 60
        pairs = (pair.partition(":") for pair in text.split())
        self.counts = {int(minute): int(count) for minute, _, count in pairs if int(minute) > self.minute - _MINUTES}
        self.changed = False

    def add(self) -> None:
        """Count one more, now."""
        self.counts[self.minute] = self.counts.get(self.minute, 0) + 1
        self.changed = True

    @property
    def number(self) -> int:
        """How many in the last hour; up to a minute more is looked at, so that no hour ever has more."""
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        return " ".join(f"{minute}:{count}" for minute, count in sorted(self.counts.items()))


def load(flow: Flow, tx: Tx, sources: Iterable[str]) -> dict[str, Opened]:
    """Return the counts of those sources that have a limit, locked until the transaction ends."""
    limited = {
        f"opened:{name}": name
        for name in sources
        if name in flow.settings.sources and flow.source(name).guard.requests_an_hour is not None
    }
    if not limited:
        return {}
    found = _rows(tx, limited)
    if missing := limited.keys() - found.keys():
        tx.insert_new(cursor, [{"name": name, "value": "", "at": tx.now} for name in sorted(missing)])
        found = _rows(tx, limited)
    return {limited[name]: Opened(value, tx.now) for name, value in found.items()}


def _rows(tx: Tx, names: Iterable[str]) -> dict[str, str]:
    # In one order, so that two processes never wait for each other in a ring.
    wanted = select(cursor.c.name, cursor.c.value).where(cursor.c.name.in_(list(names)))
    return {row.name: row.value for row in tx.all(wanted.order_by(cursor.c.name).with_for_update())}


def save(tx: Tx, opened: Mapping[str, Opened]) -> None:
    """Write down what changed."""
    for name, counts in opened.items():
        if counts.changed:
            values = {"value": counts.text, "at": tx.now}
            tx.run(update(cursor).where(cursor.c.name == f"opened:{name}").values(values))


def judge(
    flow: Flow, tx: Tx, row: Any, reading: Reading, book: Book, counted: Sequence[Counted], opened: Mapping[str, Opened]
) -> Verdict | None:
    """Return the verdict that holds a message, or None: then what it opens is counted.

    `counted` is what it would add to the account. What a person has waived is not asked again, and not counted either.
    """
    limits, waived = flow.source(row.source).guard, row.waived.split()
    total = sum(amount for _, _, amount, _ in counted)
    if limits.older_than_days is not None and total > 0 and OLD not in waived:
        today = tx.now.astimezone(ZoneInfo(flow.facility(book.facility).timezone)).date()
        if old := too_old(reading, counted, today, limits.older_than_days):
            places = ", ".join(f"FT1[{ordinal}]" for ordinal in old) if not reading.status else f"the {reading.type}"
            return hold(
                OLD, f"{places}: a charge of more than {limits.older_than_days} days ago",
                "if it is to be asked for all the same: chartpost holds retry --cause old_charges --yes",
            )  # fmt: skip
    counts = opened.get(row.source)
    if counts is None or not ask.opens(book, total, flow.facility(book.facility)) or MANY in waived:
        return None
    if counts.number >= (limits.requests_an_hour or 0):
        return hold(
            MANY, f"its source has opened {limits.requests_an_hour} requests within an hour; this would be one more",
            "if they are meant: chartpost holds retry --cause too_many_requests --yes; if a feed was played again, "
            "dismiss them",
        )  # fmt: skip
    counts.add()
    return None


def too_old(reading: Reading, counted: Sequence[Counted], today: dt.date, days: int) -> list[int]:
    """Return the ordinals of the lines that raise what is owed, and whose service is longer ago than `days`. Pure.

    A line that states no date of service is not old: nobody knows.
    """
    raising = {cause.split(":")[2] for cause, _, amount, _ in counted if amount > 0}
    return [
        charge.ordinal
        for charge in reading.charges
        if str(charge.ordinal) in raising
        and charge.service_date is not None
        and (today - charge.service_date).days > days
    ]
