"""remind: whoever was asked and has not paid hears of it again, on the days that the facility's policy names.

The errand of a request runs at each of its steps. A step is taken once, whatever happens: its name, with the day from
which it counts, stands on the notice. Steps that were missed while nothing ran become one reminder, the latest; those
that came while there was nothing to say are over. Open requests of one payer whose steps are near each other share it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, insert, or_, select, update

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card, family
from chartpost.adapter.flow.requests import plan as plans
from chartpost.adapter.flow.telling import allowed, notify, reach
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import consents, errands, holds, payers, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, notice, notice_cover, request
from chartpost.adapter.ledger.tables import errand as table
from chartpost.adapter.policy import Reminders

#: The time of the facility's day at which a step comes; quiet hours may put the message itself off.
HOUR = dt.time(10)
#: So many days after the last reminder of something that is due a person is told that it was not paid.
PATIENCE = 7
#: How often it is looked whether the first message of a request went out at last.
AGAIN = dt.timedelta(hours=1)
OVER = "over"  #: the step at which a person is told
#: The payer has it, or may have.
_TOLD = (states.Notice.SENT, states.Notice.DELIVERED, states.Notice.UNKNOWN)


class Step(NamedTuple):
    """One moment of the schedule."""

    at: dt.datetime
    name: str  #: "due-3 2026-06-01", "due 2026-06-01", "due+7 2026-06-01", "over 2026-06-01"


def steps(policy: Reminders, days: Iterable[dt.date], zone: ZoneInfo) -> list[Step]:
    """Return the schedule of what is due on these days, in the order of time. Pure."""
    offsets = {-n for n in policy.before} | ({0} if policy.on else set()) | set(policy.after)
    named = {n: f"due{n:+}" if n else "due" for n in offsets}
    named[max([0, *offsets]) + PATIENCE] = OVER
    found = (
        Step(dt.datetime.combine(day + n * allowed.DAY, HOUR, zone).astimezone(dt.UTC), f"{name} {day}")
        for day in days
        for n, name in named.items()
    )
    return sorted(found)


def plan(flow: Flow, tx: Tx, changed: Iterable[Book]) -> None:
    """See that the errand of each open request of these accounts comes at its next step, or before."""
    wanted: list[errands.Wanted] = []
    for book in changed:
        policy = flow.facility(book.facility).reminders
        if book.ask is None or policy is None or not book.ask.due_on:
            continue
        schedule = steps(policy, [dt.date.fromisoformat(book.ask.due_on)], flow.facility(book.facility).zone)
        if (first := _next(schedule, tx.now)) is not None:
            wanted.append(("remind", book.ask.public_id, f"remind:{book.ask.public_id}", first))
    if not wanted:
        return
    errands.add_all(tx, wanted)
    its = (
        table.c.kind == "remind", table.c.subject == bindparam("which"), table.c.state == states.Errand.DUE,
        errands.is_open(), table.c.due_at > bindparam("first"),
    )  # fmt: skip
    sooner = update(table).where(*its).values(due_at=bindparam("first"))
    tx.run(sooner, [{"which": subject, "first": first} for _, subject, _, first in wanted])


def soon(tx: Tx, request_id: str) -> None:
    """Reckon anew from now on, since a person changed the due date of a request, or that it is open, or paused."""
    errands.look_again(tx, "remind", request_id, f"remind:{request_id}")


def run(flow: Flow, errand: Errand) -> None:
    """Take the step of the request whose public id is the errand's subject, if one has come, and wait for the next."""
    with flow.store.write() as tx:
        own = _locked(tx, errand.subject)
        policy = flow.facility(own.facility).reminders if own is not None else None
        if own is None or policy is None or own.state != states.Request.OPEN:
            return errands.done(tx, errand)
        case = _case(flow, tx, own, policy)
        passed = [step for step in case.schedule if case.since < step.at <= tx.now]
        if passed and (wait := _remind(flow, tx, case, passed, policy)) is not None:
            return errands.again(tx, errand, wait, "the request itself has not gone out yet, or money is under way")
        following = _next(case.schedule, tx.now)
        return errands.done(tx, errand) if following is None else errands.again(tx, errand, following)


def _next(schedule: Sequence[Step], now: dt.datetime) -> dt.datetime | None:
    return next((step.at for step in schedule if step.at > now), None)


class _Case(NamedTuple):
    """An open request with what its reminders depend on."""

    row: Any
    parts: tuple[plans.Part, ...]
    schedule: list[Step]
    since: dt.datetime  #: steps until then were looked at
    taken: set[str]
    notices: Sequence[Any]  #: its requests and reminders

    def due(self, step: Step) -> int:
        """Return how many minor units a step is about: all that may not wait beyond the day from which it counts."""
        return plans.due_now(self.row.asked, self.parts, allowed.anchor(step.name))

    def told(self) -> dict[str, Way]:
        """Return by recipient's key to whom the request went, or may have."""
        asked = (one for one in self.notices if one.purpose == "request" and one.state in _TOLD and one.recipient)
        return {one.recipient_key: Way(one.notifier, one.channel, one.recipient.decode()) for one in asked}


def _locked(tx: Tx, request_id: str) -> Any:
    """Return a request with its account, once all accounts of its payer are ours alone; None where there is none."""
    own = tx.scalar(select(request.c.account_id).where(request.c.public_id == request_id))
    if own is None:
        return None
    everybody = or_(account.c.id == own, account.c.id.in_(payers.joined(own)))
    tx.all(select(account.c.id).where(everybody).order_by(account.c.id).with_for_update())
    return tx.one(_requests().where(request.c.public_id == request_id))


def _requests() -> Any:
    columns = (
        account.c.key, account.c.source, account.c.facility, account.c.patient, account.c.guarantor, account.c.others,
        account.c.stopped, account.c.patient_only,
    )  # fmt: skip
    return select(request, *columns).join(account, account.c.id == request.c.account_id)


def _case(flow: Flow, tx: Tx, row: Any, policy: Reminders) -> _Case:
    parts = plans.of(tx.connection, row.id)
    days = [part.due_on for part in parts] or ([dt.date.fromisoformat(row.due_on)] if row.due_on else [])
    looked = select(func.max(table.c.done_at)).where(table.c.kind == "remind", table.c.subject == row.public_id)
    about = notice.c.request_id == row.id, notice.c.purpose.in_(allowed.CAPPED)
    notices = tx.all(select(notice).where(*about).order_by(notice.c.id))
    covers = select(notice_cover.c.step).where(notice_cover.c.request_id == row.id)
    taken = {one.step for one in notices if one.purpose == "reminder"} | set(tx.connection.scalars(covers))
    since = max(filter(None, (row.opened_at, tx.scalar(looked))))
    return _Case(row, parts, steps(policy, days, flow.facility(row.facility).zone), since, taken, notices)


def _remind(flow: Flow, tx: Tx, case: _Case, passed: list[Step], policy: Reminders) -> dt.datetime | None:
    """Take the latest of the steps that have come; return when to look again where it is too early for that."""
    if case.row.paused or case.row.stopped:
        return None
    if card.pending(tx.connection, [case.row.account_id]):
        return tx.now + allowed.UNDER_WAY
    if over := [step for step in passed if step.name.startswith(OVER)]:
        _over(tx, case, over[-1])
    fresh = [step for step in passed if step not in over and step.name not in case.taken]
    later = [step for step in case.schedule if step.name in case.taken]
    if not fresh or later[-1:] > fresh[-1:] or not case.due(fresh[-1]):
        return None
    if any(one.state == states.Notice.DUE and one.purpose == "request" for one in case.notices):
        return tx.now + AGAIN
    _send(flow, tx, case, fresh, _others(flow, tx, case, policy))
    return None


def _over(tx: Tx, case: _Case, step: Step) -> None:
    """Leave it to a person what was not paid although everything was said; take that back once it is paid."""
    obj = f"request:{case.row.public_id}"
    if not case.due(step):
        return holds.close(tx, obj, "reminders_over")
    what = "an instalment" if case.parts else "what is asked for"
    text = f"{what} was due on {allowed.anchor(step.name)}, and is not paid after the last reminder"
    fix = "call the payer, agree on a plan, or cancel the request; a retry sends its first message once more"
    return holds.add(tx, obj, "reminders_over", text, fix, holds.likeness("reminders_over", case.row.source))


def _send(flow: Flow, tx: Tx, case: _Case, fresh: list[Step], others: Sequence[tuple[_Case, str]]) -> None:
    ways = _ways(flow, case)
    for key, way in ways.items():
        if way.why_not is not None:
            obj = f"request:{case.row.public_id}"
            return holds.add(tx, obj, *way.why_not, holds.likeness(way.why_not[0], case.row.source))
        name = notify.tell(tx, case.row.key, case.row.id, way, purpose="reminder", step=fresh[-1].name)
        told = select(notice.c.id).where(notice.c.public_id == name).scalar_subquery()
        for other, step in others:
            if key in other.told():
                tx.run(insert(notice_cover).values(notice_id=told, request_id=other.row.id, step=step))
    for way in list(ways.values())[:1]:
        notify.skip(tx, case.row.id, way, [step.name for step in fresh[:-1]])
    return None


def _ways(flow: Flow, case: _Case) -> dict[str, Way]:
    """Return by recipient's key whom to remind: those who were told; by another way if no such contact is left.

    Nobody where nobody was told: there is a hold that says so.
    """
    told, contacts = case.told(), flow.facility(case.row.facility).contacts
    people = reach.ordered(case.row, contacts, case.row.said)
    still = {key: way for key, way in told.items() if reach.whose(people, way.channel, str(way.to)) is not None}
    if still or not told:
        return still
    way = notify.find_way(flow, case.row)
    return {consents.key(way.channel, way.to or ""): way}


def _others(flow: Flow, tx: Tx, case: _Case, policy: Reminders) -> list[tuple[_Case, str]]:
    """Return the other open requests of the payer that this reminder speaks of too, each with the step it takes."""
    until, found = tx.now + policy.together_days * allowed.DAY, []
    for owed in family.of(flow, tx.connection, case.row):
        if owed.own:
            continue
        other = _case(flow, tx, tx.one(_requests().where(request.c.id == owed.request_id)), policy)
        near = [step for step in other.schedule if other.since < step.at <= until and step.name not in other.taken]
        near = [step for step in near if not step.name.startswith(OVER) and other.due(step)]
        if near and not other.row.paused and not card.pending(tx.connection, [owed.account_id]):
            found.append((other, near[-1].name))
    return found
