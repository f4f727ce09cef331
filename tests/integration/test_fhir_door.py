"""The FHIR door on real sockets and real databases: charges in, the payment read back, nothing answered before it is
stored."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fhir_face import TOKEN, door, served
from workbench import Workbench, configuration

from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Destination

AUTH = {"authorization": f"Bearer {TOKEN}"}
SOURCE = "fhir_all"


def invoice(number: str, amount: str = "45.00", status: str = "issued") -> bytes:
    return f"""{{
        "resourceType": "Invoice", "status": "{status}",
        "identifier": [{{"system": "urn:example:invoices", "value": "{number}"}}],
        "totalGross": {{"value": {amount}, "currency": "USD"}},
        "subject": {{"reference": "#p"}},
        "contained": [{{"resourceType": "Patient", "id": "p", "name": [{{"family": "Sample", "given": ["Silvia"]}}],
                        "telecom": [{{"system": "phone", "use": "mobile", "value": "608-555-0101"}}]}}]
    }}""".encode()


class Wire:
    """A clinical system with an HTTP client, and the flow behind the door."""

    def __init__(self, bench: Workbench, client: httpx2.Client) -> None:
        self.bench, self.client = bench, client

    def put(self, id: str, body: bytes) -> Any:
        named = body.replace(b"{", f'{{"id": "{id}", '.encode(), 1)
        return self.client.put(f"/fhir/{SOURCE}/Invoice/{id}", content=named)

    def get(self, path: str = "") -> Any:
        return self.client.get(f"/fhir/{SOURCE}/PaymentReconciliation{path}")

    def messages(self) -> Counter[str]:
        return Counter(row.state for row in self.bench.rows(tables.message))


@pytest.fixture
def wire(bench: Workbench) -> Iterator[Wire]:
    settings = configuration()
    portal = Destination.model_validate({"type": "pull", "map": "fhir-payment-reconciliation"})
    source = settings.sources[SOURCE].model_copy(update={"destinations": ("portal",)})
    changed = {"sources": settings.sources | {SOURCE: source}, "destinations": {"portal": portal}}
    bench.use(settings.model_copy(update=changed))
    limit = {"max_bytes": 100_000}
    with served(bench.store, door(bench.store, SOURCE, **limit)) as url, httpx2.Client(base_url=url) as client:
        client.headers.update(AUTH)
        client.timeout = httpx2.Timeout(20)
        yield Wire(bench, client)


def test_an_invoice_becomes_a_request_and_its_payment_is_read_by_the_chart(wire: Wire) -> None:
    bench = wire.bench
    assert wire.put("17", invoice("A")).status_code == 201
    bench.translate()
    assert bench.one(tables.account).balance == 4500
    assert wire.put("17", invoice("A", "50.00")).status_code == 200
    bench.translate()
    assert bench.one(tables.account).balance == 5000
    bench.pay(5000)
    assert wire.get().json()["total"] == 0, "it is not rendered yet"
    bench.work("post")
    posting = bench.one(tables.posting)
    assert posting.state == "published"

    answer = wire.get("?invoice=Invoice/17")
    [entry] = answer.json()["entry"]
    assert entry["resource"]["id"] == posting.public_id
    assert entry["resource"]["detail"][0]["request"]["reference"] == "Invoice/17"
    assert b'"value":50.00,"currency":"USD"' in answer.content
    assert wire.get("?invoice:identifier=urn:example:invoices|A").json()["total"] == 1
    assert wire.get("?invoice=Invoice/18").json()["total"] == 0
    read = wire.get(f"/{posting.public_id}")
    assert (read.status_code, read.json()) == (200, entry["resource"])
    assert bench.one(tables.posting).state == "received"


def test_a_poller_that_goes_on_from_the_last_update_sees_every_payment_once(wire: Wire) -> None:
    bench, seen, since = wire.bench, Counter[str](), "2020-01-01"
    for round in range(3):
        for number in range(2):
            wire.put(f"{round}-{number}", invoice(f"{round}-{number}"))
            bench.translate()
            bench.pay(4500)
        bench.clock.advance(seconds=1)
        bench.work("post")
        url = f"/fhir/{SOURCE}/PaymentReconciliation?_count=1&_lastUpdated=gt{since}"
        while url:
            page = wire.client.get(url).json()
            for entry in page.get("entry", []):
                seen[entry["resource"]["id"]] += 1
                since = max(since, entry["resource"]["meta"]["lastUpdated"])
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert sorted(seen.values()) == [1] * 6
    assert wire.get(f"?_lastUpdated=gt{since}").json()["total"] == 0
    refused = wire.get("?_cursor=P00000000000")
    assert refused.status_code == 400


def test_senders_at_once_lose_nothing_and_one_invoice_has_one_account(wire: Wire) -> None:
    def send(number: int) -> int:
        # Every Invoice comes four times, under its id and without.
        if number % 2:
            return int(wire.put(f"x{number % 10}", invoice(f"N{number % 10}")).status_code)
        url = f"/fhir/{SOURCE}/Invoice"
        return int(wire.client.post(url, content=invoice(f"N{number % 10}")).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(send, range(40)))
    assert statuses == {201: 10, 200: 30}
    assert wire.messages() == {"received": 40}
    wire.bench.translate()
    assert [row.balance for row in wire.bench.rows(tables.account)] == [4500] * 10


def test_the_same_new_invoice_under_two_names_at_once_is_billed_once(wire: Wire) -> None:
    bodies = [invoice("A"), b'{"resourceType": "Invoice", "status": "issued", "totalGross": {"value": 45.00}}']
    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(lambda body: wire.put("17", body), bodies))
    assert statuses == [201, 503], "the second is asked to come again, and is then refused"
    wire.bench.translate()
    assert {wire.put("17", body).status_code for body in bodies} == {200, 422}


def raw(wire: Wire, request: bytes, *, close: bool = False) -> bytes:
    """Send bytes; return the answer. `close` hangs up without reading."""
    address = urlsplit(str(wire.client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=10) as peer:
        peer.sendall(request)
        if close:
            return b""
        found = b""
        while data := peer.recv(65536):
            found += data
        return found


HEAD = f"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
PUT = f"PUT /fhir/{SOURCE}/Invoice/17 ".encode() + HEAD


def test_a_body_without_a_length_ends_at_the_limit(wire: Wire) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    answer = raw(wire, PUT + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 7 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"too-long" in answer
    assert not wire.messages()


def test_half_a_body_is_nobodys_charge(wire: Wire) -> None:
    raw(wire, PUT + b"Content-Length: 1000\r\n\r\n" + invoice("A")[:100], close=True)
    assert wire.put("18", invoice("B")).status_code == 201
    assert wire.messages() == {"received": 1}


ODD_HEADERS = (
    b"Content-Type: \xff\xfe", b"If-Match: \xff", b'Prefer: return="', b"Accept: ,;=,", b"If-None-Exist: %00%ff|",
    b"Content-Type: application/fhir+json; fhirVersion; =", b"Authorization: Bearer",
)  # fmt: skip
ODD_PATHS = ("%00", "%FF", "P1%2F..", "..", "P" * 3000, "_search", "%F0%9F%92%B3")


def test_odd_headers_and_addresses_are_no_failure_of_ours(wire: Wire) -> None:
    body = invoice("A")
    for head in ODD_HEADERS:
        for request in (PUT, PUT.replace(b"PUT", b"POST").replace(b"/17", b"")):
            answer = raw(wire, request + head + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            assert answer[9:12] in (b"200", b"201", b"400", b"401", b"406", b"412", b"415"), head
    for path in ODD_PATHS:
        answer = raw(wire, f"GET /fhir/{SOURCE}/PaymentReconciliation/{path} ".encode() + HEAD + b"\r\n")
        assert answer[9:12] in (b"404", b"405"), path


def test_head_has_no_body_and_receives_nothing(wire: Wire) -> None:
    wire.put("17", invoice("A"))
    wire.bench.translate()
    wire.bench.pay(4500)
    wire.bench.work("post")
    id = wire.bench.one(tables.posting).public_id
    answer = raw(wire, f"HEAD /fhir/{SOURCE}/PaymentReconciliation/{id} ".encode() + HEAD + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")
    assert wire.bench.one(tables.posting).state == "published"
