"""notify: one neutral message with the link, once per request, by the first channel of the facility that is possible.

What is refused, or reported as not delivered, gives way to the next channel, in the same transaction. What may have
gone out never does: nobody is told twice by machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import func, insert, select, update

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.asking import link, reach, wording
from chartpost.adapter.flow.asking.reach import EMAIL, SMS, Way, Why
from chartpost.adapter.flow.attempt import Tried, attempt, close, interrupted
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, notice, request
from chartpost.adapter.ports import OutgoingText, Sent

#: What says who may be written to.
_PEOPLE = (account.c.patient, account.c.guarantor, account.c.stopped, account.c.patient_only)
#: After so many failures in a row to reach a service a person is told; we keep trying all the same.
TELL_AFTER = 5


def plan(flow: Flow, tx: Tx, opened: Sequence[Book]) -> None:
    """Write down to whom each new request goes, or why to nobody, in the transaction that opened it."""
    notices: list[dict[str, Any]] = []
    problems: list[tuple[str, str, str, str, str]] = []
    wanted: list[errands.Wanted] = []
    for book in opened:
        if book.ask is None:
            continue
        assert book.ask.id is not None  # it was written a moment ago
        way = find_way(flow, book)
        notices.append(_row(tx, book.ask.id, way))
        if way.why_not:
            like = holds.likeness(way.why_not[0], book.source)
            problems.append((f"request:{book.ask.public_id}", *way.why_not, like))
        else:
            wanted.append(("notify", notices[-1]["public_id"], f"notify:{book.key}", None))
    if notices:
        tx.run(insert(notice), notices)
    holds.add_new(tx, problems)
    errands.add_all(tx, wanted)


def fall_back(flow: Flow, tx: Tx, notice_id: str, why: Why) -> None:
    """Try the next channel, since this notice failed for good; open a hold that says why when there is none.

    Nothing happens once the request is closed, nor when a newer notice has taken over.
    """
    owner = (account.c.key, account.c.source, account.c.facility, *_PEOPLE)
    row = tx.one(
        select(notice, request.c.public_id.label("request"), request.c.state.label("request_state"), *owner)
        .join(request, request.c.id == notice.c.request_id)
        .join(account, account.c.id == request.c.account_id)
        .where(notice.c.public_id == notice_id)
        .with_for_update(of=account)  # whoever plans a notice holds the account: two never plan at once
    )
    assert row is not None
    newest = tx.scalar(select(func.max(notice.c.id)).where(notice.c.request_id == row.request_id))
    if row.request_state != states.Request.OPEN or newest != row.id:
        return
    way = find_way(flow, row, after=row)
    if way.why_not:
        return holds.add(tx, f"request:{row.request}", *why, holds.likeness(why[0], row.source))
    return tell(tx, row.key, row.request_id, way)


def tell(tx: Tx, key: str, request_id: int, way: Way) -> None:
    """Write down that a request (its row's id, and the key of its account) is told by this way."""
    added = _row(tx, request_id, way)
    tx.run(insert(notice), [added])
    errands.add(tx, "notify", added["public_id"], f"notify:{key}")


def run(flow: Flow, errand: Errand) -> None:
    """Send the notice whose public id is the errand's subject, if it is still wanted and allowed."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                notice.c.public_id, notice.c.notifier, notice.c.channel, notice.c.recipient, notice.c.state,
                request.c.public_id.label("request_id"), request.c.generation, request.c.state.label("request_state"),
                account.c.source, account.c.facility, *_PEOPLE,
            )
            .join(request, request.c.id == notice.c.request_id)
            .join(account, account.c.id == request.c.account_id)
            .where(notice.c.public_id == errand.subject)
        ).first()  # fmt: skip
        # A call that was cut off is a question for a person, even if the notice is no longer wanted.
        begun = interrupted(connection, f"notice:{errand.subject}")
    if row is None or row.state != states.Notice.DUE:
        with flow.store.write() as tx:
            return errands.done(tx, errand)
    why_not = _why_not(flow, row)
    if not begun and (row.request_state != states.Request.OPEN or why_not):
        with flow.store.write() as tx:
            if move(tx, row.public_id, states.Notice.BLOCKED) and why_not:
                fall_back(flow, tx, row.public_id, why_not)
            return errands.done(tx, errand)

    def send() -> Sent:
        notifier = flow.world.notifiers.get(row.notifier)
        if notifier is None:
            raise Permanent("its notifier is no longer in the configuration")
        return notifier.send(text(flow, row))

    tried = attempt(
        flow.store, f"notice:{row.public_id}", send, repeatable=False, still=lambda tx: _still_due(tx, row.public_id)
    )
    with flow.store.write() as tx:
        # The notice is locked before the attempt, as by the report that may come in right now.
        _conclude(flow, tx, errand, row, tried)
        close(tx, tried)
    return None


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
    way = reach.find(usable, _consent(flow, owner.source), *reach.people(owner))
    if owner.stopped:
        return replace(way, why_not=reach.stopped(owner.stopped))
    if owner.patient_only and way.why_not in (reach.NO_PHONE, reach.NO_EMAIL, reach.NO_CONTACT):
        return replace(way, why_not=reach.NO_OWN_CONTACT)
    return way


def _consent(flow: Flow, source: str) -> bool:
    configured = flow.settings.sources.get(source)
    return configured is not None and configured.consent == "on_file"


def _why_not(flow: Flow, row: Any) -> Why | None:
    """Look again at what a change of the configuration, or the stop list, may have taken away."""
    if row.stopped:
        return reach.stopped(row.stopped)
    own, _ = reach.people(row)
    if row.patient_only and row.recipient.decode() not in {contact["value"] for contact in own["contacts"]}:
        return reach.NO_OWN_CONTACT
    if row.channel == SMS and not _consent(flow, row.source):
        return reach.NO_CONSENT
    if row.channel == EMAIL and flow.facility(row.facility).mail is None:
        return reach.NO_NOTIFIER
    return None


def text(flow: Flow, row: Any) -> OutgoingText:
    """Return what a notice says; `row` is the notice with its request and its facility."""
    facility = flow.facility(row.facility)
    url = f"{flow.public_url}/p/{link.token(flow.link_key, row.request_id, row.generation)}"
    status_url = f"{flow.public_url}/hooks/{row.notifier}/status?notice={row.public_id}"
    to = row.recipient.decode()
    if row.channel != EMAIL or facility.mail is None:
        return OutgoingText(to, wording.sms(facility, url), status_url, reference=row.public_id)
    letter, mail = wording.letter(facility, url), facility.mail
    return OutgoingText(
        to, letter.text, status_url, subject=letter.subject, html=letter.html, sender_name=mail.sender,
        sender_address=mail.address, reply_to=mail.reply_to, reference=row.public_id,
    )  # fmt: skip


def _still_due(tx: Tx, notice_id: str) -> bool:
    """Look once more, with the row locked: a report on a call that was cut off may have come in meanwhile."""
    statement = select(notice.c.state).where(notice.c.public_id == notice_id).with_for_update()
    return bool(tx.scalar(statement) == states.Notice.DUE)


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
                fall_back(flow, tx, row.public_id, reach.refused(row.channel, tried.detail))
        case _:
            if move(tx, row.public_id, states.Notice.UNKNOWN):
                why = reach.unknown(row.channel, row.public_id, tried.detail)
                holds.add(tx, f"request:{row.request_id}", *why, holds.likeness(why[0], row.source))
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
        "state": states.Notice.BLOCKED if way.why_not else states.Notice.DUE,
        "created_at": tx.now, "changed_at": tx.now,
    }  # fmt: skip
