"""Whether a notice may go out now, looked at when it is sent and nowhere else: go, later, or never and why.

Requests and reminders must still be wanted, and to everybody but staff the stop list, consent, what services said of a
number, and quiet hours apply; requests and reminders also count against the weekly cap. What somebody has just asked
for, a code, waits for neither hours nor cap, and neither does a receipt by e-mail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.flow.telling import consent, dead_ends, quiet, reach
from chartpost.adapter.flow.telling.reach import EMAIL, SMS, Why
from chartpost.adapter.ledger import consents, states
from chartpost.adapter.ledger.tables import attempt, notice

#: Purposes of which one person gets no more than so many a week.
CAPPED = ("request", "reminder")
WEEK, DAY = dt.timedelta(days=7), dt.timedelta(days=1)
#: After so long it is looked again whether a payer's money has come; slow methods take days, and may fail.
UNDER_WAY = dt.timedelta(hours=1)
#: A code that comes later than this is of no use any more.
CODE_LASTS = dt.timedelta(minutes=10)
NEVER_OPEN: Why = (
    "never_open", "nobody is written to: quiet hours, days and holidays leave no time, here and where the payer is",
    "leave some open under the facility's `quiet`, and retry this hold",
)  # fmt: skip
EXPIRES_FIRST: Why = (
    "expires_first", "the request expires before anybody may be written to: quiet hours, or the weekly cap",
    "give the request more time, or give the link to the payer by other means",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Go:
    """It may go out."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not before `until`."""

    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Never:
    """It does not go out; `why` for whoever looks, None where nobody wants it any more."""

    why: Why | None = None


Verdict = Go | Later | Never


def judge(flow: Flow, connection: Connection, row: Any, now: dt.datetime) -> Verdict:
    """Say whether a notice may go out now; `row` is one of `notify.look`."""
    if not _wanted(flow, connection, row, now):
        return Never()
    if row.purpose == "reminder" and card.pending(connection, [row.account_id]):
        return Later(now + UNDER_WAY)
    if why := _why_not(flow, connection, row, now):
        return Never(why)
    if row.purpose in ("code", "staff") or (row.purpose, row.channel) == ("receipt", EMAIL):
        return Go()
    zones = quiet.zones_of(row.recipient.decode()) if row.channel == SMS else ()
    opens = quiet.open_from(now, flow.facility(row.facility), zones)
    if opens is None:
        return Never(NEVER_OPEN)
    if row.purpose in CAPPED:
        opens = max(opens, _capped_until(flow, connection, row, now))
    if opens > now and row.purpose in CAPPED and row.expires_at is not None and opens >= row.expires_at:
        return Never(EXPIRES_FIRST if row.purpose == "request" else None)
    return Go() if opens <= now else Later(opens)


def _wanted(flow: Flow, connection: Connection, row: Any, now: dt.datetime) -> bool:
    """Look whether what it is about is still so."""
    if row.purpose == "code":
        return bool(now - row.created_at < CODE_LASTS)
    if row.purpose not in CAPPED:
        return True
    if row.request_state != states.Request.OPEN or (row.expires_at is not None and row.expires_at <= now):
        return False
    if row.purpose == "request":
        return True
    later = select(notice.c.id).where(
        notice.c.request_id == row.request_row, notice.c.purpose == "reminder", notice.c.id > row.id,
        notice.c.step != row.step, notice.c.state != states.Notice.BLOCKED,
    )  # fmt: skip
    if row.paused or connection.execute(later).first() is not None:
        return False
    day, parts = anchor(row.step), plan.of(connection, row.request_row)
    days = [part.due_on.isoformat() for part in parts] or [row.due_on or day.isoformat()]
    if day.isoformat() not in days:  # a person has moved it, or a plan has
        return False
    return plan.due_now(row.asked, parts, day) > 0


def anchor(step: str) -> dt.date:
    """Return the day from which a reminder's step counts: "due+7 2026-06-01"."""
    return dt.date.fromisoformat(step.rpartition(" ")[2])


def _why_not(flow: Flow, connection: Connection, row: Any, now: dt.datetime) -> Why | None:
    """Look again at what a person, a service, the chart or a change of the configuration may have taken away."""
    if row.channel == EMAIL and flow.facility(row.facility).mail is None:
        return reach.NO_NOTIFIER
    if row.purpose == "staff":
        return None
    if row.stopped:
        return reach.stopped(row.stopped)
    to = row.recipient.decode()
    order = flow.facility(row.facility).contacts
    if reach.whose(reach.ordered(row, order, row.said), row.channel, to) is None:
        if row.patient_only:
            return reach.NO_OWN_CONTACT
        if row.purpose != "code":  # the number is somebody else's by now, perhaps
            return reach.GONE
    not_allowed = consent.why_not(
        connection, flow, source=row.source, facility=row.facility, notifier=row.notifier, channel=row.channel,
        recipient=to,
    )  # fmt: skip
    return not_allowed or dead_ends.why_not(connection, now, row.channel, to)


def _capped_until(flow: Flow, connection: Connection, row: Any, now: dt.datetime) -> dt.datetime:
    """Return from when on one more request or reminder to this number or address is below the cap."""
    sent = written(connection, consents.key(row.channel, row.recipient.decode()), now - WEEK, row.public_id)
    most = flow.facility(row.facility).messages_a_week
    until = now if most is None or len(sent) < most else sent[len(sent) - most][0] + WEEK
    # A reminder keeps its distance from what was said of the same request, whoever had it sent.
    near = [at + DAY for at, about in sent if about == row.request_row and row.purpose == "reminder"]
    return max([until, *near])


def written(
    connection: Connection, recipient_key: str, since: dt.datetime, but: str
) -> Sequence[tuple[dt.datetime, int]]:
    """Return when requests and reminders to a number or address went out, or may have, and of which request: in order.

    All but the notice `but` count, also one that is being sent at this moment.
    """
    rows = connection.execute(
        select(attempt.c.started_at, notice.c.request_id)
        .join(notice, attempt.c.subject == "notice:" + notice.c.public_id)
        .where(notice.c.recipient_key == recipient_key, notice.c.purpose.in_(CAPPED), notice.c.public_id != but)
        .where(attempt.c.started_at > since, attempt.c.outcome.in_(("", "done", "unknown")))
        .order_by(attempt.c.started_at)
    )
    return [(row.started_at, row.request_id) for row in rows]
