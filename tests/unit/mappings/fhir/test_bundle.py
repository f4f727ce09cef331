"""Bundles taken apart, and Invoices put together again with what they need."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chartpost.mappings.fhir.bundle import pack, parts, unpack
from chartpost.mappings.fhir.jsontext import FhirError, encode
from chartpost.mappings.fhir.references import Around, people

A, B, C, D, E = (f"urn:uuid:0f8e6a52-6c44-4d6e-9a53-1d6f5f2b7a0{number}" for number in range(1, 6))


def entry(full_url: str, resource: dict[str, Any] | None, **request: str) -> dict[str, Any]:
    more = {"resource": resource} if resource is not None else {}
    return {"fullUrl": full_url, **more, **({"request": request} if request else {})}


def bundle(*entries: Any, type: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def to(url: str) -> dict[str, str]:
    return {"reference": url}


PATIENT = {"resourceType": "Patient", "name": [{"family": "Quint"}]}
PARENT = {"resourceType": "RelatedPerson", "patient": to(A)}
ACCOUNT = {"resourceType": "Account", "guarantor": [{"party": to(B)}]}
OBSERVATION = {"resourceType": "Observation", "subject": to(A)}
INVOICE = {
    "resourceType": "Invoice",
    "subject": to(A),
    "recipient": to("#friend"),
    "account": to(C),
    "contained": [{"resourceType": "RelatedPerson", "id": "friend"}],
    "totalGross": {"value": Decimal("64.00")},
}
WHOLE = bundle(
    entry(A, PATIENT, method="POST", url="Patient", ifNoneExist="identifier=urn:x|1"),
    entry(B, PARENT, method="POST", url="RelatedPerson"),
    entry(C, ACCOUNT, method="PUT", url="Account/5"),
    entry(D, OBSERVATION, method="POST", url="Observation"),
    entry(E, INVOICE, method="POST", url="Invoice"),
    entry("https://ehr.example.org/Invoice/7", None, method="DELETE", url="Invoice/7"),
)


def test_every_entry_is_a_part_with_its_request_as_it_stands() -> None:
    found = parts(WHOLE)
    assert [part.ordinal for part in found] == [1, 2, 3, 4, 5, 6]
    assert found[0][1:] == (PATIENT, A, "POST", "Patient", "identifier=urn:x|1", ())
    assert found[5].resource is None
    assert found[5].method == "DELETE"


def test_an_invoice_takes_along_what_it_refers_to_and_nothing_else() -> None:
    around = parts(WHOLE)[4].around
    assert around == (
        {"fullUrl": A, "resource": PATIENT},
        {"fullUrl": C, "resource": ACCOUNT},
        {"fullUrl": B, "resource": PARENT},
    )


def test_what_was_packed_still_resolves_and_keeps_its_digits() -> None:
    part = parts(WHOLE)[4]
    assert part.resource is not None
    body = pack(part.resource, part.around)
    assert b'"value":64.00}' in body
    invoice, around = unpack(body)
    assert invoice == INVOICE
    assert people(Around(around), invoice) == people(Around(part.around), INVOICE)
    assert pack(invoice, around) == body


def test_fetched_resources_can_be_packed_too() -> None:
    assert unpack(pack({"resourceType": "Invoice"}, [PATIENT])) == (
        {"resourceType": "Invoice"},
        [{"resource": PATIENT}],
    )


def test_an_invoice_alone_is_unpacked_as_it_is() -> None:
    assert unpack(encode(INVOICE)) == (INVOICE, [])


@pytest.mark.parametrize("type", ["batch", "collection", "document", "message", "history", "searchset"])
def test_the_type_of_the_bundle_does_not_matter(type: str) -> None:
    header = {"resourceType": "MessageHeader", "focus": [to(E)]}
    found = parts(bundle(entry(D, header), entry(A, PATIENT), entry(E, {**INVOICE, "account": None}), type=type))
    assert [part.resource and part.resource["resourceType"] for part in found] == [
        "MessageHeader",
        "Patient",
        "Invoice",
    ]
    assert found[2].around == ({"fullUrl": A, "resource": PATIENT},)


def test_a_relative_reference_in_a_bundle_means_the_server_of_its_entry() -> None:
    first, second = "https://a.example.org/fhir", "https://b.example.org/fhir"
    invoice = {"resourceType": "Invoice", "subject": to("Patient/1")}
    theirs, ours = ({**PATIENT, "id": "1", "active": active} for active in (True, False))
    found = parts(
        bundle(
            entry(f"{second}/Patient/1", theirs),
            entry(f"{first}/Patient/1", ours),
            entry(f"{first}/Invoice/2", invoice),
        )
    )
    assert found[2].around == ({"fullUrl": f"{first}/Patient/1", "resource": ours},)


def test_an_empty_bundle_has_no_parts() -> None:
    assert parts({"resourceType": "Bundle", "type": "batch"}) == []


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (None, "no Bundle"),
        ([], "no Bundle"),
        ({"resourceType": "Invoice"}, "no Bundle"),
        ({"resourceType": "Bundle", "entry": {}}, "Bundle.entry is no list"),
        (bundle("Grete"), r"Bundle.entry\[0\] is no object"),
        (bundle({}, {"resource": ["Grete"]}), r"Bundle.entry\[1\].resource is no object"),
    ],
)
def test_what_is_no_bundle_of_entries_is_refused(odd: Any, said: str) -> None:
    with pytest.raises(FhirError, match=said) as caught:
        parts(odd)
    assert "Grete" not in str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b'{"resourceType": "Bundle"}', encode(bundle({"fullUrl": A}))])
def test_what_holds_no_invoice_cannot_be_unpacked(body: bytes) -> None:
    with pytest.raises(FhirError):
        unpack(body)
