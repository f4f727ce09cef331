"""Every spelling of a language that is on the wire becomes two letters, or nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.languages import language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("es", "es"), ("ES", "es"), ("spa", "es"), ("SPA", "es"), ("es-MX", "es"), ("es_419", "es"),
        ("es-Latn-US", "es"), ("Spanish", "es"), ("SPANISH", "es"), ("Spanish; Castilian", "es"),
        ("Spanish (Latin America)", "es"), ("español", "es"), ("Castellano", "es"), ("eng", "en"), ("English", "en"),
        ("inglés", "en"), (" en ", "en"),
        ("ger", "de"), ("deu", "de"), ("fre", "fr"), ("fra", "fr"), ("chi", "zh"), ("zho", "zh"), ("cmn", "zh"),
        ("Mandarin Chinese", ""), ("vie", "vi"), ("Vietnamese", "vi"), ("hat", "ht"), ("tgl", "tl"), ("fil", "tl"),
        ("Filipino", "tl"), ("pt-BR", "pt"), ("Portuguese", "pt"),
        ("", ""), ("   ", ""), ("UNK", ""), ("und", ""), ("zxx", ""), ("declined", ""), ("N/A", ""), ("hmn", ""),
        ("E", ""), ("xx", ""), ("12", ""), ("-", ""), ("9", ""),
    ],
)  # fmt: skip
def test_a_language_is_two_letters_or_nothing(text: str, code: str) -> None:
    assert language(text) == code


@given(st.text(max_size=30))
def test_whatever_stands_there_gives_two_small_letters_or_nothing_and_stays_what_it_is(text: str) -> None:
    code = language(text)
    assert re.fullmatch("([a-z]{2})?", code)
    assert language(code) == code
    assert language(code.upper()) == code
