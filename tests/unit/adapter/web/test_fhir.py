"""The FHIR face over a real ledger: addresses, headers, and that nothing is answered before it is stored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir_face import OLD_TOKEN, TOKEN, URL, door, face
from sqlalchemy import select
from starlette.testclient import TestClient
from workbench import MAY, Clock

from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.listeners.committer import Committer

SYSTEM = "urn:example:invoices"
FHIR = {"content-type": "application/fhir+json"}


class Wire:
    """A sender, and what the ledger has of it."""

    def __init__(self, store: Store, client: TestClient) -> None:
        self.store, self.client = store, client

    def __call__(self, method: str, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> Any:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        said = (FHIR if content is not None else {}) | ({"authorization": f"Bearer {token}"} if token else {})
        said |= {name.replace("_", "-"): text for name, text in headers.items()}
        answer = self.client.request(method, path, content=content, headers=said, follow_redirects=False)
        if answer.content:
            assert answer.headers["content-type"] == "application/fhir+json"
        return answer

    def rows(self) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(message).order_by(message.c.id)).all())

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]


Make = Callable[..., Wire]


@pytest.fixture
def make(migrated: Path, tmp_path: Path) -> Iterator[Make]:
    path = tmp_path / "chartpost.db"
    path.write_bytes(migrated.read_bytes())
    store = Store.open(f"sqlite:///{path}", clock=Clock(MAY), migrate=False)
    committers: list[Committer] = []

    def wire(*sources: str, **options: Any) -> Wire:
        committers.append(Committer(Intake(store)))
        doors = [door(store, name, **options) for name in sources or ("ehr",)]
        return Wire(store, TestClient(face(store, committers[-1], *doors), base_url=URL))

    yield wire
    for committer in committers:
        committer.close()
    store.close()


@pytest.fixture
def wire(make: Make) -> Wire:
    return make()


def invoice(number: str = "", **more: Any) -> dict[str, Any]:
    named = {"identifier": [{"system": SYSTEM, "value": number}]} if number else {}
    return {"resourceType": "Invoice", "status": "issued", **named, **more}


def issue(answer: Any) -> tuple[int, str]:
    """Return the status and the code of the first issue."""
    return answer.status_code, answer.json()["issue"][0]["code"]


# ------------------------------------------------------------------------------------------------------- charges in


def test_a_new_invoice_is_answered_201_with_its_address_and_its_version(wire: Wire) -> None:
    body = b'{"resourceType":"Invoice","status":"issued","totalGross":{"value":10.00}}'
    answer = wire("PUT", "/fhir/ehr/Invoice/17", body)
    assert answer.status_code == 201
    [row] = wire.rows()
    assert (row.raw, row.state, row.control_id, row.ack_code) == (body, "received", "17", "201")
    assert answer.headers["location"] == f"{URL}/fhir/ehr/Invoice/17/_history/{row.id}"
    assert answer.headers["etag"] == f'W/"{row.id}"'
    assert answer.headers["cache-control"] == "no-store"
    assert "M1" in answer.json()["issue"][0]["diagnostics"]


def test_a_consent_is_taken_at_its_own_address_and_at_no_other(wire: Wire) -> None:
    body = b'{"resourceType":"Consent","status":"active","id":"c1"}'
    made, put = wire("POST", "/fhir/ehr/Consent", body), wire("PUT", "/fhir/ehr/Consent/c1", body)
    assert (made.status_code, put.status_code) == (201, 200)
    rows = wire.rows()
    assert [(row.type, row.state, row.control_id, row.ack_code) for row in rows] == [
        ("Consent", "received", "c1", "201"), ("Consent", "received", "c1", "200"),
    ]  # fmt: skip
    assert put.headers["location"] == f"{URL}/fhir/ehr/Consent/c1/_history/{rows[1].id}"
    assert wire("PUT", "/fhir/ehr/Consent/another", body).status_code == 400
    assert wire("POST", "/fhir/ehr/Invoice", body).status_code == 400
    assert wire("POST", "/fhir/ehr/Consent", invoice()).status_code == 400
    assert wire("GET", "/fhir/ehr/Consent/c1").status_code == 405


def test_the_next_state_is_answered_200_and_stored_again_even_if_it_is_the_same(wire: Wire) -> None:
    for status in (201, 200, 200):
        assert wire("PUT", "/fhir/ehr/Invoice/17", invoice()).status_code == status
    assert wire.states() == ["received"] * 3


def test_a_post_with_an_identifier_that_is_known_is_an_update(wire: Wire) -> None:
    wire("PUT", "/fhir/ehr/Invoice/17", invoice("A"))
    answer = wire("POST", "/fhir/ehr/Invoice", invoice("A", status="cancelled"))
    assert answer.status_code == 200
    assert answer.headers["location"].endswith("/Invoice/17/_history/2")


def test_a_post_without_any_name_that_is_repeated_is_the_same_invoice(wire: Wire) -> None:
    first, again = (wire("POST", "/fhir/ehr/Invoice", invoice()) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert len({row.lane for row in wire.rows()}) == 1


def test_the_client_says_how_much_it_wants_back(wire: Wire) -> None:
    minimal = wire("PUT", "/fhir/ehr/Invoice/17", invoice(), prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    body = b'{"resourceType":"Invoice","totalNet":{"value":10.00},"meta":{"profile":["p"]}}'
    whole = wire("PUT", "/fhir/ehr/Invoice/17", body, prefer='handling=strict; return="representation"')
    assert b'"value":10.00' in whole.content
    assert whole.json()["id"] == "17"
    assert whole.json()["meta"]["versionId"] == "2"


def test_a_conditional_create_that_matches_is_answered_with_what_is_there(wire: Wire) -> None:
    condition = {"if-none-exist": f"identifier={SYSTEM}|A"}
    assert wire("POST", "/fhir/ehr/Invoice", invoice("A", id="17"), **condition).status_code == 201
    answer = wire("POST", "/fhir/ehr/Invoice", invoice("A", status="draft"), **condition)
    assert answer.status_code == 200
    assert answer.headers["location"].endswith("/Invoice/17/_history/1")
    assert wire.states() == ["received"], "nothing is stored again"
    assert issue(wire("POST", "/fhir/ehr/Invoice", invoice("A"), if_none_exist="date=2026")) == (400, "not-supported")


def test_if_match_is_compared_with_the_etag_of_the_last_update(wire: Wire) -> None:
    tag = wire("PUT", "/fhir/ehr/Invoice/17", invoice()).headers["etag"]
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), if_match=tag).status_code == 200
    assert issue(wire("PUT", "/fhir/ehr/Invoice/17", invoice(), if_match=tag)) == (412, "conflict")


def test_an_invoice_that_changes_its_name_while_it_is_worked_has_to_come_again(wire: Wire) -> None:
    wire("PUT", "/fhir/ehr/Invoice/17", invoice("A"))
    answer = wire("PUT", "/fhir/ehr/Invoice/17", invoice())
    assert issue(answer) == (503, "transient")
    assert answer.headers["retry-after"]
    assert wire.states() == ["received"]


def test_a_transaction_is_answered_entry_by_entry(wire: Wire) -> None:
    entries = [
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": invoice("A"), "request": {"method": "PUT", "url": "Invoice/17"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    for path in ("/fhir/ehr", "/fhir/ehr/", "/fhir/ehr/Bundle", "/fhir/"):
        answer = wire("POST", path, bundle)
        assert (answer.status_code, answer.json()["type"]) == (200, "transaction-response")
    patient, charge = (entry["response"] for entry in answer.json()["entry"])
    assert patient["status"] == "202 Accepted"
    assert patient["outcome"]["issue"][0]["severity"] == "information"
    assert (charge["status"], charge["etag"]) == ("200 OK", 'W/"8"')
    assert charge["location"].endswith("/Invoice/17/_history/8")
    assert wire.states() == ["ignored", "received"] * 4
    assert wire.rows()[1].parent_id == 1


def test_a_refused_transaction_stores_no_invoice(wire: Wire) -> None:
    entries = [
        {"resource": invoice("A"), "request": {"method": "POST", "url": "Invoice"}},
        {"request": {"method": "DELETE", "url": "Invoice/17"}},
    ]
    answer = wire("POST", "/fhir/ehr", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert issue(answer) == (400, "not-supported")
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].request.method"]
    assert wire.states() == ["ignored"]


def test_a_collection_is_accepted_and_told_what_was_taken(wire: Wire) -> None:
    entries = [{"resource": invoice("A")}, {"resource": {"resourceType": "Practitioner"}}]
    answer = wire("POST", "/fhir/ehr", {"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert answer.status_code == 202
    assert [one["severity"] for one in answer.json()["issue"]] == ["information", "information"]
    empty = wire("POST", "/fhir/ehr", {"resourceType": "Bundle", "type": "history"})
    assert [one["severity"] for one in empty.json()["issue"]] == ["warning"]


def test_a_message_is_answered_by_a_message(wire: Wire) -> None:
    header = {"resourceType": "MessageHeader", "id": "m-1", "eventUri": "urn:example:charges"}
    bundle = {"resourceType": "Bundle", "type": "message", "entry": [{"resource": header}, {"resource": invoice("A")}]}
    answer = wire("POST", "/fhir/ehr/$process-message", bundle)
    reply = answer.json()["entry"][0]["resource"]
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert (reply["response"]["identifier"], reply["response"]["code"]) == ("m-1", "ok")
    assert reply["eventUri"] == "urn:example:charges"
    assert answer.json()["entry"][1]["fullUrl"] == reply["response"]["details"]["reference"]
    assert wire.states() == ["ignored", "received"]


# --------------------------------------------------------------------------------------------------------- who is it


def test_without_the_token_of_the_source_nothing_is_told_or_stored(make: Make, caplog: Any) -> None:
    wire = make("ehr", "other")
    for token in ("", "wrong", TOKEN + "x", "é"):
        answer = wire("PUT", "/fhir/ehr/Invoice/17", invoice(), authorization=f"Bearer {token}".encode())  # type: ignore[arg-type]
        assert issue(answer) == (401, "login")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert issue(wire("GET", "/fhir/ehr/Patient/1", token="")) == (401, "login")
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), token="", authorization=TOKEN).status_code == 401
    assert wire.rows() == []
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert "Invoice" not in "".join(ours)
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), token="", authorization=f"bearer  {TOKEN}").status_code == 201


def test_the_token_before_is_taken_while_the_sender_changes_over(wire: Wire) -> None:
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), token=OLD_TOKEN).status_code == 201


def test_metadata_is_open_and_nothing_else(wire: Wire) -> None:
    assert wire("GET", "/fhir/ehr/metadata", token="").json()["resourceType"] == "CapabilityStatement"
    assert wire("HEAD", "/fhir/ehr/metadata", token="").status_code == 200
    assert wire("POST", "/fhir/ehr/metadata", {}, token="").status_code == 401


# ---------------------------------------------------------------------------------------------------------- addresses


def test_where_there_is_one_source_its_name_may_be_left_out(make: Make) -> None:
    one, several = make("ehr"), make("ehr", "other")
    answer = one("PUT", "/fhir/Invoice/17", invoice())
    assert answer.status_code == 201
    assert answer.headers["location"].startswith(f"{URL}/fhir/ehr/")
    answer = several("PUT", "/fhir/Invoice/17", invoice())
    assert issue(answer) == (404, "not-found")
    assert "other" not in answer.text


def test_each_source_is_a_world_of_its_own(make: Make) -> None:
    wire = make("ehr", "other")
    statuses = [wire("PUT", f"/fhir/{name}/Invoice/17", invoice()).status_code for name in ("ehr", "other", "ehr")]
    assert statuses == [201, 201, 200]


@pytest.mark.parametrize(
    "path", ["Patient", "Patient/1", "Invoice/17/_history", "$everything", "invoice", "Invoice/$x"]
)
def test_what_is_not_offered_is_404(wire: Wire, path: str) -> None:
    assert issue(wire("GET", f"/fhir/ehr/{path}")) == (404, "not-supported")


def test_what_is_sent_to_an_address_that_is_not_offered_is_kept_for_a_person_to_see(wire: Wire) -> None:
    answer = wire("PUT", "/fhir/ehr/ChargeItem/1", {"resourceType": "ChargeItem", "id": "1"})
    assert issue(answer) == (404, "not-supported")
    assert issue(wire("POST", "/fhir/ehr/Patient", invoice("A"))) == (404, "not-supported")
    assert [(row.state, row.type) for row in wire.rows()] == [("ignored", "ChargeItem"), ("ignored", "Invoice")]
    assert wire("POST", "/fhir/ehr/Patient", b"<Patient/>", content_type="application/xml").status_code == 415
    assert wire("POST", "/fhir/ehr/$everything", {}).status_code == 404
    assert len(wire.rows()) == 2


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "Invoice/17", "POST, PUT"), ("DELETE", "Invoice/17", "POST, PUT"),
        ("PATCH", "Invoice/17", "POST, PUT"),
        ("GET", "Invoice", "POST"), ("PUT", "Invoice", "POST"), ("GET", "", "POST"),
        ("DELETE", "PaymentReconciliation/P1", "GET, HEAD"), ("POST", "metadata", "GET, HEAD"),
        ("BREW", "PaymentReconciliation", "GET, HEAD"),
    ],
)  # fmt: skip
def test_another_method_is_405_with_those_that_are_offered(wire: Wire, method: str, path: str, allow: str) -> None:
    answer = wire(method, f"/fhir/ehr/{path}")
    assert issue(answer) == (405, "not-supported")
    assert answer.headers["allow"] == allow


# ------------------------------------------------------------------------------------------------------------ content


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json; charset=UTF-8", 201), ("application/json", 201), ("application/json+fhir", 201),
        ('application/fhir+json; fhirVersion="4.0"', 201), ("application/fhir+json; fhirVersion=4.3", 201),
        ("application/fhir+json;fhirVersion=5.0", 415), ("application/fhir+json; charset=latin-1", 415),
        ("application/fhir+xml", 415), ("application/xml", 415), ("text/plain", 415), ("", 201),
    ],
)  # fmt: skip
def test_json_of_this_version_is_taken(wire: Wire, content_type: str, status: int) -> None:
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), content_type=content_type).status_code == status
    assert len(wire.rows()) == (status == 201)


def test_a_source_of_r5_takes_r5(make: Make) -> None:
    wire = make("ehr", version="R5")
    for version, status in (("5.0", 201), ("4.0", 415)):
        said = f"application/fhir+json; fhirVersion={version}"
        assert wire("PUT", "/fhir/ehr/Invoice/17", invoice(), content_type=said).status_code == status
    assert wire.rows()[0].version == "R5"


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        ("application/fhir+json", "", 200), ("text/html, */*;q=0.1", "", 200), ("application/*", "", 200),
        ("", "", 200),
        ("application/fhir+xml", "", 406), ("application/fhir+xml", "?_format=json", 200), ("*/*", "?_format=xml", 406),
    ],
)  # fmt: skip
def test_answers_are_json_or_406(wire: Wire, accept: str, query: str, status: int) -> None:
    assert wire("GET", f"/fhir/ehr/metadata{query}", accept=accept).status_code == status


HOSTILE = {
    "nothing": b"",
    "no json": b"\x00\xff\xfe",
    "half a surrogate pair": b'{"resourceType": "Invoice", "id": "\\ud800"}',
    "a name twice": b'{"resourceType": "Invoice", "resourceType": "Invoice"}',
    "not a number": b'{"resourceType": "Invoice", "totalNet": {"value": NaN}}',
    "endless digits": b'{"resourceType": "Invoice", "totalNet": {"value": ' + b"9" * 5000 + b"}}",
    "a nul": b'{"resourceType": "Invoice", "identifier": [{"value": "\\u0000"}]}',
    "too deep": b'{"resourceType": "Invoice", "a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a list": b'[{"resourceType": "Invoice"}]',
    "no type": b'{"status": "issued"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_read_is_refused_kept_and_never_a_failure_of_ours(wire: Wire, body: bytes) -> None:
    assert issue(wire("POST", "/fhir/ehr/Invoice", body)) == (400, "structure")
    [row] = wire.rows()
    assert (row.state, row.raw, row.ack_code) == ("unreadable", body, "400")
    assert row.reason


ODD = {
    "an endless exponent": b'{"resourceType": "Invoice", "totalNet": {"value": 1e400}}',
    "a byte order mark": b'\xef\xbb\xbf{"resourceType": "Invoice"}',
    "wrong types everywhere": b'{"resourceType": "Invoice", "identifier": 7, "subject": [], "status": {}}',
    "thirty digits": b'{"resourceType": "Invoice", "totalNet": {"value": 123456789012345678901234567890.12}}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_what_is_only_odd_is_stored_and_waits_for_its_translation(wire: Wire, body: bytes) -> None:
    assert wire("POST", "/fhir/ehr/Invoice", body).status_code == 201
    assert wire.states() == ["received"]


def test_a_packed_body_is_not_opened(wire: Wire) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    assert issue(wire("POST", "/fhir/ehr/Invoice", bomb, content_encoding="gzip")) == (415, "not-supported")
    assert wire.rows() == []


def test_a_body_over_the_limit_is_not_read_to_its_end(make: Make) -> None:
    wire = make("ehr", max_bytes=1000)
    assert issue(wire("POST", "/fhir/ehr/Invoice", invoice("A", id="x" * 2000))) == (413, "too-long")
    assert wire.rows() == []
    fits = json.dumps(invoice("A")).encode().ljust(1000)
    assert wire("POST", "/fhir/ehr/Invoice", fits).status_code == 201


def test_what_cannot_be_stored_is_503_and_may_come_again(wire: Wire) -> None:
    with wire.store.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    answer = wire("PUT", "/fhir/ehr/Invoice/17", invoice())
    assert issue(answer) == (503, "transient")
    assert answer.headers["retry-after"]
    with wire.store.write() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER full")
    assert wire("PUT", "/fhir/ehr/Invoice/17", invoice()).status_code == 201
