"""Whose word counts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.ledger import consents
from chartpost.adapter.ledger.consents import GRANTED, OWN, RECORDS, REVOKED, Word, standing

ORIGINS = st.sampled_from(sorted(OWN | RECORDS))
WORDS = st.builds(Word, st.sampled_from([GRANTED, REVOKED]), ORIGINS)
HISTORIES = st.lists(WORDS, max_size=12)
KEY = "of-a-number"
BOTH = ["facility:lakeside", "notifier:sms"]


@given(HISTORIES)
def test_a_persons_no_is_lifted_by_a_person_and_by_nobody_else(history):
    """Told another way round: look for the last own word; records count only where it is no "no", and after it."""
    own = [position for position, word in enumerate(history) if word.origin in OWN]
    last = own[-1] if own else -1
    found = standing(history)
    if own and history[last].state == REVOKED:
        assert found is history[last]
    else:
        assert found is (history[-1] if history else None)


@given(HISTORIES, st.lists(st.builds(Word, st.just(GRANTED), st.sampled_from(sorted(RECORDS))), max_size=9))
def test_however_often_a_record_says_yes_a_persons_no_stands(history, yeses):
    stopped = [*history, Word(REVOKED, "reply"), *yeses]
    found = standing(stopped)
    assert found is not None
    assert (found.state, found.origin) == (REVOKED, "reply")


def _allowed(store, scopes=BOTH):
    with store.read() as connection:
        found = standing(consents.history(connection, "sms", KEY, scopes))
    return found.state if found else None


def _say(store, *words):
    """A reply and a service's word concern the notifier and whoever writes through it, all else a facility."""
    rows = 0
    with store.write() as tx:
        for word in words:
            scopes = BOTH if word.origin in ("reply", "service") else BOTH[:1]
            rows += len(consents.add(tx, "sms", KEY, scopes, word))
    return rows


def test_what_a_record_repeats_is_no_new_row(store):
    chart = Word(GRANTED, "chart", "M1")
    assert [_say(store, chart) for _ in range(3)] == [1, 0, 0]
    assert _say(store, Word(REVOKED, "reply")) == 2
    assert _say(store, chart) == 0, "and a record's yes against a person's no is none"
    assert _allowed(store) == REVOKED
    assert _say(store, Word(GRANTED, "staff", "signed form of 4 May")) == 1
    assert _allowed(store) == GRANTED
    assert _say(store, Word(REVOKED, "chart", "M2"), Word(GRANTED, "csv", "x.csv:2")) == 2
    assert _allowed(store) == GRANTED, "a record may take back what a record said"
    assert [_say(store, Word(REVOKED, "page", "R1")) for _ in range(3)] == [1, 0, 0], "a button pressed once more"
    assert [_say(store, Word(GRANTED, "staff", "a form")), _say(store, Word(REVOKED, "page", "R1"))] == [1, 1]


def test_what_is_left_out_of_the_ledger_changes_nothing(store):
    """Rows that say nothing new are not written: whoever reads them all would have found the same."""

    @given(HISTORIES)
    def check(history):
        with store.write() as tx:
            tx.run(consents.consent.delete())
        _say(store, *(replace(word, evidence=f"M{number}") for number, word in enumerate(history)))
        for scopes in (BOTH, BOTH[:1]):
            found = standing(history)
            assert _allowed(store, scopes) == (found.state if found else None)

    check()


def test_numbers_and_channels_are_apart(store):
    _say(store, Word(REVOKED, "reply"))
    with store.read() as connection:
        assert consents.history(connection, "email", KEY) == []
        assert consents.history(connection, "sms", "another") == []
        assert _allowed(store, ["facility:hilltop"]) is None
        assert _allowed(store, ["facility:hilltop", "notifier:sms"]) == REVOKED


def test_the_same_line_of_a_table_is_not_read_twice_whatever_was_said_meanwhile(store):
    said = Word(REVOKED, "csv", "consents.csv:2")
    assert _say(store, said) == 1
    assert _say(store, Word(GRANTED, "staff", "form")) == 1
    assert _say(store, said) == 0
    assert _allowed(store) == GRANTED
    assert _say(store, Word(REVOKED, "csv", "consents.csv:3")) == 1
