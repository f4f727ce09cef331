"""The loop with a real browser: the phone's inbox, our link, the card page, and the chart that shows it by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import services
from crash import other_side, plainly
from house import House, running
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

pytestmark = pytest.mark.chromium

ACCOUNT = "L-20482"  # one of the clinic's own patients; the co-payment is 45.00
GOOD, DECLINED, SECOND_STEP = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"
PATIENCE = 20_000  #: milliseconds that a page may take to show what it should
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-default-apps", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = services.require_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with running(tmp_path, product=plainly, sandbox=other_side) as house:
        house.start()
        yield house


@pytest.fixture
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    """The patient's: small, and touched."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def desk(chromium: Browser, house: House) -> Iterator[Page]:
    """The clinic's screen: the chart is open from the start, and nobody touches it again."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{house.sandbox.doors['http']}/clinic/chart/{ACCOUNT}")
    expect(page.locator("#balance")).to_have_text("0.00")
    with urlopen(Request(f"{house.sandbox.doors['http']}/clinic/visit/{ACCOUNT}", b"")):  # as the clinic's button does
        pass
    expect(page.locator("#balance")).to_have_text("45.00", timeout=PATIENCE)
    yield page
    context.close()


def tap_the_link(house: House, phone: BrowserContext) -> Page:
    """Open the inbox and tap the link in the SMS; return the page that it opens."""
    inbox = phone.new_page()
    inbox.goto(f"{house.sandbox.doors['http']}/inbox")
    link = inbox.locator(".sms a")
    expect(link).to_have_count(1, timeout=PATIENCE)
    with phone.expect_page() as opened:
        link.tap()
    page = opened.value
    expect(page.get_by_role("heading", name="You owe now")).to_contain_text("$45.00")
    page.get_by_role("button", name="Pay $45.00 now").tap()
    page.wait_for_url(re.compile(r"/checkout/c/pay/"))
    return page


def fill_in(page: Page, card: str) -> None:
    page.get_by_label("Card number").fill(card)
    page.get_by_label("Expiry (MM / YY)").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Pay $45.00").tap()


def thanked(page: Page) -> None:
    """The way back leads to our page, which says thank you as soon as the payment is recorded: it looks by itself."""
    page.wait_for_url(re.compile(r"/p/[\w-]+/return\?"))
    expect(page.get_by_role("heading")).to_have_text("Thank you!", timeout=PATIENCE)


def in_chart(house: House, desk: Page) -> None:
    """The chart shows the payment; nobody has touched it."""
    expect(desk.locator("#balance")).to_have_text("0.00", timeout=PATIENCE)
    expect(desk.locator("#paid")).to_have_text("45.00")
    expect(desk.locator("tr.payment")).to_contain_text("Payment received")
    assert [row["state"] for row in house.until("it", lambda: house.rows("postings"))] == ["accepted"]


def test_a_patient_taps_the_link_pays_and_the_open_chart_shows_it(
    house: House, phone: BrowserContext, desk: Page
) -> None:
    page = tap_the_link(house, phone)
    fill_in(page, GOOD)
    thanked(page)
    in_chart(house, desk)
    page.goto(house.sandbox.texts()[0]["links"][0])
    expect(page.get_by_role("heading")).to_have_text("All paid. Thank you!")


def test_a_declined_card_is_told_so_and_a_card_with_a_second_step_pays(
    house: House, phone: BrowserContext, desk: Page
) -> None:
    page = tap_the_link(house, phone)
    fill_in(page, DECLINED)
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    assert house.rows("payments") == []
    fill_in(page, SECOND_STEP)
    expect(page.get_by_role("heading")).to_have_text("Your bank asks you to confirm")
    assert house.rows("payments") == []
    page.get_by_role("button", name="Complete").tap()
    thanked(page)
    in_chart(house, desk)
    [payment] = house.rows("payments")
    assert payment["amount"] == "45.00"


def test_a_parent_without_a_phone_taps_the_link_in_the_mail_and_pays_the_invoice(
    house: House, phone: BrowserContext
) -> None:
    """The clinic sends a transaction of an Invoice, a child and the mother, who has an e-mail address only."""
    with urlopen(Request(f"{house.sandbox.doors['http']}/clinic/invoice/inv-30902", b"")):
        pass
    mailbox = phone.new_page()
    house.until("the mail", house.sandbox.mails)
    mailbox.goto(f"{house.sandbox.doors['http']}/mailbox")
    button = mailbox.frame_locator("iframe").get_by_role("link").first
    with phone.expect_page() as opened:
        button.tap()
    page = opened.value
    expect(page.get_by_role("heading", name="You owe now")).to_contain_text("$95.00")
    page.get_by_role("button", name="Pay $95.00 now").tap()
    page.wait_for_url(re.compile(r"/checkout/c/pay/"))
    page.get_by_label("Card number").fill(GOOD)
    page.get_by_label("Expiry (MM / YY)").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Pay $95.00").tap()
    thanked(page)
    house.until("the posting", lambda: [row["state"] for row in house.rows("postings")] == ["accepted"])
    assert house.sandbox.chart("LI-30902")["balance"] == "0.00"
    assert house.sandbox.texts() == []
