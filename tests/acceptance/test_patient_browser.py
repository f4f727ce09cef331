"""What a payer does beyond paying, in a real browser over the real flow: details, a plan, Spanish, a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from looking import DESKTOP, PHONE, SMALL, door, examine, opened, served
from sqlalchemy import update
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.asking import accounts
from chartpost.adapter.ledger import books, tables
from chartpost.adapter.web.app import web_app

pytestmark = [pytest.mark.chromium, pytest.mark.parametrize("store", ["sqlite"], indirect=True)]

ADA = {
    "role": "guarantor", "family": "Sample", "given": "Ada", "birth_date": "1980-01-31", "language": "",
    "contacts": [{"kind": "phone", "value": f"+160855501{number}", "mobile": True} for number in ("01", "02")],
}  # fmt: skip


@pytest.fixture
def link(bench: Workbench) -> Iterator[str]:
    """Serve the pages of a request of 45.00; its payer pays for another account of 30.00 too. 20.00 are paid."""
    facility = configuration().model_dump(mode="json")["facilities"]["lakeside"]
    facility |= {"plans": {"most": 6, "least": "5.00"}, "amounts": {"part_minimum": "5.00"}, "contact": "608-555-0142"}
    sock, url = door()
    bench.use(configuration(facilities={"lakeside": facility}), url)
    for account, amount in (("A-1", "45.00"), ("A-2", "30.00")):
        bench.take(dft(line("CO", amount, text="Invented service"), account=account))
    with bench.store.write() as tx:
        tx.run(update(tables.account).values(guarantor=ADA))
    with bench.store.write() as tx:
        accounts.write(bench.flow, tx, books.load(tx, [row.key for row in bench.rows(tables.account)]).values())
    first = bench.rows(tables.request)[0]
    bench.pay(2000, request=first)
    with served(web_app(bench.flow, public_url=url, card_page_origins=[]), sock):
        yield f"{url}/p/{bench.token(first)}"


def answer(page: Any, day: str) -> None:
    page.get_by_label("Month").select_option("1")
    page.get_by_label("Day").fill(day)
    page.get_by_label("Year").fill("1980")
    page.keyboard.press("Enter")


def test_a_payer_without_javascript_shows_who_they_are_and_prints_a_receipt(link: str, browser: Any) -> None:
    page = opened(browser, PHONE, java_script_enabled=False)
    page.goto(link)
    assert page.get_by_text("Invented service").count() == 0
    page.get_by_role("link", name="See what this is for").click()
    answer(page, "30")
    page.get_by_role("alert").get_by_text("does not match").wait_for()
    answer(page, "31")
    page.get_by_role("heading", name="What this is for").wait_for()
    page.get_by_role("cell", name="Invented service").wait_for()
    assert page.get_by_role("checkbox").count() == 2
    page.get_by_role("link", name="Receipt for $20.00").click()
    page.get_by_text("Paid to").wait_for()
    page.emulate_media(media="print")
    assert not page.get_by_text("To keep this receipt").is_visible()
    page.close()


def test_a_payer_chooses_spanish_and_a_plan_and_asks_a_question(bench: Workbench, link: str, browser: Any) -> None:
    page = opened(browser, PHONE, java_script_enabled=False)
    page.goto(link)
    page.get_by_role("button", name="Español").click()
    page.get_by_role("heading", name="Usted debe ahora").wait_for()
    page.get_by_label("¿Cuántos pagos?").select_option("5")
    page.get_by_role("button", name="Usar este plan").click()
    page.get_by_role("button", name="Pagar $5.00 ahora").wait_for()
    page.get_by_role("link", name="¿Hay algún problema?").click()
    page.get_by_label("Tengo una pregunta").check()
    page.get_by_role("button", name="Enviar").click()
    page.get_by_role("alert").get_by_text("Escriba su pregunta.").wait_for()
    page.get_by_label("Con sus palabras").fill("¿Hasta cuándo?")
    page.get_by_role("button", name="Enviar").click()
    page.get_by_role("heading", name="Gracias por avisarnos").wait_for()
    assert bench.holds() == ["payer_question"]
    assert [row.language for row in bench.rows(tables.request)] == ["es", ""]
    page.close()


def test_everything_can_be_reached_with_the_keyboard_alone(bench: Workbench, link: str, browser: Any) -> None:
    page = opened(browser, DESKTOP)
    page.goto(link)
    focused = "document.activeElement.name || document.activeElement.textContent.trim()"
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        assert page.evaluate("getComputedStyle(document.activeElement.closest('.field') || document.activeElement)"
                             ".outlineStyle") == "solid"  # fmt: skip
    assert reached == [
        "language", "pay", "amount", "pay", "count", "Use this plan", "See what this is for", "Is something wrong?",
    ]  # fmt: skip
    page.get_by_role("link", name="Is something wrong?").focus()
    page.keyboard.press("Enter")
    page.get_by_label("I have paid this already").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.get_by_text("Lakeside Clinic looks for your payment").wait_for()
    assert bench.holds() == ["payer_already_paid"]
    page.close()


@pytest.mark.parametrize(("size", "scheme"), [(SMALL, "light"), (PHONE, "dark"), (DESKTOP, "light")])
def test_every_page_is_accessible_fits_the_screen_and_can_be_touched(
    bench: Workbench, link: str, browser: Any, size: tuple[int, int], scheme: str
) -> None:
    page = opened(browser, size, color_scheme=scheme)
    problems: list[str] = []

    def look(name: str, address: str = "") -> None:
        if address:
            page.goto(address)
        problems.extend(examine(page, f"{name}, {scheme} {size[0]}", size[0]))
        assert len(page.content().encode()) < 20_000, "a page comes over one bar of signal"

    look("pay, Spanish", f"{link}?lang=es")
    look("help", f"{link}/help")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("alert").wait_for()
    look("help, nothing chosen")
    look("identity", f"{link}/details")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Your code").wait_for()
    look("identity, a code is sent")
    answer(page, "32")
    page.get_by_role("alert").wait_for()
    look("identity, no date")
    answer(page, "31")
    page.get_by_role("heading", name="What this is for").wait_for()
    look("details")
    page.get_by_role("textbox").first.fill("9999")
    page.get_by_role("button", name="Pay what I have chosen").click()
    page.get_by_role("alert").wait_for()
    look("details, too much")
    page.goto(f"{link}/details")
    page.get_by_role("link", name="Receipt for").click()
    page.get_by_text("Paid to").wait_for()
    look("receipt")
    page.goto(link)
    page.get_by_role("button", name="Use this plan").click()
    page.get_by_text("Your plan: the rest can wait.").wait_for()
    look("pay, with a plan")
    page.goto(f"{link}/help")
    page.get_by_label("This is not for me").check()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("nothing more here").wait_for()
    look("not me")
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(paused="", state="expired"))
    look("expired", link)
    page.get_by_role("button", name="Send me a new link").click()
    page.get_by_role("heading", name="Thank you for asking").wait_for()
    look("a new link is asked for")
    assert problems == []
    page.close()
