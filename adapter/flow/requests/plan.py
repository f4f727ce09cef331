"""Instalments: what of a request may wait until when. Pure but for `choose`, which writes a plan down.

A plan is about what was asked when it was made: what is charged later is due as it comes, and a plan ends with its
request. What is due now is what is asked less what may still wait, so that whoever pays early has paid.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.ledger import acts, books, errands, holds
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, instalment, request
from chartpost.mappings.model import Money

Every = Literal["week", "two_weeks", "month"]
_DAYS = {"week": 7, "two_weeks": 14}
#: Who chose, where nobody of the practice did: the page.
PAYER = "payer"


class Part(NamedTuple):
    """One instalment: `amount` in minor units."""

    number: int  #: 1 …
    due_on: dt.date
    amount: int


def split(total: int, count: int, first: dt.date, every: Every) -> tuple[Part, ...]:
    """Split `total` minor units into `count` instalments, exactly: the first ones get the cents that are left over.

    Raises ValueError where a part would be nothing.
    """
    if not 1 <= count <= total:
        raise ValueError("an amount is split into at least one part, and none of them is nothing")
    each, over = divmod(total, count)
    return tuple(Part(n + 1, _after(first, n, every), each + (n < over)) for n in range(count))


def _after(first: dt.date, steps: int, every: Every) -> dt.date:
    """Return the date so many steps later; a month that has no such day has it on its last."""
    if every != "month":
        return first + dt.timedelta(days=_DAYS[every] * steps)
    years, month = divmod(first.month - 1 + steps, 12)
    year = first.year + years
    return dt.date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1]))


def due_now(asked: int, parts: Iterable[Part], today: dt.date) -> int:
    """Return how many minor units of what is asked may not wait any longer than today; all of it without a plan."""
    return asked - sum(part.amount for part in waiting(asked, parts, today))


def waiting(asked: int, parts: Iterable[Part], today: dt.date) -> tuple[Part, ...]:
    """Return what of so many minor units may wait, and until when: whoever has paid early has paid the next parts."""
    found: list[Part] = []
    for part in sorted((part for part in parts if part.due_on > today), reverse=True):
        if (amount := min(part.amount, asked)) > 0:
            found.insert(0, part._replace(amount=amount))
            asked -= amount
    return tuple(found)


def offers(facility: Facility, owed: int, today: dt.date) -> tuple[tuple[Part, ...], ...]:
    """Return the plans that a payer may choose for so many minor units, from few to many parts, the first one today."""
    plans = facility.plans
    if plans is None:
        return ()
    smallest = [facility.minor(one) for one in (plans.least, facility.amounts.part_minimum) if one is not None]
    most = min(plans.most, owed // max([1, *smallest]))
    return tuple(split(owed, count, today, plans.every) for count in range(2, most + 1))


def of(connection: Connection, request_id: int) -> tuple[Part, ...]:
    """Return the plan of a request (its row's id), in the order of its parts; () for none."""
    statement = select(instalment).where(instalment.c.request_id == request_id).order_by(instalment.c.number)
    return tuple(
        Part(row.number, dt.date.fromisoformat(row.due_on), row.amount) for row in connection.execute(statement)
    )


def choose(flow: Flow, which: str, count: int, by: str = PAYER) -> tuple[Part, ...]:
    """Write down the plan with `count` parts that the policy offers now; `which` is a link's token, or a request's id.

    Chosen again, nothing changes. Raises No where none is offered, or one is in force already.
    """
    with flow.store.write() as tx:
        book, ask = _open(tx, which, by)
        before = of(tx.connection, _id(ask))
        if before and by == PAYER and len(before) == count:
            return before
        if before and by == PAYER:
            raise No("a plan has been agreed already; ask the practice for another one")
        found = {len(one): one for one in offers(flow.facility(book.facility), ask.asked, _today(flow, tx, book))}
        if count not in found:
            raise No("no such plan is offered for what is asked now")
        _write(tx, book, ask, found[count], by, "")
        return found[count]


def agree(flow: Flow, which: str, parts: Sequence[tuple[dt.date, int]], by: str, why: str = "") -> tuple[Part, ...]:
    """Write down a plan of a person's own dates and amounts (minor units), in place of the one before.

    Raises No unless they add up to what is asked, each above zero, on dates that follow each other.
    """
    with flow.store.write() as tx:
        book, ask = _open(tx, which, by)
        dates, total = [date for date, _ in parts], Money(minor=ask.asked, currency=book.currency)
        if not parts or any(amount <= 0 for _, amount in parts) or sum(amount for _, amount in parts) != ask.asked:
            raise No(f"the parts of a plan are above zero and add up to what is asked, {total}")
        if dates != sorted(set(dates)) or dates[0] < _today(flow, tx, book):
            raise No("the dates of a plan follow each other, and none of them is over")
        found = tuple(Part(number, date, amount) for number, (date, amount) in enumerate(parts, start=1))
        _write(tx, book, ask, found, by, why)
        return found


def drop(flow: Flow, which: str, by: str, why: str = "") -> None:
    """End a plan: all that is asked is due again. Raises No where there is none."""
    with flow.store.write() as tx:
        book, ask = _open(tx, which, by)
        if not of(tx.connection, _id(ask)):
            raise No("the request has no plan")
        _write(tx, book, ask, (), by, why)


def _open(tx: Tx, which: str, by: str) -> tuple[Book, Ask]:
    """Return the account of a request, locked, with its open request."""
    named = request.c.token_hash == link.token_hash(which) if by == PAYER else request.c.public_id == which
    row = tx.one(select(account.c.key, request.c.public_id).where(named, request.c.account_id == account.c.id))
    book = books.load(tx, [row.key])[row.key] if row is not None else None
    if row is None or book is None or book.ask is None or book.ask.public_id != row.public_id:
        raise No("the request is closed: nothing is asked for any more")
    return book, book.ask


def _id(ask: Ask) -> int:
    assert ask.id is not None  # it was loaded
    return ask.id


def _today(flow: Flow, tx: Tx, book: Book) -> dt.date:
    return tx.now.astimezone(flow.facility(book.facility).zone).date()


def _write(tx: Tx, book: Book, ask: Ask, parts: tuple[Part, ...], by: str, why: str) -> None:
    tx.run(delete(instalment).where(instalment.c.request_id == ask.id))
    rows = [{"request_id": ask.id, "number": n, "due_on": on.isoformat(), "amount": amount} for n, on, amount in parts]
    if rows:
        tx.run(insert(instalment), rows)
    told = ", ".join(f"{Money(minor=part.amount, currency=book.currency)} on {part.due_on}" for part in parts)
    acts.note(tx, by, "plan", f"request:{ask.public_id}", "; ".join(filter(None, (told or "no plan any more", why))))
    holds.close(tx, f"request:{ask.public_id}", "reminders_over")
    errands.look_again(tx, "remind", ask.public_id, f"remind:{ask.public_id}")
