"""What the lists and the trace show of a ledger, and what they keep to themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from workbench import dft, line

from chartpost.adapter.ledger.store import Store, sqlite_url
from chartpost.adapter.story import Moment, story
from chartpost.adapter.views import LISTS

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
PERSONAL = ("Halloran", "Maeve", "5550111", "Specialist")


@pytest.fixture
def connection(ledger: Path) -> Iterator[Connection]:
    store = Store.open(sqlite_url(ledger), readonly=True)
    with store.read() as opened:
        yield opened
    store.close()


def texts(moments: list[Moment]) -> str:
    return "\n".join(f"{moment.id} {moment.text} {' '.join(moment.details)}" for moment in moments)


@pytest.mark.parametrize("noun", LISTS)
def test_every_list_has_one_row_for_everything_stored_and_is_plain_json(connection, noun):
    rows = list(LISTS[noun].rows(connection))
    assert len(rows) == {"messages": 3, "holds": 2}.get(noun, 1)
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize("noun", LISTS)
def test_no_list_shows_a_name_a_number_or_a_treatment(connection, noun):
    shown = json.dumps(list(LISTS[noun].rows(connection)))
    assert not [word for word in PERSONAL if word in shown]


@pytest.mark.parametrize("noun", LISTS)
def test_every_field_of_every_list_is_documented(connection, noun):
    [row, *_] = LISTS[noun].rows(connection)
    section = REFERENCE.read_text("utf-8").split(f"## chartpost {noun}\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert documented == list(row)


@pytest.mark.parametrize("noun", LISTS)
def test_the_columns_of_a_table_are_fields_of_the_list(connection, noun):
    [row, *_] = LISTS[noun].rows(connection)
    assert set(LISTS[noun].columns) <= set(row)


def test_a_message_tells_its_state_its_hold_and_what_it_repeats(connection):
    first, second, third = LISTS["messages"].rows(connection)
    assert (first["id"], first["ack"], first["state"], first["hold"]) == ("M1", "AA", "translated", None)
    assert (second["state"], second["parent"]) == ("duplicate", "M1")
    assert (third["state"], third["hold"]) == ("held", "unreadable_line")


def test_paid_and_posted_are_two_questions(connection):
    [payment] = LISTS["payments"].rows(connection)
    assert (payment["amount"], payment["amount_minor"], payment["currency"]) == ("45.00", 4500, "USD")
    assert payment["posted"] == {"chart": "refused"}
    [posting] = LISTS["postings"].rows(connection)
    assert (posting["state"], posting["answer_code"]) == ("refused", "AE")
    [request] = LISTS["requests"].rows(connection)
    assert (request["state"], request["paid"], request["asked_minor"]) == ("paid", "45.00", 0)


def test_a_hold_names_what_waits_by_the_id_that_trace_takes(connection):
    assert [hold["object"] for hold in LISTS["holds"].rows(connection)] == ["M3", "P00000000001"]


@pytest.mark.parametrize(
    "name",
    [
        "M1", "A1", "R00000000001", "N00000000001", "C00000000001", "M0000000000X", "P00000000001", "H2", "SM1", "pi_1",
        "cs_test_1",
    ],
)  # fmt: skip
def test_from_wherever_one_begins_the_whole_story_is_told_in_time_order(connection, name):
    moments = story(connection, name)
    told = [moment.noun for moment in moments]
    for noun in ("message", "entry", "request", "notice", "card_session", "event", "payment", "posting", "hold"):
        assert noun in told
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    assert moments[0].text == "received DFT^P03 2.5.1 from his, control id LK1"


def test_a_control_id_finds_every_message_that_bears_it(connection):
    assert {moment.id for moment in story(connection, "LK1") if moment.noun == "message"} == {"M1", "M2"}


def test_a_held_message_says_why_and_what_to_do(connection):
    told = texts(story(connection, "M3"))
    assert "M3 waits, unreadable_line: FT1[1]-6: code ZB is unknown" in told
    assert "to do: add ZB to the map's table" in told
    assert "R00000000001" not in told


def test_the_trace_says_where_each_value_was_read_from(connection):
    told = texts(story(connection, "M1"))
    assert "charges[1].amount = 45.00 USD ← FT1[1]-11 (45.00&USD)" in told
    assert "charges[1] = counted: a co-payment (share: copay)" in told
    assert "patient.family ← PID-5.1" in told


def test_a_call_without_an_outcome_is_told_as_one(connection):
    assert "C00000000001 create tried: no outcome known" in texts(story(connection, "M1"))


def test_persons_are_only_shown_when_asked_to_reveal(connection):
    assert not [word for word in PERSONAL if word in texts(story(connection, "M1"))]
    revealed = texts(story(connection, "M1", reveal=True))
    assert not [word for word in PERSONAL if word not in revealed]


def test_an_unknown_name_has_no_story(connection):
    assert story(connection, "M99") == []
    assert story(connection, "nothing") == []


def test_a_value_that_was_decided_and_not_read_has_no_empty_brackets_behind_its_path(bench):
    bench.take(dft(line("CG", "1.00")))
    with bench.store.read() as connection:
        told = [detail for moment in story(connection, "M1") for detail in moment.details]
    assert any(" = counted" in one for one in told)
    assert [one for one in told if one.endswith("()")] == []
