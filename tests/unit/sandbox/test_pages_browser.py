"""The sandbox's pages in a real browser: accessible, no wider than the screen, and a mail that leads on."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

SMALL, PHONE, DESKTOP = (320, 568), (390, 844), (1280, 800)

pytestmark = pytest.mark.chromium


@pytest.fixture
def spy() -> Iterator[socket.socket]:
    """Somebody who would like to know that the mail is read."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.fixture
def mailed(box, spy) -> str:
    """The address in a mail with text and HTML that has just come; its HTML would like to do more than it may."""
    link = f"{box.http}/inbox"
    letter = EmailMessage()
    letter["From"], letter["To"] = "Lakeside Billing <pay@lakeside.example.org>", "imogen@example.org"
    letter["Reply-To"], letter["Subject"] = "billing@lakeside.example.org", "Lakeside"
    letter.set_content(f"You have a message.\n\n{link}\n")
    button = f'<p style="background:#0b6b74;height:40rem"><a style="color:#fff" href="{link}">See what it is</a></p>'
    picture = f"<img src='http://127.0.0.1:{spy.getsockname()[1]}/dot.png' alt=''>"
    evil = f"<script>document.body.textContent = 'evil'</script>{picture}"
    letter.add_alternative(f"<!doctype html><html><body>{button}{evil}</body></html>", "html")
    host, _, port = box.smtp.partition(":")
    with smtplib.SMTP(host, int(port), "localhost", 5) as client:
        client.send_message(letter)
    return link


@pytest.mark.parametrize("size", [SMALL, PHONE, DESKTOP])
def test_every_page_is_accessible_and_fits_the_screen(box, browser, invoice, mailed, size) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, problems = browser.new_page(viewport={"width": size[0], "height": size[1]}), []
    account = invoice["identifier"][0]["value"]
    for path in ("/", "/clinic", f"/clinic/chart/{account}", "/inbox", "/mailbox", "/stripe/dashboard"):
        page.goto(box.http + path)
        problems += [f"{path}: {violation['id']}" for violation in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth") > size[0]:
            problems.append(f"{path}: scrolls sideways")
    page.close()
    assert problems == []


def test_a_mail_shows_all_of_itself_runs_nothing_and_its_link_opens_a_window(box, browser, mailed, spy) -> None:
    page = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    page.goto(f"{box.http}/mailbox")
    frame = page.locator(".mail iframe").first
    page.wait_for_function("document.querySelector('.mail iframe').clientHeight > 640")
    inside = frame.content_frame
    assert "evil" not in inside.locator("body").inner_text()
    assert inside.locator("p").evaluate("p => getComputedStyle(p).backgroundColor") == "rgb(11, 107, 116)"
    with page.context.expect_page() as opened:
        inside.get_by_role("link", name="See what it is").click()
    opened.value.wait_for_load_state()
    assert opened.value.url == mailed
    assert opened.value.evaluate("1 + 1") == 2  # a window like any other: scripts run there
    with pytest.raises(BlockingIOError):
        spy.accept()
    opened.value.close()
    page.close()
