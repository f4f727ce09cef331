"""What the chart knows of those who may open a link: birth dates and contacts, and which of them the link went to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import consent, dead_ends, reach
from chartpost.adapter.flow.telling.reach import EMAIL, SMS, Way
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import notice

Who = Literal["", "patient", "payer"]
_KIND = {SMS: "phone", EMAIL: "email"}


def masked(channel: str, to: str) -> str:
    """Return a number or address so that its owner knows it again and nobody else learns it: •••• 0142, s•••@e•••."""
    if channel == SMS:
        return f"•••• {to[-4:]}"
    name, _, domain = to.partition("@")
    return f"{name[:1]}•••@{domain[:1]}•••"


def _parties(row: Any) -> Iterator[tuple[Who, Mapping[str, Any]]]:
    """Who pays comes first. Of a confidential visit there is the patient alone, with contacts of their own."""
    if row.guarantor is None or row.patient_only:
        yield "payer", reach.people(row)["patient"]
    else:
        yield "payer", row.guarantor
        yield "patient", row.patient


def birth_dates(row: Any) -> list[tuple[Who, str]]:
    """Return the dates of birth on file (ISO), and whose they are."""
    return [(who, party["birth_date"]) for who, party in _parties(row) if party.get("birth_date")]


def contacts(row: Any, wanted: Who = "") -> set[tuple[str, str]]:
    """Return the contacts of one of them, or of both: kind, and the number or address in lower case."""
    return {
        (one["kind"], one["value"].casefold())
        for who, party in _parties(row) if not wanted or who == wanted
        for one in party.get("contacts", ())
    }  # fmt: skip


class Told(NamedTuple):
    """Where a link went, or may have gone."""

    channel: str
    to: str

    @property
    def contact(self) -> tuple[str, str]:
        return _KIND.get(self.channel, ""), self.to.casefold()


def told(connection: Connection, request_id: int) -> list[Told]:
    """Return where the link of a request went, each number or address once, in the order in which it went there."""
    columns = (notice.c.channel, notice.c.recipient)
    sent = (notice.c.purpose.not_in(("code", "staff")), notice.c.state != states.Notice.BLOCKED)
    where = (notice.c.request_id == request_id, notice.c.recipient.is_not(None), *sent)
    rows = connection.execute(select(*columns).where(*where).order_by(notice.c.id))
    return list(dict.fromkeys(Told(row.channel, row.recipient.decode()) for row in rows))


def closed(connection: Connection, row: Any) -> bool:
    """Say whether the holder of a link is asked nothing and shown nothing more, whatever they know.

    So it is where somebody has said that it was not for them, and where a visit became confidential after its link went
    to others: a guarantor knows a child's date of birth.
    """
    if row.paused == "not_me":
        return True
    if not row.patient_only:
        return False
    allowed = contacts(row)
    if row.state != states.Request.CANCELLED:  # whom a person named since
        allowed |= {Told(one["channel"], one["to"]).contact for one in (row.said or {}).get("recipients", ())}
    return not {one.contact for one in told(connection, row.id)} <= allowed


def told_payer_only(connection: Connection, row: Any) -> bool:
    """Say whether the link went to the payer: then a child's date of birth opens the payer's page."""
    went = {one.contact for one in told(connection, row.id)}
    return bool(went) and went <= contacts(row, "payer")


def went_to_payer(connection: Connection, row: Any, try_id: str) -> bool:
    """Say whether a code went to a contact of the payer."""
    where = (notice.c.purpose == "code", notice.c.step == try_id)
    rows = connection.execute(select(notice.c.channel, notice.c.recipient).where(*where))
    return {Told(one.channel, one.recipient.decode()).contact for one in rows} <= contacts(row, "payer")


def code_way(flow: Flow, connection: Connection, row: Any) -> Way | None:
    """Return where a code may go: never where the link went, for it would show nothing; another channel first."""
    if row.stopped:
        return None
    facility, went = flow.facility(row.facility), {one.contact for one in told(connection, row.id)}
    found: list[tuple[bool, int, int, Way]] = []
    for rank, name in enumerate(facility.notifiers):
        notifier = flow.world.notifiers.get(name)
        if notifier is None or (notifier.channel == EMAIL and facility.mail is None):
            continue
        kind = _KIND.get(notifier.channel, "")
        own = [one for _, party in _parties(row) for one in party.get("contacts", ()) if one["kind"] == kind]
        for number, one in enumerate(own):
            if (kind, one["value"].casefold()) not in went:
                same_channel = kind in {other for other, _ in went}
                found.append((same_channel, rank, number, Way(name, notifier.channel, one["value"])))
    for _, _, _, way in sorted(found, key=lambda one: one[:3]):
        who = {"source": row.source, "facility": row.facility, "notifier": way.notifier, "channel": way.channel}
        gone = dead_ends.why_not(connection, flow.store.clock(), way.channel, str(way.to))
        if gone is None and consent.why_not(connection, flow, recipient=str(way.to), **who) is None:
            return way
    return None


def possible(flow: Flow, connection: Connection, row: Any) -> bool:
    """Say whether the holder of a link can show who they are, by anything that the facility allows."""
    if closed(connection, row):
        return False
    allowed = flow.facility(row.facility).identity
    if "date_of_birth" in allowed and birth_dates(row):
        return True
    return "code" in allowed and code_way(flow, connection, row) is not None
