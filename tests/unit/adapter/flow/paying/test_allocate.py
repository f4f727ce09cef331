"""One amount, several accounts: every cent goes somewhere, and the oldest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.paying.allocate import oldest_first

OWED = st.lists(st.integers(1, 10**9), min_size=1, max_size=8)


@given(st.integers(1, 10**10), OWED)
def test_the_parts_add_up_and_nobody_gets_anything_before_those_before_have_all(total, owed):
    parts = oldest_first(total, owed)
    assert (sum(parts), len(parts)) == (total, len(owed))
    assert min(parts) >= 0
    filled = [min(part, one) for part, one in zip(parts, owed, strict=True)]
    short = next((n for n, one in enumerate(owed) if filled[n] < one), len(owed))
    assert not any(parts[short + 1 :]), "what comes after an account that is not paid gets nothing"
    assert list(parts[1:]) == filled[1:], "only the first may be in credit"
    assert parts[0] - filled[0] == max(0, total - sum(owed))


def test_to_the_cent():
    assert oldest_first(10000, [3333, 3333, 5000]) == (3333, 3333, 3334)
    assert oldest_first(1, [3333, 3333]) == (1, 0)
    assert oldest_first(7000, [3333, 3333]) == (3667, 3333)
