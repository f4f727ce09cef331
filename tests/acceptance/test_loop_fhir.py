"""The loop over FHIR from outside: Invoices in, e-mail, a payment, a PaymentReconciliation; and who learns what."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from crash import other_side, plainly
from house import KEYS, House, running
from people import CARD

from chartpost.adapter.demo.browser import Browser

#: Nobody in any sample is called this: where it stands, it came from this test.
CANARY = {
    name: f"{name}{uuid.uuid4().hex[:10]}"
    for name in ("Family", "Given", "street", "mrn", "service", "note", "mailbox", "birthplace")
}
PHONE = "+16085550177"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with running(tmp_path, product=plainly, sandbox=other_side) as house:
        house.start()
        yield house


def invoice(number: str, status: str = "issued", total: str = "45.00", *, mail_only: bool = False) -> bytes:
    """An Invoice full of what nobody outside may learn."""
    reach = [{"system": "email", "value": f"{CANARY['mailbox']}@example.org"}]
    reach += [] if mail_only else [{"system": "phone", "value": PHONE, "use": "mobile"}]
    patient = {
        "resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:mrn", "value": CANARY["mrn"]}],
        "name": [{"family": CANARY["Family"], "given": [CANARY["Given"]]}], "birthDate": "1971-03-09",
        "address": [{"line": [CANARY["street"]]}], "telecom": reach,
        "extension": [{"url": "urn:x", "valueString": CANARY["birthplace"]}],
    }  # fmt: skip
    resource = {
        "resourceType": "Invoice", "id": f"i-{number}", "contained": [patient], "status": status,
        "identifier": [{"system": "https://clinic.example.org/invoices", "value": number}],
        "subject": {"reference": "#p"}, "note": [{"text": CANARY["note"]}],
        "lineItem": [{"sequence": 1, "chargeItemCodeableConcept": {"text": CANARY["service"]}}],
    }  # fmt: skip
    return (json.dumps(resource)[:-1] + f', "totalGross": {{"value": {total}, "currency": "USD"}}}}').encode()


def call(house: House, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    """Call the FHIR face; return status and body, whatever they are."""
    headers = {"Authorization": f"Bearer {KEYS['invoice-token']}", "Content-Type": "application/fhir+json"}
    request = Request(f"http://{house.addresses['internal']}/fhir/ehr/{path}", body, headers, method=method)
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        return refused.code, refused.read().decode()


def known_to_clinic(house: House, body: bytes) -> None:
    with pytest.raises(HTTPError, match="502"):
        house.sandbox.post("/clinic/send-fhir?to=http://127.0.0.1:9", body)


def pay(link: str) -> None:
    person = Browser()
    person.press(person.press(person.open(link), ("pay", "all")), ("method", "card"), **CARD)


def test_invoices_from_the_clinics_buttons_are_fetched_for_paid_and_reconciled(house: House) -> None:
    with urlopen(Request(f"{house.sandbox.doors['http']}/clinic/invoice/inv-30901", b"")):  # as its button does
        pass
    [sms] = house.until("the SMS", house.sandbox.texts)
    pay(sms["links"][0])
    house.until("the posting", lambda: [row["state"] for row in house.rows("postings")] == ["accepted"])
    chart = house.sandbox.chart("LI-30901")
    assert chart["balance"] == "0.00"
    [posting] = house.rows("postings")
    assert [line["transaction"] for line in chart["postings"]] == [posting["id"]]
    assert (posting["destination"], posting["answer_code"]) == ("fhir", "201")

    # The chart may also come for it.
    status, found = call(house, "GET", f"PaymentReconciliation?identifier=urn:chartpost:posting%7C{posting['id']}")
    assert status == 200, found
    [entry] = json.loads(found, parse_float=str)["entry"]
    assert entry["resource"]["paymentAmount"] == {"value": "169.50", "currency": "USD"}


def test_nobody_outside_the_clinic_and_no_log_learns_anything_private(house: House) -> None:
    answers = []
    for number, mail_only in (("CN-1", False), ("CN-2", True)):
        body = invoice(number, mail_only=mail_only)
        known_to_clinic(house, body)
        answers.append(call(house, "PUT", f"Invoice/i-{number}", body))
    # What goes wrong is told as little as what goes right.
    held = invoice("CN-3", "unheard-of")
    answers.append(call(house, "PUT", "Invoice/i-CN-3", held))
    answers.append(call(house, "PUT", f"Invoice/{CANARY['Family']}", held))
    answers.append(call(house, "POST", "Invoice", held.replace(b'"Invoice"', b'"Observation"')))
    answers.append(call(house, "POST", "Invoice", held[:-20]))
    answers.append(call(house, "POST", "Invoice", held.replace(b'"status"', b'"status": [], "status"')))
    assert [status for status, _ in answers[:3]] == [201, 201, 201]
    assert all(400 <= status < 500 for status, _ in answers[3:])

    [sms] = house.until("the SMS", house.sandbox.texts)
    [mail] = house.until("the mail", house.sandbox.mails)
    pages = ""
    for link in (sms["links"][0], mail["links"][0]):
        with urlopen(link, timeout=10) as answer:
            pages += answer.read().decode()
    pay(sms["links"][0])
    pay(mail["links"][0])
    house.until("the postings", lambda: [row["state"] for row in house.rows("postings")] == ["accepted"] * 2)
    house.until("the hold", lambda: house.one("holds", state="open"))

    with urlopen(f"http://{house.addresses['internal']}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    stripe = json.dumps([house.sandbox.get(f"/_control/stripe/{what}") for what in ("requests", "events")])
    twilio = json.dumps([house.sandbox.get(f"/_control/twilio/{what}") for what in ("requests", "deliveries")])
    lists = json.dumps([house.rows(noun) for noun in ("notices", "payments", "postings", "holds", "errands")])
    refusals = "".join(text for _, text in answers[2:])
    assert house.stop() == 0
    log = house.out.read_text("utf-8")
    files = " ".join(str(path) for path in house.data.rglob("*"))

    told: dict[str, Any] = {
        "the log": log, "the SMS": sms["body"], "the mail": mail | {"to": "", "headers": ""}, "Stripe": stripe,
        "Twilio": twilio, "the figures": metrics, "the lists": lists, "refusals": refusals, "file names": files,
        "the pages": pages,
    }  # fmt: skip
    for name, text in told.items():
        assert [word for word in (*CANARY.values(), "1971-03-09", "19710309") if word in str(text)] == [], name
    assert mail["to"] == f"{CANARY['mailbox']}@example.org"
    for name in ("the log", "Stripe", "the figures", "the lists", "refusals"):
        assert re.search(PHONE[2:], str(told[name])) is None, name
        assert KEYS["invoice-token"] not in str(told[name]), name
        assert KEYS["fhir-token"] not in str(told[name]), name


def test_one_correlation_id_leads_from_the_frame_to_the_posting(house: House) -> None:
    known_to_clinic(house, invoice("CO-1"))
    call(house, "PUT", "Invoice/i-CO-1", invoice("CO-1"))
    [sms] = house.until("the SMS", house.sandbox.texts)
    pay(sms["links"][0])
    house.until("the posting", lambda: [row["state"] for row in house.rows("postings")] == ["accepted"])
    assert house.stop() == 0
    lines = [json.loads(line) for line in house.out.read_text("utf-8").splitlines() if line.startswith("{")]
    told = [(line["event"], line["correlation"]) for line in lines if "correlation" in line]
    assert [event for event, _ in told if not event.startswith("notice.")] == [
        "request.open", "message.translated", "payment.recorded", "request.paid", "posting.published",
        "posting.accepted",
    ]  # fmt: skip
    assert "notice.sent" in [event for event, _ in told]
    assert len({correlation for _, correlation in told}) == 1
