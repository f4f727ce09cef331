"""Told to the chart: whether a number may be texted, as its holder or the service has said.

A posting of the kind `consent`, by the same road as a payment: post, queue, deliver, and only the chart's word counts.
What a chart has said itself is not told back to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import consents, errands, states
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, consent, notice, posting, request
from chartpost.mappings import preference
from chartpost.mappings.fhir import versions
from chartpost.mappings.hl7 import conformance
from chartpost.mappings.movement import Unwritable

KIND = "consent"
#: The version of FHIR that is written; a destination of another one is not told (`untold`).
FHIR = "R4B"
_NOT_TAKEN = (states.Posting.REFUSED, states.Posting.SHADOWED)
#: What says whose chart an account is in.
_WHO = ("PID-3", "Patient.reference", "Patient.identifier")


def ask_for(flow: Flow, tx: Tx, consent_id: int, key: str, facilities: Collection[str]) -> None:
    """Tell the charts of those whom this number was written to about; each patient's once."""
    columns = (account.c.id, account.c.source, account.c.chart)
    known = (
        select(notice.c.request_id).where(notice.c.recipient_key == key, notice.c.channel == "sms").scalar_subquery()
    )
    mine = select(request.c.account_id).where(request.c.id.in_(known))
    where = (account.c.id.in_(mine), account.c.facility.in_(list(facilities)))
    said = tx.scalar(select(consent.c.state).where(consent.c.id == consent_id))
    told = {who for who, last in _last(tx.connection, key).items() if last == said}
    for row in tx.all(select(*columns).where(*where).order_by(account.c.id.desc())):
        source = flow.settings.sources.get(row.source)
        for destination in source.destinations if source is not None else ():
            place = flow.settings.destinations.get(destination)
            who = _who(destination, row.chart)
            if place is None or place.consents == "none" or who in told:
                continue
            told.add(who)
            posting_id = public_id("P")
            added = {
                "public_id": posting_id, "consent_id": consent_id, "account_id": row.id, "destination": destination,
                "kind": KIND, "state": states.Posting.DUE, "control_id": posting_id, "created_at": tx.now,
                "changed_at": tx.now,
            }  # fmt: skip
            tx.run(posting.insert(), [added])
            errands.add(tx, "post", posting_id, f"post:{destination}")


def _who(destination: str, chart: Mapping[str, str]) -> tuple[str, ...]:
    return (destination, *(chart.get(name, "") for name in _WHO))


def _last(connection: Connection, key: str) -> dict[tuple[str, ...], str]:
    """Return by destination and patient what was told of a number last; "" where the chart did not take it."""
    columns = (posting.c.destination, posting.c.state, account.c.chart, consent.c.state.label("said"))
    rows = connection.execute(
        select(*columns)
        .join(consent, consent.c.id == posting.c.consent_id)
        .join(account, account.c.id == posting.c.account_id)
        .where(consent.c.key == key)
        .order_by(posting.c.id)
    )
    return {_who(row.destination, row.chart): "" if row.state in _NOT_TAKEN else row.said for row in rows}


def overtaken(connection: Connection, posting_id: str) -> bool:
    """Say whether what a posting of this kind tells is so no longer: who told it has said otherwise since."""
    row = find(connection, posting_id)
    if row is None:
        return False
    now = consents.standing(consents.history(connection, "sms", row.number_key, [consents.facility(row.facility)]))
    return now is not None and now.state != row.said


def find(connection: Connection, posting_id: str) -> Any:
    """Return the posting of this kind with what it is about; None where it is another one."""
    columns = (
        posting.c.public_id, posting.c.state, posting.c.destination, posting.c.kind, posting.c.control_id,
        posting.c.body, posting.c.created_at, posting.c.account_id, consent.c.key.label("number_key"),
        consent.c.state.label("said"), consent.c.at.label("said_at"), account.c.chart, account.c.facility,
    )  # fmt: skip
    row = connection.execute(
        select(*columns)
        .join(consent, consent.c.id == posting.c.consent_id)
        .join(account, account.c.id == posting.c.account_id)
        .where(posting.c.public_id == posting_id)
    ).first()
    return row


def number(connection: Connection, key: str) -> str:
    """Return the number behind its keyed hash: the ledger has it where it was written to."""
    found = select(notice.c.recipient).where(notice.c.recipient_key == key, notice.c.recipient.is_not(None))
    return str((connection.scalar(found.limit(1)) or b"").decode())


def render(flow: Flow, row: Any) -> tuple[bytes | None, str, str]:
    """Return the bytes, or what is wrong and what to do."""
    place = flow.settings.destinations.get(row.destination)
    if place is None or row.destination not in flow.outbound:
        return None, "its destination is no longer in the configuration", "put the destination back, or tell by hand"
    if place.consents == "none":
        return None, "is for a destination that is told of no consents", "set its `consents`, or tell the chart by hand"
    options, facility = place.options, flow.facility(row.facility)
    with flow.store.read() as connection:
        to = number(connection, row.number_key)
    told = preference.Preference(
        row.public_id, row.control_id, row.said == consents.GRANTED, to, row.said_at, row.created_at,
        facility.timezone, facility.name, row.chart,
        sending=(options.get("sending_application") or "CHARTPOST", options.get("sending_facility") or ""),
        receiving=(options.get("receiving_application") or "", options.get("receiving_facility") or ""),
    )  # fmt: skip
    try:
        if place.consents == "fhir":
            body = preference.fhir(told)
            problems = versions.check(body, "Consent", FHIR)
        else:
            body = preference.hl7(told, str(getattr(flow.outbound[row.destination], "version", "2.5.1")))
            problems = conformance.validate(body)
    except Unwritable as error:
        causes = "; ".join(f"{problem.path}: {problem.cause}" for problem in error.problems)
        return None, f"cannot be written: {causes}", "tell the chart by hand, then dismiss this"
    if problems:
        fix = "tell the chart by hand, then dismiss this; another version in the destination's map may do"
        return None, "does not conform to the standard: " + "; ".join(problems), fix
    return body, "", ""


def untold(part: Mapping[str, Any], loaded: object) -> str:
    """Say why a destination cannot be told of consents in the way that it says; "" where it can."""
    how, form, version = part.get("consents", "none"), getattr(loaded, "format", ""), getattr(loaded, "version", "")
    if how not in ("hl7", "fhir"):
        return ""
    if part.get("type") == "pull":
        return "nobody carries anything there; say none"
    if {"hl7": "hl7v2", "fhir": "fhir"}[how] != form:
        return f"is {how}, and its map writes {form}; say {'fhir' if form == 'fhir' else 'none'}"
    if version in ("2.3", "R5"):
        return f"has no form in {version}, which its map writes; say none"
    return ""
