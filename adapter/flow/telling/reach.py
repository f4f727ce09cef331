"""Who is written to about an account, by which channel, and what a person is told when it is nobody. Pure.

The facility says in which order people are looked for (`contacts`): of a channel the first one counts who has a number
or an address. Recipients that a person gave for the request come first, and alone. A confidential account never leaves
the patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chartpost.mappings.mapfile import Map

SMS, EMAIL = "sms", "email"
_KIND = {SMS: "phone", EMAIL: "email"}  #: channel → kind of contact
#: What people call a role.
_CALLED = {"bill_to": "bill-to contact", "insured": "insured person"}
#: Causes that say that there is no number or address.
NOBODY = frozenset({"no_phone", "no_email", "no_contact"})
SERVICE = {SMS: "SMS service", EMAIL: "mail server"}  #: channel → what holds call the other side

Why = tuple[str, str, str]  #: of a hold: cause, text, fix

_BY_OTHER_MEANS = "give the link to the payer by other means"
NO_NOTIFIER: Why = (
    "no_notifier", "the facility has no notifier that could write to anybody", "name one under the facility's notifiers"
)  # fmt: skip
NO_CONSENT: Why = (
    "no_consent", "nobody is texted: the source does not state that consent is on file",
    f"{_BY_OTHER_MEANS}, or state consent: on_file for the source",
)  # fmt: skip
NO_OWN_CONTACT: Why = (
    "no_contact", "a visit was confidential, and the patient has no number or address that is not the guarantor's too",
    "reach the patient by other means, never through the guarantor",
)  # fmt: skip


GONE: Why = (
    "no_contact", "the number or address that it was for is no longer in the chart",
    f"add the new one to the chart, or {_BY_OTHER_MEANS}",
)  # fmt: skip
#: A Party as it is kept.
Person = Mapping[str, Any]


class Owner(Protocol):
    """An account as far as it says who may be written to: a row of it, or a book."""

    @property
    def patient(self) -> Mapping[str, Any]: ...
    @property
    def guarantor(self) -> Mapping[str, Any] | None: ...
    @property
    def others(self) -> Mapping[str, Any] | None: ...
    @property
    def stopped(self) -> str: ...
    @property
    def patient_only(self) -> bool: ...


def people(account: Owner) -> dict[str, Person]:
    """Return by role who there is; of a confidential account the patient alone, with contacts of their own."""
    if not account.patient_only:
        return {"patient": account.patient, **_others(account)}
    own = [contact for contact in account.patient.get("contacts", ()) if not _has_another(account, contact)]
    return {"patient": {**account.patient, "contacts": own}}


def _others(account: Owner) -> dict[str, Person]:
    there = {"guarantor": account.guarantor, **(account.others or {})}
    return {role: person for role, person in there.items() if person}


def _has_another(account: Owner, contact: Mapping[str, Any]) -> bool:
    """Say whether somebody else than the patient has this number or address too."""
    return any(_has(person, contact) for person in _others(account).values())


def ordered(account: Owner, order: Iterable[str], said: Mapping[str, Any] | None = None) -> tuple[Person, ...]:
    """Return who may be written to, the first first: by the facility's `order` of roles.

    `said` is what a person said of the request (Ask.said): the recipients there come alone, as people without a name
    where the chart does not know them. Of a confidential account there is the patient alone, and no number of others.
    """
    there = people(account)
    if not (said or {}).get("recipients"):
        return tuple(there[role] for role in (("patient",) if account.patient_only else order) if role in there)
    found = []
    for one in (said or {})["recipients"]:
        contact = {"kind": _KIND.get(one["channel"], ""), "value": one["to"], "mobile": None}
        known = next((person for person in there.values() if _has(person, contact)), None)
        if not (account.patient_only and _has_another(account, contact)):
            found.append({"role": "", "language": "", **(known or {}), "contacts": [contact]})
    return tuple(found)


def whose(people: Iterable[Person], channel: str, to: str) -> Person | None:
    """Return the first of these people who has this number or address; None when nobody has."""
    wanted = {"kind": _KIND.get(channel, ""), "value": to}
    return next((person for person in people if _has(person, wanted)), None)


def _has(person: Person, wanted: Mapping[str, Any]) -> bool:
    return any(_same(contact) == _same(wanted) for contact in person.get("contacts", ()))


def _same(contact: Mapping[str, Any]) -> tuple[str, str]:
    return contact["kind"], contact["value"].casefold()


def stopped(cause: str) -> Why:
    """Say that nobody is written to about an account, for this cause of the stop list."""
    return (
        "account_stopped", f"nobody is written to about this account: {cause.replace('_', ' ')}",
        "settle it by other means and dismiss this; if the payer may be told all the same, retry with --yes",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """One notifier and the number or address it would write to; `why_not` says that it may or can not."""

    notifier: str
    channel: str
    to: str | None
    why_not: Why | None = None


def recipient(channel: str, people: Iterable[Person]) -> str | None:
    """Return the number (E.164) or address to write to: of the first who has one, a mobile before another phone."""
    for person in people:
        found = [contact for contact in person.get("contacts", ()) if contact["kind"] == _KIND.get(channel)]
        found.sort(key=lambda contact: contact["mobile"] is not True)
        if found:
            return str(found[0]["value"])
    return None


def find(
    notifiers: Iterable[tuple[str, str]],
    consent: bool,
    people: Sequence[Person],
    fields: Mapping[str, str] | None = None,
) -> Way:
    """Return the first way that is possible; else the first one there is, with the reason why none is.

    `notifiers`: name and channel, in the order of the facility. Of several with one channel the first one counts.
    `consent` concerns texts only. `people` come in the order in which they are tried; `fields` say by role where the
    chart has their contacts, for whoever has to fill them in.
    """
    passed: dict[str, Way] = {}
    for name, channel in notifiers:
        if channel in passed:
            continue
        to = recipient(channel, people)
        if channel == SMS and not consent:
            passed[channel] = Way(name, channel, to, NO_CONSENT)
        elif to is None:
            passed[channel] = Way(name, channel, None, nobody("no_phone" if channel == SMS else "no_email", fields))
        else:
            return Way(name, channel, to)
    if not passed:
        return Way("", SMS, None, NO_NOTIFIER)
    ways = list(passed.values())
    why = ways[0].why_not
    if len(ways) > 1:  # nothing to write to, or a number that may not be used
        why = NO_CONSENT if any(way.to for way in ways) else nobody("no_contact", fields)
    return Way(ways[0].notifier, ways[0].channel, ways[0].to, why)


def fields(map: Map | None, order: Iterable[str]) -> dict[str, str]:
    """Return by role, in this order, where a source's map reads contacts: "PID-13, PID-14"; "" where it reads none."""
    rows = map.people if map is not None else {}
    found = {role: [row for row in rows.get(role, ()) if row.shape == "contacts"] for role in order}
    return {role: ", ".join(path.text for row in own for path in row.paths) for role, own in found.items()}


#: What is missing in the chart, by the cause of the hold.
_MISSING = {
    "no_phone": "a phone number", "no_email": "an e-mail address",
    "no_contact": "a phone number or an e-mail address",
}  # fmt: skip


def nobody(cause: str, fields: Mapping[str, str] | None = None) -> Why:
    """Say that nobody can be written to, and which `fields` of the chart to fill in, in the order of the search."""
    fields = fields or {}
    roles = [_CALLED.get(role, role) for role in fields]
    who = f"nobody who may be asked ({', '.join(roles)})" if roles else "nobody who may be asked"
    there = "; ".join(f"{_CALLED.get(role, role)}: {place or 'the map reads none'}" for role, place in fields.items())
    return (
        cause, f"{who} has {_MISSING[cause]} in the chart",
        f"fill it in there{f' ({there})' if there else ''}, or {_BY_OTHER_MEANS}",
    )  # fmt: skip


def refused(channel: str, detail: str) -> Why:
    """Say that a message was not taken, and will not be."""
    return (
        "notice_refused", f"the {SERVICE[channel]} refused the message: {detail}",
        f"{_correct(channel)}; if it refuses us, mend our account there and retry this hold",
    )  # fmt: skip


def undelivered(channel: str, code: str) -> Why:
    """Say that a message was taken and did not arrive."""
    return "notice_undelivered", f"the message was not delivered (code {code or 'not given'})", _correct(channel)


def unknown(channel: str, notice_id: str, detail: str) -> Why:
    """Say that a message may or may not have gone out."""
    look = "look the message up at the SMS service"
    if channel == EMAIL:
        look = f"look for a Message-ID that begins with {notice_id} in the log of the mail server"
    return (
        "notice_unknown", f"nobody knows whether the message went out: {detail}",
        f"{look}; it is not sent again by itself",
    )  # fmt: skip


def unreachable(channel: str, detail: str) -> Why:
    """Say that a service takes nothing from us at the moment."""
    return (
        "not_reachable", f"the {SERVICE[channel]} takes no messages from us, and they wait: {detail}",
        "check its address, the network and our account there; sending goes on by itself",
    )  # fmt: skip


def _correct(channel: str) -> str:
    return f"correct the {'number' if channel == SMS else 'address'} in the chart, or {_BY_OTHER_MEANS}"
