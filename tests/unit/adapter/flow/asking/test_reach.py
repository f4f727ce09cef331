"""Who is written to, by which channel, and what a person is told when it is nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.asking.reach import EMAIL, SMS, Way, find, recipient

PHONE: dict[str, Any] = {"kind": "phone", "value": "+16085550101", "mobile": None}
MOBILE: dict[str, Any] = {"kind": "phone", "value": "+16085550102", "mobile": True}
MAIL: dict[str, Any] = {"kind": "email", "value": "payer@example.org", "mobile": None}
BOTH = [("sms", SMS), ("mail", EMAIL)]


def party(*contacts: dict[str, Any]) -> dict[str, Any]:
    return {"contacts": list(contacts)}


@pytest.mark.parametrize("channel", [SMS, EMAIL])
def test_the_guarantor_comes_before_the_patient_on_every_channel(channel: str) -> None:
    other = party({**PHONE, "value": "+16085550103"}, {**MAIL, "value": "parent@example.org"})
    assert recipient(channel, party(PHONE, MAIL), other) in ("+16085550103", "parent@example.org")
    assert recipient(channel, party(PHONE, MAIL), party()) in (PHONE["value"], MAIL["value"])
    assert recipient(channel, party(PHONE, MAIL), None) in (PHONE["value"], MAIL["value"])


def test_a_mobile_comes_before_any_other_phone_and_the_first_address_before_the_second() -> None:
    second = {**MAIL, "value": "second@example.org"}
    assert recipient(SMS, party(PHONE, MAIL, MOBILE), None) == MOBILE["value"]
    assert recipient(EMAIL, party(PHONE, MAIL, second), None) == MAIL["value"]


@pytest.mark.parametrize(
    ("notifiers", "consent", "contacts", "way"),
    [
        (BOTH, True, [PHONE, MAIL], ("sms", PHONE["value"])),
        (BOTH[::-1], True, [PHONE, MAIL], ("mail", MAIL["value"])),
        (BOTH, True, [MAIL], ("mail", MAIL["value"])),
        (BOTH, False, [PHONE, MAIL], ("mail", MAIL["value"])),
        (BOTH[::-1], True, [PHONE], ("sms", PHONE["value"])),
        ([("first", SMS), ("second", SMS)], True, [PHONE], ("first", PHONE["value"])),
        ([("mail", EMAIL)], False, [MAIL], ("mail", MAIL["value"])),
    ],
)
def test_the_first_channel_that_is_possible_is_taken(
    notifiers: list[tuple[str, str]], consent: bool, contacts: list[dict[str, Any]], way: tuple[str, str]
) -> None:
    found = find(notifiers, consent, party(*contacts), None)
    assert (found.notifier, found.to, found.why_not) == (*way, None)


@pytest.mark.parametrize(
    ("notifiers", "consent", "contacts", "cause"),
    [
        ([], True, [PHONE, MAIL], "no_notifier"),
        ([("sms", SMS)], False, [PHONE, MAIL], "no_consent"),
        ([("sms", SMS)], False, [], "no_consent"),
        ([("sms", SMS)], True, [MAIL], "no_phone"),
        ([("mail", EMAIL)], True, [PHONE], "no_email"),
        (BOTH, True, [], "no_contact"),
        (BOTH, False, [], "no_contact"),
        (BOTH, False, [PHONE], "no_consent"),
    ],
)
def test_when_no_channel_is_possible_a_person_is_told_what_would_help(
    notifiers: list[tuple[str, str]], consent: bool, contacts: list[dict[str, Any]], cause: str
) -> None:
    why_not = find(notifiers, consent, party(*contacts), None).why_not
    assert why_not is not None
    assert why_not[0] == cause
    assert all(why_not)


CONTACTS = st.lists(st.sampled_from([PHONE, MOBILE, MAIL]), max_size=3)
NOTIFIERS = st.lists(st.sampled_from([("a", SMS), ("b", SMS), ("c", EMAIL), ("d", EMAIL)]), unique=True, max_size=4)


@given(NOTIFIERS, st.booleans(), CONTACTS, st.none() | CONTACTS)
def test_nobody_is_texted_without_consent_and_a_way_always_leads_to_somebody_or_says_why_not(
    notifiers: list[tuple[str, str]], consent: bool, patient: list[Any], guarantor: list[Any] | None
) -> None:
    way: Way = find(notifiers, consent, party(*patient), None if guarantor is None else party(*guarantor))
    assert way.why_not or (way.to and (way.notifier, way.channel) in notifiers)
    assert way.why_not or way.channel != SMS or consent
    kinds = {contact["kind"] for contact in [*patient, *(guarantor or [])]}
    possible = (consent and "phone" in kinds, "email" in kinds)
    configured = {channel for _, channel in notifiers}
    assert (way.why_not is None) == ((possible[0] and SMS in configured) or (possible[1] and EMAIL in configured))
