"""The relay: what a database says is due is announced, once at a time, as long as it is due. On memory://, for real."""

from __future__ import annotations

import threading
import uuid

import pytest

from chartpost.queues.consumer import Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher, Refused
from chartpost.queues.relay import Announcement, Relay
from chartpost.queues.topology import Topology

URL = "memory://"
GROUPS = ("more", "work")


class Work:
    """A list of due keys that stands for the database, and what arrived."""

    def __init__(self) -> None:
        self.topology = Topology(f"t{uuid.uuid4().hex[:8]}", ("work",))
        self.due: list[str] = []
        self.more: list[str] = []  #: due in the group "more"
        self.looks = 0
        self.confirmed: list[str] = []
        self.arrived: list[str] = []
        self._news = threading.Condition()

    def announcements(self, group: str, limit: int) -> list[Announcement]:
        self.tell(lambda: setattr(self, "looks", self.looks + 1))
        due = self.due[:limit] if group == "work" else self.more[:limit]
        return [Announcement(key, self.envelope(key), lambda key=key: self.confirmed.append(key)) for key in due]

    def envelope(self, key: str) -> Envelope:
        return Envelope(self.topology.errand("work"), key.encode(), "text/plain", {}, key)

    def handle(self, envelope: Envelope) -> None:
        self.tell(lambda: self.arrived.append(envelope.message_id))

    def tell(self, change) -> None:
        with self._news:
            change()
            self._news.notify_all()

    def until(self, look, seconds: float = 5) -> None:
        with self._news:
            assert self._news.wait_for(look, seconds), f"it did not come: {self.arrived}"

    def two_more_looks(self) -> None:
        """Wait until the relay has looked again, from its beginning to its end."""
        seen = self.looks
        self.until(lambda: self.looks >= seen + 2)


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def start(work):
    """Start a relay and a consumer; both end with the test."""
    publisher, ends = Publisher(URL, work.topology), []

    def run(publisher=publisher, **options) -> Relay:
        relay = Relay(publisher, GROUPS, work.announcements, **{"sweep": 0.02, **options})
        consumer = Consumer(URL, work.topology, [work.topology.errand("work")], work.handle)
        consumer.start()
        relay.start()
        ends.extend((relay.stop, consumer.stop))
        return relay

    yield run
    for end in ends:
        end()
    publisher.close()


def test_what_is_due_at_the_start_is_announced_in_its_order_and_confirmed(work, start):
    work.due = ["1", "2", "3"]
    start()
    work.until(lambda: work.arrived == ["1", "2", "3"])
    work.two_more_looks()
    assert work.confirmed == ["1", "2", "3"]


def test_nothing_is_announced_twice_while_somebody_is_at_it(work, start):
    work.due = ["1"]
    start()
    work.until(lambda: work.arrived == ["1"])
    work.two_more_looks()
    assert work.arrived == ["1"]


def test_one_announcement_stands_for_all_the_work_of_a_single_group_and_no_look_is_spent_meanwhile(work, start):
    work.due = ["all of it"]
    relay = start(single=["work"], sweep=60)
    work.until(lambda: work.arrived == ["all of it"])
    work.until(lambda: work.looks == len(GROUPS))
    for _ in range(20):
        relay.wake(["work"])
    relay.wake(["more"])
    work.until(lambda: work.looks == len(GROUPS) + 1)
    relay.returned("work", "all of it")
    work.until(lambda: work.arrived == ["all of it"] * 2)


def test_what_is_still_due_after_somebody_was_woken_for_it_is_announced_again(work, start):
    work.due = ["1"]
    relay = start()
    work.until(lambda: work.arrived == ["1"])
    relay.returned("work", "1")
    work.until(lambda: work.arrived == ["1", "1"])


def test_what_ends_with_the_brokers_confirm_makes_room_for_the_next_at_once(work, start):
    """Of postings that somebody else consumes nobody here reports back: a crowd of them must not wait for patience."""
    work.due = [str(number) for number in range(30)]

    def taken(group, limit):
        work.tell(lambda: setattr(work, "looks", work.looks + 1))
        due = work.due[:limit] if group == "work" else []
        return [Announcement(key, work.envelope(key), lambda key=key: work.due.remove(key), ends=True) for key in due]

    work.announcements = taken
    start(limit=4)
    work.until(lambda: work.arrived == [str(number) for number in range(30)])
    work.two_more_looks()
    assert len(work.arrived) == 30


def test_a_wake_up_that_was_lost_is_made_up_for_after_a_while(work, start):
    work.due = ["1"]
    start(patience=0.05)
    work.until(lambda: len(work.arrived) >= 3)


def test_a_bell_is_answered_at_once_and_not_at_the_next_sweep(work, start):
    relay = start(sweep=60)
    work.due = ["1"]
    relay.wake(["work"])
    work.until(lambda: work.arrived == ["1"])


def test_a_bell_rings_in_vain_while_enough_is_on_its_way(work, start):
    """With `limit` 4 a look is worth its price once two of them are used up."""
    work.due = ["1", "2", "3", "4"]
    relay = start(sweep=60, limit=4)
    work.until(lambda: len(work.arrived) == 4)
    seen = work.looks
    for _ in range(100):
        relay.wake(["work"])
    assert work.looks == seen
    work.due = ["3", "4", "5"]
    for key in ("1", "2"):
        relay.returned("work", key)
    work.until(lambda: work.arrived[4:] == ["5"])


def test_what_waits_in_the_broker_is_bounded_for_each_group_so_that_a_crowd_stops_nobody_else(work, start):
    work.more = [f"text {number}" for number in range(100)]
    start(limit=4)
    work.until(lambda: len(work.arrived) == 4)
    work.due = ["payment"]
    work.until(lambda: "payment" in work.arrived)
    work.two_more_looks()
    assert sorted(work.arrived) == sorted([*work.more[:4], "payment"])


def test_what_the_broker_did_not_take_is_announced_again_and_not_confirmed(work, start):
    class Away(Publisher):
        tries = 0

        def publish(self, envelope):
            self.tries += 1
            if self.tries <= 2:
                raise NotPublished("the broker is away")
            assert work.confirmed == []
            super().publish(envelope)

    work.due = ["1"]
    with Away(URL, work.topology) as publisher:
        start(publisher=publisher)
        work.until(lambda: work.arrived == ["1"])
    assert publisher.tries == 3


@pytest.mark.parametrize("error", [Refused, NotPublished])
def test_what_the_broker_takes_of_nobody_stops_nobody_else(work, start, error):
    """An engine's queue that is full, or gone, is that engine's trouble; a time-out may concern that queue alone."""

    class Full(Publisher):
        def publish(self, envelope):
            if envelope.message_id.startswith("posting"):
                raise error("it is full")
            super().publish(envelope)

    work.more, work.due = ["posting"], ["text"]
    with Full(URL, work.topology) as publisher:
        start(publisher=publisher)
        work.until(lambda: work.arrived == ["text"])
    assert work.confirmed == ["text"]


def test_what_the_broker_refuses_does_not_stop_what_is_due_after_it_in_its_own_group(work, start):
    class Full(Publisher):
        def publish(self, envelope):
            if envelope.message_id == "1":
                raise Refused("it is full")
            super().publish(envelope)

    told: list[str] = []

    def both(group, limit):
        due = ["1", "2"] if group == "work" else []
        return [Announcement(key, work.envelope(key), refused=lambda key=key: told.append(key)) for key in due]

    work.announcements = both
    with Full(URL, work.topology) as publisher:
        start(publisher=publisher)
        work.until(lambda: work.arrived == ["2"])
    assert set(told) == {"1"}


def test_a_database_that_is_away_for_a_moment_stops_nothing(work, start):
    looking = work.announcements

    def away(group, limit):
        work.announcements = looking
        work.tell(lambda: setattr(work, "looks", work.looks + 1))
        raise OSError("the database is away")

    relay = Relay(Publisher(URL, work.topology), ["work"], lambda *asked: work.announcements(*asked), sweep=0.02)
    work.announcements = away
    work.due = ["1"]
    relay.start()
    try:
        work.until(lambda: work.looks >= 3)
    finally:
        relay.stop()
    assert work.confirmed == ["1"]


def test_stopping_is_quick_and_may_be_asked_before_the_start(work):
    Relay(Publisher(URL, work.topology), GROUPS, work.announcements).stop()
    relay = Relay(Publisher(URL, work.topology), GROUPS, work.announcements, sweep=60)
    relay.start()
    relay.stop()
    assert work.looks <= len(GROUPS)
