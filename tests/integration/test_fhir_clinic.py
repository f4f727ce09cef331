"""Payments back by FHIR into the sandbox's chart: its server, its tokens and its checks share no line with ours."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import says, scripted
from workbench import Other

from chartpost.adapter import smart
from chartpost.adapter.errors import Ambiguous
from chartpost.adapter.fhirclient import FhirClient, Server
from chartpost.adapter.ports import Verdict
from chartpost.adapter.senders.fhir import FhirSender, Options, from_settings
from chartpost.mappings import postingmap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import write

PAID = dt.datetime(2026, 11, 22, 5, 30, tzinfo=dt.UTC)


class Chart:
    """One issued Invoice on the clinic's FHIR server, and our sender to it."""

    def __init__(self, other: Other, data: Path) -> None:
        self.other, self.base = other, f"{other.ready['http']}/fhir"
        self.invoice = f"i-{uuid.uuid4().hex[:12]}"
        body = {
            "resourceType": "Invoice", "id": self.invoice, "status": "issued",
            "subject": {"reference": "Patient/p-30901"},
            "identifier": [{"system": "https://lakeside.example.org/invoices", "value": self.invoice}],
            "totalGross": {"value": 45, "currency": "USD"},
        }  # fmt: skip
        with scripted() as nobody:
            nobody.on(f"PUT Invoice/{self.invoice}", says(201))
            other.call(f"/clinic/send-fhir?to={nobody.url}", body=json.dumps(body).encode())
        smart.use(data)

    def sender(self, **options: Any) -> FhirSender:
        given = {"type": "fhir", "map": "fhir-payment-reconciliation", "base_url": self.base}
        known = options if "smart" in options else {"token": self.other.ready["fhir_token"], **options}
        return from_settings(Options.model_validate(given | known))

    def posting(self) -> tuple[bytes, str]:
        number = f"P{uuid.uuid4().hex[:11].upper()}"
        value = Posting(
            kind="payment", posting_id=number, control_id=number, amount=Money(minor=4500, currency="USD"),
            paid_at=PAID, posted_at=PAID, timezone="America/Chicago", medium="card", provider_reference="pi_1",
            account=self.invoice, chart={"Invoice.id": self.invoice}, facility="Lakeside Clinic",
        )  # fmt: skip
        return write(value, postingmap.load("fhir-payment-reconciliation")), number


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def chart(other: Other, data: Path) -> Iterator[Chart]:
    yield Chart(other, data)
    other.call("/_control/fhir/conditional?on=1")


@pytest.mark.parametrize("conditional", [1, 0])
def test_a_payment_whose_answer_was_lost_is_sent_again_and_stands_there_once(chart: Chart, conditional: int) -> None:
    chart.other.call(f"/_control/fhir/conditional?on={conditional}")
    chart.other.call("/_control/fhir/next?answer=close")
    body, number = chart.posting()
    with pytest.raises(Ambiguous):
        chart.sender().send(body, number)
    answer = chart.sender().send(body, number)
    assert (answer.verdict, answer.code) == (Verdict.ACCEPTED, "200")
    found = FhirClient(Server(base_url=chart.base, token=chart.other.ready["fhir_token"])).get(
        f"PaymentReconciliation?identifier=urn%3Achartpost%3Aposting%7C{number}"
    )
    assert json.loads(found.body)["total"] == 1


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_the_clinic_checks_our_signature_with_the_keys_that_we_publish(chart: Chart, algorithm: str) -> None:
    with scripted() as keys:
        keys.on("GET jwks.json", says(200, smart.jwks(smart.keys())))
        chart.other.call(f"/_control/fhir/jwks?url={keys.url}/jwks.json")
        options = {
            "token_url": f"{chart.base}/auth/token", "client_id": "chartpost", "algorithm": algorithm,
            "scope": "system/PaymentReconciliation.crs system/Invoice.ru system/PaymentNotice.crs",
        }  # fmt: skip
        sender = chart.sender(smart=options, payment_notice=True, recipient="Organization/lakeside")
        answer = sender.send(*chart.posting())
        assert (answer.verdict, answer.code, answer.text) == (Verdict.ACCEPTED, "201", "")
        assert sender.settle_invoice(f"Invoice/{chart.invoice}").verdict is Verdict.ACCEPTED


def test_the_clinic_refuses_a_payment_on_an_invoice_that_it_does_not_know(chart: Chart) -> None:
    chart.invoice = "nobody-knows-it"
    answer = chart.sender().send(*chart.posting())
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, "422")
    assert answer.text == "PaymentReconciliation.detail[0].request: not-found"


def test_an_invoice_of_the_clinic_is_settled_in_the_version_that_was_read(chart: Chart) -> None:
    for _ in range(2):
        assert chart.sender().settle_invoice(f"Invoice/{chart.invoice}").verdict is Verdict.ACCEPTED
    client = FhirClient(Server(base_url=chart.base, token=chart.other.ready["fhir_token"]))
    found = client.read(f"Invoice/{chart.invoice}")
    assert found is not None
    assert found["status"] == "balanced"
