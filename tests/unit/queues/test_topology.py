"""The names that a hospital's engine and our own workers agree on."""

from __future__ import annotations

import sys
import threading
from uuid import uuid4

from chartpost.queues.publisher import connect
from chartpost.queues.topology import Topology


def test_a_posting_queue_is_named_after_its_destination_and_format() -> None:
    assert Topology().posting("chart", "hl7v2") == "posting.chart.hl7v2"


def test_receipts_and_charges_are_named_after_whom_they_come_from() -> None:
    topology = Topology(receipts=("engine",), charges=("feed",))
    assert {topology.receipt("engine"), topology.charge("feed")} == {"posting.receipt.engine", "charge.feed"}
    assert topology.names == {"posting.receipt.engine", "charge.feed", topology.dead}


def test_errands_and_the_dead_queue_carry_the_prefix() -> None:
    topology = Topology("site")
    assert topology.errand("translate") == "site.errand.translate"
    assert topology.dead == "site.dead"


def test_every_name_of_a_topology_is_declared() -> None:
    topology = Topology(f"t{uuid4().hex[:8]}", ("translate", "notify"), (("chart", "hl7v2"),), ("engine",), ("feed",))
    assert topology.names == {
        topology.errand("translate"),
        topology.errand("notify"),
        "posting.chart.hl7v2",
        "posting.receipt.engine",
        "charge.feed",
        topology.dead,
    }
    with connect("memory://") as connection:
        topology.declare(connection)
        topology.declare(connection)  # a second process declares the same again
        with connection.channel() as channel:
            sizes = {name: channel.queue_declare(name, passive=True).message_count for name in topology.names}
    assert set(sizes.values()) == {0}


def test_queues_are_plain_where_the_broker_is_not_rabbitmq() -> None:
    topology = Topology()
    with connect("memory://") as connection:
        [queue] = topology.queues([topology.dead], connection)
    assert queue.queue_arguments is None


def test_threads_that_declare_at_once_lose_no_binding() -> None:
    """What is published to a lost binding is dropped silently: an errand of that kind would never be done again."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.000001)  # without the lock one round in twenty loses a binding
    try:
        for _ in range(80):
            name = uuid4().hex[:8]
            topology = Topology(f"t{name}", tuple("abcdefg"), ((name, "hl7v2"),))
            together = threading.Barrier(6)
            threads = [threading.Thread(target=_declare, args=(topology, together)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            with connect("memory://") as connection, connection.channel() as channel:
                for queue in topology.names:
                    exchange = topology.exchange_for(queue)
                    routed = channel.typeof(exchange).lookup(channel.get_table(exchange), exchange, queue, None)
                    assert list(routed) == [queue]
    finally:
        sys.setswitchinterval(interval)


def _declare(topology: Topology, together: threading.Barrier) -> None:
    with connect("memory://") as connection:
        together.wait()
        topology.declare(connection)
