"""Resources that arrive are held against their version; a Bundle, and all that is in it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.lint import lint

INVOICE = {
    "resourceType": "Invoice",
    "status": "issued",
    "subject": {"reference": "Patient/1"},
    "totalGross": {"value": 40.25, "currency": "USD"},
}


def found(resource: object, version: str = "R4") -> list[str]:
    return [f"{one.severity} {one.place}" for one in lint(jsontext.encode(resource), version)]


def test_nothing_is_found_in_an_invoice_that_conforms() -> None:
    for version in ("R4", "R4B", "R5"):
        assert found(INVOICE, version) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "posted"}, "error status"),
        ({"status": None}, "error status"),
        ({"colour": "blue"}, "error colour"),
        ({"subject": {"reference": "Device/1"}}, "error subject"),
        ({"totalGross": {"value": 40.5, "currency": "USD"}}, "note totalGross.value"),
        ({"totalGross": {"value": 40.25}}, "warning totalGross.currency"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: dict[str, object], said: str) -> None:
    body = {key: value for key, value in (INVOICE | change).items() if value is not None}
    assert said in found(body)


def test_every_resource_in_a_bundle_is_judged() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": INVOICE}, {"resource": INVOICE | {"status": "posted"}}],
    }
    assert found(bundle) == ["error entry[1].resource.status"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_bytes_give_findings_or_our_own_error(noise: bytes, value: object) -> None:
    for body in (noise, jsontext.encode(value), jsontext.encode(INVOICE | {"entry": value, "lineItem": value})):
        with suppress(jsontext.FhirError):
            assert all(one.text for one in lint(body, "R4"))
