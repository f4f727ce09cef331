"""The clinic's FHIR server: what a strict R4 chart takes and refuses, and what it does to the chart."""

from __future__ import annotations

import json
import uuid

import httpx2
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from chartpost.adapter.sandbox.fhir_capability import OFFERED


def _payment(invoice: dict, amount: str = "95.00", **other) -> dict:
    """A PaymentReconciliation for an Invoice; amounts are texts here, and numbers once it is written."""
    money = {"value": f"#{amount}#", "currency": "USD"}
    return {
        "resourceType": "PaymentReconciliation",
        "identifier": [{"system": "urn:chartpost:posting", "value": f"P{uuid.uuid4().hex[:11].upper()}"}],
        "status": "active",
        "created": "2026-04-20T09:15:00-05:00",
        "outcome": "complete",
        "paymentDate": "2026-04-19",
        "paymentAmount": money,
        "paymentIdentifier": {"value": "pi_123"},
        "detail": [
            {
                "type": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/payment-type", "code": "payment"}]
                },
                "request": {"reference": f"Invoice/{invoice['id']}"},
                "date": "2026-04-19",
                "amount": money,
            }
        ],
    } | other


def _bytes(resource: dict) -> bytes:
    return json.dumps(resource).replace('"#', "").replace('#"', "").encode()


def _post(fhir: httpx2.Client, resource: dict, **headers: str) -> httpx2.Response:
    return fhir.post("/" + resource["resourceType"], content=_bytes(resource), headers=headers)


def _only(resource: dict) -> dict[str, str]:
    """The header of conditional create."""
    known = resource["identifier"][0]
    return {"If-None-Exist": f"identifier={known['system']}|{known['value']}"}


def _chart(box, invoice: dict) -> dict:
    return box.web.get(f"/clinic/chart/{invoice['identifier'][0]['value']}.json").json()


def _received(box, id: str) -> dict:
    return next(e for e in box.web.get("/_control/fhir/received").json() if id in e["raw"])


def test_a_payment_is_created_kept_exactly_and_appears_on_the_chart(box, fhir, invoice) -> None:
    payment = _payment(invoice)
    answer = _post(fhir, payment)
    assert answer.status_code == 201
    assert (answer.headers["etag"], answer.headers["content-type"]) == ('W/"1"', "application/fhir+json; charset=utf-8")
    assert b'"value":95.00,' in answer.content
    where = answer.headers["location"]
    assert fhir.get(where).content == answer.content == fhir.get(where.partition("/_history")[0]).content
    chart = _chart(box, invoice)
    assert (chart["owed"], chart["paid"], chart["balance"]) == ("95.00", "95.00", "0.00")
    assert chart["lines"][-1]["kind"] == "payment"
    posting = chart["postings"][0]
    assert (posting["transaction"], posting["reference"]) == (payment["identifier"][0]["value"], "pi_123")
    assert (posting["paid"], posting["posted"], posting["amount"]) == ("2026-04-19", "2026-04-20", "95.00")
    assert "Payment received" in box.web.get(f"/clinic/chart/{chart['account']}").text


def test_whoever_wants_little_gets_no_body(fhir, invoice) -> None:
    answer = _post(fhir, _payment(invoice), Prefer="return=minimal")
    assert (answer.status_code, answer.content) == (201, b"")


def test_conditional_create_takes_a_payment_once(box, fhir, invoice) -> None:
    payment = _payment(invoice)
    answers = [_post(fhir, payment, **_only(payment)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert _chart(box, invoice)["paid"] == "95.00"


def test_several_that_match_are_a_412(box, fhir, invoice) -> None:
    payment = _payment(invoice, "40.00")
    assert [_post(fhir, payment).status_code for _ in range(2)] == [201, 201]
    assert _post(fhir, payment, **_only(payment)).status_code == 412
    assert _chart(box, invoice)["paid"] == "80.00"


def test_a_server_that_does_not_offer_conditional_create_does_not_look_at_the_header(box, fhir, invoice) -> None:
    box.web.post("/_control/fhir/conditional?on=0")
    payment = _payment(invoice, "10.00")
    assert [_post(fhir, payment, **_only(payment)).status_code for _ in range(2)] == [201, 201]
    offered = fhir.get("/metadata").json()["rest"][0]["resource"]
    assert [kind["conditionalCreate"] for kind in offered if "conditionalCreate" in kind] == [False] * 4


def test_a_payment_is_found_by_its_identifier(fhir, invoice) -> None:
    payment = _payment(invoice)
    _post(fhir, payment)
    value = payment["identifier"][0]["value"]

    def found(token: str) -> int:
        answer = fhir.get("/PaymentReconciliation", params={"identifier": token}).json()
        assert (answer["type"], answer["total"]) == ("searchset", len(answer["entry"]))
        return answer["total"]

    assert found(f"urn:chartpost:posting|{value}") == found(value) == 1
    assert found(f"urn:other|{value}") == found(f"|{value}") == 0
    assert fhir.get("/PaymentReconciliation?identifer=x").status_code == 400


@pytest.mark.parametrize("way", ["absolute", "identifier", "version"])
def test_the_invoice_is_found_however_it_is_named(box, fhir, invoice, way) -> None:
    payment = _payment(invoice)
    payment["detail"][0]["request"] = {
        "absolute": {"reference": f"{box.http}/fhir/Invoice/{invoice['id']}"},
        "identifier": {"identifier": invoice["identifier"][0]},
        "version": {"reference": f"Invoice/{invoice['id']}/_history/1"},
    }[way]
    assert _post(fhir, payment).status_code == 201
    assert _chart(box, invoice)["balance"] == "0.00"


def test_an_account_that_was_charged_over_hl7_is_named_by_its_number(box, fhir) -> None:
    account = f"A-{uuid.uuid4().hex[:8]}"
    dft = f"MSH|^~\\&|HIS|L|C|L|20260419||DFT^P03|{account}|P|2.5.1\rPID|1||M1||Pemberton^Iris|||||||||||||{account}\r"
    box.web.post("/clinic/send?to=127.0.0.1:1", content=dft + "FT1|1|T1||20260419||CO|COPAY|||1|30.00&USD\r")
    payment = _payment({"id": "none"}, "30.00")
    payment["detail"][0]["request"] = {"identifier": {"system": "urn:chart:accounts", "value": account}}
    assert _post(fhir, payment).status_code == 201
    assert box.web.get(f"/clinic/chart/{account}.json").json()["balance"] == "0.00"


def test_a_refund_takes_back_what_was_told_before(box, fhir, invoice) -> None:
    payment = _payment(invoice)
    _post(fhir, payment)
    refund = _payment(invoice, "-20.00")
    refund["detail"][0]["predecessor"] = {"system": "urn:chartpost:posting", "value": "PNEVERTOLD"}
    assert _post(fhir, refund).status_code == 422
    refund["detail"][0]["predecessor"] = payment["identifier"][0]
    assert _post(fhir, refund).status_code == 201
    chart = _chart(box, invoice)
    assert (chart["paid"], chart["balance"]) == ("75.00", "20.00")
    assert [line["text"] for line in chart["lines"][-2:]] == ["Payment received", "Payment taken back"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": None}, "status"),
        ({"created": None}, "created"),
        ({"created": "2026-04-20T09:15:00"}, "created"),
        ({"paymentDate": None}, "paymentDate"),
        ({"paymentDate": "2026-04-19T23:30:00-05:00"}, "paymentDate"),
        ({"paymentDate": "2026-02-30"}, "paymentDate"),
        ({"paymentAmount": None}, "paymentAmount"),
        ({"paymentAmount": {"value": "95.00", "currency": "USD"}}, "paymentAmount.value"),
        ({"paymentAmount": {"value": 95}}, "paymentAmount.currency"),
        ({"paymentAmount": {"value": 95, "currency": "usd"}}, "paymentAmount.currency"),
        ({"outcome": "done"}, "outcome"),
        ({"detail": []}, "detail"),
        ({"detail": [{"amount": {"value": 95, "currency": "USD"}}]}, "detail[0].type"),
        ({"paymentIssuer": {"reference": "Patient/1"}}, "paymentIssuer"),
        ({"disposition": ""}, "disposition"),
        ({"date": "2026-04-19"}, "date"),
        ({"amount": {"value": 95, "currency": "USD"}}, "amount"),
        ({"allocation": [{"amount": {"value": 95, "currency": "USD"}}]}, "allocation"),
        ({"type": {"text": "payment"}}, "type"),
    ],
)
def test_what_is_no_valid_r4_is_refused_and_the_element_is_named(box, fhir, invoice, change, where) -> None:
    payment = {name: value for name, value in (_payment(invoice) | change).items() if value is not None}
    answer = _post(fhir, payment)
    assert answer.status_code == 400
    outcome = OperationOutcome.model_validate(answer.json())
    assert [issue.expression for issue in outcome.issue] == [[f"PaymentReconciliation.{where}"]]
    assert _chart(box, invoice)["postings"] == []


def test_what_does_not_fit_the_chart_is_unprocessable(box, fhir, invoice) -> None:
    unknown, other, sum_ = _payment({"id": "nowhere"}), _payment(invoice), _payment(invoice)
    other["detail"][0]["amount"] = other["paymentAmount"] = {"value": 95, "currency": "EUR"}
    sum_["paymentAmount"] = {"value": 94, "currency": "USD"}
    none = {name: value for name, value in _payment(invoice).items() if name != "detail"}
    elsewhere = _payment(invoice)
    elsewhere["detail"][0]["request"] = {"reference": f"https://ehr.example.org/fhir/Invoice/{invoice['id']}"}
    assert [_post(fhir, body).status_code for body in (unknown, other, sum_, none, elsewhere)] == [422] * 5
    assert _chart(box, invoice)["postings"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 400),
        (b'{"resourceType": 1}', 400),
        (b'{"resourceType": "Invoice"}', 400),
        (b'{"resourceType": "PaymentReconciliation", "a": NaN}', 400),
        (b'{"resourceType": "PaymentReconciliation", "status": "active", "status": "draft"}', 400),
        (b'{"resourceType": "PaymentReconciliation", "status": "\\ud800"}', 400),
        (b'{"resourceType": "PaymentReconciliation", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b" " * 1024 * 1024 + b"{}", 413),
    ],
)
def test_hostile_bodies_get_an_outcome(fhir, body, status) -> None:
    answer = fhir.post("/PaymentReconciliation", content=body)
    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Invoice/none", 404),
        ("GET", "/Observation", 404),
        ("GET", "/Patient", 405),
        ("POST", "/Invoice", 405),
        ("DELETE", "/PaymentReconciliation/1", 405),
        ("PUT", "/Invoice/none", 404),
        ("POST", "/", 404),
        ("GET", "/a/b/c/d", 404),
    ],
)
def test_every_refusal_is_an_outcome(fhir, method, path, status) -> None:
    answer = fhir.request(method, path, content=b'{"resourceType": "Invoice", "id": "none"}')
    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json())
    assert ("allow" in answer.headers) == (status == 405)


def test_without_the_token_nobody_gets_in_but_all_may_ask_what_is_offered(box, invoice) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {box.fhir_token}"}):
        answer = box.web.get(f"/fhir/Invoice/{invoice['id']}", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert box.web.get("/fhir/metadata").status_code == 200


def test_the_capability_statement_is_valid_and_true(box, fhir) -> None:
    said = fhir.get("/metadata").json()
    CapabilityStatement.model_validate(said)
    for offered in said["rest"][0]["resource"]:
        codes = {interaction["code"] for interaction in offered["interaction"]}
        assert codes == set(OFFERED[offered["type"]])
        searched = fhir.get(f"/{offered['type']}", params={"identifier": "x"}).status_code
        created = fhir.post(f"/{offered['type']}", content=b"{}").status_code
        assert (searched != 405, created != 405) == ("search-type" in codes, "create" in codes)


@pytest.mark.parametrize("code", ["400", "412", "422", "500", "503"])
def test_a_refusal_on_purpose_changes_nothing(box, fhir, invoice, code) -> None:
    box.web.post(f"/_control/fhir/next?answer={code}")
    payment = _payment(invoice)
    assert _post(fhir, payment).status_code == int(code)
    assert _received(box, payment["identifier"][0]["value"])["applied"] is False
    assert _post(fhir, payment).status_code == 201


@pytest.mark.parametrize("how", ["silence", "close", "late"])
def test_an_answer_that_is_lost_belongs_to_a_payment_that_was_taken(box, fhir, invoice, how) -> None:
    box.web.post(f"/_control/fhir/next?answer={how}&seconds=5")
    payment = _payment(invoice)
    with pytest.raises(httpx2.TransportError):
        fhir.post("/PaymentReconciliation", content=_bytes(payment), timeout=1)
    assert _chart(box, invoice)["paid"] == "95.00"
    entry = _received(box, payment["identifier"][0]["value"])
    assert (entry["answer"], entry["applied"]) == (how, True)
    assert _post(fhir, payment, **_only(payment)).status_code == 200


def test_an_invoice_is_settled_with_the_version_that_was_read(box, fhir, invoice) -> None:
    where = f"/Invoice/{invoice['id']}"
    read = fhir.get(where)
    assert b"95.00" in read.content
    settled = read.content.replace(b'"issued"', b'"balanced"')
    assert fhir.put(where, content=settled, headers={"If-Match": 'W/"7"'}).status_code == 412
    answer = fhir.put(where, content=settled, headers={"If-Match": read.headers["etag"]})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert fhir.put(where, content=settled, headers={"If-Match": read.headers["etag"]}).status_code == 412
    assert fhir.get(where).json()["status"] == "balanced"
    assert _chart(box, invoice)["owed"] == "95.00"


@pytest.mark.parametrize(
    ("old", "new"), [(b"95.00", b"95.0"), (b"Office", b"Other"), (b'"issued"', b'"cancelled"'), (b'"id":"', b'"id":"x')]
)
def test_a_partner_changes_nothing_but_the_status_of_an_invoice(fhir, invoice, old, new) -> None:
    where = f"/Invoice/{invoice['id']}"
    assert fhir.put(where, content=fhir.get(where).content.replace(old, new)).status_code in (400, 422)
    assert fhir.get(where).headers["etag"] == 'W/"1"'


def test_a_payment_notice_is_about_a_payment_that_is_here(fhir, invoice) -> None:
    payment = _post(fhir, _payment(invoice)).json()
    notice = {
        "resourceType": "PaymentNotice",
        "identifier": [{"system": "urn:chartpost:posting", "value": uuid.uuid4().hex}],
        "status": "active",
        "created": "2026-04-20",
        "payment": {"reference": f"PaymentReconciliation/{payment['id']}"},
        "recipient": {"reference": "Organization/1"},
        "amount": {"value": 95, "currency": "USD"},
    }
    assert [_post(fhir, notice, **_only(notice)).status_code for _ in range(2)] == [201, 200]
    assert _post(fhir, notice | {"payment": {"reference": "PaymentReconciliation/none"}}).status_code == 422
    assert _post(fhir, {name: value for name, value in notice.items() if name != "recipient"}).status_code == 400


def test_a_consent_is_kept_on_the_charts_of_its_patient_and_of_nobody_else(box, fhir) -> None:
    number = f"T-{uuid.uuid4().hex[:8].upper()}"
    charge = (
        f"MSH|^~\\&|HIS|LAKESIDE|||20260504100000||DFT^P03^DFT_P03|{number}|P|2.5.1\r"
        f"PID|1||M-{number}^^^LAKESIDE^MR||Sample^Silvia|||||||||||||{number}^^^LAKESIDE^AN\rFT1|1|||20260504||CO|X|||1|5.00\r"
    )
    box.web.post("/clinic/send?to=127.0.0.1:1", content=charge.encode())
    patient = {"identifier": {"value": f"M-{number}"}}
    said = {
        "resourceType": "Consent", "status": "active", "patient": patient,
        "scope": {"coding": [{"code": "patient-privacy"}]}, "category": [{"text": "Text messages about bills"}],
        "policyRule": {"coding": [{"code": "OPTOUT"}]},
        "provision": {"type": "deny", "code": [{"text": "Text messages about bills to +16085550119"}]},
    }  # fmt: skip
    assert fhir.post("/Consent", content=json.dumps(said)).status_code == 201
    assert box.web.get(f"/clinic/chart/{number}.json").json()["texts"] == {"+16085550119": False}
    stranger = said | {"patient": {"identifier": {"value": "nobody"}}}
    assert fhir.post("/Consent", content=json.dumps(stranger)).status_code == 422
    assert fhir.post("/Consent", content=json.dumps(said | {"provision": {"type": "perhaps"}})).status_code == 400
