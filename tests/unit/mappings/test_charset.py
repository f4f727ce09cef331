"""Bytes become text by the mark, by MSH-18, by strict UTF-8, and last by what the source is configured with."""

from __future__ import annotations

import codecs

import pytest

from chartpost.mappings import er7


def message(charset: str, name: str = "MÜLLER") -> str:
    return f"MSH|^~\\&|HIS|LAKE|||20250314||DFT^P03|C1|P|2.5.1||||||{charset}\rPID|1||M1||{name}\r"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("ISO-8859-1", "latin-1"),
        ("8859/15", "iso8859-15"),
        ("8859/2~UNICODE UTF-8", "iso8859-2"),
        ("ASCII", "utf-8"),
        ("SOMETHING ELSE", "utf-8"),
    ],
)
def test_msh_18_names_the_charset(charset: str, codec: str) -> None:
    raw = message(charset).encode(codec)
    parsed = er7.parse(raw)
    assert parsed.text("PID", 5) == "MÜLLER"
    assert parsed.encode() == raw


def test_latin_1_bytes_under_an_empty_msh_18_are_read_by_the_source_default() -> None:
    raw = message("").encode("latin-1")
    with pytest.raises(er7.Er7Error, match="MSH-18 names no charset that fits"):
        er7.parse(raw)
    assert er7.parse(raw, default_charset="latin-1").text("PID", 5) == "MÜLLER"
    assert er7.parse(raw, default_charset="latin-1").encode() == raw


def test_a_declared_charset_that_the_bytes_contradict_falls_back() -> None:
    assert er7.parse(message("UNICODE UTF-8").encode("latin-1"), "latin-1").text("PID", 5) == "MÜLLER"


@pytest.mark.parametrize(
    ("mark", "codec"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_byte_order_mark_decides_and_is_given_back(mark: bytes, codec: str) -> None:
    raw = mark + message("8859/1").encode(codec)
    parsed = er7.parse(raw)
    assert parsed.text("PID", 5) == "MÜLLER"
    assert parsed.encode() == raw
    assert er7.split_batch(raw) == [raw]


def test_an_unknown_default_charset_is_an_er7_error_too() -> None:
    with pytest.raises(er7.Er7Error, match="unknown charset"):
        er7.parse(message("").encode("latin-1"), "klingon")
