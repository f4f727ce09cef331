"""Conditions: true or false of mapped values, cheap whatever they say, and never a guess."""

from __future__ import annotations

import contextlib
import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.chain import Rejected
from chartpost.mappings.conditions import CHARGE, MESSAGE, charge_values, compile_condition, message_values
from chartpost.mappings.model import Charge, Kind, Money, Party, Reading

LINE = Charge(
    ordinal=1, kind=Kind.COPAY, amount=Money(minor=2500, currency="USD"), code="99213", reference="T-1",
    service_date=dt.date(2026, 5, 4), my={"desk": "N"},
)  # fmt: skip
READING = Reading(type="DFT^P03", account="A-1", patient=Party(role="patient"), financial_class="SP", charges=(LINE,))


def of_line(text: str, mine: frozenset[str] | None = None) -> bool:
    return compile_condition(text, CHARGE, mine).holds(charge_values(READING, LINE, mine or ()))


@pytest.mark.parametrize(
    "text",
    [
        "kind == 'copay'",
        "amount >= 2500 && currency == 'USD'",
        "financial_class in ['SP', 'PP']",
        "code.startsWith('992')",
        "insurance == null",
        "balance == null && !has_guarantor",
        "service_date >= '2026-01-01'",
        "type == 'DFT^P03' && account != ''",
        "my.desk == 'N'",
        "code.matches('^99[0-9]{3}$')",
    ],
)
def test_what_an_administrator_would_write_is_told(text: str) -> None:
    assert of_line(text)
    assert not of_line(f"!({text})")


def test_the_sites_own_value_that_a_message_does_not_have_is_empty_and_no_error() -> None:
    assert of_line("my.ward == ''", frozenset({"ward", "desk"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("amount >", "is not CEL: at character 9"),
        ("amuont > 5", "there is no amuont here; known: type, account"),
        ("my.wrad == 'A'", "no row has the target my.wrad"),
        ("my['desk'] == 'N'", "write my.name"),
        ("[1, 2].exists(x, x == amount)", "cannot use exists()"),
        ("[1, 2] . map (x, x)", "cannot use map()"),
        ("timestamp(service_date) < timestamp('2026-01-01T00:00:00Z')", "cannot use timestamp()"),
        ("true" + " && true" * 100, "at most 500 characters"),
    ],
)
def test_a_mistake_is_told_when_the_map_is_loaded_not_when_a_message_comes(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        compile_condition(text, CHARGE, frozenset({"desk"}))


def test_the_name_of_a_macro_inside_a_text_is_no_macro() -> None:
    assert of_line("code != '.map(' && code != \".all(\"")


def test_a_condition_on_a_message_cannot_name_a_line() -> None:
    with pytest.raises(ValueError, match="there is no kind here"):
        compile_condition("kind == 'copay'", MESSAGE)


def test_what_cannot_be_told_says_which_value_is_empty_and_shows_none() -> None:
    with pytest.raises(Rejected) as caught:
        of_line("amount > insurance")
    assert "empty is insurance" in caught.value.cause
    assert "2500" not in caught.value.cause
    with pytest.raises(Rejected, match="neither true nor false"):
        of_line("amount")


def test_an_amount_is_an_integer_of_minor_units_and_nothing_else() -> None:
    values = charge_values(READING, LINE)
    assert compile_condition("amount * 20 / 100", CHARGE).amount(values) == 500
    for text in ("amount > 5", "kind", "1.5"):
        with pytest.raises(Rejected):
            compile_condition(text, CHARGE).amount(values)


_WORDS = st.sampled_from(
    [
        "amount",
        "kind",
        "my.x",
        "insurance",
        "==",
        "&&",
        "||",
        "<",
        "(",
        ")",
        "'a'",
        "5",
        "+",
        "*",
        "!",
        "in",
        "[",
        "]",
        ",",
    ]
)


@given(st.text(max_size=30) | st.lists(_WORDS, max_size=9).map(" ".join))
def test_any_text_is_a_condition_that_answers_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):  # Rejected is one
        compile_condition(text, CHARGE, frozenset({"x"})).holds(charge_values(READING, LINE, ["x"]))


def test_what_a_condition_sees_holds_no_name_and_no_contact() -> None:
    seen = message_values(READING) | charge_values(READING, LINE)
    assert set(seen) == set(CHARGE)
