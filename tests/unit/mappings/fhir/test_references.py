"""Whom an Invoice concerns: references in all the ways in which they are written."""

from __future__ import annotations

from typing import Any

import pytest

from chartpost.mappings.fhir.references import Around, People, people

UUID = "0f8e6a52-6c44-4d6e-9a53-1d6f5f2b7a01"


def patient(id: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "name": [{"family": f"Family {id}"}], **more}


def related(id: str = "9", **more: Any) -> dict[str, Any]:
    return {"resourceType": "RelatedPerson", "id": id, "name": [{"family": "Parent"}], **more}


def at(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource}


def concerned(around: list[Any], base: str = "", **elements: Any) -> People:
    return people(Around(around), {"resourceType": "Invoice", **elements}, base)


def to(reference: str, **more: Any) -> dict[str, Any]:
    return {"reference": reference, **more}


@pytest.mark.parametrize(
    ("reference", "around"),
    [
        ("Patient/1", [patient()]),
        ("Patient/1/_history/3", [patient()]),
        ("Patient/1", [at("https://ehr.example.org/fhir/Patient/1", patient())]),
        ("https://ehr.example.org/fhir/Patient/1", [at("https://ehr.example.org/fhir/Patient/1", patient())]),
        ("https://ehr.example.org/fhir/Patient/1/_history/2", [patient()]),
        (f"urn:uuid:{UUID}", [at(f"urn:uuid:{UUID}", patient())]),
        (f"urn:uuid:{UUID.upper()}", [at(f"urn:uuid:{UUID}", patient())]),
        (f"Patient/{UUID}", [at(f"urn:uuid:{UUID}", patient(UUID))]),
        (f"Patient/{UUID}", [at(f"urn:uuid:{UUID}", {"resourceType": "Patient"})]),
    ],
)
def test_a_reference_is_followed_in_every_spelling(reference: str, around: list[Any]) -> None:
    found = concerned([related(), *around], subject=to(reference))
    assert found.patient.resource is not None
    assert found.missing() == ()


@pytest.mark.parametrize(
    ("reference", "around"),
    [
        ("Patient/1", [patient("2"), related("1")]),
        ("https://other.example.org/Patient/1", [at("https://ehr.example.org/Patient/1", patient())]),
        (f"Patient/{UUID}", [at(f"urn:uuid:{UUID}", {"resourceType": "Group"})]),
        ("Patient/1", [patient(active=True), patient(active=False)]),
        ("Patient/1", [at("https://a.example.org/Patient/1", patient()), at("urn:uuid:x", patient(active=True))]),
    ],
)
def test_what_fits_nothing_or_two_different_resources_is_missing_and_never_guessed(
    reference: str, around: list[Any]
) -> None:
    found = concerned(around, subject=to(reference))
    assert found.patient.resource is None
    assert found.missing() == (reference,)


def test_a_contained_resource_is_found_and_one_that_is_not_there_cannot_be_fetched() -> None:
    assert concerned([], subject=to("#p"), contained=[patient("p")]).patient.resource == patient("p")
    assert concerned([], subject=to("#q"), contained=[patient("p")]).missing() == ()


def test_two_that_are_contained_under_one_name_in_different_resources_are_two() -> None:
    account = {"resourceType": "Account", "id": "5", "contained": [patient("p", active=True)]}
    held = account | {"guarantor": [{"party": to("#p")}]}
    found = concerned([held], subject=to("#p"), contained=[patient("p")], account=to("Account/5"))
    assert found.guarantor.resource == patient("p", active=True)


def test_an_urn_or_a_condition_cannot_be_fetched() -> None:
    for reference in (f"urn:uuid:{UUID}", "Patient?identifier=urn:x|1", "Patient", "#", "", "12"):
        assert concerned([], subject=to(reference)).missing() == ()


def test_a_relative_reference_means_the_server_of_who_refers() -> None:
    mine, theirs = at("https://a.example.org/Patient/1", patient()), at("https://b.example.org/Patient/1", patient(x=1))
    for base, resource in (("https://a.example.org/", mine), ("https://b.example.org/", theirs)):
        assert concerned([mine, theirs], base, subject=to("Patient/1")).patient.resource == resource["resource"]


def test_of_several_versions_the_first_counts() -> None:
    url = "https://ehr.example.org/Patient/1"
    newest = patient(active=True)
    assert concerned([at(url, newest), at(url, patient())], subject=to("Patient/1")).patient.resource is newest


def test_an_identifier_alone_is_enough_for_one_who_is_there() -> None:
    mrn = {"system": "urn:example:mrn", "value": "M1"}
    found = concerned([patient(identifier=[mrn])], subject={"identifier": mrn})
    assert found.patient.resource is not None
    assert concerned([patient(identifier=[{"value": "M1"}])], subject={"identifier": {"value": "M1"}}).missing() == ()
    assert (
        concerned([related(identifier=[mrn])], subject={"identifier": mrn, "type": "Patient"}).patient.resource is None
    )


# ------------------------------------------------------------------------------------------------------ who pays


def test_a_recipient_who_is_not_the_patient_pays() -> None:
    found = concerned([patient(), related()], subject=to("Patient/1"), recipient=to("RelatedPerson/9"))
    assert found.guarantor.resource == related()
    assert found.variables()["payer"] == related()


@pytest.mark.parametrize(
    ("subject", "recipient"),
    [
        (to("Patient/1"), to("Patient/1")),
        (to("Patient/1"), to("https://ehr.example.org/fhir/Patient/1")),
        (to("Patient/7"), to("Patient/7", display="Known only by a name")),
        ({"identifier": {"system": "s", "value": "1"}}, to("Patient/7", identifier={"system": "s", "value": "1"})),
        (None, to("Patient/1")),
        (to("Group/4"), to("Patient/1")),
    ],
)
def test_a_recipient_who_is_the_patient_is_no_guarantor(subject: Any, recipient: Any) -> None:
    found = concerned([patient()], subject=subject, recipient=recipient)
    assert found.guarantor.said is None
    assert found.patient.said


@pytest.mark.parametrize(
    ("subject", "recipient"),
    [
        (to("Patient/1"), to("Patient/2")),
        (to("https://a.example.org/Patient/1"), to("https://b.example.org/Patient/1")),
        ({"identifier": {"system": "s", "value": "1"}}, {"identifier": {"system": "t", "value": "1"}}),
        (to("Patient/1", identifier={"system": "s", "value": "1"}),
         to("RelatedPerson/1", identifier={"system": "s", "value": "1"})),
    ],
)  # fmt: skip
def test_somebody_else_is_somebody_else(subject: Any, recipient: Any) -> None:
    assert concerned([], subject=subject, recipient=recipient).guarantor.reference == recipient


def test_what_the_reference_says_itself_is_used_where_it_leads_nowhere() -> None:
    recipient = to("RelatedPerson/3", display="A. Parent", identifier={"system": "s", "value": "3"})
    said = concerned([], subject=to("Patient/1"), recipient=recipient).variables()["guarantor"]
    assert said == {
        "resourceType": "RelatedPerson",
        "identifier": [{"system": "s", "value": "3"}],
        "name": [{"text": "A. Parent"}],
    }
    company = concerned([], recipient=to("Organization/3", display="Acme")).variables()["guarantor"]
    assert company == {"resourceType": "Organization", "name": "Acme"}


def test_of_two_references_to_the_patient_the_one_that_says_more_is_used() -> None:
    found = concerned([], subject=to("Patient/1"), recipient=to("Patient/1", display="B. Patient"))
    assert found.variables()["patient"] == {"resourceType": "Patient", "name": [{"text": "B. Patient"}]}


def test_without_a_recipient_the_guarantor_of_the_account_pays() -> None:
    account = {
        "resourceType": "Account",
        "id": "5",
        "guarantor": [
            {"party": to("Organization/4"), "onHold": True},
            {"party": to("#parent")},
            {"party": to("Patient/1")},
        ],
        "contained": [related("parent")],
    }
    elements = {"subject": to("Patient/1"), "account": to("Account/5")}
    assert concerned([patient(), account], **elements).guarantor.resource == related("parent")
    named = concerned([patient(), account], **elements, recipient=to("Patient/1"))
    assert named.guarantor.said is None


def test_missing_names_who_pays_first_and_the_account_only_where_nobody_else_is_named() -> None:
    everybody = {"subject": to("Patient/1"), "account": to("Account/5")}
    assert concerned([], **everybody).missing() == ("Patient/1", "Account/5")
    assert concerned([], **everybody, recipient=to("RelatedPerson/9")).missing() == ("RelatedPerson/9", "Patient/1")
    account = {"resourceType": "Account", "id": "5", "guarantor": [{"party": to("RelatedPerson/9")}]}
    assert concerned([account, patient()], **everybody).missing() == ("RelatedPerson/9",)
    assert concerned([], recipient={"identifier": {"system": "s", "value": "1"}}, subject=to("Group/3")).missing() == ()


@pytest.mark.parametrize(
    "odd", ["Patient/1", 5, ["Patient/1"], {}, {"reference": 5}, {"reference": {"a": 1}}, None, True]
)
def test_what_is_no_reference_leads_nowhere(odd: Any) -> None:
    found = concerned([patient(), odd], subject=odd, recipient=odd, account=odd)
    assert found.patient.resource is None
    assert found.missing() == ()
