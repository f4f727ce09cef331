"""Errands: one at a time in a lane, never lost, never done twice."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from sqlalchemy import event

from chartpost.adapter.ledger import errands, gathering, tables


def add(store, kind="notify", subject="R1", lane="lane", due=None):
    with store.write() as tx:
        errands.add(tx, kind, subject, lane, due)


def rows(store):
    with store.read() as connection:
        return list(connection.execute(tables.errand.select().order_by(tables.errand.c.id)))


def heads(store, kind="notify"):
    with store.read() as connection:
        return [head.subject for head in errands.heads(connection, kind, store.clock(), 100)]


def add_and_fail(tx) -> int:
    errands.add(tx, "notify", "R1", "lane")
    return 0


def finish(store, item):
    with store.write() as tx:
        errands.done(tx, item)


def test_the_same_errand_still_open_is_not_asked_for_twice_and_once_done_it_may_be(store):
    add(store)
    add(store)
    item = errands.claim(store, 1)
    add(store)
    assert len(rows(store)) == 1
    finish(store, item)
    add(store)
    assert [row.state for row in rows(store)] == ["done", "due"]


def test_a_lane_is_worked_in_the_order_in_which_it_was_asked_for(store):
    for subject in ("R1", "R2", "R3"):
        add(store, subject=subject)
    done = []
    item = errands.claim(store, 1)
    while item is not None:
        done.append(item.subject)
        finish(store, item)
        item = errands.claim_next(store, "lane")
    assert done == ["R1", "R2", "R3"]


def test_only_the_first_of_each_lane_is_announced(store):
    for subject, lane in (("R1", "a"), ("R2", "a"), ("R3", "b"), ("R4", "b")):
        add(store, subject=subject, lane=lane)
    assert heads(store) == ["R1", "R3"]


def test_each_kind_is_announced_by_itself(store):
    add(store, kind="notify", subject="R1", lane="notify:a")
    add(store, kind="post", subject="P1", lane="post:b")
    assert (heads(store), heads(store, "post"), heads(store, "expire")) == (["R1"], ["P1"], [])


def test_what_is_being_worked_blocks_its_lane_and_no_other(store):
    for subject, lane in (("R1", "a"), ("R2", "a"), ("R3", "b")):
        add(store, subject=subject, lane=lane)
    assert errands.claim(store, 1).subject == "R1"
    assert heads(store) == ["R3"]
    assert errands.claim(store, 1) is None, "leased already"
    assert errands.claim(store, 2) is None, "not its turn"
    assert errands.claim_next(store, "a") is None
    assert errands.claim(store, 3).subject == "R3"


def test_an_errand_that_waits_for_later_holds_its_lane_in_order(store, clock):
    add(store, subject="R1")
    add(store, subject="R2")
    item = errands.claim(store, 1)
    with store.write() as tx:
        errands.again(tx, item, tx.now + dt.timedelta(seconds=30), "busy")
    assert heads(store) == []
    assert errands.claim(store, 2) is None
    clock.advance(seconds=30)
    assert heads(store) == ["R1"]
    assert errands.claim(store, 1).attempts == 2


def test_a_wake_up_that_comes_twice_starts_nothing_else(store):
    """Its body belongs to one errand; the next of the lane must not get it."""
    add(store, subject="R1")
    add(store, subject="R2")
    finish(store, errands.claim(store, 1))
    assert errands.claim(store, 1) is None
    assert errands.claim(store, 2).subject == "R2"


def test_a_wake_up_for_nothing_we_know_is_nothing(store):
    assert errands.claim(store, 4711) is None


def test_a_lease_that_ran_out_is_announced_and_claimed_again(store, clock):
    add(store)
    errands.claim(store, 1)
    clock.advance(seconds=errands.LEASE.total_seconds() - 1)
    assert (heads(store), errands.claim(store, 1)) == ([], None)
    clock.advance(seconds=2)
    assert heads(store) == ["R1"]
    assert errands.claim(store, 1).attempts == 2


def test_at_the_start_of_the_one_process_that_owns_the_data_every_lease_ends(store):
    add(store)
    errands.claim(store, 1)
    errands.release_leases(store)
    assert heads(store) == ["R1"]


def test_a_recurring_errand_comes_back_with_a_clean_slate(store, clock):
    add(store, kind="poll", subject="card")
    for _ in range(3):
        item = errands.claim(store, 1)
        assert item.attempts == 1
        with store.write() as tx:
            errands.again(tx, item, tx.now + dt.timedelta(seconds=60))
        clock.advance(seconds=60)
    assert rows(store)[0].done_at == clock() - dt.timedelta(seconds=60)


def test_what_was_given_up_is_kept_and_frees_its_lane(store):
    add(store, subject="R1")
    add(store, subject="R2")
    with store.write() as tx:
        errands.bury(tx, errands.Errand(1, "notify", "R1", "lane", 10), "an unexpected KeyError")
    assert [row.state for row in rows(store)] == ["dead", "due"]
    assert heads(store) == ["R2"]


def test_the_relay_is_told_of_work_only_after_the_commit(store):
    told = []
    store.on_work = lambda kinds: told.append((*kinds, len(rows(store))))
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        errands.add(tx, "notify", f"R{1 // add_and_fail(tx)}", "lane")
    assert told == []
    add(store)
    assert told == [("notify", 1)]


def test_of_many_workers_exactly_one_gets_the_errand(store):
    add(store)
    got, barrier = [], threading.Barrier(6)

    def work():
        barrier.wait()
        got.append(errands.claim(store, 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(item is not None for item in got) == 1


def test_an_errand_that_is_to_look_again_is_due_now_and_what_it_waited_for_is_over(store, clock):
    later = store.clock() + dt.timedelta(days=9)
    add(store, kind="remind", due=later)
    for _ in range(2):
        with store.write() as tx:
            errands.look_again(tx, "remind", "R1", "lane")
        with store.write() as tx:
            errands.look_again(tx, "remind", "R2", "another")
    found = rows(store)
    assert [(row.subject, row.state) for row in found] == [("R1", "due"), ("R2", "due")]
    assert {row.due_at for row in found} == {row.done_at for row in found} == {store.clock()}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_was_done_is_not_looked_through_for_what_is_open(store):
    plans = []

    def explain(connection, cursor, statement, values, context, many):
        if statement.startswith(("SELECT errand", "UPDATE errand")):
            found = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values[0] if many else values)
            plans.extend(row[3] for row in found if " errand" in row[3])

    add(store)
    event.listen(store.engine, "before_cursor_execute", explain)
    assert heads(store) == ["R1"]
    with store.write() as tx:
        errands.move(tx, "notify", "R1", "lane", tx.now)
        errands.look_again(tx, "notify", "R1", "lane")
        gathering.save(tx, {"A": gathering.Window(tx.now, tx.now)})
        assert list(gathering.load(tx, ["A"])) == ["A"]
    assert errands.claim_next(store, "lane") is not None
    assert len(plans) >= 7
    assert [plan for plan in plans if "INDEX" not in plan and "PRIMARY KEY" not in plan] == []
