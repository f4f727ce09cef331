"""The catalogue of words."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest

from chartpost.adapter.flow.answering.choices import Choice
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.web import words
from chartpost.adapter.web.words import WORDS, Words
from chartpost.mappings.model import Kind


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


#: The kinds of entries, which may have no text of their own. "card" is told as a payment.
KINDS = ["charge", "credit", "adjustment", "copay", "payment", "patient_payment", "void", "balance", "elsewhere"]


def test_every_word_is_used_somewhere() -> None:
    folder = Path(words.__file__).parent
    files = [path for path in [*folder.glob("*.py"), *folder.glob("templates/*")] if not path.name.startswith("words")]
    code = "".join(path.read_text() for path in files)
    # Some families are put together from a state, a choice or a kind, and a part.
    states = "paid settled cancelled expired pending recorded received processing unseen nothing closed failed away"
    made = {f"{state}.{part}" for state in (*states.split(), "not_me") for part in ("title", "text")}
    made |= {f"error.{reason}" for reason in ("empty", "not_an_amount", "decimals", "zero", "less", "more", "amount")}
    made |= {f"{said}.{choice}" for said in ("help", "said") for choice in get_args(Choice)}
    made |= {f"plan.{every}" for every in get_args(plan.Every)} | {f"kind.{kind}" for kind in KINDS}
    asked = "month day year no_date wrong code_wrong late often sent impossible locked locked_code"
    made |= {f"identity.{part}" for part in asked.split()}
    assert [key for key in WORDS["en"] if f'"{key}"' not in code and key not in made] == []


def test_every_kind_of_entry_that_the_ledger_knows_has_a_word() -> None:
    assert {str(kind) for kind in Kind} - {"replacement"} <= set(KINDS), "a replacement is kept as a charge"
    assert {f"kind.{kind}" for kind in KINDS} == {key for key in WORDS["en"] if key.startswith("kind.")}


@pytest.mark.parametrize("language", WORDS)
def test_every_language_says_what_it_calls_itself(language: str) -> None:
    assert words.NAMES[language]


def test_a_language_that_we_do_not_speak_is_answered_in_english_and_says_so() -> None:
    assert Words("fr_CA").tag == "en"
    assert Words("fr_CA")("again") == Words("en_US")("again")
    assert Words("en_US").tag == "en-US"
    assert Words("es_US").tag == "es-US"
