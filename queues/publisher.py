"""Publish, and know that the broker has it."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

import kombu
from amqp.exceptions import MessageNacked

from chartpost.queues.envelope import Envelope
from chartpost.queues.topology import Topology

#: Kombu's embedded transport looks for messages this often, in seconds (its default is a whole second).
POLLING_INTERVAL = 0.005

_PERSISTENT = 2
_DIRECT = "amq.rabbitmq.reply-to."


class NotPublished(Exception):
    """The broker did not confirm the message: publish it again later, under the same message id."""


class Refused(NotPublished):
    """The broker is there and does not take this message, whose queue is full, for instance. Others it may take."""


class Unroutable(Refused):
    """The broker has no queue for the message."""


class _Lost(NotPublished):
    """The connection broke, which an idle one may have done long ago."""


def connect(url: str, *, heartbeat: float = 0, interval: float = POLLING_INTERVAL) -> kombu.Connection:
    """Open a connection, or raise what the transport raises. `heartbeat` and `interval` are in seconds, 0 for none."""
    if url.startswith(("amqp", "pyamqp")):
        options: dict[str, object] = {"confirm_publish": True}
    else:
        options = {"polling_interval": interval}
    connection = kombu.Connection(url, heartbeat=heartbeat, connect_timeout=5, transport_options=options)
    # One retry, at once: it goes to the second broker where the URL names two.
    connection.ensure_connection(
        max_retries=1, interval_start=0, interval_step=0, interval_max=0, reraise_as_library_errors=False
    )
    return connection


class Publisher:
    """One connection, shared by the threads that publish through it: one message at a time."""

    def __init__(self, url: str, topology: Topology, confirm_timeout: float = 10.0) -> None:
        """Wait at most `confirm_timeout` seconds for the broker's confirm. Connects on first use."""
        self._url = url
        self._topology = topology
        self._confirm_timeout = confirm_timeout
        self._lock = threading.Lock()
        self._connection: kombu.Connection | None = None
        self._producer: kombu.Producer | None = None
        self._returned: list[str] = []

    def publish(self, envelope: Envelope) -> None:
        """Hand one message to the broker; return once it has it, in a queue. Raises NotPublished.

        A connection that turns out to be lost is made anew once. The broker may then hold the message twice,
        under one message id.
        """
        if envelope.routing_key not in self._topology.names:
            raise Unroutable(f"no queue is declared for {envelope.routing_key}")
        self._hand_over(envelope, self._topology.exchange_for(envelope.routing_key))

    def reply(self, envelope: Envelope) -> None:
        """Hand one message to the queue that its reader named in a `reply_to`. Raises NotPublished.

        Unroutable, when that queue is gone; or is one of our own, in which a stranger has nothing to put. Whether an
        asker by RabbitMQ's direct reply-to is still there, nobody can tell.
        """
        if envelope.routing_key in self._topology.names:
            raise Unroutable("reply_to names a queue of ours")
        self._hand_over(envelope, "")

    def close(self) -> None:
        """Close the connection. A later publish opens it again."""
        with self._lock, contextlib.suppress(Exception):
            connection, self._connection, self._producer = self._connection, None, None
            if connection is not None:
                connection.release()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, envelope: Envelope, exchange: str) -> None:
        with self._lock:
            reused = self._producer is not None
            try:
                self._attempt(envelope, exchange)
            except _Lost:
                if not reused:
                    raise
                self._attempt(envelope, exchange)

    def _attempt(self, envelope: Envelope, exchange: str) -> None:
        try:
            self._send(envelope, exchange)
        except NotPublished:
            raise
        except TimeoutError:
            # A confirm that comes late must not be taken for the next message's.
            self._drop()
            raise NotPublished("the broker did not answer in time") from None
        except MessageNacked:
            raise Refused(f"the queue {envelope.routing_key} does not take it; it may be full") from None
        except Exception as error:
            # py-amqp raises far more than its documented errors when a socket dies under it.
            self._drop()
            raise _Lost(f"broker: {type(error).__name__}") from error

    def _send(self, envelope: Envelope, exchange: str) -> None:
        producer = self._producer or self._open()
        self._returned.clear()
        producer.publish(
            envelope.body,
            exchange=exchange,
            routing_key=envelope.routing_key,
            content_type=envelope.content_type or "application/octet-stream",
            content_encoding="binary",
            headers=dict(envelope.headers),
            message_id=envelope.message_id,
            correlation_id=envelope.correlation_id,
            reply_to=envelope.reply_to or None,
            timestamp=int(time.time()),
            delivery_mode=_PERSISTENT,
            # An asker's direct reply-to is no queue to RabbitMQ, which would return what it delivers all the same.
            mandatory=not envelope.routing_key.startswith(_DIRECT),
            confirm_timeout=self._confirm_timeout,
        )
        if self._returned:
            # RabbitMQ confirms what it could not route, too; the return comes first.
            if exchange:
                self._drop()  # a queue of ours was deleted: the next connection declares it anew
            raise Unroutable(f"no queue is bound to {envelope.routing_key}: {self._returned[0]}")

    def _open(self) -> kombu.Producer:
        connection = connect(self._url)
        try:
            self._topology.declare(connection)
            self._producer = kombu.Producer(connection.channel(), on_return=self._on_return, auto_declare=False)
        except BaseException:
            connection.release()
            raise
        self._connection = connection
        return self._producer

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: object) -> None:
        self._returned.append(type(error).__name__)

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.collect()
