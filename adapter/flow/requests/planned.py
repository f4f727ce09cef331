"""What would be sent for a request, word for word: its notices in this transaction, also in one that is rolled back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Connection, select

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import allowed, notify
from chartpost.adapter.flow.telling.reach import SMS
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.flow.wording import segments
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import hold, notice, request

#: Stands for each character of a token in a preview: the link is as long as the real one, and leads nowhere.
_HIDDEN = "x"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient, word for word; or why there is none."""

    channel: str  #: sms, email
    notifier: str
    to: str  #: the number or address
    subject: str  #: of an e-mail
    text: str  #: in a preview the link in it leads nowhere, and is as long as the real one
    segments: int  #: of an SMS: as many as are paid for
    later: dt.datetime | None = None  #: not before then: quiet hours, the weekly cap
    why_not: str = ""  #: it is not sent
    fix: str = ""


class _RolledBack(Exception):
    """Nothing of it is to stay."""


@contextmanager
def writing(flow: Flow, *, preview: bool) -> Iterator[Tx]:
    """Run one write transaction; with `preview` all of it is rolled back at the end."""
    with suppress(_RolledBack), flow.store.write() as tx:
        yield tx
        if preview:
            raise _RolledBack


def messages(flow: Flow, tx: Tx, request_id: str, *, hide: str = "") -> tuple[tuple[Message, ...], str]:
    """Return what whoever is told of a request in this transaction gets; and where that is nobody, why.

    `hide`: a token that is shown as none.
    """
    inside = replace(flow, store=cast(Store, _Inside(tx)))
    its = select(notice.c.public_id).join(request, request.c.id == notice.c.request_id)
    its = its.where(request.c.public_id == request_id, notice.c.recipient.is_not(None), notice.c.created_at == tx.now)
    told = tx.connection.scalars(its.order_by(notice.c.id)).all()
    found = tuple(message for one in told for message in _chain(inside, tx, one, hide))
    if any(not one.why_not for one in found):
        return found, ""
    waits = select(hold).where(hold.c.object == f"request:{request_id}", hold.c.state == states.Hold.OPEN)
    why = "; ".join(f"{row.text} ({row.fix})" for row in tx.all(waits.order_by(hold.c.id)))
    return found, why or "nobody is told"


def _chain(flow: Flow, tx: Tx, notice_id: str, hide: str) -> Iterator[Message]:
    """Yield what a notice comes to, and where it may not go out what follows by the next channel."""
    row = SimpleNamespace(**notify.look(tx.connection, notice_id)._mapping)
    yield (message := _message(flow, tx, row, hide))
    while message.why_not and not (row.said or {}).get("recipients"):
        way = notify.find_way(flow, row, after=row)
        if way.why_not is not None or way.to is None:
            return
        row = SimpleNamespace(
            **vars(row) | {"notifier": way.notifier, "channel": way.channel, "recipient": way.to.encode()}
        )
        yield (message := _message(flow, tx, row, hide))


def _message(flow: Flow, tx: Tx, row: Any, hide: str) -> Message:
    to, verdict = row.recipient.decode(), allowed.judge(flow, tx.connection, row, tx.now)
    why = notify.way_to(flow, row, row.channel, to).why_not
    why = why or (verdict.why if isinstance(verdict, allowed.Never) else None)
    if why is not None:
        return Message(row.channel, row.notifier, to, "", "", 0, None, why[1], why[2])
    try:
        said = wording.compose(flow, SimpleNamespace(**vars(row) | {"language": notify.spoken(flow, row)}))
    except Permanent as error:
        return Message(row.channel, row.notifier, to, "", "", 0, None, str(error), "see `chartpost templates check`")
    count = segments.measure(said.body).segments if row.channel == SMS else 0
    text = said.body.replace(hide, _HIDDEN * len(hide)) if hide else said.body
    later = verdict.until if isinstance(verdict, allowed.Later) else None
    return Message(row.channel, row.notifier, to, said.subject, text, count, later)


class _Inside:
    """Reads within a transaction what it has not committed yet: the words of a notice that may never be one."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def clock(self) -> dt.datetime:
        return self._tx.now

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._tx.connection
