"""Consume: one thread, one handler, an acknowledgement only for what was handled."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import kombu

from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import POLLING_INTERVAL, NotPublished, Publisher, connect
from chartpost.queues.topology import Topology

_log = logging.getLogger(__name__)

#: Seconds between heartbeats on RabbitMQ: a broker that vanished is noticed after two of them.
HEARTBEAT = 30

#: Seconds between attempts to reach the broker again, or to handle a message that has to wait.
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0

#: Seconds after which a quiet consumer looks whether it should stop.
GLANCE = 0.2

#: Headers in the dead queue: the class of what the handler raised, and where the message came from.
DEAD_REASON, DEAD_ORIGIN = "dead-reason", "dead-origin"

Handler = Callable[[Envelope], None]


class Consumer:
    """Reads queues in a thread of its own until stopped, through any loss of the broker.

    `handle` gets every message as raw bytes, one after the other; it may see one again after a lost
    connection. Returning acknowledges. Raising sends the message to the dead queue: never lost, never looped.
    Raising one of `later` keeps it, unacknowledged and ahead of those behind it, and hands it over again.
    """

    def __init__(
        self,
        url: str,
        topology: Topology,
        queues: Sequence[str],
        handle: Handler,
        prefetch: int = 10,
        *,
        later: tuple[type[Exception], ...] = (),
        before: Callable[[], None] = lambda: None,
        interval: float = POLLING_INTERVAL,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """Read these queues. `prefetch` messages may wait here, unacknowledged, for the one in hand.

        `before` is called before each look at the broker, and may hold it up. `interval` is how many seconds lie
        between two looks where the transport cannot wait (memory://).
        """
        self._later = later
        self._before = before
        self._interval = interval
        self._heartbeat = heartbeat
        self._url = url
        self._topology = topology
        self._queues = tuple(queues)
        self._handle = handle
        self._prefetch = prefetch
        self._stopping = threading.Event()
        self._arrived: deque[tuple[kombu.Message, Envelope]] = deque()
        self._wait = 0.0  # seconds that the first of them has to wait, counted from its last try
        self._not_before = 0.0
        self._dead = Publisher(url, topology)
        self._thread = threading.Thread(target=self._run, name=f"consume {' '.join(queues)}", daemon=True)

    def start(self) -> None:
        """Begin to read. Returns at once; an unreachable broker is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """Let the message in hand finish, give back what waits behind it, and end the thread."""
        self._stopping.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        self._dead.close()

    def _run(self) -> None:
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            connection = None
            try:
                connection = connect(self._url, heartbeat=self._heartbeat, interval=self._interval)
                for _ in self._drain(connection):
                    wait = FIRST_WAIT
                connection.release()
            except Exception as error:
                # Whatever broke, the broker gives back what was not acknowledged; py-amqp raises far more
                # than its documented errors when a socket dies under it.
                _log.warning("broker lost (%s); again in %.1f s", type(error).__name__, wait)
                if connection is not None:
                    connection.collect()
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)

    def _drain(self, connection: kombu.Connection) -> Iterator[None]:
        self._arrived.clear()  # of an earlier connection: the broker hands them out again
        self._wait = self._not_before = 0.0
        self._topology.declare(connection)
        consumer = kombu.Consumer(
            connection.channel(),
            queues=list(self._topology.queues(self._queues, connection)),
            on_message=self._on_message,  # instead of callbacks: nothing is ever deserialised
            on_decode_error=lambda message, error: self._on_message(message),
            auto_declare=False,
            prefetch_count=self._prefetch,
        )
        with consumer:
            while not self._stopping.is_set():
                self._before()
                if connection.supports_heartbeats:
                    connection.heartbeat_check()
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=GLANCE)
                self._work()
                yield
        for message, _ in self._arrived:
            _settle(message.requeue)

    def _on_message(self, message: kombu.Message) -> None:
        self._arrived.append((message, _open(message)))

    def _work(self) -> None:
        """Handle what has arrived, in order, as far as nothing has to wait."""
        while self._arrived and not self._stopping.is_set() and time.monotonic() >= self._not_before:
            message, envelope = self._arrived[0]
            if not self._handled(envelope):
                self._wait = min(max(self._wait * 2, FIRST_WAIT), LONGEST_WAIT)
                self._not_before = time.monotonic() + self._wait
                return
            self._wait = 0.0
            self._arrived.popleft()
            _settle(message.ack)

    def _handled(self, envelope: Envelope) -> bool:
        """Say whether the message is through: handled, or in the dead queue."""
        try:
            self._handle(envelope)
        except self._later as error:
            _log.warning("%s: a message of %s has to wait", type(error).__name__, envelope.routing_key)
            return False
        except Exception as error:
            # The text of an error may hold anything: only its class travels, or is logged.
            reason = type(error).__name__
            _log.error("%s raised by the handler of %s", reason, envelope.routing_key)
            return self._bury(envelope, reason)
        return True

    def _bury(self, envelope: Envelope, reason: str) -> bool:
        headers = {**envelope.headers, DEAD_REASON: reason, DEAD_ORIGIN: envelope.routing_key}
        try:
            self._dead.publish(replace(envelope, routing_key=self._topology.dead, headers=headers))
        except NotPublished:
            return False
        return True


def _settle(act: Callable[[], None]) -> None:
    try:
        act()
    except TimeoutError:
        # Not to be taken for a quiet moment: half an acknowledgement may be on the wire.
        raise ConnectionError("the broker takes no acknowledgement") from None


def _open(message: kombu.Message) -> Envelope:
    properties = message.properties
    body = message.body or b""
    if isinstance(body, str):  # py-amqp decodes where the publisher named a content encoding
        body = body.encode(message.content_encoding or "utf-8")
    return Envelope(
        routing_key=str(message.delivery_info.get("routing_key", "")),
        body=bytes(body),
        content_type=message.content_type or "",
        headers={str(name): str(value) for name, value in message.headers.items()},
        message_id=str(properties.get("message_id") or ""),
        correlation_id=str(properties.get("correlation_id") or ""),
        reply_to=str(properties.get("reply_to") or ""),
    )
