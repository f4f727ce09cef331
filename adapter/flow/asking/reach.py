"""By which channel a payer can be reached, and what a person is told when by none. Pure: contacts in, a way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SMS, EMAIL = "sms", "email"
_KIND = {SMS: "phone", EMAIL: "email"}  #: channel → kind of contact
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
NO_PHONE: Why = (
    "no_phone", "neither the guarantor nor the patient has a phone number in the chart",
    f"add a number to the chart, or {_BY_OTHER_MEANS}",
)  # fmt: skip
NO_EMAIL: Why = (
    "no_email", "neither the guarantor nor the patient has an e-mail address in the chart",
    f"add an address to the chart, or {_BY_OTHER_MEANS}",
)  # fmt: skip
NO_CONTACT: Why = (
    "no_contact", "neither the guarantor nor the patient has a phone number or an e-mail address in the chart",
    f"add one of them to the chart, or {_BY_OTHER_MEANS}",
)  # fmt: skip


NO_OWN_CONTACT: Why = (
    "no_contact", "a visit was confidential, and the patient has no number or address that is not the guarantor's too",
    "reach the patient by other means, never through the guarantor",
)  # fmt: skip


class Owner(Protocol):
    """An account as far as it says who may be written to: a row of it, or a book."""

    @property
    def patient(self) -> Mapping[str, Any]: ...
    @property
    def guarantor(self) -> Mapping[str, Any] | None: ...
    @property
    def stopped(self) -> str: ...
    @property
    def patient_only(self) -> bool: ...


def people(account: Owner) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Return the patient and who else pays; of a confidential account the patient alone, with contacts of their own."""
    if not account.patient_only:
        return account.patient, account.guarantor
    shared = {_same(contact) for contact in (account.guarantor or {}).get("contacts", ())}
    own = [contact for contact in account.patient.get("contacts", ()) if _same(contact) not in shared]
    return {**account.patient, "contacts": own}, None


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


def recipient(channel: str, patient: Mapping[str, Any], guarantor: Mapping[str, Any] | None) -> str | None:
    """Return the number (E.164) or address to write to: the guarantor before the patient, a mobile before a phone."""
    for party in (guarantor, patient):
        found = [contact for contact in (party or {}).get("contacts", ()) if contact["kind"] == _KIND.get(channel)]
        found.sort(key=lambda contact: contact["mobile"] is not True)
        if found:
            return str(found[0]["value"])
    return None


def find(
    notifiers: Iterable[tuple[str, str]], consent: bool, patient: Mapping[str, Any], guarantor: Mapping[str, Any] | None
) -> Way:
    """Return the first way that is possible; else the first one there is, with the reason why none is.

    `notifiers`: name and channel, in the order of the facility. Of several with one channel the first one counts.
    `consent` concerns texts only.
    """
    passed: dict[str, Way] = {}
    for name, channel in notifiers:
        if channel in passed:
            continue
        to = recipient(channel, patient, guarantor)
        if channel == SMS and not consent:
            passed[channel] = Way(name, channel, to, NO_CONSENT)
        elif to is None:
            passed[channel] = Way(name, channel, None, NO_PHONE if channel == SMS else NO_EMAIL)
        else:
            return Way(name, channel, to)
    if not passed:
        return Way("", SMS, None, NO_NOTIFIER)
    ways = list(passed.values())
    why = ways[0].why_not
    if len(ways) > 1:  # nothing to write to, or a number that may not be used
        why = NO_CONSENT if any(way.to for way in ways) else NO_CONTACT
    return Way(ways[0].notifier, ways[0].channel, ways[0].to, why)


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
