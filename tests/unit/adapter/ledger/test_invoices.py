"""What the ledger knows of Invoices that came before, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from chartpost.adapter.ledger.intake import Intake, Row
from chartpost.adapter.ledger.invoices import Known, KnownInvoices, Seen
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account


def row(id: str, key: str, lane: str, *, source: str = "ehr", kind: str = "Invoice") -> Row:
    return Row(source, key, id, kind, "R4", lane, 1, b"{}", b"d", "201", "received", "", None)


@pytest.fixture
def intake(store: Store) -> Iterator[Intake]:
    made = Intake(store)
    yield made
    made.close()


def test_the_newest_message_counts_by_id_and_by_identifier(store: Store, intake: Intake) -> None:
    _, second, third = intake.commit([row("x", "k", "L1"), row("x", "k", "L1"), row("y", "k2", "L2")])
    known = KnownInvoices(store, "ehr")(["x", "y", "z"], ["k"])
    assert known == Known(
        {"x": Seen(second.id, "x", "L1", "received", False), "y": Seen(third.id, "y", "L2", "received", False)},
        {"k": Seen(second.id, "x", "L1", "received", False)},
    )


def test_an_account_is_known_by_its_lane(store: Store, intake: Intake) -> None:
    intake.commit([row("x", "k", "L1")])
    with store.write() as tx:
        owed = {"key": "L1", "source": "ehr", "facility": "f", "number": b"1", "currency": "USD", "balance": 0}
        tx.run(insert(account), [owed | {"patient": {}, "chart": {}, "created_at": tx.now}])
    assert KnownInvoices(store, "ehr")(["x"], []).by_id["x"].booked


def test_what_was_refused_or_came_by_another_source_or_is_no_invoice_is_not_known(store: Store, intake: Intake) -> None:
    intake.commit([row("x", "k", ""), row("x", "k", "L1", source="other"), row("x", "k", "L1", kind="DFT^P03")])
    assert KnownInvoices(store, "ehr")(["x"], ["k"]) == Known({}, {})
    assert KnownInvoices(store, "ehr")([], []) == Known({}, {})
