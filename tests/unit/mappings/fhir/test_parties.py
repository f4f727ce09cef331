"""Who may be written to about an Invoice or a ChargeItem, what is known of them, and whose work it was."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from chartpost.mappings import mapfile
from chartpost.mappings.fhir.read import read
from chartpost.mappings.model import Reading

INVOICE, ITEM = mapfile.load("fhir-invoice"), mapfile.load("fhir-chargeitem")
PATIENT: dict[str, Any] = {
    "resourceType": "Patient", "id": "p", "birthDate": "1980-02-29",
    "name": [{"family": "Marlowe", "given": ["Tessa"]}],
    "communication": [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en-US"}]}},
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es-MX"}]}, "preferred": True},
    ],
    "contact": [
        {"organization": {"reference": "Organization/o"}, "telecom": [{"system": "phone", "value": "608-555-0140"}]},
        {"name": {"family": "Roe", "given": ["Hal"]}, "telecom": [{"system": "phone", "value": "608-555-0145"}]},
        {"name": {"family": "Roe", "given": ["Eva"]}, "telecom": [{"system": "phone", "value": "608-555-0146"}]},
    ],
}  # fmt: skip


def related(id: str, given: str, number: str, **more: Any) -> dict[str, Any]:
    telecom = [{"system": "phone", "value": number}]
    return {"resourceType": "RelatedPerson", "id": id, "name": [{"family": "Roe", "given": [given]}], **more} | {
        "telecom": telecom
    }


ANN = related(
    "a", "Ann", "608-555-0141", birthDate="1955-05-05", communication=[{"language": {"coding": [{"code": "vi"}]}}]
)
BEA, CY = related("b", "Bea", "608-555-0142"), related("c", "Cy", "608-555-0143")


def account(*parties: str, held: str = "") -> dict[str, Any]:
    guarantors = [{"party": {"reference": party}, "onHold": party == held} for party in parties]
    return {"resourceType": "Account", "id": "acc", "guarantor": guarantors}


def invoice(*around: dict[str, Any], **more: Any) -> Reading:
    said = {
        "resourceType": "Invoice", "id": "i", "status": "issued", "subject": {"reference": "Patient/p"},
        "account": {"reference": "Account/acc"}, "totalGross": {"value": 10, "currency": "USD"}, **more,
    }  # fmt: skip
    everybody = [PATIENT, ANN, BEA, CY, *around]
    return read(said, INVOICE, currency="USD", region="US", timezone="America/Chicago", around=everybody)


def item(*around: dict[str, Any], **more: Any) -> Reading:
    said = {
        "resourceType": "ChargeItem", "id": "i", "status": "billable", "subject": {"reference": "Patient/p"},
        "account": [{"reference": "Account/acc"}], "priceOverride": {"value": 10, "currency": "USD"}, **more,
    }  # fmt: skip
    everybody = [PATIENT, ANN, BEA, CY, *around]
    return read(said, ITEM, currency="USD", region="US", timezone="America/Chicago", around=everybody)


@pytest.mark.parametrize("make", [invoice, item])
def test_birth_date_language_household_and_guarantor_are_read(make: Any) -> None:
    found = make(account("RelatedPerson/a"))
    assert (found.patient.birth_date, found.patient.language) == (dt.date(1980, 2, 29), "es")
    assert (found.guarantor.name, found.guarantor.birth_date, found.guarantor.language) == (
        "Ann Roe", dt.date(1955, 5, 5), "vi",
    )  # fmt: skip
    household = found.others["household"]
    assert (household.name, [contact.value for contact in household.contacts]) == ("Hal Roe", ["+16085550145"])


@pytest.mark.parametrize(
    ("parties", "held", "recipient", "payer", "other"),
    [
        (["RelatedPerson/a"], "", None, "Ann", None),
        (["RelatedPerson/a", "RelatedPerson/b"], "", None, "Ann", "Bea"),
        (["RelatedPerson/a", "RelatedPerson/b", "RelatedPerson/c"], "RelatedPerson/b", None, "Ann", "Cy"),
        (["RelatedPerson/a", "RelatedPerson/b"], "", "RelatedPerson/b", "Bea", "Ann"),
        (["RelatedPerson/a", "RelatedPerson/a"], "", "RelatedPerson/a", "Ann", None),
        (["Patient/p", "RelatedPerson/b"], "", None, None, "Bea"),
        (["RelatedPerson/a"], "", "Patient/p", None, "Ann"),
        ([], "", "RelatedPerson/c", "Cy", None),
    ],
)
def test_whoever_else_guarantees_the_account_is_the_bill_to_contact(
    parties: list[str], held: str, recipient: str | None, payer: str | None, other: str | None
) -> None:
    more = {"recipient": {"reference": recipient}} if recipient else {}
    found = invoice(account(*parties, held=held), **more)
    assert (found.guarantor.given if found.guarantor else None) == payer
    assert (found.others["bill_to"].given if "bill_to" in found.others else None) == other


def test_a_birth_date_that_is_no_day_is_nothing_and_the_invoice_is_read() -> None:
    for text in ("1980", "1980-02", "1980-02-30", "soon"):
        young = {**PATIENT, "id": "q", "birthDate": text}
        found = invoice(young, subject={"reference": "Patient/q"})
        assert (found.patient.birth_date, len(found.charges)) == (None, 1)


@pytest.mark.parametrize(
    ("actor", "provider"),
    [
        ({"reference": "Practitioner/7"}, "Practitioner/7"),
        ({"reference": "Practitioner/7", "identifier": {"value": "1467"}}, "1467"),
        ({"display": "Somebody"}, ""),
    ],
)
def test_whose_work_it_was_is_an_identifier_else_a_reference(actor: dict[str, Any], provider: str) -> None:
    assert invoice(participant=[{"actor": actor}]).charges[0].provider == provider
    assert item(performer=[{"actor": actor}]).charges[0].provider == provider


def test_a_map_of_fhir_may_read_consent_and_the_insured_person_where_a_site_has_them() -> None:
    site = mapfile.parse(
        "extends: fhir-invoice\nmessage:\n"
        "  - {target: consent.sms, path: \"%patient.extension.where(url = 'urn:texts').valueBoolean\"}\n"
        "  - {target: insured.contacts, path: \"%account.extension.where(url = 'urn:insured').valueContactPoint\"}\n"
    )
    telecom = {"system": "phone", "value": "608-555-0149"}
    held = account() | {"extension": [{"url": "urn:insured", "valueContactPoint": telecom}]}
    for yes in (True, False):
        texts = {**PATIENT, "id": "q", "extension": [{"url": "urn:texts", "valueBoolean": yes}]}
        said = {
            "resourceType": "Invoice", "id": "i", "status": "issued", "subject": {"reference": "Patient/q"},
            "account": {"reference": "Account/acc"}, "totalGross": {"value": 10},
        }  # fmt: skip
        found = read(said, site, currency="USD", region="US", timezone="UTC", around=[texts, held])
        assert found.consent == {"sms": yes}
        assert [contact.value for contact in found.others["insured"].contacts] == ["+16085550149"]
