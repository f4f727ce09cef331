"""What we send is checked by somebody else's structure, and by us where that looks away. No problem quotes a value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.versions import check

SECRET = "TESSA MARLOWE"
BODY: dict[str, Any] = {
    "resourceType": "PaymentReconciliation",
    "status": "active",
    "created": "2025-03-14T23:31:07-05:00",
    "paymentDate": "2025-03-14",
    "paymentAmount": {"value": jsontext.decode(b"45.00"), "currency": "USD"},
}


def found(version: str = "R4B", **changes: Any) -> list[str]:
    return check(jsontext.encode({**BODY, **changes}), "PaymentReconciliation", version)


def test_a_sound_resource_has_no_problems_in_r4_and_has_some_in_r5() -> None:
    assert found() == found("R4") == []
    assert {"paymentDate: R5 has no such element", "date: missing, and R5 requires it"} <= set(found("R5"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": SECRET}, "status: not one of active, cancelled, draft, entered-in-error"),
        ({"outcome": "done"}, "outcome: not one of queued, complete, error, partial"),
        ({"status": None}, "status: missing, and R4B requires it"),
        ({"created": "2025-03-14T23:31"}, "created: not a valid dateTime"),
        ({"paymentDate": SECRET}, "paymentDate: not a valid date"),
        ({"paymentDate": 20250314}, "paymentDate: not a valid date"),
        ({"id": SECRET}, "id: not a valid id"),
        ({"id": "a" * 65}, "id: not a valid id"),
        ({"disposition": " "}, "disposition: not a valid string"),
        ({"disposition": ""}, "disposition: not a valid string"),
        ({"hoax": SECRET}, "hoax: R4B has no such element"),
        ({"detail": {}}, "detail: not a list"),
        ({"detail": []}, "detail: a list must not be empty"),
        ({"detail": [{"date": "2025-03-14"}]}, "detail[0].type: missing, and R4B requires it"),
        ({"detail": [{"type": {"text": "x"}, "amount": 5}]}, "detail[0].amount: not an object"),
        ({"paymentIdentifier": {}}, "paymentIdentifier: an object must not be empty"),
        ({"paymentIdentifier": {"use": "mine"}}, "paymentIdentifier.use: not one of usual, official, temp, "),
        ({"identifier": [{"system": f"x {SECRET}"}]}, "identifier[0].system: not a valid uri"),
        ({"paymentAmount": {"value": 45, "currency": "USD"}}, "paymentAmount.value: must have 2 decimals"),
        ({"paymentAmount": {"value": 45, "currency": SECRET}}, "paymentAmount.currency: not an ISO 4217"),
        ({"paymentAmount": {"value": 45}}, "paymentAmount.currency: not an ISO 4217"),
        ({"paymentAmount": {"value": "45.00", "currency": "USD"}}, "paymentAmount.value: not a valid decimal"),
        ({"paymentAmount": {"value": True, "currency": "JPY"}}, "paymentAmount.value: not a valid decimal"),
        (
            {"paymentIssuer": {"reference": "Patient/1"}},
            "paymentIssuer: R4B lets it refer to Organization, not to Patient",
        ),
        ({"paymentIssuer": {"type": "Patient"}}, "paymentIssuer: R4B lets it refer to Organization, not to Patient"),
        ({"contained": [{"resourceType": "Hoax"}]}, "PaymentReconciliation: cannot be read (KeyError)"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_and_rule(changes: dict[str, Any], said: str) -> None:
    problems = found(**changes)
    assert any(problem.startswith(said) for problem in problems), problems
    assert SECRET not in "".join(problems)


@pytest.mark.parametrize(
    "reference", ["Organization/1", "https://x.example.org/fhir/Organization/1/_history/2", "urn:x:y"]
)
def test_a_reference_to_what_the_standard_allows_is_no_problem(reference: str) -> None:
    assert found(paymentIssuer={"reference": reference}) == []


def test_yen_have_no_decimals() -> None:
    assert found(paymentAmount={"value": 4500, "currency": "JPY"}) == []
    assert found(paymentAmount={"value": jsontext.decode(b"4500.00"), "currency": "JPY"}) != []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{}", b'{"resourceType":"Patient"}', b"{" * 5000, b"\xff", b"NaN"]
)
def test_what_cannot_be_checked_is_a_problem_and_not_an_exception(body: bytes) -> None:
    assert check(body, "PaymentReconciliation", "R4B")


def test_a_resource_that_a_version_does_not_have_is_a_problem() -> None:
    assert check(b'{"resourceType":"Hoax"}', "Hoax", "R5") == ["resourceType: FHIR R5 has no Hoax"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BODY, "detail", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # the first of them imports fhir.resources
@given(st.dictionaries(st.sampled_from([*BODY, "detail", "identifier", "paymentIssuer"]), JSON))
def test_any_json_is_checked_without_an_exception(changes: dict[str, Any]) -> None:
    body = jsontext.encode({**BODY, **changes, "resourceType": "PaymentReconciliation"})
    assert isinstance(check(body, "PaymentReconciliation", "R4B"), list)


@pytest.mark.corpus
@pytest.mark.parametrize("resource", ["PaymentReconciliation", "PaymentNotice"])
def test_the_examples_of_the_standard_pass(resource: str) -> None:
    corpus = os.environ.get("CHARTPOST_CORPUS")
    if not corpus:
        pytest.skip("CHARTPOST_CORPUS is not set")
    files = list(Path(corpus, "fhir").glob(f"*{resource}-*.json"))
    assert files
    for file in files:
        assert check(file.read_bytes(), resource, "R4B") == []
