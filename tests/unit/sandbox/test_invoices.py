"""Invoices go out as they are, with the token, and onto the chart."""

from __future__ import annotations

import json
import uuid

import pytest

from chartpost.adapter.sandbox.fhir_patients import BUNDLED


def _chart(box, account: str) -> dict:
    return box.web.get(f"/clinic/chart/{account}.json").json()


def _send(box, receiver, resource: dict, **query: str) -> dict:
    query = {"to": f"{receiver.url}/fhir/ehr"} | query
    return box.web.post("/clinic/send-fhir", params=query, content=json.dumps(resource)).json()


def test_an_invoice_goes_out_byte_for_byte_under_its_id(box, receiver) -> None:
    id = uuid.uuid4().hex
    body = b'{"resourceType": "Invoice",  "id": "%s", "status": "issued", "totalGross": {"value": 10.00}}' % id.encode()
    result = box.web.post(f"/clinic/send-fhir?to={receiver.url}/fhir/ehr/&name=ten", content=body).json()
    assert (result["status"], result["error"]) == (200, "")
    path, sent, headers = receiver.got.get(timeout=5)
    assert (headers[":method"], path, sent) == ("PUT", f"/fhir/ehr/Invoice/{id}", body)
    assert headers["authorization"] == f"Bearer {box.invoice_token}"
    assert headers["content-type"] == "application/fhir+json"
    assert _chart(box, id)["owed"] == "10.00"


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        ({"resourceType": "Invoice", "status": "issued"}, ("POST", "/fhir/ehr/Invoice")),
        ({"resourceType": "Bundle", "type": "collection"}, ("POST", "/fhir/ehr")),
        ({"resourceType": "Patient", "id": "a b"}, ("PUT", "/fhir/ehr/Patient/a%20b")),
        ({"no": "resource"}, ("POST", "/fhir/ehr")),
    ],
)
def test_the_way_is_chosen_by_what_it_is(box, receiver, resource, wanted) -> None:
    assert _send(box, receiver, resource)["status"] == 200
    path, _, headers = receiver.got.get(timeout=5)
    assert (headers[":method"], path) == wanted


def test_what_came_back_is_shown(box, receiver) -> None:
    receiver.statuses.append(422)
    result = _send(box, receiver, {"resourceType": "Invoice", "id": "x-422", "status": "issued"}, name="a bad one")
    assert (result["status"], result["error"]) == (422, "")
    assert '<span class="pill failed">422</span>' in box.web.get("/clinic").text


def test_nobody_there_is_told_and_elsewhere_is_refused(box) -> None:
    body = b'{"resourceType": "Invoice", "id": "x-alone", "totalNet": {"value": 5}}'
    answer = box.web.post("/clinic/send-fhir?to=http://127.0.0.1:1/fhir", content=body)
    assert (answer.status_code, answer.json()["status"]) == (502, 0)
    assert _chart(box, "x-alone")["owed"] == "5.00"
    assert box.web.post("/clinic/send-fhir?to=http://192.0.2.7/fhir", content=body).status_code == 400
    assert box.web.post("/clinic/send-fhir", content=body).status_code == 400
    assert box.web.post("/_control/invoices/send-to?to=http://192.0.2.7/fhir").status_code == 400


def test_a_chart_adds_up_to_what_the_invoice_says_now(box, receiver) -> None:
    id = uuid.uuid4().hex
    invoice = {"resourceType": "Invoice", "id": id, "status": "issued", "totalGross": {"value": 80, "currency": "EUR"}}

    def owed(**change) -> str:
        _send(box, receiver, invoice | change)
        return _chart(box, id)["owed"]

    assert [owed(), owed(), owed(totalGross={"value": 72.5}), owed(status="cancelled")] == [
        "80.00",
        "80.00",
        "72.50",
        "0.00",
    ]
    assert [owed(), owed(status="balanced"), owed(status="draft")] == ["80.00", "80.00", "80.00"]
    chart = _chart(box, id)
    assert [line["amount"] for line in chart["lines"]] == ["80.00", "-7.50", "-72.50", "80.00"]
    assert [line["kind"] for line in chart["lines"]] == ["charge"] + ["adjustment"] * 3
    assert chart["currency"] == "EUR"


def test_lines_that_do_not_add_up_are_shown_as_one(box, receiver) -> None:
    id = uuid.uuid4().hex
    items = [
        {"chargeItemCodeableConcept": {"text": text}, "priceComponent": [{"amount": {"value": 20}}]} for text in "ab"
    ]
    invoice = {"resourceType": "Invoice", "id": id, "status": "issued", "lineItem": items, "totalGross": {"value": 40}}
    _send(box, receiver, invoice)
    assert [line["text"] for line in _chart(box, id)["lines"]] == ["a", "b"]
    _send(box, receiver, invoice | {"id": f"{id}x", "totalGross": {"value": 35}})
    assert [line["text"] for line in _chart(box, f"{id}x")["lines"]] == ["Invoice"]


def test_a_bundle_brings_its_people_along(box, receiver, fhir) -> None:
    id, urn = uuid.uuid4().hex, f"urn:uuid:{uuid.uuid4()}"
    patient = {"resourceType": "Patient", "id": f"p{id}", "name": [{"family": "Pemberton", "given": ["Iris"]}]}
    invoice = {
        "resourceType": "Invoice",
        "identifier": [{"value": id}],
        "status": "issued",
        "subject": {"reference": urn},
        "totalGross": {"value": 12},
    }
    bundle = {"resourceType": "Bundle", "type": "collection"}
    bundle["entry"] = [{"resource": invoice}, {"fullUrl": urn, "resource": patient}]
    for _ in range(2):
        _send(box, receiver, bundle)
    chart = _chart(box, id)
    assert (chart["patient"]["name"], chart["owed"]) == ("Iris Pemberton", "12.00")
    assert fhir.get(f"/Patient/p{id}").json()["name"] == patient["name"]
    assert fhir.get(f"/Invoice?identifier={id}").json()["total"] == 1


def test_the_buttons_send_correct_and_cancel_an_invoice(box, receiver, fhir) -> None:
    box.web.post(f"/_control/invoices/send-to?to={receiver.url}/fhir/ehr")
    alone = "inv-30901"

    def press(act: str = "") -> dict:
        assert box.web.post(f"/clinic/invoice/{alone}{act}").status_code == 303
        path, body, headers = receiver.got.get(timeout=5)
        assert (headers[":method"], path) == ("PUT", f"/fhir/ehr/Invoice/{alone}")
        assert json.loads(body) == fhir.get(f"/Invoice/{alone}").json()
        return json.loads(body)

    assert (_chart(box, "LI-30901")["owed"], _chart(box, "LI-30901")["patient"]["name"]) == (
        "0.00",
        "Imogen Pearl Castellane",
    )
    first, again, changed, gone = press(), press(), press("/change"), press("/cancel")
    assert first == again
    assert [sent["status"] for sent in (first, changed, gone)] == ["issued", "issued", "cancelled"]
    assert (first["totalGross"]["value"], changed["totalGross"]["value"]) == (169.5, 159.5)
    assert [line["amount"] for line in _chart(box, "LI-30901")["lines"]] == ["128.00", "41.50", "-10.00", "-159.50"]
    # What is cancelled stays so; and what nobody knows is not sent.
    for path in (alone, f"{alone}/change", f"{alone}/cancel", "none", f"{BUNDLED}/nonsense", f"{BUNDLED}/cancel"):
        assert box.web.post(f"/clinic/invoice/{path}").status_code == 303
    assert receiver.got.empty()


def test_the_invoice_of_a_child_goes_in_a_transaction_to_the_one_who_pays(box, receiver, fhir) -> None:
    box.web.post(f"/_control/invoices/send-to?to={receiver.url}/fhir/ehr")
    box.web.post(f"/clinic/invoice/{BUNDLED}")
    path, body, headers = receiver.got.get(timeout=5)
    sent = json.loads(body)
    assert (headers[":method"], path, sent["type"]) == ("POST", "/fhir/ehr", "transaction")
    assert [entry["request"]["url"] for entry in sent["entry"]] == [
        "Patient/p-30902",
        "RelatedPerson/r-30902",
        f"Invoice/{BUNDLED}",
    ]
    for entry in sent["entry"]:
        assert fhir.get(entry["fullUrl"]).json() == entry["resource"]
    assert sent["entry"][2]["resource"]["recipient"] == {"reference": "RelatedPerson/r-30902"}
    assert b'"value":95.00' in body
