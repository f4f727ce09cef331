"""Whose turn it is to write to SQLite: one transaction at a time, and the door goes first.

A plain lock would do for correctness. But the thread that releases it usually takes it again before a waiter wakes up,
and the waiter is the event loop, with every sender behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds between a worker's looks while the door waits.
GLANCE = 0.0002


class Turns:
    """`with turns.worker():` gives way to `with turns.door():`, of which there is one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._door_waits = False

    @contextmanager
    def door(self) -> Iterator[None]:
        """Write next, after the transaction that is being written now."""
        self._door_waits = True
        self._lock.acquire()
        self._door_waits = False
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Write when the door does not want to."""
        self._take()
        try:
            yield
        finally:
            self._lock.release()

    def _take(self) -> None:
        while True:
            self._lock.acquire()
            if not self._door_waits:
                return
            self._lock.release()
            time.sleep(GLANCE)


class NoTurns:
    """PostgreSQL keeps its own order."""

    @contextmanager
    def door(self) -> Iterator[None]:
        """Write."""
        yield

    worker = door
