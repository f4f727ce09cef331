"""The door's transaction on a real SQLite file (tests/integration/test_mllp_door.py: on PostgreSQL too)."""

from __future__ import annotations

import threading

import pytest

from chartpost.adapter.errors import CannotStore
from chartpost.adapter.ledger.intake import DAY, Intake, Row
from chartpost.adapter.ledger.sealed import Keyring, use
from chartpost.adapter.ledger.store import Store

NOW = 1_800_000_000_000_000


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/chartpost.db")
    yield store
    store.close()


@pytest.fixture
def intake(store):
    intake = Intake(store)
    yield intake
    intake.close()


def row(control_id="1", digest=b"a", at=NOW, days=7, **change) -> Row:
    return Row(
        source="his",
        control_key=f"HIS|LAKESIDE|{control_id}",
        control_id=control_id,
        type="DFT^P03",
        version="2.5.1",
        lane="lane",
        received_at=at,
        raw=b"MSH|...",
        digest=digest * 16,
        ack_code="AA",
        state="received",
        reason="",
        since=at - days * DAY,
    )._replace(**change)


def all_of(store, columns, table="message"):
    with store.read() as connection:
        return [tuple(found) for found in connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY id")]


def test_new_messages_are_stored_in_order(store, intake):
    first, second = intake.commit([row("1"), row("2", b"b")])
    assert (first.state, first.ack_code, second.id) == ("received", "AA", first.id + 1)
    assert all_of(store, "control_id, state, parent_id") == [("1", "received", None), ("2", "received", None)]


def test_the_same_message_again_is_a_duplicate_and_gets_the_same_answer(store, intake):
    (first,) = intake.commit([row(ack_code="CA")])
    (again,) = intake.commit([row(ack_code="AA", at=NOW + DAY)])
    assert (again.state, again.ack_code) == ("duplicate", "CA")
    assert all_of(store, "parent_id, reason")[1] == (first.id, f"the same as message {first.id}")


def test_duplicates_within_one_group_are_found(intake):
    fates = intake.commit([row(), row(), row("2", b"b"), row()])
    assert [fate.state for fate in fates] == ["received", "duplicate", "received", "duplicate"]


def test_another_body_under_the_same_number_is_held_for_a_person(store, intake):
    (first,) = intake.commit([row()])
    (changed,) = intake.commit([row(digest=b"b")])
    assert (changed.state, changed.ack_code) == ("held", "AA")
    ((about, cause, text, fix, state),) = all_of(store, "object, cause, text, fix, state", "hold")
    assert (about, cause, state) == (f"message:{changed.id}", "changed_duplicate", "open")
    assert f"message {first.id}" in text
    assert fix


def test_a_resend_of_the_changed_message_is_its_duplicate_and_no_second_hold(store, intake):
    intake.commit([row()])
    changed, again = intake.commit([row(digest=b"b"), row(digest=b"b")])
    assert again.state == "duplicate"
    assert all_of(store, "parent_id")[2] == (changed.id,)
    assert len(all_of(store, "id", "hold")) == 1


def test_a_duplicate_of_a_duplicate_points_to_the_first(store, intake):
    (first,) = intake.commit([row()])
    intake.commit([row(at=NOW + 6 * DAY)])
    intake.commit([row(at=NOW + 8 * DAY)])  # the first is out of its time, its copy is not
    assert [parent for (parent,) in all_of(store, "parent_id")] == [None, first.id, first.id]


def test_after_dedupe_days_a_number_may_come_round_again(intake):
    intake.commit([row()])
    (later,) = intake.commit([row(digest=b"b", at=NOW + 8 * DAY)])
    assert later.state == "received"


def test_another_source_or_sender_has_its_own_numbers(intake):
    fates = intake.commit([row(), row(source="desk"), row(control_key="LAB|LAKESIDE|1")])
    assert [fate.state for fate in fates] == ["received"] * 3


def test_what_was_refused_is_no_first(intake):
    intake.commit([row(ack_code="AR", lane="", state="ignored", since=None)])
    (put_right,) = intake.commit([row()])
    assert put_right.state == "received"


def test_the_messages_of_a_batch_point_to_it(store, intake):
    wrapper = row("", ack_code="", state="ignored", reason="batch of 2", since=None)
    fates = intake.commit([row("0", b"z"), wrapper, row("1", b"a", back=1), row("2", b"b", back=2)])
    assert [parent for (parent,) in all_of(store, "parent_id")] == [None, None, fates[1].id, fates[1].id]


def test_a_file_that_repeats_nothing_is_looked_up_at_once_and_not_message_by_message(store, intake):
    """A file may hold tens of thousands, and every other door waits until it is stored."""
    intake.commit([row()])
    seen: list[str] = []
    intake._connection.set_trace_callback(seen.append)
    wrapper = row("", ack_code="", state="ignored", reason="batch", since=None)
    file = [wrapper, *(row(f"f{number}", back=number) for number in range(1, 301))]
    fates = intake.commit([*file, row("2", b"b"), wrapper, row("3", back=1)])
    assert len([statement for statement in seen if statement.startswith("SELECT")]) < 10
    assert [fate.id for fate in fates] == list(range(2, 306))
    parents = [parent for (parent,) in all_of(store, "parent_id")]
    assert parents == [None, None, *[fates[0].id] * 300, None, None, fates[-2].id]


def test_a_batch_that_counts_wrongly_opens_a_hold_and_its_copy_none(store, intake):
    told = ("batch_count", "BTS-1 says 3", "ask the sender")
    wrapper = row("", ack_code="", state="ignored", reason="batch of 2", since=None, lane="", hold=told)
    batch = [wrapper, row("1", b"a", back=1), row("2", b"b", back=2)]
    first = intake.commit([row("0", b"z"), *batch])[1]
    intake.commit(batch)
    assert all_of(store, "object, cause, text, fix, state, likeness", "hold") == [
        (f"message:{first.id}", *told, "open", "batch_count his")
    ]
    more = [wrapper, row("1", b"a", back=1), row("3", b"c", back=2)]
    intake.commit([row("0", b"z"), *batch, *more])
    assert len(all_of(store, "id", "hold")) == 2, "the copy is silent, the one with something new is not"


def test_the_bytes_are_sealed_once_there_is_a_key(store, intake):
    use(Keyring(b"searching", b"k" * 32))
    try:
        intake.commit([row(raw=b"MSH|secret")])
    finally:
        use(Keyring())
    ((stored,),) = all_of(store, "raw")
    assert b"secret" not in stored
    assert Keyring(b"", b"k" * 32).open(stored) == b"MSH|secret"


def test_a_full_disk_stores_nothing_of_the_group_and_says_so(store, intake):
    intake.commit([row()])
    pages = intake._connection.cursor().execute("PRAGMA page_count").fetchone()[0]
    intake._connection.cursor().execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(CannotStore) as caught:
        intake.commit([row("2", b"b"), row("3", b"c", raw=b"x" * 100_000)])
    assert "x" * 10 not in str(caught.value)
    assert all_of(store, "control_id") == [("1",)]
    assert intake.commit([row("2", b"b")])[0].state == "received", "the next group takes a fresh connection"


def test_a_group_waits_for_whoever_else_is_writing(store, intake):
    with store.write():
        thread = threading.Thread(target=intake.commit, args=([row()],))
        thread.start()
        assert all_of(store, "id") == []
    thread.join(5)
    assert len(all_of(store, "id")) == 1
