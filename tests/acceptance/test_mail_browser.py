"""The e-mail as a mail program shows it: on a phone, in the dark, enlarged, and under the eyes of axe."""

from __future__ import annotations

from typing import Any

import pytest

from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.flow.wording.template import shipped
from chartpost.adapter.settings import Facility

LINK = "https://pay.example.org/p/0_5g-LAqAUHb4NMJhEWpiQ"
SMALL, PHONE, DESKTOP = (320, 568), (390, 844), (1280, 800)

pytestmark = pytest.mark.chromium


def html(message_name: str = "Lakeside", language: str = "en") -> str:
    facility = Facility.model_validate({
        "name": "Lakeside Clinic", "message_name": message_name, "timezone": "America/Chicago", "region": "US",
        "currency": "USD", "provider": "card", "contact": "(608) 555-0100",
    })  # fmt: skip
    return wording.letter(facility, shipped()["request", "email", language], {"link": LINK}).html


@pytest.mark.parametrize(("name", "language"), [("Lakeside", "es"), ("Gemeinschaftspraxis-" * 4, "en")])
@pytest.mark.parametrize(("size", "scheme"), [(SMALL, "light"), (PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light")])
def test_the_mail_is_accessible_fits_the_screen_and_can_be_touched(
    browser: Any, size: tuple[int, int], scheme: str, name: str, language: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(html(name, language))
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    button, copy = page.locator("a").all()
    assert button.bounding_box()["height"] >= 44
    assert copy.inner_text() == LINK, "who is wary of buttons sees where it leads"
    assert {button.get_attribute("href"), copy.get_attribute("href")} == {LINK}
    assert asked == [], "it loads nothing: opening it tells nobody"
    page.close()


def test_a_program_that_drops_style_sheets_still_shows_a_button(browser: Any) -> None:
    page = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    bare = html()
    page.set_content(bare[: bare.index("<style>")] + bare[bare.index("</style>") :])
    button = page.locator("a").first
    assert button.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(10, 95, 89)"
    page.close()
