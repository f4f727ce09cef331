"""What is sent may be read by anybody who sees a phone or a list of mails: it says who asks, and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.asking import wording
from chartpost.adapter.settings import Facility

LINK = "https://pay.example.org/p/0_5g-LAqAUHb4NMJhEWpiQ"


def facility(**changes: str) -> Facility:
    return Facility(
        **{  # type: ignore[arg-type]
            "name": "Lakeside Oncology", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
            "currency": "USD", "provider": "card", "contact": "Call (608) 555-0100.",
        } | changes
    )  # fmt: skip


class Seen(HTMLParser):
    """What a reader of the HTML sees, and where it leads or loads from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "background", "action")]

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("style",) and data.strip():
            self.texts.append(data.strip())


def test_an_sms_says_who_asks_where_to_pay_and_how_to_stop() -> None:
    said = wording.sms(facility(), LINK)
    assert said.startswith("Lakeside: ")
    assert said.count(LINK) == 1
    assert "STOP" in said
    assert len(said) <= 160


def test_a_letter_says_who_asks_where_to_pay_and_how_to_ask_back() -> None:
    subject, text, _ = wording.letter(facility(), LINK)
    assert subject == "Lakeside"
    assert text.startswith("Lakeside\n")
    assert LINK in text.splitlines(), "on a line of its own, so that every program makes a link of it"
    assert "Questions? Call (608) 555-0100, or just answer this e-mail." in text
    assert "Questions? Just answer this e-mail." in wording.letter(facility(contact=""), LINK).text
    assert max(map(len, text.splitlines())) < 78


def test_neither_says_what_is_treated_nor_when_nor_how_much() -> None:
    letter = wording.letter(facility(), LINK)
    for said in (wording.sms(facility(), LINK), letter.subject, letter.text, " ".join(Seen(letter.html).texts)):
        words = said.replace(LINK, "").replace("(608) 555-0100", "")
        assert not re.search(r"\d|\$|USD|oncology|clinic|dear|visit|treatment|doctor", words, re.IGNORECASE)
    assert "Oncology" not in letter.html


def test_the_html_says_the_same_words_with_one_link_and_loads_nothing() -> None:
    _, text, html = wording.letter(facility(), LINK)
    seen = Seen(html)
    assert set(seen.links) == {LINK}
    assert not seen.tags & {"img", "script", "link", "iframe", "form", "object", "video"}
    assert "url(" not in html
    for line in filter(None, text.splitlines()):
        words = line.removesuffix(f" {wording.BUTTON}:")
        assert words in " ".join(seen.texts)


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)


@given(TEXT, TEXT)
def test_no_name_becomes_markup(name: str, contact: str) -> None:
    seen = Seen(wording.letter(facility(message_name=f"<a href=x>{name}", contact=f"<img src=x>{contact}"), LINK).html)
    assert set(seen.links) == {LINK}
    assert "img" not in seen.tags
