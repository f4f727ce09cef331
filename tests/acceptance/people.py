"""Who stands outside: a sending system that resends until it is acknowledged, and a patient who does not give up."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from house import House, Row

from chartpost.adapter.demo.browser import Browser, Page

CARD = {"card_number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}


def send(house: House, sample: Path) -> None:
    """Let the clinic send a message until it is acknowledged, as an engine with a queue does."""

    def acknowledged() -> bool:
        try:
            return bool(house.sandbox.post("/clinic/send", sample.read_bytes())["ack_code"] == "AA")
        except HTTPError:  # 502: no connection, or closed without an answer
            return False

    house.until("the ACK", acknowledged)


def link_or_hold(house: House) -> str:
    """Wait for the SMS and return its link; "" when a hold says that nobody knows about it."""

    def seen() -> tuple[str] | None:
        texts = house.sandbox.texts()
        if texts:
            return (texts[0]["links"][0],)
        return ("",) if house.one("holds", cause="notice_unknown", state="open") else None

    return house.until("the SMS", seen)[0]


class Patient:
    """Opens the link and pays, again and again until it worked."""

    def __init__(self, house: House, link: str) -> None:
        self.house = house
        self.link = link
        self.browser = Browser()

    def reach_card_page(self, shown: str, part: str = "") -> Page:
        """Press pay (all, or a part: "20.00") until the hosted card page shows this amount: "$45.00"."""

        def pressed() -> Page | None:
            try:
                page = self.browser.open(self.link)
                if part:
                    page = self.browser.press(page, ("pay", "part"), amount=part)
                else:
                    page = self.browser.press(page, ("pay", "all"))
            except (OSError, HTTPException, LookupError):
                return None
            hosted = page.url.startswith(self.house.sandbox.doors["http"])
            return page if hosted and page.headings == [shown] else None

        return self.house.until("the card page", pressed)

    def pay(self, page: Page) -> None:
        """Pay on the card page. The way back may be broken: the clinic's server may be down just then."""
        with suppress(OSError, HTTPException):
            self.browser.press(page, ("method", "card"), **CARD)

    def paid(self) -> Row:
        """Wait until the ledger knows."""
        return self.house.until("the payment", lambda: self.house.one("payments"))
