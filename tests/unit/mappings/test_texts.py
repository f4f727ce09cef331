"""What can be done to a value on its way, and what the words after a transform's name may be."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import MapError
from chartpost.mappings.model import Money, Reading
from chartpost.mappings.read import Unreadable, read

HEAD = "MSH|^~\\&|HIS|LAKE|CP|DOOR|20260504||DFT^P03|1|P|2.5.1\r"


parsed = functools.lru_cache(mapfile.parse)


def made(raw: str, *chain: str, section: str = "message", target: str = "my.x", paths: str = "[ZXX-1]") -> Reading:
    """Return what a row with this chain makes of a message with `raw` in ZXX-1."""
    row = f"{section}:\n  - {{target: {target}, path: {paths}, transform: {json.dumps(chain)}}}\n"
    map = parsed(f"extends: hl7v2-dft\n{row}", "site.yaml")
    text = f"{HEAD}PID|1||M-1|||||||||||||||A-1\rZXX|{raw}\rFT1|1|||20260504||CG|A||||1\r"
    return read(er7.parse(text.encode()), map, currency="USD", region="US", timezone="America/Chicago")


@pytest.mark.parametrize(
    ("chain", "raw", "text"),
    [
        (["split / 2"], "LAKE/SP/7", "SP"),
        (['split " " -1'], "class of SP", "SP"),
        (["split / 4"], "LAKE/SP/7", ""),
        (["split / 4", "default none"], "LAKE/SP/7", "none"),
        (['default "not said"'], " ", " "),
        (["strip", 'default "not said"'], " ", "not said"),
        (["title"], "SELF PAY", "Self Pay"),
        (["digits"], "FC-12/b3", "123"),
        (["strip 0"], "0012300", "123"),
        (["strip", "upper"], " sp ", "SP"),
        (['join "; "'], "A~B~~C", "A; B; C"),
        (['join ""', "lower"], "A~B", "ab"),
    ],
)
def test_text_is_cut_and_put_together(chain: list[str], raw: str, text: str) -> None:
    assert made(raw, *chain).my["x"] == text


def test_several_fields_become_one_text() -> None:
    assert made("Ada", 'join " "', paths="[ZXX-1, PID-18, FT1-7]").my["x"] == "Ada A-1 A"


def test_a_number_is_read_in_the_country_that_the_row_names() -> None:
    found = made("030 23125 001", "phone DE", target="patient.contacts")
    assert [contact.value for contact in found.patient.contacts] == ["+493023125001"]


@pytest.mark.parametrize(
    ("words", "raw", "minor", "currency"),
    [
        ("minor", "1250", 1250, "USD"),
        ("minor", "1250&JPY", 1250, "JPY"),
        ("point", "1,234.56", 123456, "USD"),
        ("point", "1,234,567", 123456700, "USD"),
        ("comma EUR", "1.234,5", 123450, "EUR"),
        ("comma", "-12,50", -1250, "USD"),
        ("negated", "12.50", -1250, "USD"),
        ("unsigned", "-12.50", 1250, "USD"),
        ("EUR", "12.50&USD", 1250, "EUR"),
        ("", "12.50-", -1250, "USD"),
    ],
)
def test_amounts_are_read_the_way_that_a_site_writes_them(words: str, raw: str, minor: int, currency: str) -> None:
    found = made(raw, f"money {words}".strip(), section="charge", target="amount")
    assert found.charges[0].amount == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    ("words", "raw"),
    [
        ("minor", "12.50"),
        ("point", "12,34"),
        ("point", "1,2345"),
        ("comma", "1,234.56"),
        ("comma", "1.23"),
        ("", "1-2"),
    ],
)
def test_what_is_not_written_that_way_is_held_and_never_guessed(words: str, raw: str) -> None:
    with pytest.raises(Unreadable):
        made(raw, f"money {words}".strip(), section="charge", target="amount")


def test_dates_are_read_the_way_that_a_site_writes_them() -> None:
    found = made("12/31/2026 23:59", "date %m/%d/%Y %H:%M", section="charge", target="service_date")
    assert found.charges[0].service_date == dt.date(2026, 12, 31)
    with pytest.raises(Unreadable) as caught:
        made("31.12.2026", "date %m/%d/%Y", section="charge", target="service_date")
    assert "31.12" not in str(caught.value), "a date is a person's"


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (["split /"], "split takes a separator and which part"),
        (["split / 0"], "split takes a separator and which part"),
        (['join "'], "a double quote is missing"),
        (["default"], "default takes one word"),
        (["upper case"], "upper takes nothing after it"),
        (["phone us"], "phone takes a country code"),
        (["table nowhere"], "there is no table 'nowhere'"),
        (["table"], "table takes one word"),
        (["upper", 'join " "'], "join reads the fields themselves: it must come first"),
        (["shout"], "unknown transform 'shout'; known: money"),
    ],
)
def test_wrong_words_after_a_transform_are_told_with_their_place(chain: list[str], said: str) -> None:
    with pytest.raises(MapError) as caught:
        made("x", *chain)
    assert said in "\n".join(caught.value.problems)


@pytest.mark.parametrize("words", ["dollars", "minor comma USDX", "%m"])
def test_money_knows_its_words(words: str) -> None:
    with pytest.raises(MapError, match="takes minor, comma, point"):
        made("x", f"money {words}", section="charge", target="amount")


@pytest.mark.parametrize("words", ["%Q", "%m", "%Y-%m-%d%%", "__import__"])
def test_a_date_pattern_has_a_day_and_a_month_and_nothing_strange(words: str) -> None:
    with pytest.raises(MapError, match="takes a pattern"):
        made("x", f"date {words}", section="charge", target="service_date")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["point", "comma", "minor", "negated", ""]),
)
def test_no_text_makes_money_raise_anything_but_a_reason_to_hold(text: str, words: str) -> None:
    raw = er7.escape(text)
    if "\r" in raw or "\n" in raw:
        return
    with contextlib.suppress(Unreadable, er7.Er7Error):
        made(raw, f"money {words}".strip(), section="charge", target="amount")
