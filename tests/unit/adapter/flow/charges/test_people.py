"""Whose contacts an account has: the last word counts, silence changes nothing, and nobody inherits a number."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.charges.people import of_patient, payer, renewed
from chartpost.mappings.model import Contact, Party

NUMBERS = tuple(Contact(kind="phone", value=f"+1608555010{digit}") for digit in range(4))
CONTACTS = st.lists(st.sampled_from(NUMBERS), max_size=3, unique=True).map(tuple)
GIVEN = st.sampled_from(["", "Ann", "ANN", "Bea"])
WORDS = st.frozensets(st.sampled_from(["guarantor.name", "guarantor.contacts", "patient.name", "patient.contacts"]))


def person(role: Any, given: str = "", contacts: tuple[Contact, ...] = ()) -> Party:
    return Party(role=role, family="Roe" if given else "", given=given, contacts=contacts)


def numbers(stored: dict[str, Any] | None) -> list[str]:
    return [contact["value"] for contact in (stored or {}).get("contacts", ())]


@given(st.lists(st.tuples(GIVEN, CONTACTS, WORDS), max_size=6))
def test_contacts_are_those_of_the_last_message_that_said_anything_of_them(said) -> None:
    stored, last = person("patient").model_dump(mode="json"), []
    for given_name, contacts, deleted in said:
        stored = renewed(stored, person("patient", given_name, contacts), deleted)
        if contacts:
            last = [contact.value for contact in contacts]
        elif "patient.contacts" in deleted:
            last = []
        assert numbers(stored) == last
    assert Party.model_validate(stored).role == "patient"


@given(st.lists(st.tuples(GIVEN, CONTACTS, WORDS), max_size=6))
def test_a_payer_of_another_name_never_has_a_number_of_the_one_before(said) -> None:
    stored: dict[str, Any] | None = None
    for given_name, contacts, deleted in said:
        before, now = stored, person("guarantor", given_name, contacts)
        stored = payer(before, now, deleted)
        another = bool(given_name) and (before or {}).get("given", "").casefold() != given_name.casefold()
        if another:
            assert numbers(stored) == [contact.value for contact in contacts]


def test_a_message_that_says_nothing_of_a_payer_leaves_whoever_pays() -> None:
    ann = person("guarantor", "Ann", NUMBERS[:1]).model_dump(mode="json")
    assert payer(ann, None, frozenset()) == ann
    assert numbers(payer(ann, None, frozenset(["guarantor.contacts"]))) == []
    assert payer(None, None, frozenset(["guarantor.contacts"])) is None


def test_fields_of_an_account_or_a_visit_are_not_the_patients() -> None:
    chart = {"PID-3": "M1", "PID-5": "Roe^Ann", "PID-18": "A1", "PV1-19": "V1", "PID-2": ""}
    assert of_patient(chart) == {"PID-3": "M1", "PID-5": "Roe^Ann"}
