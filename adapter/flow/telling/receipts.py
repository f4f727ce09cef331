"""Receipts: whoever has paid is told so once, in the transaction that recorded the payment.

It goes to whom the link went, by e-mail where that person has one. Whether it may go out is looked at when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import consent, notify, reach
from chartpost.adapter.flow.telling.reach import EMAIL, Way
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, notice, payment, request

#: What went out, and perhaps arrived.
_OUT = (states.Notice.SENT, states.Notice.DELIVERED)


def plan(flow: Flow, tx: Tx, payments: Sequence[str]) -> None:
    """Plan the receipt of one payment: the public ids of its rows, one for each account that it paid.

    Nobody gets one where the facility gives none, where the payer wants no messages, or where there is no way to them.
    """
    row = _first(tx, payments)
    if row is None or row.stopped or not flow.facility(row.facility).receipts:
        return
    way = _way(flow, tx, row)
    if way.to is None or way.why_not is not None:
        return
    place = {"source": row.source, "facility": row.facility, "notifier": way.notifier, "channel": way.channel}
    if consent.why_not(tx.connection, flow, **place, recipient=way.to) is None:
        notify.tell(tx, row.key, row.request_row, way, purpose="receipt", step=row.payment)


def _first(tx: Tx, payments: Sequence[str]) -> Any:
    """Return the first of these payments with its account and request."""
    people = (account.c.patient, account.c.guarantor, account.c.others, account.c.stopped, account.c.patient_only)
    statement = (
        select(
            payment.c.public_id.label("payment"), payment.c.request_id.label("request_row"), request.c.said,
            account.c.key, account.c.source, account.c.facility, *people,
        )
        .join(account, account.c.id == payment.c.account_id)
        .join(request, request.c.id == payment.c.request_id)
        .where(payment.c.public_id.in_(payments))
        .order_by(payment.c.id)
    )  # fmt: skip
    return tx.one(statement.limit(1))


def _way(flow: Flow, tx: Tx, row: Any) -> Way:
    """Return the way to whom the link went, by e-mail where there is one, else last; to nobody yet: the usual way."""
    asked = (notice.c.request_id == row.request_row, notice.c.purpose.in_(("request", "reminder")))
    sent = tx.all(
        select(notice.c.notifier, notice.c.channel, notice.c.recipient)
        .where(*asked, notice.c.state.in_(_OUT))
        .order_by(notice.c.id.desc())
    )
    people = reach.ordered(row, flow.facility(row.facility).contacts, row.said)
    # A number that the chart does not have any more may be anybody's by now.
    sent = [one for one in sent if reach.whose(people, one.channel, one.recipient.decode()) is not None]
    if not sent:
        return notify.find_way(flow, row)
    told = next((one for one in sent if one.channel == EMAIL), sent[0])
    to = told.recipient.decode()
    person = reach.whose(people, told.channel, to)
    address = reach.recipient(EMAIL, [person]) if person is not None else None
    if told.channel != EMAIL and address is not None:
        mailed = notify.way_to(flow, row, EMAIL, address)
        if mailed.why_not is None:
            return mailed
    return Way(told.notifier, told.channel, to)
