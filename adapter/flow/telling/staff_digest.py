"""What people of the practice are told of the work list: by at most one e-mail an hour, how many new holds there are.

Nothing says whose they are. What may have gone out is not sent again; the next mail comes when there is something new.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, select, union

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.attempt import attempt, close
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import staff
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.ledger import cursors, errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, hold, payment, request
from chartpost.adapter.ports import Sent
from chartpost.adapter.users import User

#: How often it is looked whether there are new holds, and how long after a mail the next one may come.
LOOK, PAUSE = dt.timedelta(minutes=1), dt.timedelta(hours=1)
#: The hold that says that somebody of the practice was not told.
NOT_TOLD = "staff_not_told"


def begin(flow: Flow, tx: Tx) -> None:
    """Start to look for new holds, for each user who is told of them."""
    for name, user in flow.settings.users.items():
        if hears(user):
            errands.add(tx, "staff_digest", name, f"staff_digest:{name}")


def hears(user: User) -> bool:
    """Say whether a user is told of holds."""
    return "holds" in user.tell and "holds:read" in user.allowed and user.email is not None


def run(flow: Flow, errand: Errand) -> None:
    """Tell a user (the subject) how many holds have opened since the last time, and come back."""
    name, mark = errand.subject, f"staff_digest:{errand.subject}"
    user = flow.settings.users.get(name)
    with flow.store.write() as tx:
        if user is None or not hears(user):
            return errands.done(tx, errand)
        seen = int(cursors.value(tx, mark) or 0)
        last, counted = _new(tx, user, seen)
        if not counted:
            return errands.again(tx, errand, tx.now + LOOK)
    told, subject = user, f"{mark}/{seen}"  # the same however many more have opened since a mail was cut off
    tried = attempt(flow.store, subject, lambda: _send(flow, told, f"{name}-{last}", counted), repeatable=False)
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.outcome == "transient":
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        cursors.put(tx, mark, str(last))
        if tried.outcome == "done":
            holds.close(tx, f"user:{name}", NOT_TOLD)
        else:
            fix = "correct the user's address, or what the mail server does not like, then dismiss this"
            holds.add(tx, f"user:{name}", NOT_TOLD, f"{name} was not told of new holds: {tried.detail}", fix)
        return errands.again(tx, errand, tx.now + PAUSE)


def _new(tx: Tx, user: User, seen: int) -> tuple[int, Counter[str]]:
    """Return the newest hold, and of those after `seen` that are still open how many there are of each cause.

    Who may see some facilities only hears of what hangs on an account there.
    """
    where = [hold.c.id > seen, hold.c.cause != NOT_TOLD]  # else one mail that fails would be the reason for the next
    if user.facilities:
        where.append(hold.c.object.in_(_objects(user.facilities)))
    rows = tx.all(select(hold.c.id, hold.c.cause, hold.c.state).where(*where))
    return max((row.id for row in rows), default=seen), Counter(r.cause for r in rows if r.state == states.Hold.OPEN)


def _objects(facilities: Sequence[str]) -> CompoundSelect[Any]:
    there = account.c.facility.in_(facilities)
    return union(
        select("account:" + account.c.id.cast(hold.c.object.type)).where(there),
        select("request:" + request.c.public_id).join(account, account.c.id == request.c.account_id).where(there),
        select("payment:" + payment.c.public_id).join(account, account.c.id == payment.c.account_id).where(there),
    )


def _send(flow: Flow, user: User, reference: str, counted: Mapping[str, int]) -> Sent:
    """Send through the first facility that has a notifier for e-mail. Raises Permanent where none has."""
    for name, facility in flow.settings.facilities.items():
        if user.facilities and name not in user.facilities:
            continue
        if (way := staff.way_to(flow, user, name)) is not None:
            many = ", ".join(f"{count} × {cause}" for cause, count in sorted(counted.items()))
            said = wording.staff_letter(facility, f"New on the work list: {many}.")
            return flow.world.notifiers[way.notifier].send(wording.mail(facility, way.to or "", said, reference))
    raise Permanent("no facility of theirs has a notifier that sends e-mail")
