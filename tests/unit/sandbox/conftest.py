"""A real sandbox process, a receiver of webhooks, and small clients: what every test here stands on."""

from __future__ import annotations

import http.server
import json
import queue
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import stripe

NOBODY = "http://127.0.0.1:1/fhir"  #: nobody listens there


@dataclass
class Receiver:
    """A web server that keeps what it gets and answers what `statuses` says (200 once that is used up)."""

    url: str
    got: queue.Queue[tuple[str, bytes, dict[str, str]]] = field(default_factory=queue.Queue)
    statuses: list[int] = field(default_factory=list)

    def next(self, wait: float = 10) -> tuple[bytes, dict[str, str]]:
        _, body, headers = self.got.get(timeout=wait)
        return body, headers

    def until(self, wanted: Callable[[bytes], bool]) -> tuple[bytes, dict[str, str]]:
        while True:
            body, headers = self.next()
            if wanted(body):
                return body, headers


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.statuses.pop(0) if made.statuses else 200
            headers = {name.lower(): value for name, value in self.headers.items()} | {":method": self.command}
            made.got.put((self.path, body, headers))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def _process() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "chartpost.adapter.sandbox", "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
def box(_process: dict[str, str]) -> Iterator[SimpleNamespace]:
    """The running sandbox: its doors and keys, and `web`, a client of its pages and controls."""
    # verify=False: nothing here speaks TLS, and loading the certificates takes longer than most tests
    with httpx2.Client(base_url=_process["http"], timeout=10, verify=False) as web:
        yield SimpleNamespace(**_process, web=web)
        web.post("/_control/stripe/resume")
        web.post("/_control/twilio/callbacks?mode=normal")
        web.post("/_control/fhir/conditional?on=1")


@pytest.fixture
def fhir(box: SimpleNamespace) -> Iterator[httpx2.Client]:
    """A client of the clinic's FHIR server that has its token."""
    headers = {"Authorization": f"Bearer {box.fhir_token}", "Content-Type": "application/fhir+json"}
    with httpx2.Client(base_url=f"{box.http}/fhir", headers=headers, timeout=10, verify=False) as made:
        yield made


@pytest.fixture
def invoice(box: SimpleNamespace) -> dict[str, Any]:
    """An Invoice over 95.00 that the clinic has sent, though nobody was there to take it."""
    id = uuid.uuid4().hex[:12]
    made = {
        "resourceType": "Invoice",
        "id": id,
        "identifier": [{"system": "urn:test:invoices", "value": f"T-{id}"}],
        "status": "issued",
        "date": "2026-04-19",
        "lineItem": [
            {
                "chargeItemCodeableConcept": {"text": "Office visit"},
                "priceComponent": [{"type": "base", "amount": {"value": 95.0, "currency": "USD"}}],
            }
        ],
        "totalGross": {"value": 95.0, "currency": "USD"},
    }
    # Written by hand: json.dumps knows no 95.00.
    box.web.post(f"/clinic/send-fhir?to={NOBODY}", content=json.dumps(made).replace("95.0", "95.00"))
    return made


@pytest.fixture
def client(box: SimpleNamespace) -> stripe.StripeClient:
    """The real SDK, told only another address."""
    return stripe.StripeClient(box.stripe_key, base_addresses={"api": box.http + "/stripe"}, max_network_retries=0)


@pytest.fixture
def order() -> Callable[..., dict[str, Any]]:
    """Make parameters of a session; keyword arguments replace or add."""

    def make(amount: int = 4500, currency: str = "usd", **other: Any) -> dict[str, Any]:
        return {
            "mode": "payment",
            "success_url": "https://pay.example.org/back?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://pay.example.org/again",
            "client_reference_id": "ses-1",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": currency,
                        "unit_amount": amount,
                        "product_data": {"name": "Lakeside"},
                    },
                }
            ],
        } | other

    return make


@pytest.fixture
def pay(box: SimpleNamespace) -> Callable[..., httpx2.Response]:
    """Fill the hosted page and press its button."""

    def press(url: str, card: str = "4242 4242 4242 4242", **other: str) -> httpx2.Response:
        form = {"card_number": card, "expiry": "12 / 40", "cvc": "123", "method": "card"} | other
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return box.web.post(url, content=urlencode(form), headers=headers)

    return press


@pytest.fixture
def mllp(box: SimpleNamespace) -> Callable[..., bytes]:
    """Send one framed message to the clinic by a bare socket; return the answer, b"" if it closed."""

    def exchange(message: str, wait: float = 5) -> bytes:
        host, _, port = box.mllp.partition(":")
        with socket.create_connection((host, int(port)), timeout=wait) as connection:
            connection.sendall(b"\x0b" + message.encode() + b"\x1c\x0d")
            got = b""
            while not got.endswith(b"\x1c\x0d"):
                part = connection.recv(65536)
                if not part:
                    return b""
                got += part
            return got[1:-2]

    return exchange
