"""Reading from a FHIR server: only from that server, only within bounds, and nothing is unknown by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from scripted import Scripted, raw, says, scripted, silent

from chartpost.adapter import fhirclient, smart
from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.fhirclient import FhirClient, Server, reasons, succeeded, version
from chartpost.adapter.httpcall import Reply
from chartpost.adapter.smart import Smart

PATIENT = {"resourceType": "Patient", "id": "12", "name": [{"family": "Example"}]}
BASE = "https://fhir.example.org/r4"
ELSEWHERE = FhirClient(Server(base_url=BASE + "/"))


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        server.on("GET Patient/12", says(200, PATIENT))
        yield server


def client(server: Scripted, **options: Any) -> FhirClient:
    return FhirClient(Server(base_url=server.url, timeout_seconds=options.pop("timeout", 5), **options))


# --------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("reference", ["Patient/12", "{base}/Patient/12"])
def test_a_reference_to_this_server_is_read_with_our_token(server: Scripted, reference: str) -> None:
    found = client(server, token=SecretStr("secret-word")).read(reference.format(base=server.url))
    assert found == PATIENT
    (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer secret-word"
    assert asked.headers["accept"] == "application/fhir+json"


def test_a_version_of_a_resource_is_read_as_that_version(server: Scripted) -> None:
    server.on("GET Patient/12/_history/3", says(200, PATIENT))
    assert client(server).read("Patient/12/_history/3") == PATIENT


@pytest.mark.parametrize(
    "reference",
    [
        "#p", "urn:uuid:7f1b6f5e-0000-4000-8000-000000000000", "https://elsewhere.example.org/Patient/12", "Patient",
        "Patient/12?x=1", "Patient/../Invoice", "../Patient/12", "Patient?name=x", "//elsewhere.example.org/Patient/12",
        "", "Patient/12/", "Patient/12#name", "metadata", "Patient/12\r\nX: y", "Patient/$everything", "Patient/%2e%2e",
    ],
)  # fmt: skip
def test_a_reference_that_leads_elsewhere_is_not_followed(server: Scripted, reference: str) -> None:
    assert client(server, token=SecretStr("secret-word")).read(reference) is None
    assert server.asked == []


@given(st.text() | st.from_regex(r"(https://fhir\.example\.org/r4/)?[A-Z]?[a-z/.#?%:@]*\Z"))
def test_whatever_a_reference_says_it_leads_to_one_resource_of_this_server_or_nowhere(reference: str) -> None:
    path = ELSEWHERE.path(reference)
    assert path == "" or reference in (path, f"{BASE}/{path}")
    assert not path or path.split("/")[0].isalpha()
    assert not set(path) & set("?#%:@\\ \r\n\0")
    assert path.count("/") in (0, 1, 3)


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_is_none(server: Scripted, status: int) -> None:
    server.on("GET Patient/12", says(status))
    assert client(server).read("Patient/12") is None


@pytest.mark.parametrize("script", [silent, raw(b""), says(500), says(503), says(429)])
def test_a_server_that_cannot_say_now_is_asked_later(server: Scripted, script: Any) -> None:
    server.on("GET Patient/12", script)
    with pytest.raises(Transient):
        client(server, timeout=0.3).read("Patient/12")


@pytest.mark.parametrize("status", [401, 403, 400, 302])
def test_a_refusal_is_told_with_its_status_and_without_what_was_asked_for(server: Scripted, status: int) -> None:
    server.on("GET Patient/12", says(status, {"resourceType": "OperationOutcome"}, Location="http://elsewhere"))
    with pytest.raises(Permanent) as caught:
        client(server).read("Patient/12")
    assert caught.value.code == str(status)
    assert str(caught.value) == f"the FHIR server refused to show the Patient: HTTP {status}"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>log in, Ada Example</html>", b"", b"[]", {"resourceType": "Group"},
        {"resourceType": "Patient", "x": "y" * 1_048_576},
        b'{"resourceType": "Patient", "a": ' + b"[" * 40 + b"]" * 40 + b"}", b'{"resourceType": "Patient", "a": NaN}',
    ],
)  # fmt: skip
def test_what_is_no_such_resource_is_refused_without_repeating_it(server: Scripted, body: Any) -> None:
    server.on("GET Patient/12", says(200, body))
    with pytest.raises(Permanent, match=r"is no Patient that can be read") as caught:
        client(server).read("Patient/12")
    assert "Example" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ searching

PAGE: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "entry": []}


def linked(url: Any) -> dict[str, Any]:
    return PAGE | {"link": [{"relation": "self", "url": "x"}, {"relation": "next", "url": url}]}


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("Invoice?page=2", "Invoice?page=2"), ("?page=2", "Invoice?page=2"),
        ("{base}/Invoice?page=2", "Invoice?page=2"), ("/base/Invoice?page=2", "Invoice?page=2"),
        ("{base}?_getpages=7", "?_getpages=7"),
    ],
)  # fmt: skip
def test_the_next_page_is_at_its_address_on_this_server(server: Scripted, link: str, leads: str) -> None:
    server.on("GET Invoice", says(200, linked(link.format(base=server.url)), Date="Mon, 04 May 2026 15:01:00 GMT"))
    server.on("GET ", says(200, PAGE))
    fhir = client(server, token=SecretStr("secret-word"))
    first = fhir.search("Invoice?status=issued")
    assert first.at is not None
    assert first.at.isoformat() == "2026-05-04T15:01:00+00:00"
    fhir.search(first.next)
    assert [asked.path for asked in server.asked] == ["Invoice?status=issued", leads]
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer secret-word"}


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example.org/fhir?page=2", "http://127.0.0.1/base?page=2", "//elsewhere.example.org/x",
        "file:///etc/hosts", "http://[", "two words", "x\r\nHost: y", "http://127.0.0.1:99999999/", "javascript:1",
    ],
)  # fmt: skip
def test_a_next_page_elsewhere_is_never_asked_for(server: Scripted, link: str) -> None:
    server.on("GET Invoice", says(200, linked(link)))
    fhir = client(server)
    next = fhir.search("Invoice").next
    with pytest.raises(Permanent, match="another server"):
        fhir.search(next)
    assert len(server.asked) == 1


@pytest.mark.parametrize("page", [PAGE, linked(7), linked(""), PAGE | {"link": 7}, PAGE | {"link": [7]}])
def test_a_page_without_a_next_one_is_the_last(server: Scripted, page: dict[str, Any]) -> None:
    server.on("GET Invoice", says(200, page))
    found = client(server).search("Invoice")
    assert (found.next, found.at) == ("", None)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("0", 0), ("", 0), ("soon", 0), ("-5", 0), ("99999999999999999999", 3600), ("1.5", 0),
     ("Mon, 04 May 2026 15:01:30 GMT", 30), ("Mon, 04 May 2020 15:01:30 GMT", 0), ("Mon, 99 May 2026", 0)],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_says_how_long_to_wait(server: Scripted, status: int, said: str, seconds: float) -> None:
    server.on("GET Invoice", says(status, Retry_After=said, Date="Mon, 04 May 2026 15:01:00 GMT"))
    with pytest.raises(Transient) as caught:
        client(server).search("Invoice")
    assert caught.value.wait == seconds


def test_a_search_that_is_refused_says_why_and_names_nobody(server: Scripted) -> None:
    issue = {"severity": "error", "code": "not-supported", "diagnostics": "Ada Example"}
    server.on("GET Invoice", says(400, {"resourceType": "OperationOutcome", "issue": [issue]}))
    with pytest.raises(Permanent, match=r"refused the search for Invoices: HTTP 400: not-supported$"):
        client(server).search("Invoice")


# ------------------------------------------------------------------------------------------------------ SMART tokens


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    smart.keys(path)
    return path


def with_smart(server: Scripted, data: Path) -> FhirClient:
    smart.use(data)
    bearer = {"token_type": "Bearer", "expires_in": 300}
    tokens = [says(200, bearer | {"access_token": name}) for name in ("old", "new", "newer")]
    server.on("POST token", *tokens)
    return client(server, smart=Smart(token_url=f"{server.url}/token", client_id="c", scope="system/Patient.r"))


def sent(server: Scripted) -> list[str]:
    return [asked.headers["authorization"] for asked in server.calls("GET")]


def test_one_token_serves_many_calls(server: Scripted, data: Path) -> None:
    fhir = with_smart(server, data)
    assert fhir.read("Patient/12") == fhir.read("Patient/12") == PATIENT
    assert sent(server) == ["Bearer old", "Bearer old"]


def test_a_token_that_is_no_longer_taken_is_replaced_once(server: Scripted, data: Path) -> None:
    fhir = with_smart(server, data)
    server.on("GET Patient/12", says(401), says(200, PATIENT))
    assert fhir.read("Patient/12") == PATIENT
    assert sent(server) == ["Bearer old", "Bearer new"]
    server.on("GET Patient/12", says(401))
    with pytest.raises(Permanent, match="HTTP 401"):
        fhir.read("Patient/12")
    assert sent(server)[2:] == ["Bearer new", "Bearer newer"]


# -------------------------------------------------------------------------------------------- what the server offers


def statement(**offered: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "rest": [
            {"mode": "client", "resource": [{"type": "Invoice", "conditionalCreate": True}]},
            {"mode": "server", "resource": [{"type": kind, "conditionalCreate": yes} for kind, yes in offered.items()]},
        ],
    }


def test_a_server_is_asked_once_an_hour_what_it_offers(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET metadata", says(200, statement(Invoice=False, PaymentNotice=True)))
    fhir = client(server)
    for _ in range(2):
        assert fhir.offer("PaymentNotice")["conditionalCreate"] is True
        assert fhir.offer("Invoice")["conditionalCreate"] is False
        assert fhir.offer("Patient") == {}
    assert len(server.asked) == 1
    monkeypatch.setattr(fhirclient, "STATEMENT_SECONDS", 0)
    fhir.offer("Invoice")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "script",
    [
        says(404), says(403), says(200, b"<html>"), says(200, {}), says(200, {"rest": 1}),
        says(200, {"rest": [{"mode": "server"}]}),
    ],
)  # fmt: skip
def test_a_server_without_a_statement_offers_nothing(server: Scripted, script: Any) -> None:
    server.on("GET metadata", script)
    assert client(server).offer("PaymentReconciliation") == {}


def test_a_server_that_cannot_say_now_what_it_offers_is_asked_again(server: Scripted) -> None:
    server.on("GET metadata", says(503), says(200, statement(Invoice=True)))
    fhir = client(server)
    with pytest.raises(Transient):
        fhir.offer("Invoice")
    assert fhir.offer("Invoice")["conditionalCreate"] is True


def test_what_was_no_statement_is_not_remembered_as_one(server: Scripted) -> None:
    """A proxy's page for a minute must not cost an hour of conditional creates."""
    server.on("GET metadata", says(404), says(200, b"<html>"), says(200, statement(Invoice=True)))
    fhir = client(server)
    assert [fhir.offer("Invoice").get("conditionalCreate") for _ in range(4)] == [None, None, True, True]
    assert len(server.asked) == 3


def test_a_statement_may_be_longer_than_a_resource(server: Scripted) -> None:
    server.on("GET metadata", says(200, statement(Invoice=True) | {"description": "x" * 3_000_000}))
    assert client(server).offer("Invoice")["conditionalCreate"] is True


# -------------------------------------------------------------------------------------------------- what an answer says


def outcome(*issues: dict[str, Any]) -> Reply:
    return Reply(422, {}, json.dumps({"resourceType": "OperationOutcome", "issue": issues}).encode())


def test_a_reason_is_made_of_code_and_element() -> None:
    told = outcome(
        {"severity": "error", "code": "value", "expression": ["PaymentReconciliation.detail[0].amount"]},
        {"severity": "fatal", "code": "business-rule"},
        {"severity": "warning", "code": "informational"},
        {"code": "required", "expression": ["PaymentReconciliation.status", "PaymentReconciliation.created"]},
        {"severity": "fatal", "code": "business-rule"},
    )
    assert reasons(told) == (
        "PaymentReconciliation.detail[0].amount: value; business-rule; "
        "PaymentReconciliation.status, PaymentReconciliation.created: required"
    )


def test_no_reason_repeats_what_a_server_wrote_in_its_own_words() -> None:
    told = outcome(
        {
            "severity": "error",
            "code": "not-found",
            "diagnostics": "Ada Example has no account",
            "details": {"text": "Ada Example", "coding": [{"code": "Example", "display": "Ada"}]},
            "location": ["Ada"],
            "expression": [
                "Patient.name.where(family='Example')",
                "Patient.name[0].family",
                "Patient/12",
                "Example",
            ],
        },
        {"severity": "error", "code": "example"},
    )
    assert reasons(told) == "Patient.name[0].family: not-found"


@pytest.mark.parametrize(
    "body", [b"", b"Ada Example", b"{}", b'{"issue": [{"code": "value"}]}', b"[]", b"\xff", b"null"]
)
def test_what_is_no_outcome_gives_no_reason(body: bytes) -> None:
    assert reasons(Reply(400, {}, body)) == ""


WORD = st.none() | st.integers() | st.text(max_size=5)
ANY = st.recursive(WORD, lambda x: st.lists(x) | st.dictionaries(st.text(max_size=5), x), max_leaves=5)
ISSUE = st.fixed_dictionaries({}, optional=dict.fromkeys(("severity", "code", "expression"), ANY))


@given(ANY | st.fixed_dictionaries({"resourceType": st.just("OperationOutcome"), "issue": st.lists(ISSUE) | ANY}))
def test_whatever_a_server_answers_can_be_judged(body: Any) -> None:
    reply = Reply(200, {}, json.dumps(body).encode())
    assert len(reasons(reply)) <= 200
    assert succeeded(reply) in (True, False)
    version(reply, body if isinstance(body, dict) else {})


def test_a_success_is_an_empty_answer_or_a_resource_without_an_error() -> None:
    assert succeeded(Reply(200, {}, b""))
    assert succeeded(Reply(200, {}, json.dumps(PATIENT).encode()))
    assert succeeded(Reply(200, {}, b'{"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]}'))
    assert not succeeded(outcome({"severity": "error", "code": "processing"}))
    assert not succeeded(Reply(200, {}, b"<html>log in</html>"))
    assert not succeeded(Reply(200, {}, b"", whole=False))


@pytest.mark.parametrize(
    ("etag", "meta", "expected"),
    [
        ('W/"7"', {"versionId": "6"}, 'W/"7"'), ('"7"', None, '"7"'), (None, {"versionId": "6"}, 'W/"6"'),
        (None, None, ""), (None, {"versionId": 'x"\r\nA: b'}, ""), ("7", {"versionId": "6"}, ""), (None, "6", ""),
        (None, {"versionId": 6}, ""),
    ],
)  # fmt: skip
def test_the_version_is_that_of_the_header_or_of_the_resource(etag: str | None, meta: Any, expected: str) -> None:
    assert version(Reply(200, {"etag": etag} if etag else {}, b""), {"meta": meta}) == expected


# --------------------------------------------------------------------------------------------------------- options

SMART = {"token_url": f"{BASE}/token", "client_id": "c", "scope": "s"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"base_url": "http://fhir.example.org"}, "in the clear"),
        ({"base_url": "fhir.example.org"}, "base_url is no web address"),
        ({"token": "secret-word", "smart": SMART}, "keep one of the two"),
        ({"token": "two words"}, "one word of plain characters"),
        ({"token": "ä"}, "one word of plain characters"),
        ({"timeout_seconds": 0}, "greater than 0"),
        ({"verify": False}, "Extra inputs"),
    ],
)
def test_a_server_that_cannot_work_is_refused_without_its_secret(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        Server.model_validate({"base_url": BASE} | wrong)
    assert "secret-word" not in str(caught.value)


def test_plain_http_is_for_this_machine_or_where_it_is_said_to_be_meant() -> None:
    Server(base_url="http://127.0.0.1:1/fhir")
    Server(base_url="http://fhir.example.org", allow_insecure=True)
    assert "secret-word" not in repr(Server(base_url=BASE, token=SecretStr("secret-word")))
