"""FHIRPath in maps: mistakes are found when the map is loaded, and odd data never ends in a crash."""

from __future__ import annotations

import copy
import re
import traceback
from decimal import Decimal
from typing import Any

import pytest

from chartpost.mappings.fhir.fhirpath import Element, ElementPath, Scope, compile_account, compile_path
from chartpost.mappings.transforms import Rejected

INVOICE: dict[str, Any] = {
    "resourceType": "Invoice",
    "status": "issued",
    "_status": {"extension": [{"url": "urn:x", "valueCode": "y"}]},
    "identifier": [{"system": "urn:example:invoices", "value": "7"}, {"value": "8"}],
    "totalGross": {
        "value": Decimal("10.00"),
        "currency": "EUR",
        "extension": [{"url": "u", "valueMoney": {"value": 5}}],
    },
    "_date": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
    "note": [{"text": "Grete Meier was here"}],
}
PATIENT = {
    "resourceType": "Patient",
    "telecom": [
        {"value": "second", "rank": 2},
        {"value": "unranked"},
        {"value": "first", "rank": 1},
        {"value": "odd", "rank": "1"},
    ],
}
SCOPE = Scope(INVOICE, {"patient": PATIENT})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Invoice.status", "issued"),
        ("status", "issued"),
        ("Invoice.totalGross.value", "10.00"),
        ("Invoice.identifier[1].value", "8"),
        ("Invoice.identifier.where(system.exists().not()).value", "8"),
        ("Invoice.totalGross.extension.where(url = 'u').valueMoney.value", "5"),
        ("%patient.telecom.where(rank = 1).value", "first"),
        ("%resource.status", "issued"),
        ("Invoice.status = 'issued'", "true"),
        ("Invoice.date", None),
        ("%guarantor.name.family", None),
        ("%account", None),
    ],
)
def test_a_path_finds_the_first_value_or_nothing(path: str, value: str | None) -> None:
    assert compile_path(path).get(SCOPE) == value


def test_an_amount_keeps_its_digits_and_an_object_is_handed_on_whole() -> None:
    found = compile_path("Invoice.totalGross").found(SCOPE, whole=True)
    assert found is not None
    given = found.given
    assert isinstance(given, Element)
    assert given.data == INVOICE["totalGross"]
    assert given.raw.startswith('{"value":10.00,')


def test_what_stands_beside_a_value_is_no_value_and_does_not_hide_it() -> None:
    assert SCOPE.find(compile_path("Invoice.status")) == ["issued"]
    assert SCOPE.find(compile_path("Invoice.where(status = 'issued').identifier[0].value")) == ["7"]
    assert SCOPE.find(compile_path("Invoice.date")) == []


def test_an_object_is_no_text() -> None:
    with pytest.raises(Rejected, match="an object stands there"):
        compile_path("Invoice.totalGross").get(SCOPE)


def test_contacts_come_by_rank_and_the_unranked_last_in_their_order() -> None:
    found = compile_path("%patient.telecom").items(SCOPE, whole=True)
    assert [(place, element.data["value"]) for place, _, element in found] == [
        ("%patient.telecom[2]", "first"),
        ("%patient.telecom[0]", "second"),
        ("%patient.telecom[1]", "unranked"),
        ("%patient.telecom[3]", "odd"),
    ]


def test_evaluating_changes_nothing_in_the_resource() -> None:
    before = copy.deepcopy(INVOICE)
    scope = Scope(INVOICE, {})
    for path in ("Invoice.identifier.first().value", "-5", "Invoice.identifier.value | Invoice.status"):
        scope.find(compile_path(path))
    assert before == INVOICE


@pytest.mark.parametrize("path", ["-Invoice.status", "Invoice.note.text + 1", "Invoice.note.text.take('x')"])
def test_what_does_not_fit_is_a_cause_and_a_fix_without_what_stood_there(path: str) -> None:
    with pytest.raises(Rejected, match="the path does not fit what came") as caught:
        SCOPE.find(compile_path(path))
    assert caught.value.fix
    assert "Grete" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Invoice.status junk", "it goes wrong at character 16"),
        ("Invoice.(", "it goes wrong at character 9"),
        ("Invoice.totalGross ==", "it goes wrong at character 21"),
        ("'open", "it goes wrong at character 1"),
        ("", "it goes wrong at character 1"),
        ("(" * 400, "is not FHIRPath"),
        ("Invoice.statuss()", "there is no function statuss()"),
        ("Invoice.identifier.|()", "is not FHIRPath"),
        ("%pateint.name", "there is no %pateint; known: %subject"),
        ("%'x'.name", "there is no %it"),
        ("Invoice.where(%who.exists())", "there is no %who"),
        ("today()", "a map cannot use today()"),
        ("Invoice.note.trace('note')", "a map cannot use trace()"),
        ("Invoice.identifier.single()", "a map cannot use single()"),
        ("Patient.name", "a path begins at the Invoice"),
        ("PID-18", "a path begins at the Invoice"),
        ("FT1-11.1", "a path begins at the Invoice"),
    ],
)
def test_a_mistake_in_a_path_is_found_before_any_message_is_read(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        compile_path(text)


def test_the_account_is_named_by_the_invoice_alone() -> None:
    assert compile_account("Invoice.identifier").get
    with pytest.raises(ValueError, match="by the Invoice alone"):
        compile_account("%account.identifier")


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("%guarantor.telecom", "guarantor"),
        ("%guarantor.name.where(use = 'official').family", "guarantor"),
        ("%guarantor.contact.where(name.exists()).first().telecom", "guarantor"),
        ("%guarantor[0].name", "guarantor"),
        ("%guarantor", "guarantor"),
        ("%guarantor.exists()", ""),
        ("%guarantor.name.exists().not()", ""),
        ("%guarantor.name.count()", ""),
        ("%guarantor.name | %patient.name", ""),
        ("%guarantor.name.where(%patient.exists().not()).exists()", ""),
        ("%resource.id", ""),
        ("%context.id", ""),
        ("id", ""),
    ],
)
def test_a_path_is_passed_over_without_its_variable_only_where_it_would_find_nothing(text: str, needs: str) -> None:
    path = compile_path(text)
    assert path.needs == needs
    there = Scope({"resourceType": "Invoice", "id": "i"}, {"patient": {"name": [{"text": "A"}]}, "guarantor": None})
    if needs:
        assert there.find(path) == there.find(ElementPath(text, path.tree)) == []
    assert there.find(path) == there.find(ElementPath(text, path.tree))
