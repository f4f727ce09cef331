"""gather: one request for a visit's charges, some hours after the last of them; nobody is asked before."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.flow.asking import gather
from chartpost.adapter.ledger import errands, tables
from chartpost.adapter.ledger.store import Store

HOURS = 4


def gathering(bench: Workbench, hours: int | None = HOURS) -> Workbench:
    """Let the facility gather charges for so many hours, as after a restart."""
    kept = bench.flow.settings
    clinic = kept.facilities["lakeside"].model_copy(update={"gather_hours": hours})
    bench.use(kept.model_copy(update={"facilities": {"lakeside": clinic}}))
    return bench


@pytest.fixture
def waiting(bench):
    return gathering(bench)


def charge(code: str = "A", amount: str = "40.00", kind: str = "CG", account: str = "A-1") -> bytes:
    return dft(line(kind, amount, code), account=account)


def asked(bench: Workbench) -> list[tuple[str, int]]:
    return [(row.state, row.asked) for row in bench.rows(tables.request)]


def due(bench: Workbench) -> list[dt.timedelta]:
    """Return when charges will be asked for, counted from the beginning of the test."""
    return [row.due_at - MAY for row in bench.rows(tables.errand, kind="gather", state="due")]


def test_nobody_is_asked_until_no_charge_has_come_for_the_hours_of_the_facility(waiting):
    row = waiting.take(charge())
    assert row.reason.endswith("to be asked for from 2026-05-04 19:00 UTC")
    waiting.clock.advance(hours=3)
    assert (waiting.work(), asked(waiting), waiting.rows(tables.notice)) == ([], [], [])
    waiting.clock.advance(hours=1)
    assert waiting.work("gather") == ["gather"]
    assert asked(waiting) == [("open", 4000)]
    assert [row.state for row in waiting.rows(tables.notice)] == ["due"]


def test_each_new_charge_begins_the_hours_anew_and_all_are_asked_for_at_once(waiting):
    waiting.take(charge("A"))
    waiting.clock.advance(hours=3)
    waiting.take(charge("B"))
    assert due(waiting) == [dt.timedelta(hours=7)]
    waiting.clock.advance(hours=4)
    waiting.work("gather")
    assert (asked(waiting), len(waiting.rows(tables.notice))) == ([("open", 8000)], 1)


def test_it_never_waits_longer_than_three_times_the_hours_after_the_first_charge(waiting):
    for number in range(8):
        waiting.take(charge(f"C{number}"))
        assert all(one <= dt.timedelta(hours=3 * HOURS) for one in due(waiting))
        waiting.clock.advance(hours=2)
        waiting.work("gather")
    assert len(waiting.rows(tables.request)) == 1
    assert waiting.request().opened_at - MAY == dt.timedelta(hours=3 * HOURS)


def test_a_credit_lowers_what_will_be_asked_for_and_does_not_push_it_back(waiting):
    waiting.take(charge("A"), charge("B"))
    waiting.clock.advance(hours=2)
    waiting.take(charge("B", kind="CD"))
    assert due(waiting) == [dt.timedelta(hours=HOURS)]
    waiting.clock.advance(hours=2)
    waiting.work("gather")
    assert asked(waiting) == [("open", 4000)]


def test_what_is_settled_meanwhile_is_never_asked_for(waiting):
    waiting.take(charge("A"))
    waiting.take(charge("A", kind="CD"))
    waiting.clock.advance(hours=HOURS)
    waiting.work("gather")
    assert (asked(waiting), waiting.rows(tables.notice)) == ([], [])


def test_a_charge_after_everything_was_settled_is_a_first_one_again(waiting):
    waiting.take(charge("A"))
    waiting.clock.advance(hours=1)
    waiting.take(charge("A", kind="CD"))
    waiting.clock.advance(hours=2)
    waiting.take(charge("B"))
    assert due(waiting) == [dt.timedelta(hours=7)]
    assert waiting.one(tables.errand, kind="gather").created_at - MAY == dt.timedelta(hours=3)


def test_an_open_request_follows_at_once_as_without_gathering(waiting):
    waiting.take(charge("A"))
    waiting.clock.advance(hours=HOURS)
    waiting.work("gather")
    waiting.take(charge("B"))
    assert (asked(waiting), due(waiting)) == ([("open", 8000)], [])


def test_a_charge_that_comes_while_the_errand_is_being_worked_still_pushes_it_back(waiting):
    waiting.take(charge("A"))
    waiting.clock.advance(hours=HOURS)
    (found,) = waiting.due("gather")
    claimed = errands.claim(waiting.store, int(found.key))
    assert claimed is not None
    waiting.take(charge("B"))
    gather.run(waiting.flow, claimed)
    assert (asked(waiting), due(waiting)) == ([], [dt.timedelta(hours=2 * HOURS)])


def test_gathering_that_was_switched_off_asks_with_the_next_message_and_not_twice(waiting):
    waiting.take(charge("A"))
    gathering(waiting, None)
    waiting.take(charge("B"))
    assert asked(waiting) == [("open", 8000)]
    waiting.clock.advance(hours=HOURS)
    waiting.work("gather")
    assert (asked(waiting), len(waiting.rows(tables.notice))) == ([("open", 8000)], 1)


def test_what_waits_to_be_asked_for_takes_room_in_the_hour_of_the_guard(waiting):
    source = waiting.flow.source("all")
    limited = source.model_copy(update={"guard": source.guard.model_copy(update={"requests_an_hour": 2})})
    kept = waiting.flow.settings
    waiting.use(kept.model_copy(update={"sources": kept.sources | {"all": limited}}))
    waiting.take(*(charge(account=f"A-{number}") for number in range(4)))
    assert waiting.holds() == ["too_many_requests", "too_many_requests"]
    assert waiting.take(charge("B", account="A-0")).state == "translated"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["CG", "CG", "CD", "PY"]), st.sampled_from(["10.00", "25.00"]), st.sampled_from("XYZ"),
        st.integers(0, 7),
    ),
    max_size=5,
)  # fmt: skip


@given(steps=STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_comes_in_whatever_hour_in_the_end_exactly_what_is_owed_is_asked_for(migrated, steps):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chartpost.db"
        shutil.copy(migrated, path)
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def _fast(connection, _):
            connection.execute("PRAGMA synchronous=OFF")

        bench = gathering(Workbench(store, clock, configuration()))
        try:
            last = MAY
            for kind, amount, code, hours in steps:
                before = len(bench.rows(tables.entry))
                bench.take(charge(code, amount, kind))
                if any(row.amount > 0 for row in bench.rows(tables.entry)[before:]):
                    last = clock()
                asks = bench.rows(tables.request)
                clock.advance(hours=hours)
                bench.work("gather")
                if len(bench.rows(tables.request)) > len(asks):
                    assert clock() >= last + dt.timedelta(hours=HOURS), "not before the hours are over"
                bench.check()
            clock.advance(hours=3 * HOURS)
            bench.work("gather")
            bench.check()
            for account in bench.rows(tables.account):
                open_now = bench.rows(tables.request, account_id=account.id, state="open")
                assert [row.asked for row in open_now] == ([account.balance] if account.balance > 0 else [])
            assert bench.rows(tables.errand, kind="gather", state="due") == []
        finally:
            bench.close()
            store.close()
