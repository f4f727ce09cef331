"""guard: a feed that is played again, or a flood, waits for a person; nothing that is asked for already does."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st
from workbench import MAY, Workbench, configuration, dft, line

from chartpost.adapter.flow.charges import guard
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Guard
from chartpost.mappings.model import Charge, Money, Party, Reading

TODAY = dt.date(2026, 5, 4)


def limit(bench: Workbench, **limits: int | None) -> None:
    """Give every source these limits, as after a restart."""
    sources = {
        name: source.model_copy(update={"guard": Guard(**limits)})
        for name, source in bench.flow.settings.sources.items()
    }
    bench.use(bench.flow.settings.model_copy(update={"sources": sources}))


def charge(account: str, code: str = "A", date: str = "20260504", kind: str = "CG") -> bytes:
    return dft(line(kind, "40.00", code, date=date), account=account)


def reasons(bench: Workbench) -> list[tuple[str, str]]:
    held = {row.object: row.cause for row in bench.rows(tables.hold, state="open")}
    return [(row.state, held.get(f"message:{row.id}", "")) for row in bench.rows(tables.message)]


def opened(bench: Workbench) -> int:
    return len(bench.rows(tables.request))


# ---------------------------------------------------------------------------------------------------- what is old


def test_a_charge_of_long_ago_waits_and_one_of_the_last_allowed_day_does_not(bench):
    bench.take(charge("A-1", date="20250503"), charge("A-2", date="20250504"))
    assert reasons(bench) == [("held", "old_charges"), ("translated", "")]
    assert "FT1[1]: a charge of more than 365 days ago" in bench.one(tables.hold).text
    assert "2025" not in bench.one(tables.hold).text, "a date of service is the patient's"


def test_a_charge_that_states_no_date_is_not_taken_for_old(bench):
    assert bench.take(charge("A-1", date="")).state == "translated"


def test_an_old_line_that_is_not_the_patients_holds_nothing(bench):
    body = dft(line("CG", "800.00", "X", date="20200101"), line("CO", "45.00"))
    assert bench.take(body, source="copay").state == "translated"


def test_an_old_credit_still_lowers_what_is_asked_for(bench):
    limit(bench, older_than_days=None)
    bench.take(charge("A-1", date="20200101"))
    limit(bench, older_than_days=365)
    assert bench.take(charge("A-1", date="20200101", kind="CD")).state == "translated"
    assert bench.request().state == "settled"


def test_the_limit_of_age_can_be_switched_off(bench):
    limit(bench, older_than_days=None)
    assert bench.take(charge("A-1", date="20010101")).state == "translated"


def test_an_old_charge_that_a_person_waives_counts_and_its_hold_says_who_said_so(bench):
    bench.take(charge("A-1", date="20200101"))
    number = bench.one(tables.hold).id
    assert "waits again" not in release.retry(bench.flow, number, by="anna").text
    bench.translate()
    assert reasons(bench) == [("held", "old_charges")], "a retry alone changes nothing about its age"
    (number,) = release.open_holds(bench.store, guard.OLD)
    assert release.retry(bench.flow, number, by="anna", sure=True).text.endswith("old_charges waived")
    bench.translate()
    assert (reasons(bench), opened(bench)) == ([("translated", "")], 1)
    row = bench.rows(tables.hold)[-1]
    assert (row.closed_by, row.note, bench.one(tables.message).waived) == ("anna", "(waived)", "old_charges")


@given(
    days=st.integers(1, 400),
    lines=st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 800) | st.none()), max_size=6),
)
def test_exactly_the_lines_that_raise_and_are_older_are_old(days, lines):
    charges = tuple(
        Charge(
            ordinal=number, kind="charge", amount=Money(minor=amount, currency="USD"),
            service_date=None if age is None else TODAY - dt.timedelta(days=age),
        )
        for number, (amount, age) in enumerate(lines, start=1)
    )  # fmt: skip
    reading = Reading(patient=Party(role="patient"), charges=charges)
    counted = [(f"message:7:{one.ordinal}", "charge", one.amount.minor, {}) for one in charges if one.amount.minor]
    expected = [n for n, (amount, age) in enumerate(lines, start=1) if amount > 0 and age is not None and age > days]
    assert guard.too_old(reading, counted, TODAY, days) == expected


# --------------------------------------------------------------------------------------------------- what is much


def test_beyond_the_limit_of_an_hour_messages_that_would_open_a_request_wait_as_one_group(bench):
    limit(bench, requests_an_hour=3)
    bench.take(*(charge(f"A-{number}") for number in range(8)))
    assert [state for state, _ in reasons(bench)] == ["translated"] * 3 + ["held"] * 5
    assert {row.likeness for row in bench.rows(tables.hold)} == {"too_many_requests all"}
    assert opened(bench) == 3


def test_the_limit_holds_across_restarts_and_an_hour_later_there_is_room_again(bench):
    limit(bench, requests_an_hour=2)
    bench.take(charge("A-1"), charge("A-2"))
    bench.use(bench.flow.settings)
    bench.clock.advance(minutes=59)
    assert bench.take(charge("A-3")).state == "held"
    bench.clock.advance(minutes=2)
    assert bench.take(charge("A-4")).state == "translated"


def test_what_concerns_an_open_request_is_not_held_up(bench):
    limit(bench, requests_an_hour=1)
    bench.take(charge("A-1"))
    more, credit = bench.take(charge("A-1", "B")), bench.take(charge("A-1", "B", kind="CD"))
    assert (more.state, credit.state, bench.request().asked) == ("translated", "translated", 4000)
    bench.pay(4000)
    assert bench.request().state == "paid"


def test_each_source_has_its_own_count(bench):
    limit(bench, requests_an_hour=1)
    assert bench.take(charge("A-1")).state == "translated"
    assert bench.take(charge("A-1"), source="no_consent").state == "translated"
    assert bench.take(charge("A-2")).state == "held"


def test_a_flood_that_is_meant_is_released_at_once_and_takes_no_room_from_what_comes_after(bench):
    limit(bench, requests_an_hour=2)
    bench.take(*(charge(f"A-{number}") for number in range(6)))
    for number in release.open_holds(bench.store, guard.MANY):
        assert release.retry(bench.flow, number, by="anna", sure=True).done
    bench.translate()
    assert (opened(bench), bench.holds()) == (6, [])
    bench.clock.advance(minutes=61)
    assert bench.take(charge("A-7")).state == "translated"


def test_without_a_waiver_a_retry_lets_through_what_the_hour_has_room_for(bench):
    limit(bench, requests_an_hour=2)
    bench.take(*(charge(f"A-{number}") for number in range(5)))
    bench.clock.advance(hours=2)
    for number in release.open_holds(bench.store, guard.MANY):
        release.retry(bench.flow, number, by="anna")
    bench.translate()
    assert (opened(bench), bench.holds()) == (4, ["too_many_requests"])


def test_the_limit_of_an_hour_can_be_switched_off_and_then_nothing_is_counted(bench):
    limit(bench, requests_an_hour=None)
    bench.take(*(charge(f"A-{number}") for number in range(4)))
    assert (opened(bench), bench.rows(tables.cursor)) == (4, [])


def test_what_a_held_message_would_have_taken_back_stays_for_those_after_it(bench):
    limit(bench, older_than_days=30)
    bench.take(charge("A-1"))
    old = dft(line("CD", "40.00", "A"), line("CG", "90.00", "B", date="20200101"), account="A-1")
    bench.take(old, charge("A-1"))
    assert bench.holds() == ["old_charges", "same_line"], "the first charge still counts, so that is it once more"
    assert bench.one(tables.account).balance == 4000


@given(limit=st.integers(1, 5), seconds=st.lists(st.integers(0, 2000), max_size=60))
def test_no_hour_ever_has_more_than_the_limit(limit, seconds):
    times: list[dt.datetime] = []
    now, stored = MAY, ""
    for gap in seconds:
        now += dt.timedelta(seconds=gap)
        counts = guard.Opened(stored, now)
        if counts.number < limit:
            counts.add()
            times.append(now)
        stored = counts.text
    for first in times:
        assert len([one for one in times if first <= one < first + dt.timedelta(hours=1)]) <= limit


def test_the_counts_are_written_as_text_and_old_minutes_are_forgotten():
    counts = guard.Opened("", MAY)
    counts.add()
    counts.add()
    again = guard.Opened(counts.text, MAY + dt.timedelta(minutes=30))
    again.add()
    assert (again.number, guard.Opened(again.text, MAY + dt.timedelta(minutes=70)).number) == (3, 1)


def test_the_limits_are_there_unless_somebody_switches_them_off():
    for source in configuration().sources.values():
        assert (source.guard.older_than_days, source.guard.requests_an_hour) == (365, 500)
    assert Guard.model_validate({"older_than_days": "none"}).older_than_days is None
