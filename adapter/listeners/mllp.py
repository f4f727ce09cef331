"""The MLLP door: bytes in, frames judged and stored, an acknowledgement to each; nothing else happens here.

What cannot be stored is not acknowledged, and its connection is closed: a sender with a queue keeps the message, while
after AE or AR many give it up. The same holds at shutdown. No message content is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from chartpost.adapter.flow.door.receive import Receipt, Receiver, SourceRules
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.framing import END, START, Deframer, frame
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Fate
from chartpost.adapter.ledger.store import Clock, utc_now
from chartpost.adapter.listeners.acks import Acks
from chartpost.adapter.listeners.committer import Committer

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 512
HALF_FRAME_SECONDS = 60.0  #: a frame begun must end within this time
COMMIT_SECONDS = 10.0  #: how long a commit under way is waited for at shutdown
CLOSE_SECONDS = 2.0  #: how long a sender may take to fetch its last ACK at shutdown


class MllpListener:
    """One source's door. Make it, `start` it in the event loop, `stop` it."""

    def __init__(
        self,
        rules: SourceRules,
        committer: Committer,
        gate: Gate,
        *,
        clock: Clock = utc_now,
        max_connections: int = MAX_CONNECTIONS,
        half_frame_seconds: float = HALF_FRAME_SECONDS,
    ) -> None:
        self.rules = rules
        self.committer = committer
        self.gate = gate
        self.clock = clock
        self.receiver = Receiver(rules)
        self.max_connections = max_connections
        self.half_frame_seconds = half_frame_seconds
        self.connections: set[_Connection] = set()
        self.frames = 0  #: complete frames
        self.oversize = 0
        self.refused = 0  #: connections beyond `max_connections`
        self.timed_out = 0  #: connections closed in the middle of a frame
        self.acknowledged = 0
        self.acks = Acks()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self, where: socket.socket | str) -> None:
        """Listen on "host:port" (port 0: any free one) or on a bound socket. Raises OSError."""
        loop = asyncio.get_running_loop()
        factory: Callable[[], asyncio.Protocol] = lambda: _Connection(self)  # noqa: E731
        if isinstance(where, str):
            host, _, port = where.rpartition(":")
            self._server = await loop.create_server(factory, host.strip("[]"), int(port), backlog=512)
        else:
            self._server = await loop.create_server(factory, sock=where, backlog=512)
        self._sweep = loop.call_later(self.half_frame_seconds / 4, self._sweep_half_frames)
        log.info("mllp source=%s listening on %s", self.rules.source, self.address)

    @property
    def address(self) -> str:
        """The "host:port" that it listens on."""
        if self._server is None or not self._server.sockets:
            return ""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        """Accept nothing more, acknowledge what is being committed and nothing else, close every connection."""
        if self._server is None:
            return
        self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self.connections:
            connection.deaf = True
        # Only ours: another door, still open, may keep the committer busy.
        await self._until(lambda: not any(connection.pending for connection in self.connections), COMMIT_SECONDS)
        for connection in list(self.connections):
            connection.close()
        await self._until(lambda: not self.connections, CLOSE_SECONDS)
        for connection in list(self.connections):
            connection.abort()  # a sender that does not take its last ACK is not waited for
        self._server = None

    @staticmethod
    async def _until(done: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not done():
                    await asyncio.sleep(0.005)

    def _sweep_half_frames(self) -> None:
        limit = time.monotonic() - self.half_frame_seconds
        for connection in list(self.connections):
            if connection.half_since is not None and connection.half_since < limit:
                self.timed_out += 1
                connection.close()
        self._sweep = asyncio.get_running_loop().call_later(self.half_frame_seconds / 4, self._sweep_half_frames)


class _Connection(asyncio.Protocol):
    """One sender."""

    def __init__(self, listener: MllpListener) -> None:
        self.listener = listener
        self.deframer = Deframer(listener.rules.max_bytes)
        self.transport: asyncio.Transport | None = None
        self.deaf = False  #: closing: whatever still comes is not ours, it was not acknowledged
        self.half_since: float | None = None  #: when the frame began that has not ended yet
        self.last_ack = 0.0
        self.pending = 0  #: groups of receipts that wait for their commit
        self._stuck = False  # the sender does not read its ACKs
        self._full = False  # too much waits for the database

    # ------------------------------------------------------------------------------------------------ transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        listener = self.listener
        if len(listener.connections) >= listener.max_connections:
            listener.refused += 1
            log.warning("mllp source=%s too many connections, one refused", listener.rules.source)
            self.abort()
            return
        listener.connections.add(self)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.deaf = True
        self.transport = None
        self.listener.connections.discard(self)

    def eof_received(self) -> bool:
        """Answer what is still being committed before closing: some senders shut their side down first."""
        if self.pending:
            self.deaf = True
            return True
        return False

    def pause_writing(self) -> None:
        self._stuck = True
        self._read_or_not()

    def resume_writing(self) -> None:
        self._stuck = False
        self._read_or_not()

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        listener = self.listener
        found = self.deframer.feed(data)
        now = time.monotonic()
        if found and data.endswith(END):
            self.half_since = None
        else:
            self._note_half_frame(data, bool(found), now)
        if not found:
            return
        listener.gate.frame_after(0.0 if len(found) > 1 else now - self.last_ack)
        listener.frames += len(found)
        when = micros(listener.clock())
        receipts: list[Receipt] = []
        for body in found:
            if isinstance(body, bytes):
                receipts += listener.receiver.receive(body, when)
            else:
                listener.oversize += 1
                receipts.append(listener.receiver.oversize(body, when))
        self.pending += 1
        if not listener.committer.put(self, receipts):
            self._full = True
            self._read_or_not()

    # ------------------------------------------------------------------------------------------------ committer

    def stored(self, receipts: list[Receipt], fates: list[Fate]) -> None:
        """Acknowledge what is durable now."""
        self.pending -= 1
        transport = self.transport
        if transport is None or transport.is_closing():
            return  # the sender is gone; it will resend, and its copy will be a duplicate
        listener = self.listener
        answers = [frame(body) for body in listener.acks.make(receipts, fates, listener.clock())]
        if answers:
            transport.write(answers[0] if len(answers) == 1 else b"".join(answers))
            listener.acknowledged += len(answers)
            self.last_ack = time.monotonic()
        if not self.pending and (self.deaf or self.deframer.closed):
            self.close()

    def not_stored(self) -> None:
        """Close without a word: the sender keeps its message."""
        self.pending -= 1
        self.close()

    def resume(self) -> None:
        """Read again."""
        self._full = False
        self._read_or_not()

    # -------------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Close once what was written is out."""
        self.deaf = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.deaf = True
        if self.transport is not None:
            self.transport.abort()

    def _read_or_not(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._stuck or self._full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _note_half_frame(self, data: bytes, found: bool, now: float) -> None:
        start = data.rfind(START)
        if start >= 0 and data.find(END, start) < 0:
            self.half_since = now if found or self.half_since is None else self.half_since
        elif start >= 0 or found:
            self.half_since = None
