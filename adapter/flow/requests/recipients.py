"""Who is told about a request that a person works on: those whom they named, else whom the chart names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.telling import notify, retell
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import holds, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import notice

#: Within this time after it was sent a message may still arrive.
ON_ITS_WAY = dt.timedelta(minutes=10)
#: Holds that end when a person says once more who is to be told.
SETTLED = (
    "no_contact", "no_phone", "no_email", "no_consent", "no_notifier", "opted_out", "landline", "contact_gone",
    "notice_refused", "notice_undelivered", "notice_unknown", "account_stopped",
)  # fmt: skip
_TOLD = (states.Notice.DUE, states.Notice.SENT, states.Notice.DELIVERED, states.Notice.UNKNOWN)


def renew(flow: Flow, tx: Tx, book: Book, *, doubtful: bool = False) -> str:
    """Tell those who were named and not told yet, and take back what waits for others; say how many that were.

    `doubtful` those too of whom nobody knows whether they were told: a person has looked it up.
    """
    wanted, rows = notify.ways(flow, book), _notices(tx, book)
    now = {(way.channel, way.to) for way in wanted}
    for row in rows:
        if row.state == states.Notice.DUE and _to(row) not in now:
            retell.withdrawn(tx, row.public_id)
    told = {_to(row) for row in rows if row.state in _TOLD and not (doubtful and row.state == states.Notice.UNKNOWN)}
    new = [way for way in wanted if (way.channel, way.to) not in told]
    _tell(flow, tx, book, new)
    return f"{len(new)} more told" if new else "nobody new is told"


def again(flow: Flow, tx: Tx, book: Book, step: str, *, sure: bool) -> str:
    """Tell everybody once more; say how many. Raises No where somebody may be about to get the last message."""
    rows = _notices(tx, book)
    if any(row.state == states.Notice.DUE for row in rows):
        raise No("the payer is being told already; `chartpost notices` shows it")
    young = [row for row in rows if row.state == states.Notice.SENT and row.changed_at > tx.now - ON_ITS_WAY]
    if not sure and (young or any(row.state == states.Notice.UNKNOWN for row in rows)):
        raise No("the last message may have arrived, or still may: look it up, and say --yes to send another one")
    wanted = notify.ways(flow, book)
    _tell(flow, tx, book, wanted, step)
    sent = sum(way.why_not is None for way in wanted)
    return f"{sent} told once more" if sent else "nobody can be told: the work list says why"


def _tell(flow: Flow, tx: Tx, book: Book, wanted: Sequence[Way], step: str = "") -> None:
    assert book.ask is not None
    assert book.ask.id is not None
    obj = f"request:{book.ask.public_id}"
    for cause in SETTLED if wanted else ():
        holds.close(tx, obj, cause)
    for way in wanted:
        if way.why_not is not None:
            holds.add(tx, obj, *way.why_not, holds.likeness(way.why_not[0], book.source))
        else:
            notify.tell(tx, book.key, book.ask.id, way, step=step)


def _notices(tx: Tx, book: Book) -> Sequence[Any]:
    assert book.ask is not None
    its = notice.c.request_id == book.ask.id, notice.c.purpose.in_(("request", "reminder"))
    return tx.all(select(notice).where(*its).order_by(notice.c.id))


def _to(row: Any) -> tuple[str, str | None]:
    return row.channel, row.recipient.decode() if row.recipient else None
