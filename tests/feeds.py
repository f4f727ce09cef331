"""Another program on our broker: it publishes charges, reads what is in a queue, and awaits answers."""

from __future__ import annotations

import queue
import threading
from typing import Any
from uuid import uuid4

from chartpost.adapter.flow.door.receive import SourceRules
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.broker import BrokerListener, Hl7Wire, Wire
from chartpost.mappings import mapfile
from chartpost.queues.consumer import Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import Publisher
from chartpost.queues.topology import Topology


class Collector:
    """Reads a queue and hands out what came."""

    def __init__(self, url: str, topology: Topology, name: str) -> None:
        self.arrived: queue.Queue[Envelope] = queue.Queue()
        self.consumer = Consumer(url, topology, [name], self.arrived.put)
        self.consumer.start()

    def take(self) -> Envelope:
        return self.arrived.get(timeout=10)


class Feed:
    """A source that publishes, our listener that reads, and the queue in which the source awaits its answers."""

    def __init__(self, store: Store, url: str, wire: Wire | None = None, name: str = "", prefix: str = "") -> None:
        self.store, self.url = store, url
        self.name = name or f"feed-{uuid4().hex[:8]}"
        self.topology = Topology(prefix or f"t-{self.name}", ("answers",), charges=(self.name,))
        self.answers = self.topology.errand("answers")  # any queue that the listener knows nothing of
        self.rules = SourceRules(self.name, "lakeside", mapfile.load("hl7v2-dft"), max_bytes=20_000)
        self.woken = threading.Semaphore(0)
        self.listener = BrokerListener(
            self.name, wire or Hl7Wire(self.rules), Intake(store), url,
            Topology(self.topology.prefix, charges=(self.name,)), on_stored=self.woken.release,
        )  # fmt: skip
        self.publisher = Publisher(url, self.topology)
        self.collectors: list[Collector] = []

    def collect(self, name: str) -> Collector:
        self.collectors.append(Collector(self.url, self.topology, name))
        return self.collectors[-1]

    def send(self, body: bytes, reply: bool = True, content_type: str = "application/hl7-v2", **ids: str) -> None:
        back = self.answers if reply else ""
        self.publisher.publish(Envelope(self.topology.charge(self.name), body, content_type, reply_to=back, **ids))

    def rows(self) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(tables.message.select().order_by(tables.message.c.id)).all())

    def close(self) -> None:
        self.listener.stop()
        for collector in self.collectors:
            collector.consumer.stop()
        self.publisher.close()
