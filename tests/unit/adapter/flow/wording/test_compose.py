"""What is sent may be read by anybody who sees a phone or a list of mails: it says who asks, and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.flow.wording import mentioned
from chartpost.adapter.flow.wording.phrases import PHRASES
from chartpost.adapter.flow.wording.proofread import BASE, TOKEN, example, proofread
from chartpost.adapter.flow.wording.template import CHANNELS, LANGUAGES, PURPOSES, Template, shipped
from chartpost.adapter.settings import Facility
from chartpost.mappings.model import Money

LINK = f"{BASE}/p/{TOKEN}"


def facility(**changes: Any) -> Facility:
    return Facility.model_validate(
        {
            "name": "Lakeside Oncology", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
            "currency": "USD", "provider": "card", "contact": "Call (608) 555-0100.",
            "mail": {"sender": "Lakeside Billing", "address": "pay@example.org", "reply_to": "office@example.org"},
        } | changes
    )  # fmt: skip


def sms(purpose: str = "request", language: str = "en", **changes: Any) -> str:
    return wording.sms(facility(**changes), shipped()[purpose, "sms", language], example())


def letter(purpose: str = "request", language: str = "en", **changes: Any) -> wording.Letter:
    return wording.letter(facility(**changes), shipped()[purpose, "email", language], example())


class Seen(HTMLParser):
    """What a reader of the HTML sees, and where it leads or loads from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.language = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "background", "action")]
        self.language = self.language or dict(attrs).get("lang") or ""

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("style",) and data.strip():
            self.texts.append(data.strip())


# ---------------------------------------------------------------------------------------------------- shipped words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("purpose", ["request", "reminder", "receipt"])
def test_an_sms_says_who_asks_where_to_look_and_how_to_stop_in_one_segment(purpose: str, language: str) -> None:
    said = sms(purpose, language)
    assert said.startswith("Lakeside: ")
    assert said.count(LINK) == 1
    assert "STOP" in said
    assert len(said) <= 160


@pytest.mark.parametrize(("language", "word"), [("en", "reminder"), ("es", "recordamos")])
def test_a_reminder_says_that_it_is_one(language: str, word: str) -> None:
    assert word in sms("reminder", language)
    assert word in letter("reminder", language).text
    assert word not in sms("request", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_comes_without_a_link_and_says_how_long_it_is_good(language: str) -> None:
    for said in (sms("code", language), letter("code", language).text):
        assert "0123-4567" in said
        assert "http" not in said
        assert "10 minut" in said.replace("\n", " ")


def test_a_letter_says_who_asks_where_to_pay_and_how_to_ask_back() -> None:
    subject, text, _ = letter()
    assert subject == "Lakeside"
    assert text.startswith("Lakeside\n")
    assert LINK in text.splitlines(), "on a line of its own, so that every program makes a link of it"
    assert "Questions? Call (608) 555-0100, or just answer this e-mail." in text
    assert "Questions? Just answer this e-mail." in letter(contact="").text


@pytest.mark.parametrize(("purpose", "language"), list(product(PURPOSES, LANGUAGES)))
def test_no_words_say_what_is_treated_nor_when_nor_how_much(purpose: str, language: str) -> None:
    mail = letter(purpose, language)
    for said in (sms(purpose, language), mail.subject, mail.text, " ".join(Seen(mail.html).texts)):
        words = re.sub(r"10 minut\w+|10$", "", said.replace(LINK, "").replace("(608) 555-0100", ""), flags=re.M)
        words = words.replace("0123-4567", "")
        assert not re.search(r"\d|\$|USD|oncology|clinic|dear|visit|treatment|doctor", words, re.IGNORECASE)
    assert "Oncology" not in mail.html
    assert max(map(len, mail.text.splitlines())) < 78


@pytest.mark.parametrize(("purpose", "language"), list(product(PURPOSES, LANGUAGES)))
def test_the_html_says_the_same_words_in_the_same_language_and_loads_nothing(purpose: str, language: str) -> None:
    _, text, html = letter(purpose, language)
    seen = Seen(html)
    assert set(seen.links) == (set() if purpose == "code" else {LINK})
    assert not seen.tags & {"img", "script", "link", "iframe", "form", "object", "video"}
    assert "url(" not in html
    assert seen.language == language
    shown = " ".join(seen.texts)
    for paragraph in filter(None, text.split("\n\n")):
        assert " ".join(paragraph.split()).removesuffix(":") in shown


def test_both_languages_have_the_same_phrases_with_the_same_fields() -> None:
    english, spanish = PHRASES["en"], PHRASES["es"]
    assert english.keys() == spanish.keys()
    for key in english:
        assert re.findall(r"\{\w+\}", english[key]) == re.findall(r"\{\w+\}", spanish[key])
        assert english[key] != spanish[key]
    for purpose, channel in product(PURPOSES, CHANNELS):
        fields = [sorted(shipped()[purpose, channel, language].fields) for language in LANGUAGES]
        assert fields[0] == fields[1]


# ------------------------------------------------------------------------------------------------------- languages


@pytest.mark.parametrize(
    ("chosen", "of_chart", "languages", "expected"),
    [
        ("es", "en", ("en", "es"), "es"),
        ("", "es", ("en", "es"), "es"),
        ("", "", ("en", "es"), "en"),
        ("", "vi", ("es", "en"), "es"),
        ("es", "", ("en",), "en"),  # the facility does not write it
        ("fr", "es", ("en", "es"), "es"),
    ],
)
def test_a_person_is_written_to_in_the_language_that_was_chosen_else_the_charts_else_the_first(
    chosen: str, of_chart: str, languages: tuple[str, ...], expected: str
) -> None:
    assert wording.language_of(chosen, {"language": of_chart}, languages) == expected
    assert wording.language_of(chosen, {}, languages) == wording.language_of(chosen, None, languages)


@pytest.mark.parametrize(
    ("money", "language", "region", "expected"),
    [
        (Money(minor=123450, currency="USD"), "en", "US", "$1,234.50"),
        (Money(minor=123450, currency="USD"), "es", "US", "$1,234.50"),
        (Money(minor=123450, currency="EUR"), "es", "ES", "1.234,50 €"),
        (Money(minor=500, currency="JPY"), "en", "JP", "¥500"),
        (Money(minor=1234, currency="KWD"), "en", "KW", "KWD1.234"),
    ],
)
def test_amounts_are_written_as_the_language_and_the_region_do(
    money: Money, language: str, region: str, expected: str
) -> None:
    assert mentioned.shown(money, language, region) == expected


# ---------------------------------------------------------------------------------------------- whatever is written

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)


@given(TEXT, TEXT)
def test_no_name_becomes_markup(name: str, contact: str) -> None:
    seen = Seen(letter(message_name=f"<a href=x>{name}", contact=f"<img src=x>{contact}").html)
    assert set(seen.links) == {LINK}
    assert "img" not in seen.tags


#: Nothing of these may ever be said. No word of ours has them.
CANARIES = ("Qwyxana", "Zvorbin", "+16085550147", "qwyxana@example.org", "19870213", "Fjordbesuch", "K-77123", "4711")
_SECRETS: dict[str, Any] = {
    "patient": {"family": "Qwyxana", "given": "Zvorbin", "birth_date": "19870213", "contacts": []},
    "guarantor": {"family": "Qwyxana", "contacts": [{"kind": "email", "value": "qwyxana@example.org"}]},
    "number": b"K-77123", "said": {"items": [{"description": "Fjordbesuch", "total": 4711}]}, "note": b"Fjordbesuch",
    "asked": 4711, "chart": {"PID-5": "Qwyxana^Zvorbin"}, "balance": 4711,
}  # fmt: skip
_PIECES = st.sampled_from([
    "{practice}", "{link}", "{stop}", "{contact}", "{amount}", "{code}", "\n\n{link}\n\n", "please", "pay", "look",
    "{patient}", "{patient[family]}", "{row.patient}", "{0}", "{__class__}", "{number}", "{note}", "{chart}", "{asked}",
    "{practice!r}", "{link:>99}", "{{patient}}", "{", "}", "%(patient)s", "$patient", "hola", "gracias", ":", ".",
])  # fmt: skip
_MILD = st.lists(
    st.sampled_from(["please", "pay", "look", "hola", "gracias", ":", ".", "\n\n", "{contact}"]), max_size=6
)
_WILD = st.lists(_PIECES, max_size=2)
_BASES = ["", "{practice}: {link} {stop}", "{link}\n\n", "{practice}: {code} {stop}", "{code}"]
_TEXTS = st.tuples(st.sampled_from(_BASES), st.one_of(_MILD, _MILD, _WILD)).map(lambda one: " ".join([one[0], *one[1]]))


@given(_TEXTS, st.sampled_from(PURPOSES), st.sampled_from(CHANNELS), st.sampled_from(LANGUAGES))
def test_no_template_that_passes_says_anything_of_a_person(
    text: str, purpose: str, channel: str, language: str
) -> None:
    template = Template(purpose, channel, language, text, "x.txt")
    if proofread(template, facility()):
        return
    words = {**shipped(), (purpose, channel, language): template}
    told = wording.compose(flow(words), row(purpose, channel, language))
    for said in (told.body, told.subject, told.html, told.sender_name, told.reply_to):
        assert not [canary for canary in CANARIES if canary in said]
    assert "4711" not in re.sub(r"\d{4}-\d{4}", "", told.body)


def flow(words: Any) -> Any:
    return SimpleNamespace(
        facility=lambda name: facility(), words={"lakeside": words}, link_key=b"k" * 32, public_url=BASE,
        settings=SimpleNamespace(facilities={"lakeside": facility()}),
    )  # fmt: skip


def row(purpose: str, channel: str, language: str, **more: Any) -> Any:
    to = b"+16085550147" if channel == "sms" else b"qwyxana@example.org"
    return SimpleNamespace(
        **_SECRETS, public_id="N00000000001", purpose=purpose, step="T00000000001", channel=channel, notifier="any",
        recipient=to, language=language, request_id="R00000000001", generation=0, facility="lakeside", **more,
    )  # fmt: skip


def test_words_that_may_not_be_said_are_not_sent_even_if_nobody_looked_at_them_before() -> None:
    for text in ("{practice} {amount} {link} {stop}", "{practice} {code} {link} {stop}", "{patient}"):
        words = {**shipped(), ("request", "sms", "en"): Template("request", "sms", "en", text, "words/x.txt")}
        with pytest.raises(Permanent, match="may not be said there"):
            wording.compose(flow(words), row("request", "sms", "en"))


def test_what_staff_are_told_names_a_payment_and_the_practice_and_nothing_else() -> None:
    told = wording.compose(flow({}), row("staff", "email", "es"))
    assert told.subject == "Lakeside"
    assert told.body.split("\n\n")[1:] == ["A payment was recorded: T00000000001. See it in Chartpost.\n"]
    assert not [canary for canary in CANARIES if canary in told.body + told.html]
    assert Seen(told.html).links == []
