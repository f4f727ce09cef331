"""What the FHIR face says of itself and to its senders is FHIR, in the source's version: fhir.resources reads it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b

from chartpost.adapter.flow.door.receive_fhir import FhirReceiver, FhirRules, Version
from chartpost.adapter.flow.door.receive_invoice import Asked
from chartpost.adapter.flow.posting.reconciliations import Found, Page, Search
from chartpost.adapter.ledger.intake import Fate
from chartpost.adapter.web.fhir_answers import answered
from chartpost.adapter.web.fhir_capability import capability
from chartpost.adapter.web.fhir_search import Query, searchset
from chartpost.adapter.web.fhir_table import INTERACTIONS, PARAMETERS, offered
from chartpost.mappings import mapfile
from chartpost.mappings.fhir import jsontext

NOW = dt.datetime(2026, 5, 4, 15, 0, tzinfo=dt.UTC)
BASE = "https://inside.example.org/fhir/ehr"
VERSIONS: list[Version] = ["R4", "R4B", "R5"]
every_version = pytest.mark.parametrize("version", VERSIONS)


def valid(resource: Any, version: Version) -> Any:
    """Read a resource as its version defines it, and return it."""
    model = (r5 if version == "R5" else r4b)(resource["resourceType"])
    model.model_validate_json(jsontext.encode(resource))
    return resource


def answer(body: Any, version: Version, asked: Asked | None = None, wanted: str = "") -> Any:
    rules = FhirRules("ehr", "lakeside", mapfile.load("fhir-invoice"), version)
    judged = FhirReceiver(rules).judge(json.dumps(body).encode(), 1, asked)
    fates = [Fate(number, one.row.state, one.row.ack_code) for number, one in enumerate(judged.receipts, 4)]
    return answered(judged, fates, base=BASE, now=NOW, version=version, wanted=wanted)


@every_version
def test_the_capability_statement_is_valid_and_tells_what_is_routed(version: Version) -> None:
    statement = valid(capability(version, BASE, NOW), version)
    [rest] = statement["rest"]
    told = {(one["type"], each["code"]) for one in rest["resource"] for each in one["interaction"]}
    assert told == {
        ("Invoice", "create"), ("Invoice", "update"),
        ("PaymentReconciliation", "read"), ("PaymentReconciliation", "search-type"),
        ("Consent", "create"), ("Consent", "update"),
    }  # fmt: skip
    others = "a search and an update by POST, metadata, two addresses of Bundles, the operation"
    assert len(offered("Invoice")) == len(offered("ChargeItem")) == len(told) + 6, others
    assert set(INTERACTIONS) == {*offered("Invoice"), *offered("ChargeItem")}
    assert [one["name"] for one in rest["resource"][1]["searchParam"]] == [one.name for one in PARAMETERS]
    assert statement["fhirVersion"] == {"R4": "4.0.1", "R4B": "4.3.0", "R5": "5.0.0"}[version]


@every_version
def test_where_the_map_reads_charge_items_they_are_offered_in_the_place_of_invoices(version: Version) -> None:
    statement = valid(capability(version, BASE, NOW, "ChargeItem"), version)
    offers = {one["type"]: [each["code"] for each in one["interaction"]] for one in statement["rest"][0]["resource"]}
    assert offers == {
        "ChargeItem": ["create", "update"], "PaymentReconciliation": ["search-type", "read"],
        "Consent": ["create", "update"],
    }  # fmt: skip
    item = {"resourceType": "ChargeItem", "status": "billable", "id": "17"}
    rules = FhirRules("ehr", "lakeside", mapfile.load("fhir-chargeitem"), version)
    judged = FhirReceiver(rules).judge(json.dumps(item).encode(), 1, Asked("update", "17"))
    fates = [Fate(4, one.row.state, one.row.ack_code) for one in judged.receipts]
    told = answered(judged, fates, base=BASE, now=NOW, version=version, wanted="")
    assert (told.status, told.headers["location"]) == (201, f"{BASE}/ChargeItem/17/_history/4")


INVOICE = {"resourceType": "Invoice", "status": "issued", "id": "17"}
PATIENT = {"resourceType": "Patient"}
CONSENT = {"resourceType": "Consent", "status": "active", "id": "c17"}


@every_version
def test_every_answer_is_valid(version: Version) -> None:
    entries = (INVOICE, PATIENT, CONSENT)
    posts = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in entries]
    deletion = {"request": {"method": "DELETE", "url": "Patient/1"}}
    for kind in ("transaction", "batch"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [*posts, *([deletion] * (kind == "batch"))]}
        said = valid(answer(bundle, version).resource, version)
        assert len(said["entry"]) == len(bundle["entry"])
    collection = {"resourceType": "Bundle", "type": "collection", "entry": posts}
    for body in (INVOICE, PATIENT, CONSENT, collection, {**collection, "entry": []}, {}):
        valid(answer(body, version).resource, version)
    whole = valid(answer({**INVOICE, "meta": 7}, version, wanted="representation").resource, version)
    assert whole["meta"]["versionId"] == "4"


HEADERS: list[Any] = [
    {"id": "m1", "eventUri": "urn:a"}, {"id": "m1", "eventCanonical": "http://a"},
    {"eventCoding": {"system": "urn:a", "code": "b", "display": "c"}},
    {"id": "a b", "eventUri": " ", "eventCoding": {}},
    {"eventCoding": {"code": " ", "system": 7}}, {},
]  # fmt: skip


@every_version
@pytest.mark.parametrize("header", HEADERS)
def test_a_message_is_answered_strictly_whatever_its_header_says(version: Version, header: Any) -> None:
    first = {"resource": {"resourceType": "MessageHeader", **header}}
    bundle = {"resourceType": "Bundle", "type": "message", "entry": [first, {"resource": INVOICE}]}
    said = valid(answer(bundle, version, Asked("message")).resource, version)
    response = said["entry"][0]["resource"]["response"]
    name = "m1" if header.get("id") == "m1" else "unnamed"
    assert response["identifier"] == ({"value": name} if version == "R5" else name)


@every_version
def test_a_page_of_payments_is_valid(version: Version) -> None:
    payment: dict[str, Any] = {
        "resourceType": "PaymentReconciliation", "id": "P1", "status": "active", "created": "2026-05-04",
        "outcome": "complete",
    }  # fmt: skip
    if version == "R5":
        kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/payment-type", "code": "payment"}]}
        payment |= {"type": kind, "date": "2026-05-04", "amount": {"value": 10, "currency": "USD"}}
    else:
        payment |= {"paymentDate": "2026-05-04", "paymentAmount": {"value": 10, "currency": "USD"}}
    page = Page(2, [Found("P1", "v", NOW, payment)], "P1")
    valid(searchset(page, Query(Search(), []), BASE, NOW), version)
