"""What a look found, and how far two clocks may differ."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from chartpost.adapter.ledger.store import utc_now

#: Seconds by which a clock may differ: signatures of webhooks and dates on postings depend on ours.
WARN_DRIFT, MOST_DRIFT = 5.0, 60.0


class State(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"  #: it would run, and somebody should know
    PROBLEM = "problem"  #: it would not run, or not as it must
    SKIPPED = "skipped"  #: could not be looked at; the text says why


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its name as in the configuration, how it is, and what to do."""

    what: str
    state: State
    text: str
    fix: str = ""


def drift(whose: str, theirs: dt.datetime, before: dt.datetime) -> Finding:
    """Compare another clock, asked between `before` and now, with ours."""
    ours = before + (utc_now() - before) / 2
    seconds = (theirs.astimezone(dt.UTC) - ours).total_seconds()
    text = f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} that of {whose}"
    fix = "let the machine keep time (chrony, systemd-timesyncd): signatures of webhooks are refused otherwise"
    if abs(seconds) > MOST_DRIFT:
        return Finding("clock", State.PROBLEM, text, fix)
    if abs(seconds) > WARN_DRIFT:
        return Finding("clock", State.WARNING, text, fix)
    return Finding("clock", State.OK, f"agrees with that of {whose}")
