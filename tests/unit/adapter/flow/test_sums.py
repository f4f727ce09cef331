"""Whatever comes in whatever order: the entries of an account come to what the mapped lines come to."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbench import Workbench, dft, line

from chartpost.adapter.ledger import tables
from chartpost.mappings import mapfile

MAP = "extends: hl7v2-dft\ntables: {kinds: {codes: {VO: void, RP: replacement}}}\n"
_accounts = itertools.count(1)
#: A kind, an amount in whole dollars, and which earlier line a void or replacement means.
LINES = st.tuples(
    st.sampled_from(["CG", "CG", "CO", "CD", "VO", "RP"]), st.integers(1, 500), st.integers(0, 5)
)  # fmt: skip
MESSAGES = st.lists(st.lists(LINES, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES)
def test_the_sum_of_the_entries_is_the_sum_of_the_mapped_charges(
    bench: Workbench, messages: list[list[tuple[str, int, int]]]
) -> None:
    bench.flow = replace(bench.flow, maps={**bench.flow.maps, "all": mapfile.parse(MAP, "site.yaml")})
    account, standing = f"SUM-{next(_accounts)}", dict[str, int]()
    numbers = itertools.count(1)
    for lines in messages:
        made, earlier = [], list(standing)
        for kind, dollars, which in lines:
            if kind in ("VO", "RP") and earlier:
                reference = earlier.pop(which % len(earlier))  # one that stands, and once in a message
                standing[reference] = dollars * 100 if kind == "RP" else 0
                if kind == "VO":
                    del standing[reference]
            else:
                kind = "CG" if kind in ("VO", "RP") else kind
                reference = f"T{next(numbers)}"
                standing[reference] = -dollars * 100 if kind == "CD" else dollars * 100
            made.append(line(kind, f"{dollars}.00", code=f"C{next(numbers)}", ref=reference))
        row = bench.take(dft(*made, account=account))
        assert row.state == "translated", (row.reason, bench.holds())
    (known,) = bench.rows(tables.account)[-1:]
    entries = [entry.amount for entry in bench.rows(tables.entry, account_id=known.id)]
    assert sum(entries) == known.balance == sum(standing.values())
