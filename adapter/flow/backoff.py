"""How long to wait before the next try."""

from __future__ import annotations

import datetime as dt


def delay(attempts: int) -> dt.timedelta:
    """Return 1, 2, 4 … seconds after the first, second, third … failed attempt, 60 at most."""
    return dt.timedelta(seconds=min(60, 2 ** min(attempts - 1, 6)))
