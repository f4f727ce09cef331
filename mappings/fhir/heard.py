"""What was heard of one subscription: its server counts events from 1, so that whoever listens sees what is missing.

Events come late, twice and in any order; a gap that is filled later was none. A count that begins again is told from a
repetition by the time of the event. Pure.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from chartpost.mappings.fhir.notification import HANDSHAKE, Event, Notification
from chartpost.mappings.fhir.state import Instant, instant, written

#: Gaps that are remembered one by one; beyond that the two oldest become one.
_GAPS = 100


class Heard(NamedTuple):
    """How far a subscription was heard."""

    last: int = 0  #: the highest event number
    missing: tuple[tuple[int, int], ...] = ()  #: first and last number of each gap below it, in order
    at: Instant | None = None  #: of the newest event

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps([self.last, self.missing, written(self.at) if self.at else ""], separators=(",", ":"))


class Step(NamedTuple):
    """What a notification changes."""

    heard: Heard
    fresh: bool  #: it tells of something that was not heard before
    gap: bool  #: it shows that something was missed


def heard(stored: str | None) -> Heard | None:
    """Return what is stored, None for a subscription that was never heard of."""
    if not stored:
        return None
    last, missing, at = json.loads(stored)
    return Heard(last, tuple((first, end) for first, end in missing), instant(at))


def advance(before: Heard | None, told: Notification) -> Step:
    """Return what was heard after a notification, and whether it is news."""
    now, fresh, over = before or Heard(), False, False
    if not told.tells:
        if told.kind == HANDSHAKE and (before is None or (told.counted is not None and told.counted < now.last)):
            # What happened before a subscription began, or while it was off, is none of its events.
            now, over = Heard(told.counted or 0), before is not None
        elif told.counted is not None and told.counted > now.last:
            now = _skipped(now, now.last + 1, told.counted)
    events = told.events if told.tells else ()
    if told.tells and not events:  # payload empty: there may be nothing but the count
        events = (Event(told.counted or 0, "", None),)
    for event in sorted(events, key=lambda one: one.number):
        later = event.at is not None and now.at is not None and event.at > now.at
        if event.number > now.last:
            now = _skipped(now, now.last + 1, event.number - 1)._replace(last=event.number)
        elif any(first <= event.number <= end for first, end in now.missing):
            now = _filled(now, event.number)
        elif event.number and later and (told.counted is None or told.counted < now.last):
            now, over = _skipped(Heard(), 1, event.number - 1)._replace(last=event.number), True
        elif event.number and later and event.number == told.counted:
            pass  # the newest event, and another one than that of this number: a count that began anew came just as far
        elif event.number and event.at is not None and now.at is not None:
            continue  # heard before
        fresh = True
        if event.at is not None:
            now = now._replace(at=max(event.at, now.at or event.at))
    wider = {gap for gap in now.missing if gap[1] > (before or Heard()).last}
    return Step(now, fresh, over or bool(wider))


def _skipped(heard: Heard, first: int, end: int) -> Heard:
    """Return it with a gap at its end."""
    if first > end:
        return heard
    gaps = (*heard.missing, (first, end))
    if len(gaps) > _GAPS:
        gaps = ((gaps[0][0], gaps[1][1]), *gaps[2:])
    return heard._replace(last=end, missing=gaps)


def _filled(heard: Heard, number: int) -> Heard:
    """Return it without a number that came late."""
    gaps: list[tuple[int, int]] = []
    for first, end in heard.missing:
        parts = [(first, number - 1), (number + 1, end)] if first <= number <= end else [(first, end)]
        gaps += [part for part in parts if part[0] <= part[1]]
    return heard._replace(missing=tuple(gaps))
