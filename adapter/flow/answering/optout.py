"""A word of consent takes effect: who is due to be written to is not, and who could not be may be, by now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, or_, select

from chartpost.adapter.flow.attempt import interrupted
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import consent, notify, retell
from chartpost.adapter.flow.telling.reach import Why
from chartpost.adapter.ledger import books, consents, states
from chartpost.adapter.ledger.consents import Word
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, notice, request


def take(
    flow: Flow, tx: Tx, channel: str, value: str, word: Word, *, facilities: Iterable[str] = (), notifier: str = ""
) -> list[int]:
    """Write a word of consent down, with all that follows; return the ids of its rows, [] where it says nothing new.

    It is about a number (E.164) or address and these facilities, or whoever writes through a notifier.
    """
    added = consent.record(flow, tx, channel, value, word, facilities=facilities, notifier=notifier)
    if added:
        follow(flow, tx, channel, value, word.state)
    return added


def follow(flow: Flow, tx: Tx, channel: str, value: str, state: str) -> None:
    """Give a word that is on record its effect on what is due."""
    key = consents.key(channel, value)
    written = select(notice.c.request_id).where(notice.c.recipient_key == key, notice.c.channel == channel)
    mine = select(account.c.key).join(request, request.c.account_id == account.c.id)
    waits = written.where(notice.c.state == states.Notice.DUE)
    concerned = mine.where(
        or_(request.c.id.in_(waits), and_(request.c.state == states.Request.OPEN, request.c.id.in_(written)))
    )
    # Whoever plans or takes back a notice holds its account first.
    shelf = books.load(tx, [row.key for row in tx.all(concerned)])
    if state == consents.GRANTED:
        retell.plan(flow, tx, shelf.values())
    else:
        _block(flow, tx, channel, key)


def _block(flow: Flow, tx: Tx, channel: str, key: str) -> None:
    """Take back what is due to this number or address and may not go out any more; the next channel may do."""
    columns = (
        notice.c.public_id, notice.c.notifier, notice.c.recipient, account.c.source, account.c.facility,
    )  # fmt: skip
    # What staff are told is no message to a payer.
    due = (
        notice.c.recipient_key == key, notice.c.channel == channel, notice.c.state == states.Notice.DUE,
        notice.c.purpose != "staff",
    )  # fmt: skip
    rows = tx.all(
        select(*columns)
        .join(request, request.c.id == notice.c.request_id)
        .join(account, account.c.id == request.c.account_id)
        .where(*due)
        .order_by(notice.c.id)
        .with_for_update(of=notice)
    )
    for row in rows:
        why = _why_not(flow, tx, channel, row)
        if why is None or interrupted(tx.connection, f"notice:{row.public_id}"):
            continue  # of what is being sent right now, whoever sends it will know more
        if notify.move(tx, row.public_id, states.Notice.BLOCKED):
            notify.fall_back(flow, tx, row.public_id, why)


def _why_not(flow: Flow, tx: Tx, channel: str, row: Any) -> Why | None:
    return consent.why_not(
        tx.connection, flow, source=row.source, facility=row.facility, notifier=row.notifier, channel=channel,
        recipient=row.recipient.decode(),
    )  # fmt: skip
