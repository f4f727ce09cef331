"""Postings of one facility and day share a batch, where their destination asks for it; their total can be compared."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter import plugins, totals
from chartpost.adapter.flow.posting import batch
from chartpost.adapter.ledger import states, tables
from chartpost.adapter.settings import Destination
from chartpost.mappings import er7


def destinations(**options: str) -> dict[str, dict[str, str]]:
    return {
        "engine": {"type": "broker", "map": "hl7v2-dft-payment"} | options,
        "bank": {"type": "broker", "map": "flat-csv"},
    }


def told(bench: Workbench, **options: str) -> Workbench:
    """Let a source tell an engine of payments, and a bank's file beside it."""
    kept = configuration(destinations=destinations(**options))
    one = kept.sources["all"].model_copy(update={"destinations": ("engine", "bank")})
    bench.use(kept.model_copy(update={"sources": dict(kept.sources) | {"all": one}}))
    return bench


def paid(bench: Workbench, amount: int = 4500) -> None:
    assert bench.take(dft(line("CG", f"{amount / 100:.2f}", unique()), account=unique("D"))).state == "translated"
    bench.pay(amount)


def rendered(bench: Workbench, destination: str) -> bytes:
    bench.work("post")
    return bytes(bench.rows(tables.posting, destination=destination)[-1].body)


def test_a_posting_gets_the_batch_of_its_day_where_the_destination_asks_for_one(bench):
    paid(told(bench, batch="day"))
    assert rendered(bench, "engine").decode().split("FT1|")[1].split("|")[2] == "LADE260504"
    assert [row.batch for row in bench.rows(tables.posting)] == ["LADE260504", ""]
    assert b"LADE" not in rendered(bench, "bank")


def test_without_being_asked_there_is_no_batch(bench):
    paid(told(bench))
    assert er7.parse(rendered(bench, "engine")).text("FT1", 3) == ""


def test_the_day_is_that_of_the_facility_and_a_posting_stays_in_it_however_late_it_is_sent(bench):
    told(bench, batch="day")
    bench.clock.advance(hours=13, minutes=59)  # a minute before midnight in Chicago, and the next day in UTC
    paid(bench)
    bench.clock.advance(hours=9)
    assert b"|LADE260504|" in rendered(bench, "engine")


def test_totals_add_up_a_day_by_destination_batch_and_state(bench):
    told(bench, batch="day")
    for amount in (4500, 1000, 50):
        paid(bench, amount)
        bench.clock.advance(minutes=1)
    first, second, _ = bench.rows(tables.posting, destination="engine")
    with bench.store.write() as tx:
        for row, state in ((first, states.Posting.ACCEPTED), (second, states.Posting.UNKNOWN)):
            tx.run(tables.posting.update().where(tables.posting.c.id == row.id).values(state=state))
    with bench.store.read() as connection:
        rows = totals.totals(connection, None, {"lakeside": "America/Chicago"}, bench.clock())
        another_day = totals.totals(connection, dt.date(2026, 5, 3), {"lakeside": "America/Chicago"}, bench.clock())
    assert another_day == []
    assert [(row["destination"], row["batch"], row["currency"]) for row in rows] == [
        ("bank", "", "USD"),
        ("engine", "LADE260504", "USD"),
    ]
    engine = {name: (rows[1][name]["postings"], rows[1][name]["amount_minor"]) for name in totals.COLUMNS}
    assert engine == {
        "all": (3, 5550), "accepted": (1, 4500), "waiting": (1, 50), "refused": (0, 0), "unknown": (1, 1000),
    }  # fmt: skip
    assert rows[1]["all"]["amount"] == "55.50"


def test_every_state_of_a_posting_counts_once():
    assert set(totals._COUNTS_AS.values()) | {totals.WAITING} == set(totals.COLUMNS) - {"all"}


@pytest.mark.parametrize(
    ("facility", "short"),
    [("lakeside", "LADE"), ("site-1", "SIE1"), ("site-2", "SIE2"), ("north", "NOTH"), ("er", "ER"), ("a_b-c", "ABC")],
)
def test_a_batch_says_whose_it_is(facility, short):
    moment = dt.datetime(2026, 11, 22, 5, 59, tzinfo=dt.UTC)
    assert batch.name(facility, moment, "America/Chicago") == f"{short}261121"
    assert batch.name(facility, moment, "UTC") == f"{short}261122"


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,30}(-[a-z0-9]{1,9})?", fullmatch=True),
    st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(1990, 1, 1)),
)
def test_every_batch_fits_ft1_3_of_every_version(facility, moment):
    name = batch.name(facility, moment, "America/Chicago")
    assert len(name) <= 10
    assert name.isascii()
    assert name.isalnum()


def test_what_holds_for_every_destination_is_what_the_settings_know_of():
    """A plugin's own model must not be asked about it."""
    assert plugins.SHARED[plugins.SENDERS] == set(Destination.model_fields) - {"type"}
    place = Destination.model_validate({"type": "pull", "map": "x", "batch": "day"})
    assert place.options == {"type": "pull", "map": "x"}
