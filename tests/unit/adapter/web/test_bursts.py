"""Bursts of wrong links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chartpost.adapter.web.bursts import Bursts


def test_a_burst_is_refused_and_patience_is_rewarded(clock: Any) -> None:
    bursts = Bursts(burst=3, seconds=2, clock=clock)
    assert [bursts.too_many("192.0.2.1") for _ in range(5)] == [False, False, False, True, True]
    clock.now += 2
    assert [bursts.too_many("192.0.2.1") for _ in range(2)] == [False, True]
    clock.now += 600
    assert [bursts.too_many("192.0.2.1") for _ in range(4)] == [False, False, False, True]


def test_addresses_do_not_answer_for_one_another(clock: Callable[[], float]) -> None:
    bursts = Bursts(burst=1, clock=clock)
    assert not bursts.too_many("192.0.2.1")
    assert bursts.too_many("192.0.2.1")
    assert not bursts.too_many("192.0.2.2")


def test_a_whole_ipv6_network_counts_as_one_address(clock: Callable[[], float]) -> None:
    bursts = Bursts(burst=1, clock=clock)
    assert not bursts.too_many("2001:db8::1")
    assert bursts.too_many("2001:db8::ffff")
    assert not bursts.too_many("2001:db8:0:1::1")


def test_memory_stays_bounded_however_many_addresses_come(clock: Callable[[], float]) -> None:
    bursts = Bursts(addresses=100, clock=clock)
    for number in range(1000):
        bursts.too_many(f"192.0.{number // 250}.{number % 250}")
    assert len(bursts) == 100
    assert not bursts.too_many("not an address at all" * 100)
