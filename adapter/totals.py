"""Control totals: how much a destination was told of in one batch, to be compared with what the chart adds up.

Reads only. What the chart accepted is what its own batch should come to; the rest waits, or is a hold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import account, payment, posting
from chartpost.adapter.views import View, money

#: What a posting's state counts as. What waits was told, or is about to be, and has no last word yet.
_COUNTS_AS = {
    states.Posting.ACCEPTED: "accepted",
    states.Posting.REFUSED: "refused",
    states.Posting.UNKNOWN: "unknown",
}
WAITING = "waiting"
#: The columns of amounts: all of them, then by state.
COLUMNS = ("all", "accepted", WAITING, "refused", "unknown")


def totals(connection: Connection, day: dt.date | None, zones: Mapping[str, str], now: dt.datetime) -> list[View]:
    """Return one row for each destination, batch and currency of a day; None is today.

    A day is one of the facility's own calendar (`zones`: IANA names by facility). A refund or dispute takes away.
    """
    noon = dt.datetime.combine(day or now.date(), dt.time(12), dt.UTC)
    near = posting.c.created_at.between(noon - dt.timedelta(days=2), noon + dt.timedelta(days=2))
    statement = (
        select(
            posting.c.destination, posting.c.batch, posting.c.kind, posting.c.state, posting.c.created_at,
            payment.c.amount, payment.c.currency, account.c.facility,
        )
        .join(payment, payment.c.id == posting.c.payment_id)
        .join(account, account.c.id == payment.c.account_id)
        .where(near, posting.c.state != states.Posting.SHADOWED)  # of those nobody is told
    )  # fmt: skip
    sums: dict[tuple[str, str, str], dict[str, list[int]]] = {}
    for row in connection.execute(statement):
        zone = ZoneInfo(zones.get(row.facility, "UTC"))
        if row.created_at.astimezone(zone).date() != (day or now.astimezone(zone).date()):
            continue
        found = sums.setdefault((row.destination, row.batch, row.currency), {name: [0, 0] for name in COLUMNS})
        for name in ("all", _COUNTS_AS.get(states.Posting(row.state), WAITING)):
            found[name][0] += 1
            found[name][1] += row.amount if row.kind == "payment" else -row.amount
    return [_view(*key, sums[key]) for key in sorted(sums)]


def _view(destination: str, batch: str, currency: str, sums: Mapping[str, list[int]]) -> View:
    amounts: dict[str, Any] = {
        name: {"postings": count, "amount": money(minor, currency), "amount_minor": minor}
        for name, (count, minor) in sums.items()
    }
    return {"destination": destination, "batch": batch, "currency": currency, **amounts}
