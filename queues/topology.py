"""Which exchanges and queues there are, and how they are called. Publisher and consumer both declare them.

    exchange PREFIX (topic) ─┬─ PREFIX.errand.KIND            wake-ups, one queue per kind of errand
                             ├─ posting.DESTINATION.FORMAT    postings, one queue per destination and format
                             ├─ posting.receipt.DESTINATION   what an engine says of the postings that it consumed
                             └─ charge.SOURCE                 charges that others publish to us
    exchange PREFIX.dead ────── PREFIX.dead                   what nobody could handle, for a person

Each queue is bound under its own name. The exchange is a topic, so that an archive may bind `posting.#`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import kombu

#: How often RabbitMQ hands out a message whose reader died, before it goes to the dead queue.
DELIVERY_LIMIT = 20

#: Kombu's embedded transport declares in steps that other threads see between: two at once lose a binding for good, and
#: what is published to it is dropped without a word.
_DECLARING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Topology:
    """The names of one installation. `errands` are kinds; `postings` pairs of destination and format.

    `receipts` are the destinations whose engine consumes its postings itself, `charges` the sources that publish.
    """

    prefix: str = "chartpost"
    errands: tuple[str, ...] = ()
    postings: tuple[tuple[str, str], ...] = ()
    receipts: tuple[str, ...] = ()
    charges: tuple[str, ...] = ()

    def errand(self, kind: str) -> str:
        """Name the queue, and the routing key, of the wake-ups for one kind of errand."""
        return f"{self.prefix}.errand.{kind}"

    @staticmethod
    def posting(destination: str, format: str) -> str:
        """Name the queue, and the routing key, of the postings for one destination in one format."""
        return f"posting.{destination}.{format}"

    @staticmethod
    def receipt(destination: str) -> str:
        """Name the queue, and the routing key, in which a destination's engine answers."""
        return f"posting.receipt.{destination}"

    @staticmethod
    def charge(source: str) -> str:
        """Name the queue, and the routing key, to which a source publishes its charges."""
        return f"charge.{source}"

    @property
    def exchange(self) -> str:
        return self.prefix

    @property
    def dead(self) -> str:
        """The dead queue; its exchange and routing key are called the same."""
        return f"{self.prefix}.dead"

    @property
    def names(self) -> frozenset[str]:
        """Every queue that has an address, the dead queue included."""
        postings = [self.posting(*pair) for pair in self.postings]
        others = [*map(self.receipt, self.receipts), *map(self.charge, self.charges)]
        return frozenset([self.dead, *map(self.errand, self.errands), *postings, *others])

    def exchange_for(self, routing_key: str) -> str:
        """Name the exchange through which this routing key reaches its queue."""
        return self.dead if routing_key == self.dead else self.exchange

    def queues(self, names: Iterable[str], connection: kombu.Connection) -> Iterator[kombu.Queue]:
        """Describe these queues as this broker wants them: replicated on RabbitMQ, plain elsewhere."""
        rabbitmq = connection.transport.driver_type == "amqp"
        for name in names:
            exchange = kombu.Exchange(self.exchange_for(name), type="topic", durable=True)
            arguments = self._quorum(name) if rabbitmq else None
            yield kombu.Queue(name, exchange, routing_key=name, durable=True, queue_arguments=arguments)

    def declare(self, connection: kombu.Connection) -> None:
        """Make sure that every exchange, queue and binding exists. Raises what the transport raises."""
        embedded = connection.transport.driver_type != "amqp"
        with _DECLARING if embedded else nullcontext(), connection.channel() as channel:
            for queue in self.queues(sorted(self.names), connection):
                queue(channel).declare()

    def _quorum(self, name: str) -> dict[str, object]:
        if name == self.dead:
            # A person reads this one, perhaps often: no limit after which the broker would drop it.
            return {"x-queue-type": "quorum", "x-delivery-limit": 2**31 - 1}
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            # Without these two a message at the limit is dropped.
            "x-dead-letter-exchange": self.dead,
            "x-dead-letter-routing-key": self.dead,
            # Dead-letter with a confirm; RabbitMQ does that only under this overflow policy.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
