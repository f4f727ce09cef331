"""What people type into the amount field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.web.amount import AmountError, plain, read_amount, shown
from chartpost.mappings.model import Money


def money(minor: int, currency: str = "USD") -> Money:
    return Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    "typed",
    ["20", "20.00", "20.0", "20.", "$20", "$ 20.00", "20,00", "20,0", " 20 ", "USD 20", "20 usd", "２０", "20\u00a0$"],
)
def test_every_usual_way_of_writing_twenty_dollars_is_understood(typed: str) -> None:
    assert read_amount(typed, money(4500), "en_US") == money(2000)


@pytest.mark.parametrize(
    ("typed", "minor"),
    [("1,234.50", 123450), ("1.234,50", 123450), ("1,234", 123400), ("1 234,50", 123450), ("1'234.50", 123450)],
)
def test_thousands_may_be_grouped_in_the_ways_of_several_countries(typed: str, minor: int) -> None:
    assert read_amount(typed, money(500000), "en_US") == money(minor)


def test_cents_alone_need_no_zero_in_front() -> None:
    assert read_amount(".75", money(4500), "en_US") == money(75)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("$", "empty"),
        ("twenty", "not_an_amount"),
        ("-5", "not_an_amount"),
        ("1e3", "not_an_amount"),
        ("20.00.00", "not_an_amount"),
        ("1,23,456.00", "not_an_amount"),
        (".", "not_an_amount"),
        (",", "not_an_amount"),
        ("9" * 21, "not_an_amount"),
        ("12.345", "decimals"),
        ("0", "zero"),
        ("0.00", "zero"),
        ("45.01", "more"),
    ],
)
def test_what_cannot_be_paid_is_refused_with_its_own_reason(typed: str, reason: str) -> None:
    with pytest.raises(AmountError) as refusal:
        read_amount(typed, money(4500), "en_US")
    assert refusal.value.reason == reason


def test_where_the_comma_is_the_decimal_mark_a_dot_groups_thousands() -> None:
    assert read_amount("1.234", money(500000, "EUR"), "de_DE") == money(123400, "EUR")
    assert read_amount("12,34 €", money(500000, "EUR"), "de_DE") == money(1234, "EUR")


def test_yen_have_no_decimals_and_dinars_have_three() -> None:
    assert read_amount("20.00", money(4500, "JPY"), "en_US") == money(20, "JPY")
    assert read_amount("1.234", money(4500, "KWD"), "en_US") == money(1234, "KWD")
    with pytest.raises(AmountError, match="decimals"):
        read_amount("20.5", money(4500, "JPY"), "en_US")


def test_an_unknown_locale_is_read_as_us_english() -> None:
    assert shown(money(123450), "xx_YY") == "$1,234.50"


@given(st.integers(1, 10**9), st.sampled_from(["USD", "EUR", "GBP", "JPY", "KWD"]), st.sampled_from(["en_US", "es_US"]))
def test_what_we_show_can_be_typed_back(minor: int, currency: str, locale: str) -> None:
    amount = money(minor, currency)
    assert read_amount(shown(amount, locale), amount, locale) == amount
    assert read_amount(plain(amount), amount, locale) == amount


@given(st.text(max_size=40) | st.from_regex(r"[$0-9.,' ]{0,15}", fullmatch=True))
def test_whatever_is_typed_is_an_amount_within_what_is_owed_or_an_amount_error(typed: str) -> None:
    try:
        amount = read_amount(typed, money(4500), "en_US")
    except AmountError:
        return
    assert 0 < amount.minor <= 4500
