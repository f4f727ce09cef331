"""The whole loop through real queues: relay, Kombu and workers in their threads, embedded and on RabbitMQ."""

from __future__ import annotations

import threading
import uuid

import pytest
import services
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.flow import TRANSLATE, worker
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.flow.paying import pay
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Destination
from chartpost.queues.consumer import Consumer
from chartpost.queues.publisher import Publisher, connect
from chartpost.queues.relay import Relay

EMBEDDED = pytest.param("sqlite", "memory://", id="sqlite-memory")
SERVERS = pytest.param(
    "postgresql", "amqp://guest:guest@127.0.0.1:5672//", id="postgresql-rabbitmq",
    marks=[pytest.mark.postgres, pytest.mark.rabbitmq],
)  # fmt: skip


class Machinery:
    """Relay, publisher and consumers around a workbench, as `serve` puts them together."""

    def __init__(self, bench: Workbench, broker: str) -> None:
        self.bench, self.broker = bench, broker
        self.names = worker.topology(bench.flow, f"t{uuid.uuid4().hex[:10]}")
        self.stopping = threading.Event()
        self.publisher = Publisher(broker, self.names)
        self.relay = Relay(
            self.publisher,
            worker.GROUPS,
            lambda group, limit: worker.due(bench.flow, self.names, group, limit),
            sweep=0.2,
        )
        bench.store.on_work = self.relay.wake
        hands = worker.Worker(bench.flow, self.relay, Gate(), self.stopping)
        wakes = [self.names.errand(kind) for kind in self.names.errands if kind != TRANSLATE]
        wakes += [self.names.posting(*pair) for pair in self.names.postings]
        self.consumers = [
            Consumer(broker, self.names, [self.names.errand(TRANSLATE)], hands.translate, prefetch=1),
            Consumer(broker, self.names, wakes, hands.errand, prefetch=1),
            Consumer(broker, self.names, wakes, hands.errand, prefetch=1),
        ]

    def __enter__(self) -> Machinery:
        for consumer in self.consumers:
            consumer.start()
        self.relay.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.relay.stop()
        for consumer in self.consumers:
            consumer.stop()
        self.publisher.close()
        self.bench.store.on_work = lambda kinds: None

    def sweep_up(self) -> None:
        if self.broker.startswith("amqp"):
            with connect(self.broker) as connection, connection.channel() as channel:
                for name in self.names.names:
                    channel.queue_delete(name)
                for exchange in (self.names.exchange, self.names.dead):
                    channel.exchange_delete(exchange)


def renamed(other) -> tuple[str, object]:
    """Return the configuration with a destination of its own: queues of postings are called after it."""
    name, kept = f"chart-{uuid.uuid4().hex[:8]}", configuration(other.ready)
    sources = {key: source.model_copy(update={"destinations": (name,)}) for key, source in kept.sources.items()}
    options = Destination.model_validate(kept.destinations["chart"].options)
    return name, kept.model_copy(update={"destinations": {name: options}, "sources": sources})


@pytest.mark.parametrize(("store", "broker"), [EMBEDDED, SERVERS], indirect=["store"])
def test_a_charge_goes_in_and_its_payment_is_accepted_by_the_chart(live, other, broker):
    if broker.startswith("amqp"):
        services.require("RabbitMQ", services.RABBITMQ)
    name, settings = renamed(other)
    live.use(settings)
    other.hooks.flow = live.flow
    accounts = [unique("Q") for _ in range(3)]
    bodies = [dft(line("CG", "40.00"), account=account, phone="6085550195") for account in accounts]
    for body in bodies:
        other.knows(body)
    machinery = Machinery(live, broker)
    try:
        with machinery:
            live.receive(*bodies)
            machinery.relay.wake([TRANSLATE])
            other.hooks.until(lambda: len(live.rows(tables.notice, state="delivered")) == 3, 30)
            for request in live.rows(tables.request):
                assert other.pay(pay.begin(live.flow, live.token(request), None))[0] == 303
            other.hooks.until(lambda: len(live.rows(tables.posting, state="accepted")) == 3, 30)
        assert {other.chart(account)["balance"] for account in accounts} == {"0.00"}
        assert {row.destination for row in live.rows(tables.posting)} == {name}
        assert {row.state for row in live.rows(tables.errand)} == {"done"}
        assert live.holds() == []
    finally:
        machinery.sweep_up()


@pytest.mark.parametrize(("store", "broker"), [EMBEDDED, SERVERS], indirect=["store"])
def test_what_was_due_when_everything_stopped_goes_on_after_the_next_start(live, other, broker):
    if broker.startswith("amqp"):
        services.require("RabbitMQ", services.RABBITMQ)
    _, settings = renamed(other)
    live.use(settings)
    account = unique("Q")
    body = dft(line("CG", "40.00"), account=account, phone="")
    other.knows(body)
    live.take(body)
    live.pay(4000)
    live.receive(dft(line("CG", "7.00"), account=unique("Q"), phone=""))
    machinery = Machinery(live, broker)
    try:
        with machinery:
            other.hooks.until(lambda: live.rows(tables.posting, state="accepted"), 30)
            other.hooks.until(lambda: not live.rows(tables.message, state="received"), 30)
    finally:
        machinery.sweep_up()
    assert other.chart(account)["paid"] == "40.00"
