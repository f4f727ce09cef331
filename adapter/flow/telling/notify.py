"""notify: one neutral message to one person by one channel, once, if it may go out (allowed.py) at that moment.

What is refused, or reported as not delivered, gives way to the next channel, in the same transaction. What may have
gone out never does: nobody is told twice by machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, text, update

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.attempt import Tried, attempt, close, interrupted
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import allowed, consent, dead_ends, reach
from chartpost.adapter.flow.telling.allowed import CAPPED, Go, Later, Never, Verdict
from chartpost.adapter.flow.telling.reach import EMAIL, SMS, Way, Why
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.ledger import consents, errands, holds, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, notice, notice_cover, request
from chartpost.adapter.ports import Sent

#: What says who may be written to.
_PEOPLE = (
    account.c.patient, account.c.guarantor, account.c.others, account.c.stopped, account.c.patient_only,
    request.c.said,
)  # fmt: skip
#: Nobody got it, and nobody will.
_NOTHING = (states.Notice.BLOCKED, states.Notice.UNDELIVERED)
#: After so many failures in a row to reach a service a person is told; we keep trying all the same.
TELL_AFTER = 5


def plan(flow: Flow, tx: Tx, opened: Sequence[Book]) -> None:
    """Write down to whom each new request goes, or why to nobody, in the transaction that opened it."""
    notices: list[dict[str, Any]] = []
    problems: dict[tuple[str, str], tuple[str, str, str, str, str]] = {}
    wanted: list[errands.Wanted] = []
    for book in opened:
        if book.ask is None:
            continue
        assert book.ask.id is not None  # it was written a moment ago
        for way in ways(flow, book):
            notices.append(_row(tx, book.ask.id, way))
            if way.why_not:
                obj, like = f"request:{book.ask.public_id}", holds.likeness(way.why_not[0], book.source)
                problems[obj, way.why_not[0]] = (obj, *way.why_not, like)
            else:
                wanted.append(("notify", notices[-1]["public_id"], lane("request", notices[-1]), None))
    if notices:
        tx.run(insert(notice), notices)
    holds.add_new(tx, list(problems.values()))
    errands.add_all(tx, wanted)


def fall_back(flow: Flow, tx: Tx, notice_id: str, why: Why) -> None:
    """Try the next channel, since this notice failed for good; open a hold that says why when there is none.

    Nothing happens once the request is closed, nor when a newer notice has taken over. Whom a person named has no
    other channel, and a receipt, a code and what staff are told are not sent by another.
    """
    tx.one(_select(notice_id).with_for_update(of=account))  # whoever plans a notice holds the account
    row = look(tx.connection, notice_id)
    if row.purpose not in CAPPED:
        return _failed(tx, row, why)
    same = [notice.c.request_id == row.request_row, notice.c.purpose == row.purpose, notice.c.step == row.step]
    named = bool((row.said or {}).get("recipients"))
    if named:
        same.append(notice.c.recipient_key == row.recipient_key)
    newest = tx.scalar(select(func.max(notice.c.id)).where(*same))
    if row.request_state != states.Request.OPEN or newest != row.id:
        return uncover(tx, notice_id)
    # Where a number is not theirs any more, their new one is another way.
    way = None if named else find_way(flow, row, after=None if why in (reach.GONE, reach.NO_OWN_CONTACT) else row)
    if way is None or way.why_not:
        uncover(tx, notice_id)
        return holds.add(tx, f"request:{row.request_id}", *why, holds.likeness(why[0], row.source))
    there = notice.c.recipient_key == consents.key(way.channel, way.to or ""), notice.c.state.not_in(_NOTHING)
    if tx.one(select(notice.c.id).where(*same, *there)):
        return uncover(tx, notice_id)  # they are told there already
    added = tell(tx, row.key, row.request_row, way, purpose=row.purpose, step=row.step)
    after = select(notice.c.id).where(notice.c.public_id == added).scalar_subquery()
    tx.run(update(notice_cover).where(notice_cover.c.notice_id == row.id).values(notice_id=after))
    return None


def uncover(tx: Tx, notice_id: str) -> None:
    """Leave whoever else a reminder would have spoken of to be reminded in their own time."""
    told = select(notice.c.id).where(notice.c.public_id == notice_id).scalar_subquery()
    tx.run(delete(notice_cover).where(notice_cover.c.notice_id == told))


def _failed(tx: Tx, row: Any, why: Why) -> None:
    """Tell a person that a receipt, or what staff should hear of, did not arrive; whoever wants a code asks again."""
    if row.purpose == "receipt":
        fix = "if the payer wants one, print it from the request's page; then dismiss this"
        holds.add(tx, f"notice:{row.public_id}", "receipt_not_sent", f"a receipt: {why[1]}", fix)
    elif row.purpose == "staff":
        fix = "correct the user's address in the configuration, then dismiss this"
        holds.add(tx, f"user:{row.staff}", "staff_not_told", f"news for {row.staff}: {why[1]}", fix)


def tell(
    tx: Tx, key: str, request_id: int, way: Way, *, purpose: str = "request", step: str = "", language: str = "",
    staff: str = "",
) -> str:  # fmt: skip
    """Write down that somebody is told by this way, about a request (its row's id, and the key of its account).

    Returns the notice's public id. `staff` is the user's name where the purpose is staff.
    """
    added = _row(tx, request_id, way) | {"purpose": purpose, "step": step, "language": language, "staff": staff}
    tx.run(insert(notice), [added])
    errands.add(tx, "notify", added["public_id"], lane(purpose, added))
    return str(added["public_id"])


def skip(tx: Tx, request_id: int, way: Way, steps: Sequence[str]) -> None:
    """Write down the reminders of a request that are not sent, since a later one has taken their place."""
    for step in steps:
        row = _row(tx, request_id, replace(way, to=None))
        tx.run(insert(notice), [row | {"purpose": "reminder", "step": step, "state": "blocked", "code": "skipped"}])


def lane(purpose: str, row: Mapping[str, Any]) -> str:
    """Return the lane of a notice, its own: one that waits for its hour holds up no other."""
    return f"notify:{purpose}:{row['public_id']}"


def look(connection: Connection, notice_id: str) -> Any:
    """Return a notice with what its request and its account say; None where there is none."""
    return connection.execute(_select(notice_id)).first()


def _select(notice_id: str) -> Select[Any]:
    return (
        select(
            notice.c.id, notice.c.public_id, notice.c.purpose, notice.c.step, notice.c.channel, notice.c.notifier,
            notice.c.recipient, notice.c.recipient_key, notice.c.staff, notice.c.state, notice.c.created_at,
            notice.c.language.label("notice_language"), notice.c.request_id.label("request_row"),
            request.c.public_id.label("request_id"), request.c.generation, request.c.state.label("request_state"),
            request.c.account_id, request.c.asked, request.c.expires_at, request.c.due_on, request.c.language,
            request.c.paused,
            account.c.key, account.c.source, account.c.facility, *_PEOPLE,
        )
        .join(request, request.c.id == notice.c.request_id)
        .join(account, account.c.id == request.c.account_id)
        .where(notice.c.public_id == notice_id)
    )  # fmt: skip


def run(flow: Flow, errand: Errand) -> None:
    """Send the notice whose public id is the errand's subject, if it is still wanted and allowed."""
    subject, sending, asking = f"notice:{errand.subject}", [], []

    def still(tx: Tx) -> bool:
        row = _locked(tx, errand.subject)
        if row is None or row.state != states.Notice.DUE:
            errands.done(tx, errand)
            return False
        # A call that was cut off is a question for a person, even if the notice is no longer wanted.
        verdict = Go() if interrupted(tx.connection, subject) else allowed.judge(flow, tx.connection, row, tx.now)
        if not isinstance(verdict, Go):
            _not_now(flow, tx, errand, row, verdict)
            return False
        to = row.recipient.decode()
        if row.channel == SMS and dead_ends.unasked(flow, tx.connection, to, row.notifier):
            asking.append((to, row.notifier))
            return False
        sending.append(_worded(flow, tx, row))
        return True

    def send() -> Sent:
        notifier = flow.world.notifiers.get(sending[0].notifier)
        if notifier is None:
            raise Permanent("its notifier is no longer in the configuration")
        return notifier.send(wording.compose(flow, sending[0]))

    tried = attempt(flow.store, subject, send, repeatable=False, still=still)
    if asking:  # what is learned is judged with all the rest
        dead_ends.line_of(flow, *asking[0])
        return run(flow, errand)
    if not sending:
        return None
    with flow.store.write() as tx:
        # The notice is locked before the attempt, as by the report that may come in right now.
        lock(tx, errand.subject)
        _conclude(flow, tx, errand, sending[0], tried)
        close(tx, tried)
    return None


def lock(tx: Tx, notice_id: str) -> None:
    """Lock a notice, and its account before it: in this order does it whoever plans notices, or takes them back."""
    tx.one(_select(notice_id).with_for_update(of=(account, notice)))


def _locked(tx: Tx, notice_id: str) -> Any:
    """Return the notice; until the end of the transaction nobody stops its account, takes it back or reports on it."""
    lock(tx, notice_id)
    row = look(tx.connection, notice_id)
    if row is not None and row.purpose in CAPPED and tx.connection.dialect.name == "postgresql":
        # Nor does anybody else begin to write to the same person: who comes second counts this one below the cap.
        who = {"who": f"notify:{row.recipient_key}"}
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:who))"), who)
    return look(tx.connection, notice_id)  # what was committed while we waited for them counts


def _not_now(flow: Flow, tx: Tx, errand: Errand, row: Any, verdict: Verdict) -> None:
    """Put a notice off, or give it up: the next channel is tried if it is only this one that may not be used."""
    if isinstance(verdict, Later):
        return errands.again(tx, errand, verdict.until)
    assert isinstance(verdict, Never)
    if move(tx, row.public_id, states.Notice.BLOCKED):
        if verdict.why:
            fall_back(flow, tx, row.public_id, verdict.why)
        else:
            uncover(tx, row.public_id)
    return errands.done(tx, errand)


def _worded(flow: Flow, tx: Tx, row: Any) -> Any:
    """Settle in which language it is written, and return the notice with it."""
    # An older version wrote no recipient's key.
    values = {"language": spoken(flow, row), "recipient_key": consents.key(row.channel, row.recipient.decode())}
    tx.run(update(notice).where(notice.c.id == row.id).values(values))
    return SimpleNamespace(**{**row._mapping, **values})


def spoken(flow: Flow, row: Any) -> str:
    """Return in which language a notice is written."""
    facility = flow.facility(row.facility)
    asked = reach.ordered(row, facility.contacts, row.said)  # of two with one number the first is meant
    party = reach.whose([*asked, *reach.people(row).values()], row.channel, row.recipient.decode())
    return wording.language_of(row.notice_language or row.language, party, facility.languages)


def ways(flow: Flow, book: Book) -> list[Way]:
    """Find the ways by which the request of an account is told: one, or one to everybody whom a person named."""
    named = (book.ask.said or {}).get("recipients") if book.ask is not None else None
    return [way_to(flow, book, one["channel"], one["to"]) for one in named] if named else [find_way(flow, book)]


def way_to(flow: Flow, owner: Any, channel: str, to: str) -> Way:
    """Return the way to this number or address: the facility's first notifier of its channel, or why there is none."""
    configured, world = flow.facility(owner.facility), flow.world.notifiers
    names = [name for name in configured.notifiers if name in world and world[name].channel == channel]
    why = reach.NO_NOTIFIER if not names or (channel == EMAIL and configured.mail is None) else None
    if owner.stopped:
        why = reach.stopped(owner.stopped)
    return Way(names[0] if names else "", channel, to, why)


def find_way(flow: Flow, owner: Any, after: Any = None) -> Way:
    """Find a way to the payer of an account (a row of it, or its book), or why there is none.

    `after` a notice that failed only by a channel whose turn had not come.
    """
    configured, world = flow.facility(owner.facility), flow.world.notifiers
    order = [(name, world[name].channel) for name in configured.notifiers if name in world]
    passed: set[str] = set()
    if after is not None:
        names = [name for name, _ in order]
        until = names.index(after.notifier) if after.notifier in names else 0
        passed = {after.channel, *(channel for _, channel in order[:until])}
    if configured.mail is None:
        passed.add(EMAIL)
    usable = [(name, channel) for name, channel in order if channel not in passed]
    said = (owner.ask.said if owner.ask is not None else None) if isinstance(owner, Book) else owner.said
    people = reach.ordered(owner, configured.contacts, said)
    fields = reach.fields(flow.maps.get(owner.source), configured.contacts)
    way = reach.find(usable, _consent(flow, owner.source), people, fields)
    if owner.stopped:
        return replace(way, why_not=reach.stopped(owner.stopped))
    if owner.patient_only and way.why_not is not None and way.why_not[0] in reach.NOBODY:
        return replace(way, why_not=reach.NO_OWN_CONTACT)
    return way


def _consent(flow: Flow, source: str) -> bool:
    configured = flow.settings.sources.get(source)
    return configured is not None and configured.consent != "none"  # of whom, is looked at when it is sent


def _conclude(flow: Flow, tx: Tx, errand: Errand, row: Any, tried: Tried[Sent]) -> None:
    """Record the outcome; a status report may have been faster, and then it knows better."""
    obstacle = f"notifier:{row.notifier}"
    match tried.outcome:
        case "transient":
            if errand.attempts >= TELL_AFTER:
                holds.add(tx, obstacle, *reach.unreachable(row.channel, tried.detail))
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        case "done":
            holds.close(tx, obstacle, "not_reachable")
            move(tx, row.public_id, states.Notice.SENT, provider_ref=tried.value.provider_ref if tried.value else "")
        case "refused":
            holds.close(tx, obstacle, "not_reachable")
            if move(tx, row.public_id, states.Notice.BLOCKED, code=tried.code):
                stopped = consent.refused(flow, tx, row, tried.code)
                dead_ends.learn(flow, tx, row.notifier, row.channel, row.recipient.decode(), tried.code)
                fall_back(flow, tx, row.public_id, stopped or reach.refused(row.channel, tried.detail))
        case _:
            if move(tx, row.public_id, states.Notice.UNKNOWN):
                why = reach.unknown(row.channel, row.public_id, tried.detail)
                if row.purpose in CAPPED:
                    holds.add(tx, f"request:{row.request_id}", *why, holds.likeness(why[0], row.source))
                else:
                    _failed(tx, row, why)
    errands.done(tx, errand)
    return None


def move(tx: Tx, notice_id: str, after: states.Notice, **values: str) -> bool:
    """Write down what is known of a notice; False when its state has gone on meanwhile and stays."""
    where = notice.c.public_id == notice_id
    row = tx.one(
        select(notice.c.state, notice.c.channel, account.c.key)
        .join(request, request.c.id == notice.c.request_id)
        .join(account, account.c.id == request.c.account_id)
        .where(where)
        .with_for_update(of=notice)
    )
    assert row is not None
    moves = states.allowed(states.Notice(row.state), after)
    changes = {**values, "changed_at": tx.now} | ({"state": after} if moves else {})
    tx.run(update(notice).where(where).values(changes))
    if moves:
        tx.moved("notice", after, row.channel, row.key, notice=notice_id)
    return moves


def _row(tx: Tx, request_id: int, way: Way) -> dict[str, Any]:
    return {
        "public_id": public_id("N"), "request_id": request_id, "channel": way.channel, "notifier": way.notifier,
        "recipient": way.to.encode() if way.to else None,
        "recipient_key": consents.key(way.channel, way.to) if way.to else "",
        "state": states.Notice.BLOCKED if way.why_not else states.Notice.DUE,
        "created_at": tx.now, "changed_at": tx.now,
    }  # fmt: skip
