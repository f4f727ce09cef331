"""Quiet hours, days and holidays, by what clocks on the wall show."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import configuration

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.telling import quiet

CHICAGO, NEW_YORK, BERLIN = map(ZoneInfo, ("America/Chicago", "America/New_York", "Europe/Berlin"))
MINUTE = dt.timedelta(minutes=1)


def facility(zone: str = "America/Chicago", **policy: Any) -> Facility:
    row = configuration().facilities["lakeside"].model_dump() | {"timezone": zone, "quiet": policy or "none"}
    return Facility.model_validate(row)


def at(text: str, zone: ZoneInfo = CHICAGO, fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-05-04 12:00", "2026-05-04 12:00"),
        ("2026-05-04 20:59:59", "2026-05-04 20:59:59"),
        ("2026-05-04 21:00", "2026-05-05 08:00"),
        ("2026-05-05 03:00", "2026-05-05 08:00"),
        ("2026-05-05 08:00", "2026-05-05 08:00"),
        ("2026-05-08 22:00", "2026-05-11 08:00"),  # a weekend
        ("2026-05-23 12:00", "2026-05-26 08:00"),  # and a holiday after it
    ],
)
def test_what_comes_at_a_quiet_time_waits_for_the_first_minute_after_it(now: str, opens: str) -> None:
    place = facility(hours="21:00-08:00", days=["sat", "sun"], holidays=["2026-05-25"])
    assert quiet.open_from(at(now), place) == at(opens)


def test_hours_may_lie_within_one_day() -> None:
    place = facility(hours="12:00-13:30")
    assert quiet.open_from(at("2026-05-04 12:15"), place) == at("2026-05-04 13:30")
    assert quiet.open_from(at("2026-05-04 13:30"), place) == at("2026-05-04 13:30")


def test_it_is_quiet_where_the_payer_is_and_where_we_are() -> None:
    place = facility(hours="21:00-08:00")
    early = at("2026-05-04 07:30", CHICAGO)
    assert quiet.open_from(early, place, [NEW_YORK]) == at("2026-05-04 08:00", CHICAGO)
    late = at("2026-05-04 20:30", CHICAGO)
    assert quiet.open_from(late, place, [NEW_YORK]) == at("2026-05-05 08:00", CHICAGO)


def test_an_hour_that_the_clocks_leave_out_ends_the_quiet_when_it_is_left_out() -> None:
    place = facility(hours="22:00-02:30")  # on 8 March 2026 two o'clock is three o'clock
    assert quiet.open_from(at("2026-03-08 01:00"), place) == at("2026-03-08 03:00")


def test_an_hour_that_comes_twice_is_as_quiet_the_second_time() -> None:
    place = facility(hours="01:15-01:45")  # on 1 November 2026 one o'clock comes twice
    assert quiet.open_from(at("2026-11-01 01:20"), place) == at("2026-11-01 01:45")
    assert quiet.open_from(at("2026-11-01 01:20", fold=1), place) == at("2026-11-01 01:45", fold=1)


def test_without_an_open_minute_there_is_none() -> None:
    place = facility(days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    assert quiet.open_from(at("2026-05-04 12:00"), place) is None


def test_no_policy_lets_everything_go_at_once() -> None:
    now = at("2026-05-04 03:00")
    assert quiet.open_from(now, facility(), [NEW_YORK]) == now


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+16085550101", ["America/Chicago"]),
        ("+18005550101", []),  # toll-free: anywhere
        ("+5215512345678", []),  # "Etc/Unknown"
        ("no number", []),
        ("+493012345678", ["Europe/Berlin"]),
    ],
)
def test_a_number_tells_a_zone_or_nothing(number: str, zones: list[str]) -> None:
    assert [zone.key for zone in quiet.zones_of(number)] == zones


TIMES = st.times().map(lambda time: f"{time:%H:%M}")
POLICIES = st.fixed_dictionaries(
    {
        "hours": st.one_of(
            st.none(), st.tuples(TIMES, TIMES).filter(lambda two: two[0] != two[1]).map(lambda two: "-".join(two))
        ),
        "days": st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), unique=True, max_size=3),
        "holidays": st.lists(st.dates(dt.date(2026, 3, 6), dt.date(2026, 3, 12)), unique=True, max_size=3),
    }
)
# Nights in which clocks are changed: in Santiago and Beirut at midnight, on Lord Howe by half an hour.
MOMENTS = st.one_of(
    *(
        st.datetimes(start, start + dt.timedelta(days=4))
        for start in (dt.datetime(2026, 3, 6), dt.datetime(2026, 3, 27), dt.datetime(2026, 4, 3),
                      dt.datetime(2026, 9, 4), dt.datetime(2026, 10, 2), dt.datetime(2026, 10, 30))
    )
)  # fmt: skip
PLACES = st.sampled_from(
    ["America/Chicago", "Europe/Berlin", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "America/Phoenix"]
)


@given(policy=POLICIES, moment=MOMENTS, here=PLACES, there=PLACES)
@settings(max_examples=150, deadline=None)
def test_it_is_never_quiet_then_and_no_minute_before_was_open(
    policy: dict[str, Any], moment: dt.datetime, here: str, there: str
) -> None:
    place, zones = facility(here, **policy), [ZoneInfo(here), ZoneInfo(there)]
    now = moment.replace(microsecond=0, tzinfo=dt.UTC)
    opens = quiet.open_from(now, place, zones[1:])

    def open_at(when: dt.datetime) -> bool:
        return not any(quiet.is_quiet(when.astimezone(zone), place.quiet) for zone in zones)

    last = min(now + dt.timedelta(days=2), opens or now + quiet.HORIZON)
    assert not any(open_at(now + n * MINUTE) for n in range(int((last - now) / MINUTE)))
    if opens is not None:  # two zones may have no minute in common
        assert opens >= now
        assert open_at(opens)
        assert opens == now or not open_at(opens - dt.timedelta(seconds=1)), "not a second later than needed"
