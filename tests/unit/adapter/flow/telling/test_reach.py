"""Who is written to, by which channel, and what a person is told when it is nobody."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import configuration

from chartpost.adapter.flow.telling.reach import (
    EMAIL,
    NOBODY,
    SMS,
    Way,
    fields,
    find,
    nobody,
    ordered,
    people,
    recipient,
    whose,
)
from chartpost.adapter.policy import Role
from chartpost.mappings import mapfile

PHONE: dict[str, Any] = {"kind": "phone", "value": "+16085550101", "mobile": None}
MOBILE: dict[str, Any] = {"kind": "phone", "value": "+16085550102", "mobile": True}
MAIL: dict[str, Any] = {"kind": "email", "value": "payer@example.org", "mobile": None}
BOTH = [("sms", SMS), ("mail", EMAIL)]


USUAL = configuration().facilities["lakeside"].contacts
ROLES: tuple[str, ...] = get_args(Role)


def party(*contacts: dict[str, Any]) -> dict[str, Any]:
    return {"contacts": list(contacts)}


def account(patient: Any, guarantor: Any = None, others: Any = None, *, patient_only: bool = False) -> Any:
    return SimpleNamespace(
        patient=patient, guarantor=guarantor, others=others, stopped="", patient_only=patient_only
    )  # fmt: skip


@pytest.mark.parametrize("channel", [SMS, EMAIL])
def test_the_guarantor_comes_before_the_patient_on_every_channel(channel: str) -> None:
    other = party({**PHONE, "value": "+16085550103"}, {**MAIL, "value": "parent@example.org"})
    own = {SMS: PHONE["value"], EMAIL: MAIL["value"]}
    of_other = {SMS: "+16085550103", EMAIL: "parent@example.org"}
    assert recipient(channel, ordered(account(party(PHONE, MAIL), other), USUAL)) == of_other[channel]
    assert recipient(channel, ordered(account(party(PHONE, MAIL), party()), USUAL)) == own[channel]
    assert recipient(channel, ordered(account(party(PHONE, MAIL)), USUAL)) == own[channel]


def test_a_mobile_comes_before_any_other_phone_and_the_first_address_before_the_second() -> None:
    second = {**MAIL, "value": "second@example.org"}
    assert recipient(SMS, [party(PHONE, MAIL, MOBILE)]) == MOBILE["value"]
    assert recipient(EMAIL, [party(PHONE, MAIL, second)]) == MAIL["value"]


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
    found = find(notifiers, consent, [party(*contacts)])
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
    why_not = find(notifiers, consent, [party(*contacts)]).why_not
    assert why_not is not None
    assert why_not[0] == cause
    assert all(why_not)


CONTACTS = st.lists(st.sampled_from([PHONE, MOBILE, MAIL]), max_size=3)
NOTIFIERS = st.lists(st.sampled_from([("a", SMS), ("b", SMS), ("c", EMAIL), ("d", EMAIL)]), unique=True, max_size=4)


@given(NOTIFIERS, st.booleans(), CONTACTS, st.none() | CONTACTS)
def test_nobody_is_texted_without_consent_and_a_way_always_leads_to_somebody_or_says_why_not(
    notifiers: list[tuple[str, str]], consent: bool, patient: list[Any], guarantor: list[Any] | None
) -> None:
    way: Way = find(notifiers, consent, [party(*(guarantor or [])), party(*patient)])
    assert way.why_not or (way.to and (way.notifier, way.channel) in notifiers)
    assert way.why_not or way.channel != SMS or consent
    kinds = {contact["kind"] for contact in [*patient, *(guarantor or [])]}
    possible = (consent and "phone" in kinds, "email" in kinds)
    configured = {channel for _, channel in notifiers}
    assert (way.why_not is None) == ((possible[0] and SMS in configured) or (possible[1] and EMAIL in configured))


# ------------------------------------------------------------------------------------- whom the facility looks for


def numbered(role: str) -> dict[str, Any]:
    """A person of this role with a number of their own."""
    number = f"+1608555012{ROLES.index(role)}"
    return {"role": role, "language": "", "contacts": [{**PHONE, "value": number}]}


EVERYBODY = {role: numbered(role) for role in ROLES}
NUMBERS = {role: person["contacts"][0]["value"] for role, person in EVERYBODY.items()}


def everybody(*present: str, patient_only: bool = False) -> Any:
    there = {role: EVERYBODY[role] for role in present}
    others = {role: there[role] for role in ROLES[2:] if role in there}
    return account(
        there.get("patient", party()), there.get("guarantor"), others or None, patient_only=patient_only
    )  # fmt: skip


@given(st.permutations(ROLES), st.integers(1, 5), st.sets(st.sampled_from(ROLES)))
def test_people_are_looked_for_in_the_order_of_the_facility_and_nobody_outside_it(
    order: list[str], named: int, present: set[str]
) -> None:
    wanted = next((NUMBERS[role] for role in order[:named] if role in present), None)
    assert recipient(SMS, ordered(everybody(*present), order[:named])) == wanted


@given(st.permutations(ROLES), st.sets(st.sampled_from(ROLES)), st.sampled_from(ROLES[1:]))
def test_a_confidential_account_never_leaves_the_patient(order: list[str], present: set[str], sharer: str) -> None:
    told = recipient(SMS, ordered(everybody(*present, patient_only=True), order))
    assert told == (NUMBERS["patient"] if "patient" in present else None)
    shared = everybody(*present, sharer, patient_only=True)
    shared.patient = EVERYBODY[sharer]
    assert ordered(shared, order)[0]["contacts"] == [], "a number that somebody else has too is not the patient's own"


def said(*to: str) -> dict[str, Any]:
    return {"recipients": [{"channel": EMAIL if "@" in one else SMS, "to": one} for one in to]}


def test_recipients_that_a_person_gave_come_alone_and_a_known_one_keeps_its_language() -> None:
    there = everybody("patient", "guarantor")
    there.patient = {**EVERYBODY["patient"], "language": "es"}
    found = ordered(there, USUAL, said("new@example.org", NUMBERS["patient"]))
    assert [one["contacts"][0]["value"] for one in found] == ["new@example.org", NUMBERS["patient"]]
    assert [one["language"] for one in found] == ["", "es"]
    assert recipient(SMS, found) == NUMBERS["patient"]
    assert ordered(there, USUAL, {"payer": "P. Sample"}) == ordered(there, USUAL)


def test_of_a_confidential_account_a_person_cannot_give_the_number_of_somebody_else() -> None:
    there = everybody(*ROLES, patient_only=True)
    found = ordered(there, USUAL, said(*NUMBERS.values(), "+16085550199"))
    assert [one["contacts"][0]["value"] for one in found] == [NUMBERS["patient"], "+16085550199"]


def test_whoever_has_a_number_is_found_by_it_and_its_channel() -> None:
    there = everybody(*ROLES)
    for role, number in NUMBERS.items():
        found = whose(people(there).values(), SMS, number)
        assert found is not None
        assert found["role"] == role
    assert whose(people(there).values(), EMAIL, NUMBERS["patient"]) is None
    assert whose([{"contacts": [MAIL]}], EMAIL, "Payer@Example.org") is not None


# ------------------------------------------------------------------------------------------ what there is to fill in


def test_a_hold_names_the_fields_of_the_chart_where_the_source_has_contacts() -> None:
    order = ("patient", "household", "guarantor", "insured")
    cause, text, fix = nobody("no_phone", fields(mapfile.load("hl7v2-dft-adt"), order))
    assert cause in NOBODY
    assert (
        text
        == "nobody who may be asked (patient, household, guarantor, insured person) has a phone number in the chart"
    )
    assert "patient: PID-13, PID-14, PID-40; household: NK1-5, NK1-6, NK1-40; guarantor: GT1-6, GT1-7" in fix
    assert "insured person: IN2-63" in fix


def test_a_hold_says_where_a_map_reads_nothing_and_names_paths_of_fhir() -> None:
    order = ("guarantor", "insured")
    assert fields(mapfile.load("fhir-invoice"), order) == {"guarantor": "%guarantor.telecom", "insured": ""}
    _, _, fix = nobody("no_email", fields(mapfile.load("fhir-invoice"), order))
    assert "guarantor: %guarantor.telecom; insured person: the map reads none" in fix
    assert all(nobody("no_contact", fields(None, ())))
