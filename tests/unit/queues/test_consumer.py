"""What is published is handled once, in order, and what cannot be handled is kept."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from uuid import uuid4

import kombu
import pytest

from chartpost.queues.consumer import DEAD_ORIGIN, DEAD_REASON, Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher, Unroutable
from chartpost.queues.topology import Topology

URL = "memory://"
LATIN_1 = "MSH|^~\\&|Müller\r".encode("latin-1")


@pytest.fixture
def topology() -> Topology:
    return Topology(f"t{uuid4().hex[:8]}", ("translate", "notify"), (("chart", "hl7v2"),))


@pytest.fixture
def publisher(topology: Topology) -> Iterator[Publisher]:
    with Publisher(URL, topology) as publisher:
        yield publisher


class Inbox:
    """A handler that keeps what it gets, and refuses what says so."""

    def __init__(self) -> None:
        self.arrived: queue.Queue[Envelope] = queue.Queue()

    def __call__(self, envelope: Envelope) -> None:
        self.arrived.put(envelope)
        if envelope.body.startswith(b"bad"):
            raise KeyError("Ada Example, born 1990")

    def take(self, count: int = 1) -> list[Envelope]:
        return [self.arrived.get(timeout=10) for _ in range(count)]


@pytest.fixture
def consume(topology: Topology) -> Iterator[object]:
    consumers: list[Consumer] = []

    def start(*queues: str) -> Inbox:
        inbox = Inbox()
        consumer = Consumer(URL, topology, queues, inbox)
        consumers.append(consumer)
        consumer.start()
        return inbox

    yield start
    for consumer in consumers:
        consumer.stop()


def test_an_envelope_arrives_as_it_was_sent_whatever_bytes_it_holds(topology, publisher, consume) -> None:
    sent = Envelope(
        topology.posting("chart", "hl7v2"), LATIN_1, "application/hl7-v2", {"kind": "payment"}, "id-1", "C1"
    )
    publisher.publish(sent)
    assert consume(sent.routing_key).take() == [sent]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-python-serialize", "odd/odd"])
def test_a_body_is_never_deserialised_even_where_kombu_could(topology, publisher, consume, content_type) -> None:
    sent = Envelope(topology.errand("notify"), b"\x80\x04not what it says", content_type, {}, "id-1")
    publisher.publish(sent)
    assert consume(sent.routing_key).take() == [sent]


def test_what_a_stranger_published_without_any_property_arrives_too(topology, publisher, consume) -> None:
    publisher.publish(Envelope(topology.errand("notify"), b"first", "text/plain"))  # declares
    with kombu.Connection(URL) as connection:
        connection.Producer().publish(
            "{}", exchange=topology.exchange, routing_key=topology.errand("notify"), headers={"compression": "gone"}
        )
    first, strange = consume(topology.errand("notify")).take(2)
    assert first.body == b"first"
    assert (strange.body, strange.message_id) == (b"{}", "")


def test_messages_of_one_queue_keep_their_order(topology, publisher, consume) -> None:
    key = topology.errand("translate")
    for number in range(200):
        publisher.publish(Envelope(key, b"%d" % number, "text/plain"))
    assert [int(e.body) for e in consume(key).take(200)] == list(range(200))


def test_what_the_handler_refuses_goes_to_the_dead_queue_with_the_reason_and_not_round_again(
    topology, publisher, consume, caplog
) -> None:
    key = topology.errand("translate")
    dead = consume(topology.dead)
    inbox = consume(key)
    with caplog.at_level(logging.DEBUG):
        publisher.publish(Envelope(key, b"bad", "text/plain", {"lane": "7"}, "id-9", "C9"))
        publisher.publish(Envelope(key, b"good", "text/plain"))
        assert [e.body for e in inbox.take(2)] == [b"bad", b"good"]
        [buried] = dead.take()
    assert buried.body == b"bad"
    assert buried.headers == {"lane": "7", DEAD_REASON: "KeyError", DEAD_ORIGIN: key}
    assert (buried.message_id, buried.correlation_id) == ("id-9", "C9")
    assert inbox.arrived.empty()
    assert "Ada" not in caplog.text


def test_several_consumers_share_one_queue_and_each_message_is_handled_once(topology, publisher, consume) -> None:
    key = topology.errand("translate")
    one, two = consume(key), consume(key)
    for number in range(100):
        publisher.publish(Envelope(key, b"%d" % number, "text/plain"))
    publisher.publish(Envelope(topology.dead, b"", "text/plain"))
    consume(topology.dead).take()  # both had their turn by now, or will have it
    bodies = set()
    while len(bodies) < 100:
        for inbox in (one, two):
            while not inbox.arrived.empty():
                body = inbox.arrived.get().body
                assert body not in bodies
                bodies.add(body)


def test_stop_lets_the_message_in_hand_finish_and_leaves_the_others_in_the_queue(topology, publisher, consume) -> None:
    key = topology.errand("translate")
    begun, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def handle(envelope: Envelope) -> None:
        begun.set()
        assert go_on.wait(10)
        finished.set()

    consumer = Consumer(URL, topology, [key], handle)
    consumer.start()
    for body in (b"in hand", b"waiting"):
        publisher.publish(Envelope(key, body, "text/plain"))
    assert begun.wait(10)
    stopper = threading.Thread(target=consumer.stop)
    stopper.start()
    go_on.set()
    stopper.join(10)
    assert finished.is_set()
    assert [e.body for e in consume(key).take()] == [b"waiting"]


def test_an_address_without_a_queue_is_not_published(topology, publisher) -> None:
    with pytest.raises(NotPublished, match=r"posting\.elsewhere"):
        publisher.publish(Envelope("posting.elsewhere.hl7v2", b"", "text/plain"))


def test_a_broker_that_is_not_there_is_not_published_and_its_password_not_told(topology, unused_port) -> None:
    publisher = Publisher(f"amqp://user:s3cret@127.0.0.1:{unused_port}//", topology)
    with pytest.raises(NotPublished) as refused:
        publisher.publish(Envelope(topology.dead, b"", "text/plain"))
    assert "s3cret" not in str(refused.value)


def test_a_consumer_waits_for_a_broker_that_is_not_there_and_can_be_stopped(topology, unused_port, caplog) -> None:
    consumer = Consumer(f"amqp://user:s3cret@127.0.0.1:{unused_port}//", topology, [topology.dead], Inbox())
    consumer.start()
    consumer.stop()
    assert "s3cret" not in caplog.text


def test_many_threads_may_publish_through_one_publisher(topology, publisher, consume) -> None:
    key = topology.errand("notify")

    def publish(thread: int) -> None:
        for number in range(25):
            publisher.publish(Envelope(key, b"%d/%d" % (thread, number), "text/plain"))

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({e.body for e in consume(key).take(100)}) == 100


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_a_consumer_asks_before_each_look_and_does_not_read_while_it_is_held_up(
    topology: Topology, publisher: Publisher
) -> None:
    inbox, asked, go = Inbox(), threading.Event(), threading.Event()

    def before() -> None:
        asked.set()
        go.wait(10)

    consumer = Consumer(URL, topology, [topology.errand("notify")], inbox, before=before)
    consumer.start()
    try:
        assert asked.wait(10)
        publisher.publish(Envelope(topology.errand("notify"), b"1", "text/plain"))
        assert inbox.arrived.empty()
        go.set()
        assert inbox.take()[0].body == b"1"
    finally:
        go.set()
        consumer.stop()


class Later(Exception):
    """What a handler raises that cannot now."""


def test_a_message_that_has_to_wait_is_handed_over_again_and_those_behind_it_wait_too(topology, publisher) -> None:
    key, seen, dead = topology.errand("notify"), queue.Queue[Envelope](), Inbox()
    for body in (b"1", b"2", b"3"):
        publisher.publish(Envelope(key, body, "text/plain"))
    tries = iter([True, True, False, False, False])

    def handle(envelope: Envelope) -> None:
        seen.put(envelope)
        if next(tries):
            raise Later

    consumer = Consumer(URL, topology, [key], handle, later=(Later,))
    undertaker = Consumer(URL, topology, [topology.dead], dead)
    consumer.start()
    undertaker.start()
    try:
        arrived = [seen.get(timeout=10) for _ in range(5)]
    finally:
        consumer.stop()
        undertaker.stop()
    assert [envelope.body for envelope in arrived] == [b"1", b"1", b"1", b"2", b"3"]
    assert arrived[0] is arrived[2], "the very same object: a handler may know how far it came"
    assert dead.arrived.empty()


def test_a_message_that_still_waits_when_the_consumer_stops_stays_in_the_queue(topology, publisher, consume) -> None:
    key, tried = topology.errand("notify"), threading.Event()

    def handle(envelope: Envelope) -> None:
        tried.set()
        raise Later

    consumer = Consumer(URL, topology, [key], handle, later=(Later,))
    consumer.start()
    publisher.publish(Envelope(key, b"1", "text/plain", {}, "id-1"))
    assert tried.wait(10)
    consumer.stop()
    assert [envelope.body for envelope in consume(key).take()] == [b"1"]


def test_an_answer_goes_to_the_queue_that_the_message_named(topology, publisher, consume) -> None:
    mailbox = f"answers-{uuid4().hex[:8]}"
    publisher.publish(Envelope(topology.errand("notify"), b"?", "text/plain", {}, "m1", "c1", mailbox))
    [asked] = consume(topology.errand("notify")).take()
    assert asked.reply_to == mailbox
    publisher.reply(Envelope(asked.reply_to, b"!", "text/plain", correlation_id=asked.correlation_id))
    with kombu.Connection(URL) as connection, connection.SimpleQueue(mailbox) as answers:
        answer = answers.get(timeout=10)
    assert (bytes(answer.body), answer.properties["correlation_id"]) == (b"!", "c1")


def test_an_answer_never_goes_to_a_queue_of_our_own(topology, publisher) -> None:
    """Whoever may publish a charge could otherwise have a posting answered, or an errand woken, by us."""
    for name in topology.names:
        with pytest.raises(Unroutable):
            publisher.reply(Envelope(name, b"MSH", "application/hl7-v2"))
