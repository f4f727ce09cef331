"""The catalogue of words."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from chartpost.adapter.web import words
from chartpost.adapter.web.words import WORDS, Words


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", WORDS)
def test_every_language_says_everything_that_english_says(language: str) -> None:
    assert {key: placeholders(text) for key, text in WORDS[language].items()} == {
        key: placeholders(text) for key, text in WORDS["en"].items()
    }


def test_no_sentence_is_long() -> None:
    for key, text in WORDS["en"].items():
        for sentence in re.split(r"(?<=[.?!:]) ", text):
            assert len(sentence.split()) <= 16, key


def test_every_word_is_used_somewhere() -> None:
    folder = Path(words.__file__).parent
    files = [path for path in [*folder.glob("*.py"), *folder.glob("templates/*")] if path.name != "words.py"]
    code = "".join(path.read_text() for path in files)
    # Two families are put together from a state and a part.
    states = "paid settled cancelled expired pending recorded received processing unseen nothing closed failed away"
    made = {f"{state}.{part}" for state in states.split() for part in ("title", "text")}
    made |= {f"error.{reason}" for reason in ("empty", "not_an_amount", "decimals", "zero", "more", "amount")}
    assert [key for key in WORDS["en"] if f'"{key}"' not in code and key not in made] == []


def test_a_language_that_we_do_not_speak_is_answered_in_english_and_says_so() -> None:
    assert Words("fr_CA").tag == "en"
    assert Words("fr_CA")("again") == Words("en_US")("again")
    assert Words("en_US").tag == "en-US"
