"""The patient's pages in a real browser: without JavaScript, on a small phone, and under the eyes of axe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from looking import DESKTOP, PHONE, SMALL, door, examine, opened, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from chartpost.adapter.flow.paying.pay import PayView
from chartpost.adapter.web.app import internal_app, web_face
from chartpost.mappings.model import Money

TOKEN = "Zm9yLXRlc3RzLW9ubHkhIQ"

pytestmark = pytest.mark.chromium

Outcome = Literal["recorded", "received", "processing", "open", "closed", "unknown"]


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


FRESH = PayView(
    state="open",
    facility="Lakeside Clinic",
    owed=usd(4500),
    paid=usd(0),
    pending=False,
    contact="Call 608-555-0142",
    locale="en_US",
)


@dataclass
class Clinic:
    """A flow in memory behind one link, and the card page of a processor on another origin."""

    view: PayView = FRESH
    outcome: Outcome = "open"
    broken: bool = False
    session: int = 0
    looks: int = 0
    url: str = ""
    cards: str = ""

    def look(self, token: str, language: str = "") -> PayView | None:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return self.view if token == TOKEN else None

    def begin(self, token: str, amount: int | None) -> str:
        self.session = self.view.owed.minor if amount is None else amount
        return f"{self.cards}/c/1"

    def returned(self, token: str, session_id: str) -> Outcome:
        """The webhook arrives between the first look and the second."""
        self.looks += 1
        if self.outcome == "received" and self.looks == 2:
            self.outcome = "recorded"
            left = self.view.owed.minor - self.session
            self.view = replace(self.view, owed=usd(left), paid=usd(self.session), state="open" if left else "paid")
        return self.outcome

    def payment_event(self, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
        raise LookupError(provider)

    def notice_report(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        raise LookupError(notifier)

    def card_page(self, request: Request) -> HTMLResponse:
        link = f"{self.url}/p/{TOKEN}"
        pay = f'<a id="paid" href="{link}/return?s=C1">Pay</a> <a id="leave" href="{link}/back">Back</a>'
        return HTMLResponse(f"<title>Card</title><h1>Card page for {self.session}</h1>{pay}")

    @property
    def link(self) -> str:
        return f"{self.url}/p/{TOKEN}"


@pytest.fixture
def clinic() -> Iterator[Clinic]:
    clinic = Clinic()
    pages_door, clinic.url = door()
    cards_door, clinic.cards = door()
    cards = Starlette(routes=[Route("/c/1", clinic.card_page)])
    pages = web_face(clinic, public_url=clinic.url, card_page_origins=[clinic.cards])
    with served(pages, pages_door), served(cards, cards_door):
        yield clinic


def test_a_patient_without_javascript_pays_all_and_is_told_when_it_is_recorded(clinic: Clinic, browser: Any) -> None:
    clinic.outcome = "received"
    page = opened(browser, PHONE, java_script_enabled=False)
    page.goto(clinic.link)
    page.get_by_role("button", name="Pay $45.00 now").click()
    page.get_by_text("Card page for 4500").wait_for()
    page.locator("#paid").click()
    page.get_by_role("heading", name="Your card payment went through").wait_for()
    # Nobody touches anything: the page looks again by itself.
    page.get_by_role("heading", name="Thank you!").wait_for()
    page.get_by_text("There is nothing left to pay.").wait_for()
    page.close()


def test_a_patient_corrects_the_amount_pays_a_part_and_sees_what_is_left(clinic: Clinic, browser: Any) -> None:
    clinic.outcome, clinic.looks = "received", 1
    page = opened(browser, PHONE, java_script_enabled=False)
    page.goto(clinic.link)
    page.get_by_label("Or pay a part now").fill("100")
    page.keyboard.press("Enter")  # Enter must never press the button for everything
    page.get_by_role("alert").get_by_text("more than you owe").wait_for()
    assert page.get_by_label("Or pay a part now").input_value() == "100"
    page.get_by_label("Or pay a part now").fill("20,00")
    page.get_by_role("button", name="Pay this amount").click()
    page.get_by_text("Card page for 2000").wait_for()
    page.locator("#paid").click()
    page.get_by_text("Left to pay: $25.00.").wait_for()
    page.get_by_role("link", name="Pay the rest").click()
    page.get_by_role("button", name="Pay $25.00 now").wait_for()
    page.close()


def test_who_leaves_the_card_page_can_simply_start_again(clinic: Clinic, browser: Any) -> None:
    page = opened(browser, PHONE, java_script_enabled=False)
    page.goto(clinic.link)
    page.get_by_role("button", name="Pay $45.00 now").click()
    page.locator("#leave").click()
    page.get_by_text("No payment was made.").wait_for()
    page.get_by_role("button", name="Pay $45.00 now").click()
    page.get_by_text("Card page for 4500").wait_for()
    page.close()


def test_the_browser_itself_stops_a_form_that_leads_anywhere_but_to_the_card_page(clinic: Clinic, browser: Any) -> None:
    clinic.cards = clinic.cards.replace("127.0.0.1", "localhost")  # an origin that the policy does not name
    page = opened(browser, PHONE)
    stopped: list[str] = []
    page.on("console", lambda message: stopped.append(message.text))
    page.goto(clinic.link)
    with page.expect_console_message():
        page.get_by_role("button", name="Pay $45.00 now").click()
    assert any("form-action" in text for text in stopped)
    assert page.get_by_text("Card page").count() == 0
    page.close()


def every_page(clinic: Clinic) -> Iterator[tuple[str, str]]:
    """Bring about each page in turn: its name and its address."""
    yield "pay", clinic.link
    clinic.view = replace(FRESH, owed=usd(123456789), paid=usd(2000))
    yield "back, a long amount", f"{clinic.link}/back"
    for state in ("paid", "settled", "cancelled", "expired"):
        clinic.view = replace(FRESH, state=state, owed=usd(0), paid=usd(2000))
        yield state, clinic.link
    clinic.view = replace(FRESH, pending=True)
    yield "pending", clinic.link
    clinic.view = replace(FRESH, owed=usd(2500), paid=usd(2000))
    outcomes: tuple[Outcome, ...] = ("recorded", "received", "processing", "open", "closed", "unknown")
    for clinic.outcome in outcomes:
        clinic.looks = 5
        yield f"return: {clinic.outcome}", f"{clinic.link}/return?s=C1&n=99"
    yield "unknown link", f"{clinic.url}/p/AAAAAAAAAAAAAAAAAAAAAA"
    clinic.broken = True
    yield "our failure", clinic.link


@pytest.mark.parametrize(("size", "scheme"), [(SMALL, "light"), (PHONE, "dark"), (DESKTOP, "light")])
def test_every_page_is_accessible_fits_the_screen_and_can_be_touched(
    clinic: Clinic, browser: Any, size: tuple[int, int], scheme: str
) -> None:
    page = opened(browser, size, color_scheme=scheme)
    problems: list[str] = []
    for name, address in every_page(clinic):
        page.goto(address)
        problems += examine(page, name, size[0])
    clinic.broken, clinic.view = False, FRESH
    page.goto(clinic.link)
    page.get_by_label("Or pay a part now").fill("nothing")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert page.evaluate("document.activeElement.id") == "amount"
    problems += examine(page, "a wrong amount", size[0])
    assert problems == []
    page.close()


def test_the_internal_face_is_accessible_too(browser: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    sock, url = door()
    with served(internal_app(lambda: 1), sock):
        page = opened(browser, DESKTOP)
        page.goto(url)
        assert Axe().run(page).violations_count == 0
        page.close()


def test_a_link_preview_that_asks_for_the_head_only_gets_no_body(clinic: Clinic) -> None:
    connection = HTTPConnection(urlsplit(clinic.url).netloc, timeout=30)
    connection.request("HEAD", f"/p/{TOKEN}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert answer.headers["cache-control"] == "no-store"
    connection.close()
