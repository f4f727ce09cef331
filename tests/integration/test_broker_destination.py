"""Postings that an engine takes from the broker itself: relay, queue, engine and receipts, embedded and on RabbitMQ."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import services
from feeds import Collector
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow import worker
from chartpost.adapter.flow.posting import receipt
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Destination
from chartpost.queues.consumer import DEAD_REASON, Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import Publisher
from chartpost.queues.relay import Relay

EMBEDDED = pytest.param("sqlite", "memory", id="sqlite-memory")
SERVERS = pytest.param(
    "postgresql", "rabbitmq", id="postgresql-rabbitmq", marks=[pytest.mark.postgres, pytest.mark.rabbitmq]
)
both = pytest.mark.parametrize(("store", "broker"), [EMBEDDED, SERVERS], indirect=True)


@pytest.fixture(scope="module")
def _vhost() -> Iterator[str]:
    with services.rabbitmq_vhost() as url:
        yield url


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of an embedded broker, or of a real one."""
    return "memory://" if request.param == "memory" else request.getfixturevalue("_vhost")


class Engine:
    """Our side of one destination as `serve` puts it together, and the hospital's engine at the other end."""

    def __init__(self, bench: Workbench, url: str) -> None:
        self.bench = bench
        self.name = f"engine-{uuid.uuid4().hex[:8]}"
        kept = configuration()
        sources = {key: one.model_copy(update={"destinations": (self.name,)}) for key, one in kept.sources.items()}
        options = Destination(type="broker", map="hl7v2-dft-payment")
        bench.use(kept.model_copy(update={"sources": sources, "destinations": {self.name: options}}))
        self.topology = worker.topology(bench.flow, f"t-{self.name}")
        self.publisher = Publisher(url, self.topology)
        self.relay = Relay(
            self.publisher, ("deliver",), lambda group, limit: worker.due(bench.flow, self.topology, group, limit),
            limit=4, sweep=0.1,
        )  # fmt: skip
        bench.store.on_work = lambda kinds: self.relay.wake({"deliver"} & set(kinds))
        self.heard = threading.Semaphore(0)
        self.receipts = Consumer(
            url, self.topology, [self.topology.receipt(self.name)], self.take, later=(Transient,), prefetch=1
        )
        self.queue = Collector(url, self.topology, self.topology.posting(self.name, "hl7v2"))
        self.dead = Collector(url, self.topology, self.topology.dead)
        self.receipts.start()

    def take(self, envelope: Envelope) -> None:
        try:
            partial(receipt.run, self.bench.flow, self.name)(envelope)
        finally:
            self.heard.release()

    def pay(self, *amounts: int) -> None:
        """Record payments, each on an account of its own, and render their postings."""
        for amount in amounts:
            self.bench.take(dft(line("CG", f"{amount / 100:.2f}"), account=uuid.uuid4().hex[:10]))
            self.bench.pay(amount)
        self.bench.work("post")

    def say(self, body: bytes, correlation_id: str = "") -> None:
        """Answer as an engine does, and wait until it was heard."""
        key = self.topology.receipt(self.name)
        self.publisher.publish(Envelope(key, body, "", correlation_id=correlation_id))
        assert self.heard.acquire(timeout=10)

    def states(self) -> list[str]:
        return [row.state for row in self.bench.rows(tables.posting)]

    def close(self) -> None:
        self.bench.store.on_work = lambda kinds: None
        self.relay.stop()
        for consumer in (self.receipts, self.queue.consumer, self.dead.consumer):
            consumer.stop()
        self.publisher.close()


@pytest.fixture
def engine(bench: Workbench, broker: str) -> Iterator[Engine]:
    made = Engine(bench, broker)
    yield made
    made.close()


def ack(code: str, control_id: str) -> bytes:
    return f"MSH|^~\\&|HIS|LC|CHARTPOST||20260504||ACK^P03^ACK|A1|P|2.5.1\rMSA|{code}|{control_id}\r".encode()


@both
def test_a_posting_goes_to_the_engine_and_its_receipt_comes_back(engine: Engine) -> None:
    engine.pay(4000)
    engine.relay.start()
    taken = engine.queue.take()
    [row] = engine.bench.rows(tables.posting)
    assert (taken.body, taken.content_type) == (row.body, "application/hl7-v2")
    assert (taken.message_id, taken.correlation_id) == (row.public_id, row.control_id)
    engine.say(ack("CA", row.control_id))
    assert engine.states() == ["received"]
    engine.say(json.dumps({"posting": row.public_id, "state": "accepted"}).encode())
    assert engine.states() == ["accepted"]
    assert engine.bench.holds() == []


@both
def test_many_postings_are_handed_over_in_their_order_and_each_once(engine: Engine) -> None:
    amounts = [100 * number for number in range(1, 11)]
    engine.pay(*amounts)
    engine.relay.start()
    taken = [engine.queue.take() for _ in amounts]
    assert [one.message_id for one in taken] == [row.public_id for row in engine.bench.rows(tables.posting)]
    until(lambda: {row.state for row in engine.bench.rows(tables.errand, kind="deliver")} == {"done"})
    assert engine.queue.arrived.empty()
    assert set(engine.states()) == {"published"}


@both
def test_what_says_nothing_about_a_posting_of_ours_lies_in_the_dead_queue(engine: Engine) -> None:
    for body, reason in ((b"thanks", "NoReceipt"), (ack("AA", "NOBODY"), "UnknownPosting")):
        engine.say(body)
        buried = engine.dead.take()
        assert (buried.body, buried.headers[DEAD_REASON]) == (body, reason)


@both
def test_a_receipt_waits_while_the_ledger_cannot_be_reached(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.pay(4000)
    engine.relay.start()
    taken = engine.queue.take()
    kept, tries = engine.bench.store.write, iter([True, True])

    def write() -> object:
        if threading.current_thread().name.startswith("consume") and next(tries, False):
            raise Transient("the database did not answer")
        return kept()

    monkeypatch.setattr(engine.bench.store, "write", write)
    engine.say(ack("AA", taken.correlation_id))
    until(lambda: engine.states() == ["accepted"])
    assert engine.dead.arrived.empty()


def until(look: Callable[[], bool]) -> None:
    """Ask again and again for ten seconds."""
    asked = threading.Event()
    for _ in range(500):
        if look():
            return
        asked.wait(0.02)
    raise AssertionError("it did not come")
