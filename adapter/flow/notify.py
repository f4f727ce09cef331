"""notify: one neutral SMS with the link, once per request, and only with consent on file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, update

from chartpost.adapter.flow import link
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
from chartpost.adapter.settings import Facility

SMS = "sms"


def words(facility: Facility, url: str) -> str:
    """Return the text of an SMS: who asks, the link, how to stop. No name, date, service or amount."""
    return f"{facility.message_name}: you have a balance to pay. See it and pay securely: {url} Reply STOP to opt out."


def recipient(patient: dict[str, Any], guarantor: dict[str, Any] | None) -> str | None:
    """Return the number to write to (E.164): the guarantor before the patient, a mobile before any other phone."""
    for party in (guarantor, patient):
        phones = [contact for contact in (party or {}).get("contacts", ()) if contact["kind"] == "phone"]
        phones.sort(key=lambda contact: contact["mobile"] is not True)
        if phones:
            return str(phones[0]["value"])
    return None


def plan(flow: Flow, tx: Tx, opened: Sequence[Book]) -> None:
    """Write down to whom each new request goes, or why to nobody, in the transaction that opened it."""
    notices: list[dict[str, Any]] = []
    problems: list[tuple[str, str, str, str]] = []
    wanted: list[errands.Wanted] = []
    for book in opened:
        if book.ask is None:
            continue
        facility = flow.facility(book.facility)
        number = recipient(book.patient, book.guarantor)
        why_not = _why_not(flow, book.source, facility, number)
        notices.append({
            "public_id": public_id("N"), "request_id": book.ask.id, "channel": SMS,
            "notifier": facility.notifiers[0] if facility.notifiers else "",
            "recipient": number.encode() if number else None,
            "state": states.Notice.BLOCKED if why_not else states.Notice.DUE,
            "created_at": tx.now, "changed_at": tx.now,
        })  # fmt: skip
        if why_not:
            problems.append((f"request:{book.ask.public_id}", *why_not))
        else:
            wanted.append(("notify", notices[-1]["public_id"], f"notify:{book.key}", None))
    if notices:
        tx.run(insert(notice), notices)
    holds.add_new(tx, problems)
    errands.add_all(tx, wanted)


def run(flow: Flow, errand: Errand) -> None:
    """Send the notice whose public id is the errand's subject, if it is still wanted and allowed."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                notice.c.public_id, notice.c.notifier, notice.c.recipient, notice.c.state,
                request.c.public_id.label("request_id"), request.c.generation, request.c.state.label("request_state"),
                account.c.source, account.c.facility,
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
    facility = flow.facility(row.facility)
    number = row.recipient.decode() if row.recipient else None
    why_not = _why_not(flow, row.source, facility, number)
    if number is None or (not begun and (row.request_state != states.Request.OPEN or why_not)):
        with flow.store.write() as tx:
            _block(tx, row, why_not)
            return errands.done(tx, errand)

    url = f"{flow.public_url}/p/{link.token(flow.link_key, row.request_id, row.generation)}"
    status_url = f"{flow.public_url}/hooks/{row.notifier}/status?notice={row.public_id}"
    text = OutgoingText(to=number, body=words(facility, url), status_url=status_url)
    notifier = flow.world.notifiers[row.notifier]
    tried = attempt(
        flow.store, f"notice:{row.public_id}", lambda: notifier.send(text), repeatable=False,
        still=lambda tx: _still_due(tx, row.public_id),
    )  # fmt: skip
    with flow.store.write() as tx:
        close(tx, tried)
        _conclude(tx, errand, row.public_id, row.request_id, tried)
    return None


def _still_due(tx: Tx, notice_id: str) -> bool:
    """Look once more, with the row locked: a report on a call that was cut off may have come in meanwhile."""
    statement = select(notice.c.state).where(notice.c.public_id == notice_id).with_for_update()
    return bool(tx.scalar(statement) == states.Notice.DUE)


def _block(tx: Tx, row: Any, why_not: tuple[str, str, str] | None) -> None:
    """Send nothing: the request was closed meanwhile, or the configuration no longer allows it."""
    values = {"state": states.Notice.BLOCKED, "changed_at": tx.now}
    tx.run(update(notice).where(notice.c.public_id == row.public_id).values(values))
    if why_not:
        holds.add(tx, f"request:{row.request_id}", *why_not)


def _why_not(flow: Flow, source: str, facility: Facility, number: str | None) -> tuple[str, str, str] | None:
    """Return cause, text and fix when nobody may or can be texted."""
    configured = flow.settings.sources.get(source)
    if configured is None or configured.consent != "on_file":
        return (
            "no_consent", "nobody is texted: the source does not state that consent is on file",
            "give the link to the payer by other means, or state consent: on_file for the source",
        )  # fmt: skip
    if not facility.notifiers:
        return "no_notifier", "the facility has no notifier", "name one under the facility's notifiers"
    if number is None:
        return (
            "no_phone", "neither the guarantor nor the patient has a phone number in the chart",
            "add a number to the chart, or give the link to the payer by other means",
        )  # fmt: skip
    return None


def _conclude(tx: Tx, errand: Errand, notice_id: str, request_id: str, tried: Tried[Sent]) -> None:
    if tried.outcome == "transient":
        return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
    changes: dict[str, Any] = {"changed_at": tx.now}
    before = states.Notice(tx.scalar(select(notice.c.state).where(notice.c.public_id == notice_id)))
    match tried.outcome:
        case "done":
            after = states.Notice.SENT
            changes["provider_ref"] = tried.value.provider_ref if tried.value else ""
        case "refused":
            after = states.Notice.BLOCKED
            changes["code"] = tried.code
            holds.add(
                tx, f"request:{request_id}", "notice_refused", f"the SMS service refused the message: {tried.detail}",
                "correct the number in the chart, or give the link to the payer by other means",
            )  # fmt: skip
        case _:
            after = states.Notice.UNKNOWN
            if states.allowed(before, after):  # else a status report was faster, and it knows
                holds.add(
                    tx, f"request:{request_id}", "notice_unknown",
                    f"nobody knows whether the SMS went out: {tried.detail}",
                    "look the message up at the SMS service; it is not sent again by itself",
                )  # fmt: skip
    if states.allowed(before, after):
        changes["state"] = after
    tx.run(update(notice).where(notice.c.public_id == notice_id).values(changes))
    errands.done(tx, errand)
    return None
