"""Invoices come by themselves, from real servers: the clinic's subscriptions, its search, and a server of others."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import services
from ehr import polling
from fhir_face import TOKEN, door, served
from workbench import Other, Workbench, configuration, unique

from chartpost.adapter.flow.door import poll_fhir
from chartpost.adapter.ledger import tables

SOURCE = "fhir_all"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport"
TOPIC = "https://clinic.example.org/fhir/SubscriptionTopic/invoices"


def invoice(number: str, amount: str = "45.00", status: str = "issued") -> dict[str, Any]:
    patient = {
        "resourceType": "Patient", "id": "p", "name": [{"family": "Sample", "given": ["Silvia"]}],
        "telecom": [{"system": "phone", "use": "mobile", "value": "608-555-0101"}],
    }  # fmt: skip
    return {
        "resourceType": "Invoice", "id": number, "status": status, "contained": [patient],
        "identifier": [{"system": "urn:example:invoices", "value": f"N-{number}"}],
        "subject": {"reference": "#p"}, "totalGross": {"value": float(amount), "currency": "USD"},
    }  # fmt: skip


class Clinic:
    """The sandbox's clinic, which keeps Invoices and tells of them, and the flow that listens."""

    def __init__(self, live: Workbench, other: Other, url: str) -> None:
        self.live, self.other, self.url = live, other, url

    def change(self, resource: dict[str, Any]) -> None:
        self.other.call("/clinic/send-fhir?to=http://127.0.0.1:1", "POST", json.dumps(resource).encode())

    def subscribe(self, content: str = "", payload: str = "") -> str:
        channel: dict[str, Any] = {"type": "rest-hook", "endpoint": f"{self.url}/fhir/{SOURCE}/"}
        channel |= {"header": [f"Authorization: Bearer {TOKEN}"]} | ({"payload": payload} if payload else {})
        made = {"resourceType": "Subscription", "status": "requested", "reason": "Charges", "criteria": "Invoice"}
        if content:
            channel["_payload"] = {"extension": [{"url": f"{BACKPORT}-payload-content", "valueCode": content}]}
            made["criteria"] = TOPIC
        headers = {"Authorization": f"Bearer {self.other.ready['fhir_token']}"}
        headers["Content-Type"] = "application/fhir+json"
        said = self.other.call("/fhir/Subscription", "POST", json.dumps(made | {"channel": channel}).encode(), headers)
        self.id = said["id"]
        return str(self.id)

    def act(self, what: str) -> None:
        assert self.other.call(f"/_control/fhir/subscription?id={self.id}&do={what}") == {
            "done": "subscription",
            "armed": 0,
        }

    def until(self, wanted: dict[str, int]) -> None:
        """Work until these Invoices are owed so much, or fail after 15 s."""

        def owed() -> bool:
            self.live.work("notified", "fhir_poll", "fetch")
            self.live.translate()
            rows = self.live.rows(tables.account)
            found = {row.number.decode().removeprefix("N-"): row.balance for row in rows}
            return {name: found.get(name) for name in wanted} == wanted

        self.other.hooks.until(owed)


@pytest.fixture
def clinic(live: Workbench, other: Other) -> Iterator[Clinic]:
    fhir = f"{other.ready['http']}/fhir"
    settings = polling(configuration(other.ready), fhir, every=600)
    place = settings.destinations["ehr"]
    kept = type(place).model_validate(place.options | {"token": other.ready["fhir_token"]})
    live.use(settings.model_copy(update={"destinations": settings.destinations | {"ehr": kept}}))
    with live.store.write() as tx:
        poll_fhir.plan(tx, SOURCE)
    live.work("fhir_poll")  # whatever other tests have left there
    live.translate()
    with served(live.store, door(live.store, SOURCE, polled=True, readable=True)) as url:
        made = Clinic(live, other, url)
        yield made
        if hasattr(made, "id"):
            other.call(f"/_control/fhir/subscription?id={made.id}&do=off")


@pytest.mark.parametrize(
    ("content", "payload"),
    [("", ""), ("", "application/fhir+json"), ("empty", ""), ("id-only", ""), ("full-resource", "")],
    ids=["an empty POST", "the resource", "a topic, empty", "a topic, the id", "a topic, the resource"],
)
def test_whatever_a_subscription_brings_the_invoice_comes(clinic: Clinic, content: str, payload: str) -> None:
    clinic.subscribe(content, payload)
    number = unique("S")
    clinic.change(invoice(number))
    clinic.until({number: 4500})
    clinic.change(invoice(number, "60.00"))
    clinic.until({number: 6000})
    clinic.change(invoice(number, status="cancelled"))
    clinic.until({number: 0})


def test_what_a_subscription_has_lost_is_found_by_polling(clinic: Clinic) -> None:
    clinic.subscribe("full-resource")
    lost, next = unique("S"), unique("S")
    clinic.act("skip")
    clinic.change(invoice(lost))
    clinic.change(invoice(next))
    clinic.until({lost: 4500, next: 4500})
    clinic.act("restart")
    after = unique("S")
    clinic.change(invoice(after))
    clinic.act("repeat")
    clinic.until({after: 4500})


# -------------------------------------------------------------------------------------- a server that nobody here wrote


@pytest.fixture
def peer() -> Iterator[str]:
    with services.fhir_peer() as url:
        yield f"{url}/fhir"


def keep(base: str, resource: dict[str, Any], method: str = "POST", id: str = "") -> dict[str, Any]:
    url = f"{base}/{resource['resourceType']}" + (f"/{id}" if id else "")
    headers = {"Content-Type": "application/fhir+json"}
    request = urllib.request.Request(url, json.dumps(resource).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_server_of_others_is_polled_to_its_end_though_it_names_no_next_page(bench: Workbench, peer: str) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "Sample"}]}
    patient |= {"telecom": [{"system": "phone", "use": "mobile", "value": "+16085550101"}]}
    who = keep(peer, patient)
    ids = []
    for number in range(60):
        charge = invoice(f"peer{number}") | {"subject": {"reference": f"Patient/{who['id']}"}}
        ids.append(keep(peer, {key: value for key, value in charge.items() if key not in ("id", "contained")})["id"])
    bench.clock.start = None  # the server's clock is the machine's
    bench.use(polling(configuration(), peer))
    with bench.store.write() as tx:
        poll_fhir.plan(tx, SOURCE)

    def poll() -> dict[str, int]:
        bench.work("fhir_poll")
        bench.translate()
        bench.work("fetch")
        bench.translate()
        return {row.number.decode(): row.balance for row in bench.rows(tables.account)}

    assert poll() == {f"N-peer{number}": 4500 for number in range(60)}
    assert bench.holds() == [], "the patient was read there, too"
    settled = {key: value for key, value in invoice("peer7").items() if key != "contained"}
    keep(peer, settled | {"id": ids[7], "status": "cancelled"}, "PUT", ids[7])
    bench.clock.advance(seconds=61)
    assert poll()["N-peer7"] == 0
    assert len(bench.rows(tables.message)) == 61
