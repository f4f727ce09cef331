"""Paths as administrators write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7
from chartpost.mappings.paths import compile_path

MESSAGE = er7.parse(
    "MSH|^~\\&|HIS\r"
    "PID|1||M1^^^LAKE^MR~S9^^^STATE^SS||MARLOWE&VAN^TESSA||||||||6085550142^PRN^CP~^NET^Internet^tessa@example.org\r"
    'FT1|1|TX1||20250314^20250315||CG||||1|100.00|EUR|""|A\\T\\B\r'
    "FT1|2|TX2||20250316||CD||||1|100.00&USD\r"
    "ZPR|x|7.50\r"
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("PID-3", "M1"),
        ("PID-3.1", "M1"),
        ("PID-3.5", "MR"),
        ("PID.3.5", "MR"),
        ("PID-3[2].1", "S9"),
        ("PID-3[5=SS]", "S9"),
        ("PID-5.1", "MARLOWE"),
        ("PID-5.1.2", "VAN"),
        ("PID-13[3=Internet].4", "tessa@example.org"),
        ("PID-13[3=FAX].1", None),
        ("PID-13[2].4", "tessa@example.org"),
        ("PID-13[9].4", None),
        ("FT1-11.1.1", "100.00"),
        ("FT1.11.1.1", "100.00"),
        ("FT1[2]-11.1.1", "100.00"),
        ("FT1[2]-11.1.2", "USD"),
        ("FT1[3]-11", None),
        ("FT1-4", "20250314"),
        ("FT1-4.2", "20250315"),
        ("FT1-13", er7.NULL),
        ("FT1-13.1.1", er7.NULL),
        ("FT1-13.2", er7.NULL),
        ("FT1-14", "A&B"),
        ("FT1-99", None),
        ("ZPR-2", "7.50"),
        ("GT1-3", None),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
    ],
)
def test_a_path_finds_its_value(path: str, value: object) -> None:
    assert compile_path(path).get(MESSAGE) == value


def test_raw_is_the_text_as_it_stands_at_the_level_of_the_path() -> None:
    assert compile_path("FT1[2]-11").raw(MESSAGE) == "100.00&USD"
    assert compile_path("PID-3.4").raw(MESSAGE) == "LAKE"
    assert compile_path("FT1-11").following(MESSAGE) == "EUR"
    assert compile_path("FT1-11.1").following(MESSAGE) == ""
    assert compile_path("PID-3").field_text(MESSAGE) == "M1^^^LAKE^MR~S9^^^STATE^SS"
    assert compile_path("PID-3").repetitions(MESSAGE) == ["M1^^^LAKE^MR", "S9^^^STATE^SS"]


def test_a_found_value_knows_where_it_stood() -> None:
    assert compile_path("FT1[2]-11.1.1").located(MESSAGE) == "FT1[2]-11.1.1"
    assert compile_path("FT1.6").located(MESSAGE) == "FT1[1]-6"
    assert compile_path("PID-13[3=Internet].4").located(MESSAGE) == "PID-13[3=Internet].4"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1),
        ("pid-3", 1),
        ("PID", 4),
        ("PID-", 4),
        ("PID-0", 4),
        ("PID-3.", 6),
        ("PID-3.1.1.1", 10),
        ("PID-3[x]", 6),
        ("PID-3[3=]", 6),
        ("PID-3 ", 6),
        ("FT1[0]-3", 4),
        ("PID-3[3=A][2]", 14),
    ],
)
def test_a_mistake_in_a_path_is_shown_at_its_character(text: str, at: int) -> None:
    with pytest.raises(ValueError, match=f"character {at}$"):
        compile_path(text)


@given(st.text(max_size=12) | st.from_regex(r"[A-Z]{3}(\[\d\])?-\d{1,2}(\[\d(=\w)?\])?(\.\d){0,3}", fullmatch=True))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        path = compile_path(text)
    except ValueError:
        return
    assert path.text == text
    path.get(MESSAGE)
