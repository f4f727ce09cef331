"""Group commit: every frame that one turn of the event loop brought goes into one transaction.

On SQLite the transaction runs in the loop (0.1–0.2 ms, less than handing it to a thread costs); with a database server
it runs in a thread, and whatever arrives meanwhile makes the next group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from chartpost.adapter.errors import CannotStore
from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.ledger.intake import Fate, Intake
from chartpost.adapter.ledger.states import Message

log = logging.getLogger(__name__)

#: Bytes that may wait for a commit before the doors stop reading.
LIMIT = 8 * 1024 * 1024


class Waiting(Protocol):
    """Whoever brought receipts, and answers for them once they are stored. Called in the event loop."""

    def stored(self, receipts: list[Receipt], fates: list[Fate]) -> None: ...
    def not_stored(self) -> None: ...
    def resume(self) -> None: ...


class Committer:
    """Stores receipts in groups. One per process; all methods belong to the event loop."""

    def __init__(self, intake: Intake, on_stored: Callable[[], None] = lambda: None, limit: int = LIMIT) -> None:
        """`on_stored` is called after every commit that made work for the translator; it must not wait."""
        self._intake = intake
        self._on_stored = on_stored
        self._limit = limit
        self._waiting: list[tuple[Waiting, list[Receipt]]] = []
        self._bytes = 0
        self._paused: set[Waiting] = set()
        self._flushing = False  # a flush is scheduled or under way
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, "intake") if intake.remote else None
        self.commits = 0
        self.failures = 0  #: commits that failed: nobody in them was acknowledged

    def put(self, waiting: Waiting, receipts: list[Receipt]) -> bool:
        """Take receipts for the next commit. False: too much waits, stop reading until `resume` is called."""
        self._waiting.append((waiting, receipts))
        for receipt in receipts:
            self._bytes += len(receipt.row.raw)
        if not self._flushing:
            self._flushing = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._flush)
        if self._bytes < self._limit:
            return True
        self._paused.add(waiting)
        return False

    async def drained(self) -> None:
        """Wait until nothing waits for a commit."""
        await self._idle.wait()

    def close(self) -> None:
        """Let go of the thread and of the database connection. Await `drained` first."""
        if self._thread is not None:
            self._thread.shutdown()
        self._intake.close()

    def _flush(self) -> None:
        group, self._waiting, self._bytes = self._waiting, [], 0
        rows = [receipt.row for _, receipts in group for receipt in receipts]
        if self._thread is None:
            try:
                self._stored(group, self._intake.commit(rows))
            except CannotStore as error:
                self._failed(group, error)
            finally:
                self._next()
            return
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._intake.commit, rows)
        future.add_done_callback(lambda done: self._returned(group, done))

    def _returned(self, group: list[tuple[Waiting, list[Receipt]]], done: asyncio.Future[list[Fate]]) -> None:
        error = done.exception()
        if error is None:
            self._stored(group, done.result())
        else:
            self._failed(group, error)
        self._next()

    def _stored(self, group: list[tuple[Waiting, list[Receipt]]], fates: list[Fate]) -> None:
        self.commits += 1
        start = 0
        for waiting, receipts in group:
            end = start + len(receipts)
            try:
                waiting.stored(receipts, fates[start:end])
            except Exception as error:  # one sender's trouble must not silence the others of the group
                log.error("stored, but not acknowledged (%s)", type(error).__name__)
                waiting.not_stored()
            start = end
        if any(fate.state == Message.RECEIVED for fate in fates):
            self._on_stored()

    def _failed(self, group: list[tuple[Waiting, list[Receipt]]], error: BaseException) -> None:
        self.failures += 1
        log.error("cannot store: %s; connections closed without an ACK, their senders keep the messages", error)
        failed = {waiting for waiting, _ in group}
        # What the same senders sent meanwhile goes too, or it would be stored ahead of what they will send again.
        self._waiting = [one for one in self._waiting if one[0] not in failed]
        for waiting in failed:
            waiting.not_stored()

    def _next(self) -> None:
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._flushing = False
            self._idle.set()
        paused, self._paused = self._paused, set()
        for waiting in paused:
            waiting.resume()
