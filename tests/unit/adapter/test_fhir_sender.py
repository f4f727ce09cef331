"""A posting becomes one resource on the server, whatever happens on the way, and what the server said is believed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from scripted import Asked, Script, Scripted, dripping, raw, says, scripted, silent

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.ports import Verdict
from chartpost.adapter.senders.fhir import POSTING, FhirSender, Options, from_settings, notice
from chartpost.mappings.fhir import jsontext

ID = "PZE8WRGFXKZS"
OWN = {"system": POSTING, "value": ID}
SEARCH = f"PaymentReconciliation?identifier=urn%3Achartpost%3Aposting%7C{ID}"

R4 = b"""{
"resourceType": "PaymentReconciliation", "status": "active", "outcome": "complete",
"identifier": [{"system": "urn:chartpost:posting", "value": "PZE8WRGFXKZS"}],
"created": "2026-11-21T16:18:54-06:00", "paymentDate": "2026-11-21",
"paymentAmount": {"value": 45.00, "currency": "USD"},
"detail": [{
  "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/payment-type", "code": "payment"}]},
  "request": {"reference": "Invoice/9"}, "date": "2026-11-21", "amount": {"value": 45.00, "currency": "USD"}
}]}"""
R5 = b"""{
"resourceType": "PaymentReconciliation", "status": "active",
"identifier": [{"system": "urn:chartpost:posting", "value": "PZE8WRGFXKZS"}],
"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/payment-type", "code": "payment"}]},
"created": "2026-11-21T16:18:54-06:00", "date": "2026-11-21", "amount": {"value": 45.00, "currency": "USD"},
"allocation": [{"target": {"reference": "Invoice/9"}, "amount": {"value": 45.00, "currency": "USD"}}]
}"""


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources], **more}


def found(number: str, value: str = ID, kind: str = "PaymentReconciliation") -> dict[str, Any]:
    identifiers = [{"system": "urn:other", "value": "1"}, OWN | {"value": value}]
    return {"resourceType": kind, "id": number, "identifier": identifiers}


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that offers conditional create and takes what comes."""
    with scripted() as server:
        offers(server, conditional=True)
        for kind in ("PaymentReconciliation", "PaymentNotice"):
            server.on(f"POST {kind}", says(201, Location=f"{server.url}/{kind}/7/_history/1"))
        yield server


def offers(server: Scripted, *, conditional: bool) -> None:
    kinds = [{"type": kind, "conditionalCreate": conditional} for kind in ("PaymentReconciliation", "PaymentNotice")]
    statement = {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": kinds}]}
    server.on("GET metadata", says(200, statement))


def sender(server: Scripted, **options: Any) -> FhirSender:
    given = {"type": "fhir", "map": "fhir-payment-reconciliation", "base_url": server.url, "timeout_seconds": 5}
    return from_settings(Options.model_validate(given | options))


def posts(server: Scripted, kind: str = "PaymentReconciliation") -> list[Asked]:
    return [asked for asked in server.calls("POST") if asked.path == kind]


# ------------------------------------------------------------------------------------------------------------ create


def test_a_posting_is_created_only_if_there_is_none_with_its_id_and_its_bytes_are_kept(server: Scripted) -> None:
    answer = sender(server, token="secret-word").send(R4, ID)
    assert (answer.verdict, answer.code, answer.text) == (Verdict.ACCEPTED, "201", "")
    (asked,) = posts(server)
    assert asked.body == R4
    assert asked.headers["if-none-exist"] == f"identifier=urn:chartpost:posting|{ID}"
    assert asked.headers["prefer"] == "return=minimal"
    assert asked.headers["content-type"] == "application/fhir+json"
    assert asked.headers["authorization"] == "Bearer secret-word"
    assert [one.path for one in server.asked] == ["metadata", "PaymentReconciliation"]


def test_what_the_map_writes_decides_where_it_goes(server: Scripted) -> None:
    body = json.dumps({"resourceType": "PaymentNotice", "identifier": [OWN]}).encode()
    assert sender(server).send(body, ID).verdict is Verdict.ACCEPTED
    assert [asked.body for asked in posts(server, "PaymentNotice")] == [body]


@pytest.mark.parametrize(
    ("script", "verdict", "code", "text"),
    [
        (says(201), Verdict.ACCEPTED, "201", ""),
        (says(201, b"<html>"), Verdict.ACCEPTED, "201", ""),
        (says(200), Verdict.ACCEPTED, "200", ""),
        (says(200, found("7")), Verdict.ACCEPTED, "200", ""),
        (says(204), Verdict.ACCEPTED, "204", ""),
        (says(202), Verdict.RECEIVED, "202", ""),
        (raw(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n"), Verdict.ACCEPTED, "201", ""),
        (says(201, b"x" * 2_000_000), Verdict.ACCEPTED, "201", ""),
        *[
            (says(status), Verdict.REFUSED, str(status), "")
            for status in (400, 401, 403, 404, 405, 409, 410, 412, 413, 422)
        ],
        (says(301), Verdict.REFUSED, "301", "redirects; none is followed: base_url must be the address itself"),
        (says(307), Verdict.REFUSED, "307", "redirects; none is followed: base_url must be the address itself"),
    ],
)  # fmt: skip
def test_the_status_is_the_verdict(server: Scripted, script: Script, verdict: Verdict, code: str, text: str) -> None:
    server.on("POST PaymentReconciliation", script)
    answer = sender(server).send(R4, ID)
    assert (answer.verdict, answer.code, answer.text) == (verdict, code, text)
    assert len(posts(server)) == 1


def test_a_refusal_says_why_without_the_servers_own_words(server: Scripted) -> None:
    issue = {
        "severity": "error", "code": "business-rule", "expression": ["PaymentReconciliation.detail[0].request"],
        "diagnostics": "Invoice of Ada Example is closed", "details": {"text": "Ada Example"},
    }  # fmt: skip
    told = {"resourceType": "OperationOutcome", "issue": [issue]}
    server.on("POST PaymentReconciliation", says(422, told))
    answer = sender(server).send(R4, ID)
    assert answer.text == "PaymentReconciliation.detail[0].request: business-rule"
    assert json.loads(answer.raw) == told, "the whole answer is kept, sealed"


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_tried_later(server: Scripted, status: int) -> None:
    server.on("POST PaymentReconciliation", says(status, Retry_After="120"))
    with pytest.raises(Transient, match=str(status)):
        sender(server).send(R4, ID)


def test_a_server_that_is_not_there_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    options = Options(type="fhir", map="m", base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(Transient, match="no connection"):
        from_settings(options).send(R4, ID)


@pytest.mark.parametrize(
    "script",
    [
        silent, raw(b""), raw(b"HTTP/1.1 garbage\r\n\r\n"), dripping(b"HTTP/1.1 2"), says(500), says(502), says(504),
        says(408), says(303), says(206), says(200, b"<html>log in</html>"), raw(b"HTTP/1.1 200 OK\r\n"),
        says(200, b"x" * 2_000_000),
        says(200, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}),
    ],
)  # fmt: skip
def test_what_says_neither_yes_nor_no_is_unknown(server: Scripted, script: Script) -> None:
    server.on("POST PaymentReconciliation", script)
    with pytest.raises(Ambiguous):
        sender(server, timeout_seconds=0.3).send(R4, ID)
    assert len(posts(server)) == 1


@pytest.mark.parametrize("script", [silent, says(503), raw(b"")])
def test_nothing_is_unknown_before_the_create(server: Scripted, script: Script) -> None:
    server.on("GET metadata", script)
    with pytest.raises(Transient):
        sender(server, timeout_seconds=0.3).send(R4, ID)
    assert posts(server) == []


@pytest.mark.parametrize(
    ("body", "control_id"),
    [
        (R4, "PSOMEOTHERID"), (b"MSH|^~\\&|", ID), (b"[]", ID), (b'{"identifier": []}', ID), (b"\xff", ID),
        (b'{"resourceType": "PaymentReconciliation"}', ID), (b'{"resourceType": "X", "identifier": "P"}', ID),
        (json.dumps({"resourceType": "X", "identifier": [{"system": POSTING, "value": "a|b&c"}]}).encode(), "a|b&c"),
    ],
)  # fmt: skip
def test_a_body_that_could_not_be_found_again_is_not_sent(server: Scripted, body: bytes, control_id: str) -> None:
    with pytest.raises(Permanent):
        sender(server).send(body, control_id)
    assert server.asked == []


# -------------------------------------------------------------------------------------- without conditional create


def test_without_conditional_create_the_server_is_searched_before(server: Scripted) -> None:
    offers(server, conditional=False)
    server.on("GET PaymentReconciliation", says(200, bundle()))
    assert sender(server).send(R4, ID).code == "201"
    looked, created = server.asked[1:]
    assert (looked.path, looked.headers["cache-control"]) == (SEARCH, "no-cache")
    assert "if-none-exist" not in created.headers


def test_what_is_found_is_ours_already(server: Scripted) -> None:
    offers(server, conditional=False)
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
    server.on("GET PaymentReconciliation", says(200, bundle(found("7"), outcome)))
    answer = sender(server).send(R4, ID)
    assert (answer.verdict, answer.code) == (Verdict.ACCEPTED, "200")
    assert posts(server) == []


def test_several_with_our_id_are_for_a_person(server: Scripted) -> None:
    offers(server, conditional=False)
    server.on("GET PaymentReconciliation", says(200, bundle(found("7"), found("8"))))
    answer = sender(server).send(R4, ID)
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, "multiple-matches")
    assert posts(server) == []


def test_a_server_that_passes_over_the_identifier_is_not_believed(server: Scripted) -> None:
    offers(server, conditional=False)
    for entries in ([found("1", "POTHER000000")], [found("1", "POTHER000000"), found("7")]):
        server.on("GET PaymentReconciliation", says(200, bundle(*entries)))
        with pytest.raises(Permanent, match="passes over `identifier`"):
            sender(server).send(R4, ID)
    assert posts(server) == []


@pytest.mark.parametrize("script", [says(400), says(404), says(403), says(302), says(200, b"<html>"), says(200, {})])
def test_a_server_that_cannot_be_searched_gets_nothing(server: Scripted, script: Script) -> None:
    offers(server, conditional=False)
    server.on("GET PaymentReconciliation", script)
    with pytest.raises(Permanent):
        sender(server).send(R4, ID)
    assert posts(server) == []


# ----------------------------------------------------------------------------- a server that cannot be asked at all

BASIC = json.dumps({"resourceType": "Basic", "identifier": [{"use": "usual", "value": ID}]}).encode()


def takes_only(server: Scripted, *kinds: str) -> None:
    """Have the server offer create of these types and nothing else, as Oracle Health does for Basic."""
    offers = [{"type": kind, "interaction": [{"code": "create"}]} for kind in kinds]
    server.on(
        "GET metadata",
        says(200, {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": offers}]}),
    )
    for kind in kinds:
        server.on(f"POST {kind}", says(201))


def test_a_server_that_cannot_be_asked_gets_a_posting_once(server: Scripted) -> None:
    takes_only(server, "Basic")
    assert sender(server, map="oracle-basic-financialtransaction").send(BASIC, ID).verdict is Verdict.ACCEPTED
    assert [asked.path for asked in server.asked] == ["metadata", "Basic"]
    assert "if-none-exist" not in posts(server, "Basic")[0].headers


def test_a_posting_without_a_system_is_accepted_and_its_payment_notice_has_ours(server: Scripted) -> None:
    takes_only(server, "PaymentReconciliation", "PaymentNotice")
    bare = R4.replace(b'"system": "urn:chartpost:posting", ', b"")
    assert sender(server, **WITH_NOTICE).send(bare, ID).verdict is Verdict.ACCEPTED
    (told,) = posts(server, "PaymentNotice")
    assert json.loads(told.body)["identifier"] == [OWN]


def test_a_server_that_cannot_be_asked_gets_nothing_where_silence_would_be_answered_by_sending_again(
    server: Scripted,
) -> None:
    takes_only(server, "Basic")
    blind = sender(server, map="oracle-basic-financialtransaction", resend="same_identifier")
    with pytest.raises(Permanent, match="must not be sent again: resend: never"):
        blind.send(BASIC, ID)
    assert posts(server, "Basic") == []
    assert [text for text in blind.check() if "resend: never" in text] != []


def test_where_the_server_can_be_asked_an_identifier_needs_its_system(server: Scripted) -> None:
    bare = json.dumps({"resourceType": "PaymentReconciliation", "identifier": [{"value": ID}]}).encode()
    with pytest.raises(Permanent, match="the map must write one"):
        sender(server).send(bare, ID)
    assert posts(server) == []


def test_the_check_looks_for_what_the_map_writes(server: Scripted) -> None:
    takes_only(server, "Basic")
    assert sender(server, map="oracle-basic-financialtransaction").check() == []
    (problem,) = sender(server).check()
    assert problem.startswith("it offers no create of PaymentReconciliation")


# -------------------------------------------------------------------------------------------------- PaymentNotice

WITH_NOTICE = {"payment_notice": True, "recipient": "Organization/1"}


@pytest.mark.parametrize("body", [R4, R5], ids=["R4", "R5"])
def test_a_payment_notice_tells_of_the_payment_once_it_is_accepted(server: Scripted, body: bytes) -> None:
    answer = sender(server, **WITH_NOTICE).send(body, ID)
    assert (answer.verdict, answer.text) == (Verdict.ACCEPTED, "")
    (asked,) = posts(server, "PaymentNotice")
    assert asked.headers["if-none-exist"] == f"identifier=urn:chartpost:posting|{ID}"
    assert b'"value":45.00' in asked.body
    assert json.loads(asked.body) == {
        "resourceType": "PaymentNotice",
        "identifier": [OWN],
        "status": "active",
        "request": {"reference": "Invoice/9"},
        "created": "2026-11-21T16:18:54-06:00",
        "payment": {"reference": "PaymentReconciliation/7"},
        "paymentDate": "2026-11-21",
        "recipient": {"reference": "Organization/1"},
        "amount": {"value": 45.0, "currency": "USD"},
        "paymentStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/paymentstatus", "code": "paid"}]
        },
    }


@pytest.mark.parametrize("version", ["R4B", "R5"])
def test_a_payment_notice_conforms_to_its_version(version: str) -> None:
    from fhir.resources.paymentnotice import PaymentNotice
    from fhir.resources.R4B.paymentnotice import PaymentNotice as Older

    told = notice(jsontext.decode(R4 if version == "R4B" else R5), "", "Organization/1")
    (Older if version == "R4B" else PaymentNotice).model_validate(told)


def test_a_payment_notice_names_the_payment_by_identifier_where_its_place_is_not_told(server: Scripted) -> None:
    server.on("POST PaymentReconciliation", says(200))
    sender(server, **WITH_NOTICE).send(R4, ID)
    (asked,) = posts(server, "PaymentNotice")
    assert json.loads(asked.body)["payment"] == {"type": "PaymentReconciliation", "identifier": OWN}


def test_of_money_that_went_back_there_is_no_payment_notice(server: Scripted) -> None:
    back = jsontext.decode(R4)
    back["paymentAmount"]["value"] = Decimal("-45.00")
    assert sender(server, **WITH_NOTICE).send(jsontext.encode(back), ID).verdict is Verdict.ACCEPTED
    assert posts(server, "PaymentNotice") == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (says(422, {"resourceType": "OperationOutcome", "issue": [{"code": "required"}]}), "422 required"),
        (says(503), "HTTP 503"), (says(500), "HTTP 500"), (silent, "no answer within"), (raw(b""), "connection lost"),
    ],
)  # fmt: skip
def test_a_payment_notice_that_fails_leaves_the_posting_accepted(server: Scripted, script: Script, why: str) -> None:
    server.on("POST PaymentNotice", script)
    answer = sender(server, timeout_seconds=0.5, **WITH_NOTICE).send(R4, ID)
    assert (answer.verdict, answer.code) == (Verdict.ACCEPTED, "201")
    assert answer.text.startswith("PaymentNotice was not taken: ")
    assert why in answer.text


def test_there_is_no_payment_notice_of_a_posting_that_was_refused(server: Scripted) -> None:
    server.on("POST PaymentReconciliation", says(422))
    assert sender(server, **WITH_NOTICE).send(R4, ID).verdict is Verdict.REFUSED
    assert posts(server, "PaymentNotice") == []


def test_a_source_may_read_from_the_chart_that_is_told(server: Scripted) -> None:
    patient = {"resourceType": "Patient", "id": "12"}
    server.on("GET Patient/12", says(200, patient))
    assert sender(server).read("Patient/12") == patient


# ------------------------------------------------------------------------------------------------------ the Invoice

INVOICE = (
    b'{"resourceType":"Invoice","id":"9","meta":{"versionId":"3"},"status":"issued","x":[1,1.50,1E+2,null],'
    b'"totalGross":{"value":10.00,"currency":"USD"},"note":[{"text":"M\xc3\xbcller \\u0001"}]}'
)


def invoices(server: Scripted, *bodies: bytes) -> None:
    server.on("GET Invoice/9", *(says(200, body, ETag='W/"3"') for body in bodies))


def puts(server: Scripted) -> list[Asked]:
    return server.calls("PUT")


def test_a_settled_invoice_differs_in_its_status_alone(server: Scripted) -> None:
    invoices(server, INVOICE)
    server.on("PUT Invoice/9", says(200))
    fhir = sender(server)
    assert fhir.settle_invoice("Invoice/9").verdict is Verdict.ACCEPTED
    (asked,) = puts(server)
    assert asked.headers["if-match"] == 'W/"3"'
    assert asked.body == INVOICE.replace(b'"issued"', b'"balanced"')


def test_a_balanced_invoice_is_left_alone(server: Scripted) -> None:
    invoices(server, INVOICE.replace(b"issued", b"balanced"))
    assert sender(server).settle_invoice(f"{server.url}/Invoice/9").verdict is Verdict.ACCEPTED
    assert puts(server) == []


@pytest.mark.parametrize("status", [b"draft", b"cancelled", b"entered-in-error", b""])
def test_an_invoice_in_any_other_state_is_for_a_person(server: Scripted, status: bytes) -> None:
    invoices(server, INVOICE.replace(b"issued", status))
    answer = sender(server).settle_invoice("Invoice/9")
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, "not-issued")
    assert puts(server) == []


@pytest.mark.parametrize("status", [412, 409])
def test_an_invoice_that_somebody_changed_meanwhile_is_read_again_once(server: Scripted, status: int) -> None:
    invoices(server, INVOICE)
    server.on("PUT Invoice/9", says(status), says(200))
    assert sender(server).settle_invoice("Invoice/9").verdict is Verdict.ACCEPTED
    server.on("PUT Invoice/9", says(status))
    assert sender(server).settle_invoice("Invoice/9").code == str(status)
    assert len(puts(server)) == 4


def test_an_invoice_that_was_cancelled_meanwhile_is_left_so(server: Scripted) -> None:
    invoices(server, INVOICE, INVOICE.replace(b"issued", b"cancelled"))
    server.on("PUT Invoice/9", says(412))
    assert sender(server).settle_invoice("Invoice/9").code == "not-issued"
    assert len(puts(server)) == 1


def test_an_invoice_without_a_version_is_not_overwritten(server: Scripted) -> None:
    server.on("GET Invoice/9", says(200, INVOICE.replace(b'"meta":{"versionId":"3"},', b"")))
    assert sender(server).settle_invoice("Invoice/9").code == "no-version"
    assert puts(server) == []


def test_an_invoice_that_is_gone_is_for_a_person(server: Scripted) -> None:
    assert sender(server).settle_invoice("Invoice/9").code == "404"


@pytest.mark.parametrize(
    "reference", ["Patient/12", "https://elsewhere.example.org/Invoice/9", "#i", "Invoice/9/_history/1", "Invoice"]
)
def test_what_is_no_invoice_of_this_server_is_not_settled_here(server: Scripted, reference: str) -> None:
    with pytest.raises(Permanent, match="not on this server"):
        sender(server).settle_invoice(reference)
    assert server.asked == []


# --------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"payment_notice": True}, "recipient belongs to payment_notice"),
        ({"recipient": "Organization/1"}, "recipient belongs to payment_notice"),
        ({"payment_notice": True, "recipient": "Patient/1"}, "recipient must be a reference"),
        ({"resend": "same_control_id"}, "same_identifier"),
        ({"base_url": "http://fhir.example.org"}, "in the clear"),
        ({"adress": "x"}, "Extra inputs"),
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any], why: str) -> None:
    good = {"type": "fhir", "map": "m", "base_url": "https://fhir.example.org/r4"}
    assert Options.model_validate(good).resend == "never"
    with pytest.raises(ValidationError, match=why):
        Options.model_validate(good | wrong)
