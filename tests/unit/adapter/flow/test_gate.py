"""The gate, told with a clock of our own."""

from __future__ import annotations

import threading

from chartpost.adapter.flow.gate import BUSY, PATIENCE, QUEUEING, SLICE, Gate


class World:
    """Time that passes only where somebody waits, and a sender that is at the door while it does."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gate = Gate(clock=lambda: self.now)
        self.queue_until = 0.0
        self.stopped_at = float("inf")

    def is_set(self) -> bool:
        return self.now >= self.stopped_at

    def wait(self, timeout: float) -> bool:
        assert 0 < timeout <= PATIENCE
        end = self.now + timeout
        while self.now < end:
            self.now = min(self.now + 0.001, end)
            if self.now < self.queue_until:
                self.gate.frame_after(0.0005)
        return self.is_set()

    def held(self) -> float:
        """Let a worker wait, and return for how long it was held."""
        before = self.now
        self.gate.wait(self)
        return self.now - before


def test_with_nobody_at_the_door_the_worker_works_at_once():
    assert World().held() == 0


def test_a_frame_right_after_an_ack_holds_the_worker_for_twenty_milliseconds():
    world = World()
    world.gate.frame_after(QUEUEING * 0.9)
    assert world.gate.busy
    assert abs(world.held() - BUSY) < 0.002
    assert not world.gate.busy


def test_a_sender_that_took_its_time_has_no_queue_and_holds_nobody():
    world = World()
    for _ in range(300):
        world.gate.frame_after(0.0033)  # a steady 300 a second
        assert world.held() == 0


def test_a_burst_holds_the_worker_until_it_is_over():
    world = World()
    world.queue_until = world.now + 0.2
    world.gate.frame_after(0.0001)
    assert abs(world.held() - (0.2 + BUSY)) < 0.003


def test_after_450_ms_of_holding_the_worker_gets_50_ms_and_then_is_held_again():
    world = World()
    world.queue_until = world.now + 10
    world.gate.frame_after(0.0001)
    assert abs(world.held() - PATIENCE) < 0.003
    started = world.now
    while world.held() == 0:  # batch after batch, within its slice
        world.now += 0.005
        world.gate.frame_after(0.0001)
    assert world.now - started > SLICE + PATIENCE - 0.003


def test_holding_that_was_interrupted_begins_anew():
    world = World()
    world.gate.frame_after(0.0001)
    world.held()
    world.queue_until = world.now + 10
    world.gate.frame_after(0.0001)
    assert abs(world.held() - PATIENCE) < 0.003


def test_a_worker_that_is_told_to_stop_does_not_wait_for_the_door():
    world = World()
    world.queue_until = world.now + 10
    world.gate.frame_after(0.0001)
    world.stopped_at = world.now + 0.030
    assert world.held() < 0.055


def test_a_real_worker_is_let_through_by_a_real_clock():
    gate = Gate()
    gate.frame_after(0.0)
    gate.wait(threading.Event())
    assert not gate.busy
