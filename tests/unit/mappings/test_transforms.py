"""What a value can become, and what is refused with words for the person who must mend it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.model import Money
from chartpost.mappings.transforms import Cell, Context, Rejected, amount_of, date, money, number

CHICAGO = Context("USD", "US", "America/Chicago")


@pytest.mark.parametrize(
    ("raw", "following", "minor", "currency"),
    [
        ("100.00&USD", "", 10000, "USD"),
        ("100&EUR", "", 10000, "EUR"),
        ("150.00^USD", "", 15000, "USD"),
        ("150.00^EUR", "", 15000, "EUR"),
        ("150.00^UP", "", 15000, "USD"),
        ("200.00", "EUR", 20000, "EUR"),
        ("200.00", "50.00^EUR", 20000, "USD"),
        ("200.00", "XYZ", 20000, "USD"),
        ("79.000000", "", 7900, "USD"),
        ("10,00", "", 1000, "USD"),
        (" 5 ", "", 500, "USD"),
        ("+.5", "", 50, "USD"),
        ("-12.50", "", -1250, "USD"),
        ("0", "", 0, "USD"),
        ("500&JPY", "", 500, "JPY"),
        ("1.234&KWD", "", 1234, "KWD"),
    ],
)
def test_money_is_read_in_every_spelling_that_was_seen(raw: str, following: str, minor: int, currency: str) -> None:
    assert money(Cell(raw, following), CHICAGO) == Money(minor=minor, currency=currency)


def test_an_empty_amount_is_no_amount_and_never_zero() -> None:
    for raw in ("", " ", "&USD", "^USD"):
        assert money(Cell(raw), CHICAGO) is None


@pytest.mark.parametrize(
    "raw",
    [
        "12,5o",
        "1,234.56",
        "$5",
        "12.5.0",
        "-5-",
        "--5",
        "1e3",
        "١٢",
        "NaN",
        "9" * 13,
        "12.345",
        "1,234",
        "1.5&JPY",
        "5&US$",
    ],
)
def test_what_is_no_amount_is_refused_with_the_text_and_a_fix(raw: str) -> None:
    with pytest.raises(Rejected) as caught:
        money(Cell(raw), CHICAGO)
    assert caught.value.cause
    assert caught.value.fix


def test_the_refusal_reads_like_a_sentence() -> None:
    with pytest.raises(Rejected, match='"12,5o" is not an amount'):
        amount_of("12,5o")


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_every_amount_of_cents_survives_the_wire(amount: Decimal) -> None:
    for text in (f"{amount:f}", f"{amount:f}".replace(".", ","), f"{amount:f}0000"):
        assert money(Cell(text), CHICAGO) == Money.of(amount, "USD")


@pytest.mark.parametrize(
    ("raw", "day"),
    [
        ("20250314", dt.date(2025, 3, 14)),
        ("20250314^20250316", dt.date(2025, 3, 14)),
        ("202503140930", dt.date(2025, 3, 14)),
        ("20250314093000.1234-0500", dt.date(2025, 3, 14)),
        ("20250315043000+0000", dt.date(2025, 3, 14)),
        ("20250315003000", dt.date(2025, 3, 15)),
        ("20250314-0500", dt.date(2025, 3, 14)),
        ("202503", dt.date(2025, 3, 1)),
        ("2025", dt.date(2025, 1, 1)),
    ],
)
def test_a_date_of_any_precision_is_a_day_in_the_facilitys_calendar(raw: str, day: dt.date) -> None:
    assert date(Cell(raw), CHICAGO) == day


@pytest.mark.parametrize(
    "raw", ["2025-03-14", "20251340", "20250230", "yesterday", "20250314T10", "00000000", "20250314+9900"]
)
def test_a_bad_date_is_refused_without_repeating_it(raw: str) -> None:
    with pytest.raises(Rejected) as caught:
        date(Cell(raw), CHICAGO)
    assert raw not in caught.value.cause


def test_an_empty_date_and_number_are_nothing() -> None:
    assert date(Cell(""), CHICAGO) is None
    assert date(Cell("^20250101"), CHICAGO) is None
    assert number(Cell(""), CHICAGO) is None


def test_a_quantity_may_carry_its_unit_beside_it() -> None:
    assert number(Cell("2^EA"), CHICAGO) == 2
    with pytest.raises(Rejected, match='"two" is not a number'):
        number(Cell("two"), CHICAGO)
