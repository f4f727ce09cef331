"""How one amount of money is spread over several accounts: exact to the cent. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def oldest_first(total: int, owed: Sequence[int]) -> tuple[int, ...]:
    """Return how much of `total` each account gets: the first is filled before the second gets anything.

    What is more than all of them owe goes to the first, as its credit. Minor units; they add up to `total`.
    """
    left, parts = total, []
    for one in owed:
        parts.append(min(one, left))
        left -= parts[-1]
    if left:
        parts[0] += left
    return tuple(parts)
