"""The promises of queues/ on the real broker: confirmed, redelivered, dead-lettered, in order."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import kombu
import pytest
import services

from chartpost.queues.consumer import DEAD_REASON, Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher, Refused, Unroutable, connect
from chartpost.queues.topology import DELIVERY_LIMIT, Topology

pytestmark = pytest.mark.rabbitmq

HOST, PORT = services.RABBITMQ
URL = f"amqp://guest:guest@{HOST}:{PORT}//"


@pytest.fixture(scope="module", autouse=True)
def broker() -> None:
    services.require("RabbitMQ", services.RABBITMQ)


@pytest.fixture
def topology() -> Iterator[Topology]:
    name = f"t{uuid4().hex[:10]}"
    topology = Topology(name, ("translate",), ((name, "hl7v2"),))
    yield topology
    with connect(URL) as connection, connection.channel() as channel:
        for queue_name in topology.names:
            channel.queue_delete(queue_name)
        for exchange in (topology.exchange, topology.dead):
            channel.exchange_delete(exchange)


class Wire:
    """A TCP relay before the broker that a test can cut, or make swallow everything."""

    def __init__(self) -> None:
        self._door = socket.create_server((HOST, 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.deaf = False
        self._lost: set[socket.socket] = set()
        self.url = f"amqp://guest:guest@{HOST}:{self._door.getsockname()[1]}//"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection((HOST, PORT))
                self._pairs.append((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.deaf and source not in self._lost:
                    sink.sendall(data)

    def lose(self) -> None:
        """Swallow from now on what the connections of this moment carry; later ones are well."""
        self._lost.update(*self._pairs)

    def cut(self) -> None:
        while self._pairs:
            for end in self._pairs.pop():
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        self._door.close()
        self.cut()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


class Reader:
    def __init__(self, topology: Topology, key: str, url: str = URL) -> None:
        self.arrived: queue.Queue[Envelope] = queue.Queue()
        self.consumer = Consumer(url, topology, [key], self.handle)

    def handle(self, envelope: Envelope) -> None:
        self.arrived.put(envelope)

    def take(self, count: int) -> list[Envelope]:
        return [self.arrived.get(timeout=20) for _ in range(count)]

    def __enter__(self) -> Reader:
        self.consumer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.stop()


def depth(queue_name: str) -> int:
    with connect(URL) as connection, connection.channel() as channel:
        return int(channel.queue_declare(queue_name, passive=True).message_count)


def fill(publisher: Publisher, key: str) -> None:
    for _ in range(50):  # a quorum queue counts a little late
        publisher.publish(Envelope(key, b"1", "text/plain"))


def test_messages_arrive_byte_for_byte_in_the_order_of_one_queue(topology: Topology) -> None:
    key = topology.posting(topology.prefix, "hl7v2")
    sent = [
        Envelope(key, f"MSH|Müller {n}\r".encode("latin-1"), "application/hl7-v2", {"n": str(n)}, f"m{n}", f"c{n}")
        for n in range(50)
    ]
    with Publisher(URL, topology) as publisher:
        for envelope in sent:
            publisher.publish(envelope)
    with Reader(topology, key) as reader:
        assert reader.take(50) == sent


def test_published_means_that_the_queue_has_it(topology: Topology) -> None:
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(topology.errand("translate"), b"7", "text/plain"))
        assert depth(topology.errand("translate")) == 1


def test_a_message_that_no_queue_takes_is_not_published_though_the_broker_confirms_it(topology: Topology) -> None:
    key = topology.errand("translate")
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(key, b"1", "text/plain"))
        with connect(URL) as connection, connection.channel() as channel:
            channel.queue_unbind(key, topology.exchange, key)
        with pytest.raises(NotPublished, match="no queue is bound"):
            publisher.publish(Envelope(key, b"2", "text/plain"))
        publisher.publish(Envelope(topology.dead, b"3", "text/plain"))  # the next one is not blamed
    assert depth(key) == 1


def test_a_queue_that_somebody_deleted_is_there_again_for_the_next_try(topology: Topology) -> None:
    """An engine's queue: nobody here reads it, so nobody else would notice."""
    key = topology.posting(topology.prefix, "hl7v2")
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(key, b"1", "application/hl7-v2"))
        with connect(URL) as connection, connection.channel() as channel:
            channel.queue_delete(key)
        with pytest.raises(Unroutable):
            publisher.publish(Envelope(key, b"2", "application/hl7-v2"))
        publisher.publish(Envelope(key, b"2", "application/hl7-v2"))
    assert depth(key) == 1


def test_a_queue_that_is_full_refuses_and_is_not_taken_for_a_broker_that_is_away(topology: Topology) -> None:
    key = topology.errand("translate")
    with services.rabbitmq_vhost() as url, Publisher(url, topology) as publisher:
        vhost = url.rpartition("/")[2]
        assert services.rabbitmqctl("set_policy", "-p", vhost, "short", ".*translate", '{"max-length": 1}')
        with pytest.raises(Refused, match="does not take"):
            fill(publisher, key)
        publisher.publish(Envelope(topology.dead, b"2", "text/plain"))


def test_a_connection_lost_since_the_last_publish_is_made_anew(topology: Topology, wire: Wire) -> None:
    key = topology.errand("translate")
    with Publisher(wire.url, topology) as publisher:
        publisher.publish(Envelope(key, b"1", "text/plain"))
        wire.cut()
        publisher.publish(Envelope(key, b"2", "text/plain"))
    with Reader(topology, key) as reader:
        assert [e.body for e in reader.take(2)] == [b"1", b"2"]


def test_a_broker_that_falls_silent_is_not_published(topology: Topology, wire: Wire) -> None:
    key = topology.errand("translate")
    with Publisher(wire.url, topology, confirm_timeout=0.3) as publisher:
        publisher.publish(Envelope(key, b"1", "text/plain"))
        wire.deaf = True
        with pytest.raises(NotPublished, match="in time"):
            publisher.publish(Envelope(key, b"2", "text/plain"))
        wire.deaf = False
        publisher.publish(Envelope(key, b"3", "text/plain"))
    with Reader(topology, key) as reader:
        assert [e.body for e in reader.take(2)] == [b"1", b"3"]


def test_a_message_whose_connection_dies_in_the_handler_comes_again(topology: Topology, wire: Wire) -> None:
    key = topology.errand("translate")
    with Publisher(URL, topology) as publisher:
        for body in (b"1", b"2"):
            publisher.publish(Envelope(key, body, "text/plain"))
    reader = Reader(topology, key, wire.url)
    bodies: list[bytes] = []
    done = threading.Event()

    def handle(envelope: Envelope) -> None:
        bodies.append(envelope.body)
        if len(bodies) == 1:
            wire.cut()
        if bodies.count(b"1") == 2 and envelope.body == b"2":
            done.set()

    reader.consumer = Consumer(wire.url, topology, [key], handle)
    with reader:
        assert done.wait(20)
    assert bodies[-2:] == [b"1", b"2"]  # in order again; how much was read before the cut is TCP's affair
    assert depth(key) == 0


def test_what_the_handler_refuses_lies_in_the_dead_queue(topology: Topology) -> None:
    key = topology.errand("translate")
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(key, b"bad", "text/plain", {}, "id-1"))

    def refuse(envelope: Envelope) -> None:
        raise ArithmeticError

    with Reader(topology, topology.dead) as dead:
        reader = Reader(topology, key)
        reader.consumer = Consumer(URL, topology, [key], refuse)
        with reader:
            [buried] = dead.take(1)
    assert (buried.body, buried.message_id, buried.headers[DEAD_REASON]) == (b"bad", "id-1", "ArithmeticError")
    assert depth(key) == 0


def test_a_message_that_kills_its_reader_again_and_again_ends_in_the_dead_queue(topology: Topology) -> None:
    key = topology.errand("translate")
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(key, b"deadly", "text/plain", {}, "id-1"))
    with connect(URL) as connection, connection.channel() as channel, Reader(topology, topology.dead) as dead:
        [described] = topology.queues([key], connection)
        bound = described(channel)
        returned = 0
        while dead.arrived.empty() and returned <= DELIVERY_LIMIT + 1:
            if (message := bound.get()) is not None:
                message.requeue()
                returned += 1
        [buried] = dead.take(1)
    assert (buried.body, buried.message_id) == (b"deadly", "id-1")
    assert returned >= DELIVERY_LIMIT


def test_a_broker_that_falls_silent_is_noticed_by_its_missing_heartbeats(topology: Topology, wire: Wire) -> None:
    key = topology.errand("translate")
    reader = Reader(topology, key)
    reader.consumer = Consumer(wire.url, topology, [key], reader.handle, heartbeat=1)
    with Publisher(URL, topology) as publisher, reader:
        publisher.publish(Envelope(key, b"1", "text/plain"))
        reader.take(1)
        wire.lose()
        publisher.publish(Envelope(key, b"2", "text/plain"))
        while reader.take(1)[0].body != b"2":  # the acknowledgement of 1 may have been lost, too
            pass


def test_readers_and_publishers_survive_a_broker_that_closes_every_connection() -> None:
    topology = Topology("t", ("translate",))
    key = topology.errand("translate")
    with services.rabbitmq_vhost() as url, Publisher(url, topology) as publisher:
        publisher.publish(Envelope(key, b"1", "text/plain"))
        reader = Reader(topology, key, url)
        with reader:
            reader.take(1)
            assert services.rabbitmqctl("close_all_connections", "--vhost", url.rpartition("/")[2], "by a test")
            publisher.publish(Envelope(key, b"2", "text/plain"))
            assert b"2" in [envelope.body for envelope in reader.take(1)]


def test_an_asker_without_a_queue_of_its_own_is_answered_directly(topology: Topology) -> None:
    """RabbitMQ's direct reply-to: the usual way to ask and wait."""
    key = topology.errand("translate")
    with Reader(topology, key) as reader, Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(topology.dead, b"", "text/plain"))  # declares
        answers: queue.Queue[kombu.Message] = queue.Queue()
        with kombu.Connection(URL) as connection:
            channel = connection.channel()
            direct = kombu.Queue("amq.rabbitmq.reply-to", no_declare=True, channel=channel)
            with kombu.Consumer(channel, [direct], on_message=answers.put, no_ack=True, auto_declare=False):
                kombu.Producer(channel).publish(
                    b"?", exchange=topology.exchange, routing_key=key, reply_to="amq.rabbitmq.reply-to",
                    correlation_id="c1", retry=False,
                )  # fmt: skip
                [asked] = reader.take(1)
                publisher.reply(Envelope(asked.reply_to, b"!", "text/plain", correlation_id=asked.correlation_id))
                connection.drain_events(timeout=10)
                answer = answers.get_nowait()
        assert (bytes(answer.body), answer.properties["correlation_id"]) == (b"!", "c1")
        publisher.reply(Envelope(asked.reply_to, b"too late", "text/plain"))


def test_an_answer_to_a_queue_that_is_gone_is_unroutable_and_the_next_one_is_not(topology: Topology) -> None:
    with Publisher(URL, topology) as publisher, pytest.raises(Unroutable):
        publisher.reply(Envelope(f"gone-{topology.prefix}", b"!", "text/plain"))
    with Publisher(URL, topology) as publisher:
        publisher.publish(Envelope(topology.dead, b"", "text/plain"))
