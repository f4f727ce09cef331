"""The door goes first: while a sender works through a queue, translation waits (docs/decisions/0002).

Both share one interpreter, and one busy thread beside the door costs it nine tenths of its speed. A frame that comes
right after its connection's last acknowledgement betrays a queue. Marking by "a frame a moment ago" starves translation
under a steady feed, and marking by rate locks in: both were tried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

#: All in seconds.
QUEUEING = 0.002  #: a sender that had to think first takes longer than this between our ACK and its next frame
BUSY = 0.020  #: how long one such frame keeps the worker away
PATIENCE = 0.450  #: the worker is held no longer than this
SLICE = 0.050  #: and then works for this long, whoever is at the door


class Stop(Protocol):
    """What the worker is ended by: a threading.Event."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float) -> bool: ...


class Gate:
    """Holds workers back while the door is busy. The door marks, from the event loop; workers wait, from threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._busy_until = 0.0
        self._holding_since: float | None = None
        self._slice_until = 0.0

    def frame_after(self, seconds_since_last_ack: float) -> None:
        """Note a frame, and how long after that connection's last acknowledgement it came."""
        if seconds_since_last_ack < QUEUEING:
            self._busy_until = self._clock() + BUSY

    @property
    def busy(self) -> bool:
        """Whether a queue stands at the door."""
        return self._clock() < self._busy_until

    def wait(self, stop: Stop) -> None:
        """Return when a worker may work, or when `stop` is set. Call it before every batch."""
        while not stop.is_set() and (seconds := self._held_for()) > 0:
            stop.wait(seconds)

    def _held_for(self) -> float:
        """Return how long to wait before looking again; 0: go."""
        with self._lock:
            now = self._clock()
            if now < self._slice_until:
                return 0.0
            if now >= self._busy_until:
                self._holding_since = None
                return 0.0
            if self._holding_since is None:
                self._holding_since = now
            held = now - self._holding_since
            if held >= PATIENCE:
                self._slice_until = now + SLICE
                self._holding_since = None
                return 0.0
            return min(self._busy_until - now, PATIENCE - held)
