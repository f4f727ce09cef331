"""The relay: announces work that a database holds. The database is the truth, a delivery is only a wake-up.

One thread looks up what is due, publishes it, and remembers what is on its way, so that nothing is announced twice
while somebody is at it. Work comes in groups, and each group may have only so many announcements in the broker: a
thousand texts to send never stand before the one payment to post. What was lost with a broker or a process is simply
announced again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher, Refused

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One piece of due work: a key that stays the same, what to publish, and whom to tell what the broker said."""

    key: str
    envelope: Envelope
    confirmed: Callable[[], None] | None = None  #: the broker has it
    refused: Callable[[], None] | None = None  #: the broker is there, and its queue takes nothing
    ends: bool = False  #: the broker's confirm is the end of it: nobody here consumes it and reports back


#: Returns what is due in a group now, oldest first, this many at most; what was announced may be among it.
Due = Callable[[str, int], Sequence[Announcement]]


class Relay:
    """Looks when it is woken for a group, and at every group each `sweep` seconds."""

    def __init__(
        self,
        publisher: Publisher,
        groups: Iterable[str],
        due: Due,
        *,
        single: Iterable[str] = (),
        limit: int = 64,
        sweep: float = 1.0,
        patience: float = 30.0,
    ) -> None:
        """Keep up to `limit` announcements of a group outstanding; announce again `patience` seconds later.

        Of `single` groups one announcement stands for all their work; while it is out, waking them costs nothing.
        """
        self._publisher = publisher
        self._due = due
        self._limit = dict.fromkeys(groups := tuple(groups), limit) | dict.fromkeys(single, 1)
        self._sweep = sweep
        self._patience = patience
        self._lock = threading.Lock()
        self._outstanding: dict[str, dict[str, float]] = {group: {} for group in groups}
        self._woken: set[str] = set()
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Begin; everything that is due is announced at once."""
        self._woken.update(self._outstanding)
        self._bell.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is due stays due."""
        self._stopping.set()
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self, groups: Iterable[str]) -> None:
        """Say that there may be work in these groups. Cheap, and free where enough is outstanding; any thread."""
        waiting = [group for group in groups if self._has_room(group)]
        if waiting:
            with self._lock:
                self._woken.update(waiting)
            self._bell.set()

    def returned(self, group: str, key: str) -> None:
        """Say that somebody was woken for `key` and is through with it, whatever came of it."""
        with self._lock:
            self._outstanding[group].pop(key, None)
        self.wake([group])

    def _has_room(self, group: str) -> bool:
        """Say whether half of what may be outstanding is not: fewer, larger looks."""
        return 2 * len(self._outstanding[group]) <= self._limit[group]

    def _run(self) -> None:
        swept = 0.0
        while not self._stopping.is_set():
            self._bell.wait(self._sweep)
            self._bell.clear()
            if time.monotonic() - swept >= self._sweep:
                swept = time.monotonic()
                with self._lock:
                    self._woken.update(self._outstanding)
            with self._lock:
                groups, self._woken = self._woken, set()
            away = False
            for group in sorted(groups):
                if self._stopping.is_set():
                    return
                try:
                    self._announce(group)
                except Exception as error:  # the database or the broker is away: look again at the next sweep
                    away = True
                    _log.warning("relay: nothing of %s announced; again in %.0f s", group, self._sweep, exc_info=error)
            if away:
                self._stopping.wait(self._sweep)

    def _announce(self, group: str) -> None:
        now = time.monotonic()
        outstanding = self._outstanding[group]
        with self._lock:
            for key in [key for key, since in outstanding.items() if now - since > self._patience]:
                del outstanding[key]
        if not self._has_room(group):
            return
        for item in self._due(group, self._limit[group]):
            with self._lock:
                if item.key in outstanding:
                    continue
                outstanding[item.key] = now
            try:
                self._publisher.publish(item.envelope)
            except NotPublished as error:
                with self._lock:
                    outstanding.pop(item.key, None)
                if not isinstance(error, Refused):
                    raise
                _log.warning("relay: not announced: %s", error)
                if item.refused is not None:
                    item.refused()
                continue
            if item.confirmed is not None:
                item.confirmed()
            if item.ends:
                with self._lock:
                    outstanding.pop(item.key, None)
