"""What stands behind the doors in these tests: a flow in memory, with the same promises as the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from starlette.testclient import TestClient

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.paying.pay import PayRefused, PayView
from chartpost.adapter.web.app import web_face
from chartpost.adapter.web.bursts import Bursts
from chartpost.adapter.web.webhooks import UnknownName
from chartpost.mappings.model import Money

TOKEN = "Zm9yLXRlc3RzLW9ubHkhIQ"
CARD = "https://cards.example.org"


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


OPEN = PayView(
    state="open",
    facility="Lakeside Clinic",
    owed=usd(4500),
    paid=usd(0),
    pending=False,
    contact="Call 608-555-0142 or write to billing@lakeside.example.org",
    locale="en_US",
)

Outcome = Literal["recorded", "received", "processing", "open", "closed", "unknown"]


@dataclass
class MemoryFlow:
    """One request behind one token, and a record of everything that changed something."""

    view: PayView | None = OPEN
    outcome: Outcome = "open"
    refusal: str = ""
    error: Exception | None = None
    on_return: Callable[[], None] = lambda: None
    begun: list[int | None] = field(default_factory=list)
    events: list[tuple[str, bytes]] = field(default_factory=list)
    reports: list[tuple[str, str, bytes]] = field(default_factory=list)

    def look(self, token: str, language: str = "") -> PayView | None:
        if self.error:
            raise self.error
        return self.view if token == TOKEN else None

    def begin(self, token: str, amount: int | None) -> str:
        assert self.view is not None
        if self.refusal:
            raise PayRefused(self.refusal, self.view)  # type: ignore[arg-type]
        self.begun.append(amount)
        return f"{CARD}/c/cs_1"

    def returned(self, token: str, session_id: str) -> Outcome:
        self.on_return()
        return self.outcome

    def payment_event(self, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
        if provider != "card":
            raise UnknownName(provider)
        if headers["Stripe-Signature"] != "right":
            raise Permanent("the signature does not match")
        if self.error:
            raise self.error
        self.events.append((provider, body))

    def notice_report(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        if notifier != "sms":
            raise UnknownName(notifier)
        if headers["X-Twilio-Signature"] != "right":
            raise Permanent("the signature does not match")
        self.reports.append((notifier, url, body))

    def incoming(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, bytes]:
        self.notice_report(notifier, url, body, headers)
        return "text/xml", b"<Response/>"

    def becomes(self, **changes: object) -> None:
        assert self.view is not None
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]


class Clock:
    """A time that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def link() -> str:
    return f"/p/{TOKEN}"


@pytest.fixture
def card() -> str:
    return CARD


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flow() -> MemoryFlow:
    return MemoryFlow()


@pytest.fixture
def client(flow: MemoryFlow, clock: Clock) -> TestClient:
    """A browser that follows no redirect by itself."""
    app = web_face(
        flow, public_url="https://pay.example.org", card_page_origins=[CARD], bursts=Bursts(burst=3, clock=clock)
    )
    return TestClient(app, base_url="https://pay.example.org", follow_redirects=False, raise_server_exceptions=False)
