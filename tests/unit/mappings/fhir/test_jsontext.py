"""FHIR's JSON: exact in both directions, and refused with a place and without a value."""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.fhir.jsontext import FhirError, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(10**40), 10**40) | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("text", ["10.00", "0.10", "48", "-1.50", "79.000000", "1E+3", "123456789012345678901.10"])
def test_a_number_is_written_with_exactly_the_digits_that_came(text: str) -> None:
    assert encode(decode(f'{{"value":{text}}}'.encode())) == f'{{"value":{text}}}'.encode()


@given(VALUES)
def test_every_value_survives_the_way_there_and_back(value: Any) -> None:
    again = decode(encode(value))
    assert again == value
    assert encode(again) == encode(value)


def test_numbers_are_never_floats() -> None:
    assert decode(b"[1.5, 2, 1e2]") == [Decimal("1.5"), 2, Decimal(100)]
    assert {type(item) for item in decode(b"[1.5, 2, 1e2]")} == {Decimal, int}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "line 1, column 1: not JSON: expecting value"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6: not JSON: expecting ':' delimiter"),
        (b"{} {}", "not JSON: extra data"),
        (b'{"a": "Grete\xff"}', "byte 12: not UTF-8"),
        (b'{"value": NaN}', "NaN is no number"),
        (b'{"value": -Infinity}', "-Infinity is no number"),
        (b'{"status": "issued", "status": "draft"}', "status stands twice in one object"),
        (b'{"Grete Meier": 1, "Grete Meier": 2}', "a name stands twice in one object"),
        (b"[" * 33 + b"]" * 33, "nested more than 32 deep"),
        (b"[" * 100_000, "nested more than 32 deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested more than 32 deep"),
        (b"9" * 5000, "more digits than can be read"),
        (b"1e99999999999999999999", "more digits than can be read"),
        (rb'["\ud83d"]', "half of a surrogate pair"),
        (rb'{"\u0000": 1}', "a NUL character"),
    ],
)
def test_what_is_refused_is_refused_with_a_place_and_without_a_value(body: bytes, said: str) -> None:
    with pytest.raises(FhirError) as caught:
        decode(body)
    assert said in str(caught.value)
    assert "Grete" not in str(caught.value)


def test_a_name_that_stands_twice_among_very_many_is_found_at_once() -> None:
    body = "{" + ",".join(f'"a{number}":1' for number in range(60_000)) + ',"a59999":1}'
    began = time.process_time()
    with pytest.raises(FhirError, match="a59999 stands twice"):
        decode(body.encode())
    assert time.process_time() - began < 2


def test_the_deepest_that_is_allowed_is_allowed() -> None:
    assert decode(b"[" * 32 + b"]" * 32)
    assert decode(b"[[]]", max_depth=2) == [[]]
    with pytest.raises(FhirError, match="more than 1 deep"):
        decode(b"[[]]", max_depth=1)


def test_a_byte_order_mark_is_passed_over_and_a_whole_surrogate_pair_is_a_character() -> None:
    assert decode(b'\xef\xbb\xbf{"a": "\\ud83d\\ude42"}') == {"a": "\U0001f642"}


@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:01.eE-+ \\unlatrfsNI\0'), max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_a_fhir_error(body: bytes) -> None:
    with contextlib.suppress(FhirError):
        decode(body)
