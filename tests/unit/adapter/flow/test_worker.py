"""Workers: whatever an errand does, its row says the truth afterwards, and a lane goes on."""

from __future__ import annotations

import pytest
from workbench import dft, line

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow import ERRANDS, worker
from chartpost.adapter.ledger import errands, tables
from chartpost.queues.envelope import Envelope


class Broken:
    """A step that fails as it is told."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, flow, errand, body):
        self.calls += 1
        raise self.error


@pytest.fixture
def step(monkeypatch):
    def put(error):
        made = Broken(error)
        monkeypatch.setitem(ERRANDS, "expire", made)
        return made

    return put


def ask(bench, subject="C1", lane="lane"):
    with bench.store.write() as tx:
        errands.add(tx, "expire", subject, lane)


def test_an_unexpected_failure_is_tried_ten_times_then_given_up_with_a_hold(bench, step):
    broken = step(KeyError("Canary"))
    ask(bench)
    for _ in range(15):
        bench.work()
        bench.clock.advance(minutes=2)
    row = bench.one(tables.errand)
    assert (broken.calls, row.state, bench.holds()) == (worker.TRIES, "dead", ["gave_up"])
    hold = bench.one(tables.hold)
    assert hold.object == f"errand:{row.id}"
    assert "KeyError" in hold.text
    assert "Canary" not in hold.text + row.error, "an exception may quote a patient"


def test_a_transient_failure_is_tried_for_ever_ever_more_slowly(bench, step):
    broken = step(Transient("the provider is away"))
    ask(bench)
    waits = []
    for _ in range(20):
        bench.work()
        row = bench.one(tables.errand)
        waits.append((row.due_at - bench.clock()).total_seconds())
        bench.clock.advance(seconds=waits[-1])
    assert (broken.calls, row.state, bench.holds()) == (20, "due", [])
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert max(waits) == 60


def test_a_failing_errand_blocks_its_own_lane_only(bench, step):
    step(KeyError())
    ask(bench, "C1", "a")
    ask(bench, "C2", "a")
    ask(bench, "C3", "b")
    bench.work()
    assert [row.attempts for row in bench.rows(tables.errand)] == [1, 0, 1]


def test_one_wake_up_works_a_lane_off_in_order(bench, monkeypatch):
    seen = []

    def done(flow, errand, body):
        seen.append(errand.subject)
        with flow.store.write() as tx:
            errands.done(tx, errand)

    monkeypatch.setitem(ERRANDS, "expire", done)
    for subject in ("C1", "C2", "C3"):
        ask(bench, subject)
    (found,) = bench.due("expire")
    bench.hands.errand(found.envelope)
    assert seen == ["C1", "C2", "C3"]


@pytest.mark.parametrize("headers", [{}, {"errand": ""}, {"errand": "4711"}, {"errand": "x"}, {"kind": "notify"}])
def test_a_delivery_that_makes_no_sense_does_nothing_and_never_raises(bench, headers):
    bench.hands.errand(Envelope("chartpost.errand.notify", b"", "text/plain", headers, "m"))
    assert bench.rows(tables.errand) == []


def test_all_stored_messages_need_one_wake_up(bench):
    bench.receive(*(dft(line("CG", "1.00", f"X{n}")) for n in range(30)))
    (found,) = bench.due("translate")
    assert found.key == "translate"
    bench.hands.translate(found.envelope)
    assert {row.state for row in bench.rows(tables.message)} == {"translated"}
    assert bench.due("translate") == []
    assert [found.envelope.routing_key for found in bench.due("notify")] == ["chartpost.errand.notify"]


def test_every_kind_of_errand_has_its_queue(bench):
    for kind in ERRANDS:
        assert bench.queues.errand(kind) in bench.queues.names
