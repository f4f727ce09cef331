"""Payments back by FHIR, on a server that nobody here wrote: it creates once, validates, and keeps versions."""

from __future__ import annotations

import datetime as dt
import json
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import services

from chartpost.adapter.fhirclient import FhirClient, Server
from chartpost.adapter.ports import Verdict
from chartpost.adapter.senders.fhir import POSTING, FhirSender, Options, from_settings
from chartpost.mappings import postingmap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import write

PAID = dt.datetime(2026, 11, 22, 5, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    with services.fhir_peer() as url:
        yield url


@pytest.fixture(params=["fhir", "plain"])
def base(request: pytest.FixtureRequest, peer: str) -> str:
    """The address of the server with conditional create, and of the one without."""
    return f"{peer}/{request.param}"


def call(url: str, resource: Any = None) -> Any:
    """What the server answers, by another client than ours."""
    data = None if resource is None else json.dumps(resource).encode()
    headers = {"Content-Type": "application/fhir+json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def sender(base: str, **options: Any) -> FhirSender:
    given = {"type": "fhir", "map": "fhir-payment-reconciliation", "base_url": base}
    return from_settings(Options.model_validate(given | options))


def posting() -> tuple[bytes, str]:
    """One payment as the shipped map writes it, and its id."""
    number = f"P{uuid.uuid4().hex[:11].upper()}"
    value = Posting(
        kind="payment", posting_id=number, control_id=number, amount=Money(minor=4500, currency="USD"), paid_at=PAID,
        posted_at=PAID, timezone="America/Chicago", medium="card", provider_reference="pi_1", account="K-30101",
        chart={"Invoice.id": "9", "Patient.reference": "Patient/12"}, facility="Lakeside Clinic",
    )  # fmt: skip
    return write(value, postingmap.load("fhir-payment-reconciliation")), number


def kept(base: str, kind: str, number: str) -> list[Any]:
    entries = call(f"{base}/{kind}?identifier={POSTING}|{number}").get("entry", [])
    return [entry["resource"] for entry in entries]


def test_a_payment_is_validated_and_created_and_the_same_again_creates_nothing(base: str) -> None:
    body, number = posting()
    first, again = (sender(base).send(body, number) for _ in range(2))
    assert (first.verdict, first.code) == (Verdict.ACCEPTED, "201")
    assert (again.verdict, again.code) == (Verdict.ACCEPTED, "200")
    (found,) = kept(base, "PaymentReconciliation", number)
    assert found["paymentDate"] == "2026-11-21", "half past eleven in the evening, where the facility is"
    assert found["paymentAmount"] == {"value": 45, "currency": "USD"}
    assert found["detail"][0]["request"]["reference"] == "Invoice/9"


def test_a_payment_notice_names_the_payment_and_is_created_once_too(base: str) -> None:
    body, number = posting()
    for _ in range(2):
        answer = sender(base, payment_notice=True, recipient="Organization/1").send(body, number)
        assert (answer.verdict, answer.text) == (Verdict.ACCEPTED, "")
    (payment,), (told,) = kept(base, "PaymentReconciliation", number), kept(base, "PaymentNotice", number)
    assert told["payment"] == {"reference": f"PaymentReconciliation/{payment['id']}"}
    assert told["amount"] == payment["paymentAmount"]


def test_what_does_not_validate_is_refused_with_the_element_at_fault(base: str) -> None:
    body, number = posting()
    wrong = json.loads(body)
    del wrong["paymentAmount"]
    answer = sender(base).send(json.dumps(wrong).encode(), number)
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, "400")
    assert "PaymentReconciliation.paymentAmount" in answer.text
    assert kept(base, "PaymentReconciliation", number) == []


def test_an_invoice_is_settled_once_in_the_version_that_was_read(peer: str) -> None:
    base = f"{peer}/fhir"
    made = call(f"{base}/Invoice", {"resourceType": "Invoice", "status": "issued", "note": [{"text": "a"}]})
    for _ in range(2):
        assert sender(base).settle_invoice(f"Invoice/{made['id']}").verdict is Verdict.ACCEPTED
    settled = call(f"{base}/Invoice/{made['id']}")
    assert (settled["status"], settled["note"]) == ("balanced", [{"text": "a"}])
    assert call(f"{base}/Invoice/{made['id']}/_history")["entry"][1]["resource"]["status"] == "issued"
    assert len(call(f"{base}/Invoice/{made['id']}/_history")["entry"]) == 2


def test_the_version_is_compared_by_the_server(peer: str) -> None:
    base = f"{peer}/fhir"
    made = call(f"{base}/Invoice", {"resourceType": "Invoice", "status": "issued"})
    client = FhirClient(Server(base_url=base))
    stale = {"If-Match": 'W/"of-another-time"'}
    reply = client.request("PUT", f"Invoice/{made['id']}", json.dumps(made).encode(), headers=stale)
    assert reply.status == 412


def test_a_patient_is_read_and_one_that_is_not_there_is_none(peer: str) -> None:
    base = f"{peer}/fhir"
    made = call(f"{base}/Patient", {"resourceType": "Patient", "name": [{"family": "Example"}]})
    client = FhirClient(Server(base_url=base))
    found = client.read(f"Patient/{made['id']}")
    assert found is not None
    assert found["name"] == [{"family": "Example"}]
    assert client.read(f"Patient/{uuid.uuid4()}") is None
