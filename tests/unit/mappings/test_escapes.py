"""Escapes: a value goes out and comes back the same, and never becomes anything but a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.escapes import STANDARD, Delimiters, escape, recode, unescape

VISTA = Delimiters("|", "~", "^", "\\", "&")
TRUNCATING = Delimiters("|", "^", "~", "\\", "&", "#")
ALPHABET = st.text(st.sampled_from("ab|^~\\&#FSTREPXH.br0D\r\n\x0b\x1c\x85\u2028é日"), max_size=30)


@given(
    st.text(max_size=40) | ALPHABET, st.sampled_from([STANDARD, VISTA, TRUNCATING, Delimiters("$", "!", "?", "%", "*")])
)
def test_every_text_comes_back_from_its_escaped_form(text: str, marks: Delimiters) -> None:
    safe = escape(text, marks)
    assert unescape(safe, marks) == text
    assert not set(safe) & {
        marks.field,
        marks.component,
        marks.repetition,
        marks.subcomponent,
        "\r",
        "\n",
        "\x0b",
        "\x1c",
    }


@given(ALPHABET)
def test_unescaping_then_escaping_then_unescaping_changes_nothing_more(text: str) -> None:
    once = unescape(text)
    assert unescape(escape(once)) == once


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (r"Smith \T\ Jones", "Smith & Jones"),
        (r"a\F\b\S\c\R\d\E\e", r"a|b^c~d\e"),
        (r"line\.br\line", "line\nline"),
        (r"\H\loud\N\ and soft", "loud and soft"),
        (r"\X0D0A\end", "\r\nend"),
        (r"\XC3A9\t\X41\ ", "étA "),
        (r"\XC3\ stays", r"\XC3\ stays"),
        (r"\Z12\ \.sp3\ \Q\ C:\dir", r"\Z12\ \.sp3\ \Q\ C:\dir"),
        (r"\P\ ", r"\P\ "),
        (r"\E\F\ ", r"\F\ "),
    ],
)
def test_known_escapes_are_resolved_and_unknown_ones_stay(wire: str, value: str) -> None:
    assert unescape(wire) == value


def test_hexadecimal_is_read_in_the_charset_of_the_message() -> None:
    assert unescape(r"\XE9\ ", STANDARD, "iso8859-1") == "é "


def test_the_truncation_character_has_its_escape_only_where_msh_2_names_it() -> None:
    assert unescape(r"\P\ ", TRUNCATING) == "# "
    assert escape("5#", TRUNCATING) == r"5\P" + "\\"
    assert escape("5#") == "5#"


def test_without_an_escape_character_what_cannot_be_said_becomes_a_space() -> None:
    assert escape("a|b\rc", Delimiters("|", "^", "~", "", "")) == "a b c"


def test_a_field_moves_to_other_delimiters_with_its_structure_and_values() -> None:
    assert recode("M1~~~LAKE&1.2~MR^M2", VISTA, STANDARD) == "M1^^^LAKE&1.2^MR~M2"
    assert recode(r"A\S\B", VISTA, STANDARD) == "A~B".replace("~", r"\R" + "\\")


def test_a_field_already_in_the_delimiters_stays_as_it_is_but_can_end_nothing() -> None:
    assert recode(r"M1^^^LAKE\T\S\Z1\~M2") == r"M1^^^LAKE\T\S\Z1\~M2"
    assert recode("M1\rFT1|1") == r"M1\X0D\FT1\F\1"
