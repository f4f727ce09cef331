"""The store: transactions whole or not at all, and names for what goes wrong."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from sqlalchemy import exc

from chartpost.adapter.errors import Transient
from chartpost.adapter.ledger import holds, ids, states, tables
from chartpost.adapter.ledger.store import Store


def test_a_transaction_that_fails_leaves_nothing(store):
    def fail() -> None:
        with store.write() as tx:
            holds.add(tx, "message:1", "cause", "text", "fix")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.read() as connection:
        assert connection.execute(tables.hold.select()).all() == []


def test_a_locked_database_is_transient_and_says_so_without_the_statement(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/x.db")
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=1")
            connection.rollback()
        with pytest.raises(Transient, match="did not answer") as caught, store.write():
            pass
        assert "BEGIN" not in str(caught.value)
    finally:
        other.close()
        store.close()


def test_a_store_opened_to_read_cannot_write(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    Store.open(url).close()
    store = Store.open(url, readonly=True)
    try:
        with pytest.raises(Transient), store.write() as tx:
            holds.add(tx, "message:1", "cause", "text", "fix")
    finally:
        store.close()


def test_writers_queue_up(store):
    """Twenty threads read a counter and write it back; nothing is lost."""
    with store.write() as tx:
        row = {"provider": "p", "event_id": "n", "type": "0", "reference": "", "state": "", "raw": b"", "at": tx.now}
        tx.run(tables.event.insert(), [row])

    def count():
        with store.write() as tx:
            seen = tx.one(tables.event.select().with_for_update())
            tx.run(tables.event.update().values(type=str(int(seen.type) + 1)))

    threads = [threading.Thread(target=count) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        assert connection.execute(tables.event.select()).one().type == "20"


def test_the_database_itself_refuses_a_second_open_request_card_page_or_entry_of_one_cause(bench):
    from workbench import dft, line

    bench.take(dft(line("CG", "5.00")))
    for table, change in (
        (tables.request, {"public_id": "R2", "token_hash": "other"}),
        (tables.entry, {}),
    ):
        row = dict(bench.one(table)._mapping) | change
        del row["id"]
        with pytest.raises(exc.IntegrityError), bench.store.write() as tx:
            tx.run(table.insert(), [row])


def test_an_open_hold_is_not_opened_twice_and_a_closed_one_may_come_back(store):
    for _ in range(2):
        with store.write() as tx:
            holds.add(tx, "message:1", "cause", "text", "fix")
            holds.add(tx, "message:1", "other", "text", "fix")
    with store.write() as tx:
        holds.close(tx, "message:1", "cause")
    with store.write() as tx:
        holds.add(tx, "message:1", "cause", "text", "fix")
    with store.read() as connection:
        found = connection.execute(tables.hold.select().order_by(tables.hold.c.id)).all()
    assert [(row.cause, row.state) for row in found] == [("cause", "done"), ("other", "open"), ("cause", "open")]
    assert (found[0].closed_at is None, found[2].closed_at) == (False, None)


def test_public_ids_are_twelve_characters_that_nobody_confuses():
    made = {ids.public_id("P") for _ in range(2000)}
    assert len(made) == 2000
    assert all(len(one) == 12 and not set(one[1:]) & set("ILOU") for one in made)


@pytest.mark.parametrize("noun", list(states.MOVES), ids=lambda noun: noun.__name__)
def test_every_state_can_be_reached_or_is_a_beginning_and_no_table_names_a_foreign_state(noun):
    moves = states.MOVES[noun]
    assert all(isinstance(state, noun) for before, after in moves.items() for state in (before, *after))
    reached = {state for after in moves.values() for state in after}
    beginnings = {
        "Message": {"received", "held", "ignored", "duplicate", "unreadable"}, "Request": {"open"},
        "CardSession": {"minting"}, "Notice": {"due", "blocked"}, "Event": {"received"},
        "Posting": {"due"}, "Hold": {"open"}, "Errand": {"due"},
    }  # fmt: skip
    assert {str(state) for state in noun} - {str(state) for state in reached} <= beginnings[noun.__name__]


def test_a_move_that_is_not_drawn_is_refused():
    assert states.allowed(states.Request.OPEN, states.Request.PAID)
    assert not states.allowed(states.Request.PAID, states.Request.OPEN)
    with pytest.raises(states.IllegalMove, match="request: paid → open"):
        states.check(states.Request.PAID, states.Request.OPEN)
