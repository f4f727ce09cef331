"""The clinic tells of its Invoices, as servers of R4 do: by criteria and by topic."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from fhir.resources.R4B.bundle import Bundle

from chartpost.adapter.sandbox.fhir_subscriptions import CONTENTS, TOPIC

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport"


def subscription(endpoint: str, payload: str = "", content: str = "", criteria: str = "Invoice") -> dict[str, Any]:
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": endpoint, "header": ["Authorization: Bearer sesame"]}
    made = {"resourceType": "Subscription", "status": "requested", "reason": "Invented", "criteria": criteria}
    if payload:
        channel["payload"] = payload
    if content:
        channel["_payload"] = {"extension": [{"url": f"{BACKPORT}-payload-content", "valueCode": content}]}
        made["criteria"] = TOPIC
        made["_criteria"] = {"extension": [{"url": f"{BACKPORT}-filter-criteria", "valueString": criteria}]}
    return made | {"channel": channel}


def create(fhir: httpx2.Client, resource: dict[str, Any]) -> httpx2.Response:
    return fhir.post("/Subscription", content=json.dumps(resource).encode())


def change(box: Any, invoice: dict[str, Any], **more: Any) -> None:
    body = json.dumps(invoice | more).encode()
    box.web.post("/clinic/send-fhir?to=http://127.0.0.1:1/fhir", content=body)


def said(body: bytes) -> dict[str, Any]:
    """Return the parameters of a notification; what is no valid Bundle fails."""
    bundle = Bundle.model_validate_json(body)
    assert bundle.type == "history"
    told = json.loads(body)["entry"][0]["resource"]["parameter"]
    return {one["name"]: next((one[key] for key in one if key != "name"), None) for one in told}


def test_by_criteria_the_invoice_is_put_to_its_address_at_the_endpoint(box, fhir, receiver, invoice) -> None:
    made = create(
        fhir, subscription(f"{receiver.url}/hook/", "application/fhir+json", criteria="Invoice?status=issued")
    )
    assert (made.status_code, made.json()["status"]) == (201, "active")
    change(box, invoice, status="draft")
    change(box, invoice)
    path, body, headers = receiver.got.get(timeout=10)
    assert (path, headers[":method"]) == (f"/hook/Invoice/{invoice['id']}", "PUT")
    assert headers["authorization"] == "Bearer sesame"
    assert json.loads(body)["status"] == "issued", "of a draft it is not told"


def test_by_criteria_without_payload_there_is_an_empty_post(box, fhir, receiver, invoice) -> None:
    create(fhir, subscription(f"{receiver.url}/hook"))
    change(box, invoice)
    path, body, headers = receiver.got.get(timeout=10)
    assert (path, body, headers[":method"]) == ("/hook", b"", "POST")


@pytest.mark.parametrize("content", CONTENTS)
def test_by_topic_every_event_has_its_number_and_brings_what_was_asked_for(
    box, fhir, receiver, invoice, content
) -> None:
    id = create(fhir, subscription(f"{receiver.url}/hook", content=content)).json()["id"]
    shaken = said(receiver.next()[0])
    assert (shaken["type"], shaken["status"], shaken["events-since-subscription-start"]) == (
        "handshake",
        "requested",
        "0",
    )
    for number in ("1", "2"):
        change(box, invoice)
        body = receiver.next()[0]
        told = said(body)
        parts = {part["name"]: part for part in told["notification-event"]}
        assert (told["type"], parts["event-number"]["valueString"]) == ("event-notification", number)
        assert ("focus" in parts) == (content != "empty")
        entries = json.loads(body)["entry"][1:]
        assert [one.get("resource", {}).get("id") for one in entries] == {
            "empty": [], "id-only": [None], "full-resource": [invoice["id"]],
        }[content]  # fmt: skip
    assert fhir.get(f"/Subscription/{id}").json()["status"] == "active"


def test_events_are_kept_back_repeated_counted_anew_and_ended_on_purpose(box, fhir, receiver, invoice) -> None:
    id = create(fhir, subscription(f"{receiver.url}/hook", content="id-only")).json()["id"]
    receiver.next()

    def act(what: str) -> None:
        assert box.web.post(f"/_control/fhir/subscription?id={id}&do={what}").status_code == 200

    act("skip")
    change(box, invoice)
    act("heartbeat")
    assert said(receiver.next()[0])["events-since-subscription-start"] == "1"
    act("repeat")
    assert said(receiver.next()[0])["notification-event"][0]["valueString"] == "1"
    act("restart")
    assert said(receiver.next()[0])["events-since-subscription-start"] == "0"
    act("off")
    assert said(receiver.next()[0])["status"] == "off"
    assert fhir.get(f"/Subscription/{id}").json()["status"] == "off"
    assert box.web.post(f"/_control/fhir/subscription?id={id}&do=heartbeat").status_code == 400


def test_who_takes_nothing_is_told_no_more(box, fhir, receiver, invoice) -> None:
    receiver.statuses += [500] * 3
    id = create(fhir, subscription(f"{receiver.url}/hook", content="empty")).json()["id"]
    for _ in range(3):
        receiver.next()
    change(box, invoice)
    while fhir.get(f"/Subscription/{id}").json()["status"] == "requested":
        pass
    assert fhir.get(f"/Subscription/{id}").json()["status"] == "error"
    assert receiver.got.empty()


@pytest.mark.parametrize(
    "wrong",
    [
        subscription("http://elsewhere.example.org/hook"), subscription(""), subscription("{}", criteria="Patient"),
        subscription("{}", criteria="Invoice?date=2026"), subscription("{}", content="everything"),
        {"resourceType": "Subscription", "status": "requested"},
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(fhir, receiver, wrong) -> None:
    text = json.dumps(wrong).replace("{}", receiver.url)
    assert fhir.post("/Subscription", content=text.encode()).status_code in (400, 422)


# ------------------------------------------------------------------------------------------------------------- search


def test_what_has_changed_is_found_page_by_page(box, fhir, invoice) -> None:
    since = fhir.get(f"/Invoice/{invoice['id']}").json()["meta"]["lastUpdated"]
    for number in range(4):
        change(box, invoice, id=f"{invoice['id']}{number}", identifier=[{"system": "urn:test", "value": f"x{number}"}])
    query = {"_lastUpdated": f"ge{since}", "_sort": "_lastUpdated", "_count": "2", "status": "issued,balanced"}
    page = fhir.get("/Invoice", params=query).json()
    seen, total = [], page["total"]
    while True:
        Bundle.model_validate(page)
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        next = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not next:
            break
        page = fhir.get(next[0]).json()
    assert [id for id in seen if id.startswith(invoice["id"])] == [invoice["id"] + end for end in ("", *"0123")]
    assert len(seen) == total


@pytest.mark.parametrize("query", ["_lastUpdated=yesterday", "_sort=date", "_count=many", "subject=Patient/1"])
def test_what_it_cannot_search_for_is_refused(fhir, query) -> None:
    assert fhir.get(f"/Invoice?{query}").status_code == 400
