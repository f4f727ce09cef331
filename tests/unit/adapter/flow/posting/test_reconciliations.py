"""Payments as a chart reads them, on both databases."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from sqlalchemy import insert, update
from workbench import Workbench, dft, line

from chartpost.adapter.flow.posting.reconciliations import Reconciliations, Reference, Search, UnknownPage
from chartpost.adapter.ledger.intake import Row
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.tables import account, attempt, payment, posting

BODY = b'{"resourceType":"PaymentReconciliation","status":"active","paymentAmount":{"value":10.00,"currency":"USD"}}'


class Shelf:
    """A workbench with postings of any state."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.made = bench, 0

    def add(self, id: str, *, of: str = "A-1", source: str = "all", **values: Any) -> None:
        """Have an account pay, and note the posting."""
        self.made += 1
        self.bench.take(dft(line("CG", 10, ref=id), account=of), source=source)
        self.bench.pay(1000)
        [*_, paid] = self.bench.rows(payment)
        row = {
            "public_id": id, "payment_id": paid.id, "destination": "portal", "kind": "payment", "state": "published",
            "control_id": id, "content_type": "application/fhir+json", "body": BODY,
        }  # fmt: skip
        with self.bench.store.write() as tx:
            tx.run(insert(posting), [row | {"created_at": tx.now, "changed_at": tx.now} | values])

    def state(self, id: str) -> str:
        return str(self.bench.one(posting, public_id=id).state)

    def readings(self, **more: Any) -> Reconciliations:
        return Reconciliations(self.bench.store, "all", "lakeside", ["portal"], **more)


@pytest.fixture
def shelf(bench: Workbench) -> Shelf:
    return Shelf(bench)


def found(readings: Reconciliations, **search: Any) -> list[str]:
    return [one.id for one in readings.search(Search(**search)).found]


def test_what_is_read_is_the_posting_with_its_id_and_version_and_every_digit(shelf: Shelf) -> None:
    shelf.add("P1")
    read = shelf.readings().read("P1")
    assert read is not None
    assert list(read.resource)[:3] == ["resourceType", "id", "meta"]
    assert read.resource["id"] == "P1"
    assert read.resource["meta"] == {"versionId": read.version, "lastUpdated": "2026-05-04T15:00:00.000000Z"}
    assert str(read.resource["paymentAmount"]["value"]) == "10.00"


def test_only_what_this_source_may_read_is_there(shelf: Shelf) -> None:
    shelf.add("P1")
    shelf.add("P2", source="no_consent")
    shelf.add("P3", destination="chart")
    shelf.add("P4", content_type="application/hl7-v2")
    for state in ("due", "refused"):
        shelf.add(f"P{state}", state=state)
    shelf.add("P5", body=None)
    assert found(shelf.readings()) == ["P1"]
    assert shelf.readings().read("P2") is None
    assert found(Reconciliations(shelf.bench.store, "all", "lakeside", [])) == []


def test_reading_is_how_a_posting_of_a_pull_destination_arrives_and_it_does_so_once(shelf: Shelf) -> None:
    shelf.add("P1")
    shelf.add("P2", state="accepted")
    readings = shelf.readings(pull=["portal"])
    changed = shelf.bench.one(posting, public_id="P1").changed_at
    readings.read("P1", handing_out=False)
    assert shelf.state("P1") == "published"
    shelf.bench.clock.advance(seconds=5)
    for _ in range(2):
        assert found(readings) == ["P1", "P2"]
    assert (shelf.state("P1"), shelf.state("P2")) == ("received", "accepted")
    assert shelf.bench.one(posting, public_id="P1").changed_at == changed, "a poller would find it again for ever"
    [tried] = shelf.bench.rows(attempt)
    assert (tried.subject, tried.outcome, tried.ended_at) == ("posting:P1", "done", shelf.bench.clock())


def test_without_a_pull_destination_reading_changes_nothing(shelf: Shelf) -> None:
    shelf.add("P1")
    shelf.readings().read("P1")
    assert shelf.state("P1") == "published"
    assert shelf.bench.rows(attempt) == []


def test_a_search_goes_by_id_by_time_and_page_by_page(shelf: Shelf) -> None:
    start = shelf.bench.clock()
    for number in range(5):
        shelf.add(f"P{number}")
        shelf.bench.clock.advance(minutes=1)
    readings = shelf.readings()
    assert found(readings, ids=[frozenset({"P1", "P3", "PX"}), frozenset({"P3"})]) == ["P3"]
    assert found(readings, since=[start + dt.timedelta(minutes=3)]) == ["P3", "P4"]
    assert found(readings, before=[start + dt.timedelta(minutes=1)]) == ["P0"]
    first = readings.search(Search(count=2))
    assert (first.total, [one.id for one in first.found], first.after) == (5, ["P0", "P1"], "P1")
    last = readings.search(Search(count=2, after="P3"))
    assert ([one.id for one in last.found], last.after) == (["P4"], "")
    assert readings.search(Search(count=0)) == (5, [], "")
    with pytest.raises(UnknownPage):
        readings.search(Search(after="PX"))


def test_a_search_goes_by_the_invoice_that_was_paid(shelf: Shelf) -> None:
    shelf.add("P1", of="A-1")
    shelf.add("P2", of="A-2")
    lane = keyring().search("all", "lakeside", "urn:example:invoices|17")
    with shelf.bench.store.write() as tx:
        first = shelf.bench.rows(account)[0]
        tx.run(update(account).where(account.c.id == first.id).values(key=lane))
    came = Row("all", "k", "x", "Invoice", "R4", lane, 1, b"{}", b"d", "201", "ignored", "seen", None)
    shelf.bench.intake.commit([came])
    readings = shelf.readings()
    assert found(readings, invoices=[frozenset({Reference(id="x")})]) == ["P1"]
    assert found(readings, invoices=[frozenset({Reference(identifier="urn:example:invoices|17")})]) == ["P1"]
    assert found(readings, invoices=[frozenset({Reference(id="y"), Reference(identifier="A-2")})]) == ["P2"]
    assert found(readings, invoices=[frozenset({Reference(id="y")})]) == []


def test_what_is_posted_again_with_other_content_is_another_version(shelf: Shelf) -> None:
    shelf.add("P1")
    before = shelf.readings().read("P1")
    with shelf.bench.store.write() as tx:
        changed = json.dumps({"resourceType": "PaymentReconciliation", "meta": {"profile": ["p"]}}).encode()
        tx.run(update(posting).values(body=changed))
    after = shelf.readings().read("P1")
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert after.resource["meta"]["profile"] == ["p"]
