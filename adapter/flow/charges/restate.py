"""share: balance. A message states what is owed in all, and its account is set to that, with one entry: the difference.

The chart does not know all our payments when it states a balance. Of each one we know when it was made and when the
chart took it, and of the message when it was made (MSH-7, FHIR's `meta.lastUpdated`, else when it came):

    taken before that moment                       it is in the stated balance
    made after it, or certainly not in the chart   it is not, and is subtracted
    anything else                                  nobody knows, and the message waits for a person

So no cent is asked for twice, and none is forgotten. An engine may send an old message once more under new numbers and
with a new MSH-7: what was recorded (EVN-2) before the balance that counts raises nothing by itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from chartpost.adapter.flow.charges import elsewhere
from chartpost.adapter.flow.charges.lines import Decided, Verdict, hold
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import hold as hold_table
from chartpost.adapter.ledger.tables import message, payment, posting
from chartpost.mappings import moment
from chartpost.mappings.model import Money, Reading

DOUBT = "balance_in_doubt"
#: Why a message that changes nothing was ignored. It counts as a statement all the same: older ones are old.
STANDS = "it states the balance that stands here"
#: By how much two clocks may differ.
SKEW = dt.timedelta(minutes=2)
#: Payments that a hold names.
_SHOWN = 3


def restate(tx: Tx, row: Any, reading: Reading, book: Book, timezone: str) -> Decided:
    """Return the entry that brings the account to the stated balance, less what that does not hold yet, or a verdict.

    `timezone` (IANA) is the facility's, for times without an offset.
    """
    if reading.balance is None:
        return Verdict(states.Message.IGNORED, "it states no balance (share: balance)", [])
    if reading.balance.currency != book.currency:
        return hold("currency", f"a balance in {reading.balance.currency}", "state it in the account's currency")
    paid = _payments(tx, book)
    stated = snapshot(row.raw, row.received_at, timezone) if paid else (row.received_at, row.received_at)
    known = [(one, holds(told, stated)) for one, told in paid]
    doubt = [one for one, contained in known if contained is None]
    if doubt and reading.balance.minor == book.balance:
        return Verdict(states.Message.IGNORED, STANDS, [])
    if doubt and DOUBT not in row.waived.split():
        names = ", ".join(one.public_id for one in doubt[:_SHOWN])
        more = f" and {len(doubt) - _SHOWN} more" if len(doubt) > _SHOWN else ""
        return hold(
            DOUBT, f"nobody knows whether the stated balance holds what was paid through us: payment {names}{more}",
            "once the chart has accepted it, the next balance settles this: dismiss it; or compare with the chart, and "
            "if this balance holds the payment, retry with --yes",
        )  # fmt: skip
    beside = sum(one.amount for one, contained in known if contained is False)
    difference = reading.balance.minor - beside - book.balance
    less = f", less {Money(minor=beside, currency=book.currency)} paid through us since" if beside else ""
    if difference > 0 and DOUBT not in row.waived.split() and (later := _later(tx, row, book, timezone)):
        text = f"it was recorded before M{later}, whose balance counts, and states more"
        fix = "an old message that was sent once more: dismiss it; if what it states is owed now, retry with --yes"
        return hold(DOUBT, text, fix)
    if difference > 0 and DOUBT not in row.waived.split() and elsewhere.since_balance(book.lines):
        text = "nobody knows whether the stated balance holds what a person here said was paid otherwise"
        fix = "compare with the chart: if it does, retry with --yes; if not, dismiss it and wait for the next balance"
        return hold(DOUBT, text, fix)
    note = {"target": "balance", "path": "", "raw": "", "value": f"restated: {difference:+d} minor units{less}"}
    if difference == 0:
        return ([], [note]) if reading.status else Verdict(states.Message.IGNORED, STANDS, [note])
    return [(f"message:{row.id}:balance", "balance", difference, {})], [note]


def holds(told: Iterable[Any], stated: tuple[dt.datetime, dt.datetime]) -> bool | None:
    """Say whether a balance that was stated between two moments holds a payment; None: nobody knows. Pure.

    `told`: what is known of the payment at each chart that is told of it (paid_at, state, changed_at, rendered, waits:
    its refusal is still on the work list). Charts may differ, and nobody knows which one stated the balance.
    """
    answers = {_holds(one, *stated) for one in told}
    return answers.pop() if len(answers) == 1 else None


def _holds(told: Any, first: dt.datetime, last: dt.datetime) -> bool | None:
    if told.paid_at > last + SKEW:
        return False  # there was nothing to hold yet
    if told.state == states.Posting.ACCEPTED and told.changed_at < first - SKEW:
        return True
    if told.state == states.Posting.SHADOWED and told.answer_code and told.changed_at < first - SKEW:
        return True  # a person has typed it (typed.py)
    if told.state == states.Posting.DUE and not told.rendered:
        return False  # nothing has left us
    if told.state == states.Posting.REFUSED and told.waits:
        return False  # the chart said no, and nobody has posted it by hand
    return None


def snapshot(raw: bytes, received_at: dt.datetime, timezone: str) -> tuple[dt.datetime, dt.datetime]:
    """Return the first and the last moment at which a message may have been made, never after it came.

    What gives a day only may be of any hour of it. One that says nothing was made when it came.
    """
    try:
        found = moment.of_message(raw, ZoneInfo(timezone))
    except ValueError:
        found = None
    first, last = found or (received_at, received_at)
    return min(first, received_at), min(last, received_at)


def _later(tx: Tx, row: Any, book: Book, timezone: str) -> int:
    """Return the message whose balance counts, if it was recorded certainly later than this one; else 0."""
    last = max((line.message_id for line in book.lines if line.kind == "balance"), default=0)
    if last in (0, row.id):
        return 0
    raw = tx.scalar(select(message.c.raw).where(message.c.id == last))
    try:
        now, then = (moment.recorded(text, ZoneInfo(timezone)) for text in (row.raw, raw))
    except ValueError:
        return 0
    return last if now and then and now[1] <= then[0] else 0


def _payments(tx: Tx, book: Book) -> list[tuple[Any, list[Any]]]:
    """Return the account's payments, oldest first, each with what is known of it at its charts."""
    if book.id is None:
        return []
    open_hold = select(hold_table.c.id).where(
        hold_table.c.object == "posting:" + posting.c.public_id, hold_table.c.state == states.Hold.OPEN
    )
    statement = (
        select(
            payment.c.id, payment.c.public_id, payment.c.amount, payment.c.paid_at, posting.c.state,
            posting.c.changed_at, posting.c.answer_code,
            posting.c.body.is_not(None).label("rendered"), open_hold.exists().label("waits"),
        )
        .outerjoin(posting, posting.c.payment_id == payment.c.id)
        .where(payment.c.account_id == book.id)
        .order_by(payment.c.id)
    )  # fmt: skip
    found: dict[int, tuple[Any, list[Any]]] = {}
    for row in tx.all(statement):
        found.setdefault(row.id, (row, []))[1].append(row)
    return list(found.values())
