"""Whose contacts an account has: the last word counts, silence changes nothing, and nobody inherits a number."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.charges.people import of_patient, others, payer, renewed, update
from chartpost.adapter.ledger.books import Book
from chartpost.mappings.model import Charge, Contact, Kind, Money, Party, Reading

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


# ------------------------------------------------------------------------------- what else is known, and who else


def test_a_birth_date_and_a_language_stay_until_another_is_said_or_they_are_deleted() -> None:
    born = person("patient", "Ann").model_copy(update={"birth_date": dt.date(1980, 2, 29), "language": "es"})
    stored = renewed(person("patient", "Ann").model_dump(mode="json"), born, frozenset())
    assert (stored["birth_date"], stored["language"]) == ("1980-02-29", "es")
    silent = person("patient", "Bea")
    assert renewed(stored, silent, frozenset()) == {**stored, "given": "Bea"}
    gone = renewed(stored, silent, frozenset(["patient.birth_date", "patient.language"]))
    assert (gone["birth_date"], gone["language"]) == (None, "")
    assert Party.model_validate(stored).birth_date == dt.date(1980, 2, 29)


def test_a_person_as_an_older_version_kept_them_stays_the_same_when_nothing_is_said() -> None:
    old = {"role": "patient", "family": "Roe", "given": "Ann", "contacts": []}
    assert renewed(old, person("patient"), frozenset()) == old


def test_a_payer_of_another_name_has_neither_birth_date_nor_language_of_the_one_before() -> None:
    ann = person("guarantor", "Ann").model_copy(update={"birth_date": dt.date(1980, 2, 29), "language": "es"})
    bea = payer(ann.model_dump(mode="json"), person("guarantor", "Bea"), frozenset())
    assert bea is not None
    assert (bea["birth_date"], bea["language"]) == (None, "")


ROLES = ("household", "bill_to", "insured")
OTHERS = st.dictionaries(st.sampled_from(ROLES), st.tuples(GIVEN, CONTACTS), max_size=3)


@given(st.lists(OTHERS, max_size=6))
def test_everybody_else_follows_the_same_rules_each_for_themselves(messages) -> None:
    stored: dict[str, Any] | None = None
    alone: dict[str, dict[str, Any] | None] = dict.fromkeys(ROLES)
    for message in messages:
        said = {role: person(role, *one) for role, one in message.items()}
        stored = others(stored, said, frozenset())
        for role in ROLES:
            alone[role] = payer(alone[role], said.get(role), frozenset())
        assert stored == ({role: one for role, one in alone.items() if one is not None} or None)
        assert all(one["role"] == role for role, one in (stored or {}).items())


def test_what_is_deleted_of_one_of_them_is_not_deleted_of_another() -> None:
    ann, bea = person("household", "Ann", NUMBERS[:1]), person("insured", "Bea", NUMBERS[1:2])
    stored = others(None, {"household": ann, "insured": bea}, frozenset())
    now = others(stored, {}, frozenset(["household.contacts", "insured.name"]))
    assert now is not None
    assert (numbers(now["household"]), now["household"]["given"]) == ([], "Ann")
    assert (numbers(now["insured"]), now["insured"]["given"]) == ([NUMBERS[1].value], "")


# ---------------------------------------------------------------------------------------------- as an Invoice has it


def account(**more: Any) -> Book:
    patient = person("patient", "Ann").model_dump(mode="json")
    values = {"patient": patient, "guarantor": None, "chart": {"Patient.reference": "Patient/1"}} | more
    return Book(key="k", source="s", facility="f", number="1", currency="USD", **values)


def invoice(who: str = "Patient/1", provider: str = "", missing: tuple[str, ...] = (), **others: Party) -> Reading:
    charge = Charge(ordinal=1, kind=Kind.CHARGE, amount=Money(minor=1, currency="USD"), provider=provider)
    return Reading(
        status="issued", patient=person("patient", "Ann"), others=others, charges=(charge,), missing=missing,
        chart={"Patient.reference": who},
    )  # fmt: skip


HAL, BEA = person("household", "Ann", NUMBERS[:1]), person("bill_to", "Bea", NUMBERS[1:2])


def test_an_invoice_names_everybody_and_whom_it_leaves_out_is_written_to_no_more() -> None:
    book = account()
    assert update(book, invoice(provider="7", household=HAL, bill_to=BEA))
    assert (set(book.others or {}), book.provider, book.renewed) == ({"household", "bill_to"}, "7", True)
    update(book, invoice(bill_to=BEA))
    assert (set(book.others or {}), book.provider) == ({"bill_to"}, "7")
    update(book, invoice())
    assert book.others is None


def test_an_invoice_whose_people_are_not_at_hand_leaves_those_who_were_known() -> None:
    book = account()
    update(book, invoice(household=HAL))
    update(book, invoice(missing=("Patient/1",), bill_to=BEA))
    assert set(book.others or {}) == {"household", "bill_to"}


def test_an_invoice_for_another_patient_keeps_nobody_of_the_former_one() -> None:
    book = account()
    update(book, invoice(provider="7", household=HAL))
    update(book, invoice("Patient/2", missing=("Patient/2",)))
    assert (book.others, book.provider) == (None, "")


def test_the_same_again_changes_nothing() -> None:
    book = account()
    update(book, invoice(household=HAL))
    book.renewed = False
    assert not update(book, invoice(household=HAL))
    assert not book.renewed
