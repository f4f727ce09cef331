"""Accounts are written together: what follows from a batch is a statement a table, not one an account."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.charges import translate
from chartpost.adapter.ledger import tables

POLICY: dict[str, Any] = {
    "reminders": {"before": [3], "on": True}, "amounts": {"review_above": "800.00", "maximum": "900.00"},
}  # fmt: skip


@pytest.fixture
def used(bench: Workbench) -> Workbench:
    place = configuration().facilities["lakeside"].model_dump() | POLICY
    bench.use(configuration(facilities={"lakeside": place}))
    return bench


def cost(bench: Workbench, accounts: range, code: str = "A") -> int:
    """Return how many statements it takes to translate a charge for each of these accounts, as one batch."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    bench.receive(*(dft(line("CG", "40.00", code), account=f"A-{number}") for number in accounts))
    event.listen(bench.store.engine, "before_cursor_execute", note)
    try:
        assert translate.batch(bench.flow) == len(accounts)
    finally:
        event.remove(bench.store.engine, "before_cursor_execute", note)
    return len(seen)


def test_ten_accounts_cost_no_more_statements_than_one(used: Workbench) -> None:
    cost(used, range(1))  # the first of all also opens the counters of the hour
    assert cost(used, range(2, 12)) == cost(used, range(1, 2))
    assert cost(used, range(2, 12), "B") == cost(used, range(1, 2), "B"), "nor those that are there already"
    assert sorted({row.asked for row in used.rows(tables.request)}) == [4000, 8000]
    assert len(used.rows(tables.errand, kind="remind")) == 12
