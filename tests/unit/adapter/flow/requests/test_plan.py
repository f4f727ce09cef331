"""Instalments: exact to the cent, by the policy, and written down once."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import configuration, dft, line, unique

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import view
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.flow.requests.plan import Part
from chartpost.adapter.ledger import tables

TODAY = dt.date(2026, 5, 4)
EVERY = st.sampled_from(["week", "two_weeks", "month"])


def facility(**plans: Any) -> Facility:
    row = configuration().facilities["lakeside"].model_dump() | {"quiet": "none", "plans": plans or None}
    return Facility.model_validate(row)


def configured(bench: Any, **plans: Any) -> None:
    bench.use(bench.flow.settings.model_copy(update={"facilities": {"lakeside": facility(**plans)}}))


def owing(bench: Any, amount: str = "150.00") -> Any:
    bench.take(dft(line("CG", amount), account=unique("P")))
    return bench.request()


def written(bench: Any) -> list[tuple[str, int]]:
    return [(row.due_on, row.amount) for row in bench.rows(tables.instalment)]


# ---------------------------------------------------------------------------------------------------------- pure


def test_the_first_parts_get_the_cents_that_are_left_over() -> None:
    parts = plan.split(10001, 3, TODAY, "week")
    assert [part.amount for part in parts] == [3334, 3334, 3333]
    assert [part.due_on.isoformat() for part in parts] == ["2026-05-04", "2026-05-11", "2026-05-18"]


def test_a_month_without_such_a_day_has_it_on_its_last_and_the_next_one_has_it_again() -> None:
    dates = [part.due_on.isoformat() for part in plan.split(500, 5, dt.date(2027, 12, 31), "month")]
    assert dates == ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]


@pytest.mark.parametrize("count", [0, -1, 11])
def test_no_part_is_nothing(count: int) -> None:
    with pytest.raises(ValueError, match="none of them is nothing"):
        plan.split(10, count, TODAY, "month")


@given(total=st.integers(1, 10**9), count=st.integers(1, 60), first=st.dates(dt.date(2026, 1, 1), dt.date(2099, 1, 1)),
       every=EVERY)  # fmt: skip
def test_the_parts_add_up_and_their_dates_go_forward(total: int, count: int, first: dt.date, every: Any) -> None:
    count = min(count, total)
    parts = plan.split(total, count, first, every)
    assert sum(part.amount for part in parts) == total
    assert max(part.amount for part in parts) - min(part.amount for part in parts) <= 1
    assert parts[0].due_on == first
    assert all(one.due_on < two.due_on for one, two in pairwise(parts))
    assert [part.number for part in parts] == list(range(1, count + 1))


@given(asked=st.integers(0, 10**6), total=st.integers(1, 10**6), count=st.integers(1, 24), every=EVERY,
       days=st.lists(st.integers(-400, 2000), min_size=2))  # fmt: skip
def test_what_is_due_is_between_nothing_and_all_and_only_grows(
    asked: int, total: int, count: int, every: Any, days: list[int]
) -> None:
    parts = plan.split(total, min(count, total), TODAY, every)
    dues = [plan.due_now(asked, parts, TODAY + dt.timedelta(days=day)) for day in sorted(days)]
    assert all(0 <= due <= asked for due in dues)
    assert dues == sorted(dues)
    assert plan.due_now(asked, parts, parts[-1].due_on) == asked, "in the end all of it is due"
    assert plan.due_now(asked, (), TODAY) == asked, "and at once without a plan"


def test_whoever_pays_early_owes_the_later_parts_only() -> None:
    parts = plan.split(15000, 6, TODAY, "month")
    assert plan.due_now(15000, parts, TODAY) == 2500
    assert plan.due_now(12500, parts, TODAY) == 0
    assert plan.due_now(9000, parts, parts[1].due_on) == 0, "the second is paid, and a part of the third"
    assert plan.due_now(9000, parts, parts[2].due_on) == 1500
    assert plan.due_now(12500 + 4000, parts, TODAY) == 4000, "what is charged later does not wait"


@given(asked=st.integers(0, 20000), total=st.integers(6, 20000), late=st.integers(-1, 8))
def test_what_may_wait_and_what_may_not_add_up_to_what_is_asked(asked: int, total: int, late: int) -> None:
    parts, today = plan.split(total, 6, TODAY, "week"), TODAY + dt.timedelta(weeks=late)
    waits = plan.waiting(asked, parts, today)
    assert sum(part.amount for part in waits) + plan.due_now(asked, parts, today) == asked
    assert all(0 < part.amount <= parts[part.number - 1].amount and part.due_on > today for part in waits)
    assert [part.number for part in waits] == sorted(part.number for part in waits)
    assert waits[1:] == parts[len(parts) - len(waits) + 1 :][: len(waits)], "the next ones are paid first"


@given(owed=st.integers(0, 10**7), most=st.integers(2, 60), least=st.integers(1, 5000), every=EVERY)
def test_what_is_offered_is_within_the_policy(owed: int, most: int, least: int, every: Any) -> None:
    place = facility(most=most, least=str(least / 100), every=every)
    for parts in (found := plan.offers(place, owed, TODAY)):
        assert sum(part.amount for part in parts) == owed
        assert 2 <= len(parts) <= most
        assert all(part.amount >= least for part in parts)
        assert parts[0].due_on == TODAY
    assert [len(parts) for parts in found] == list(range(2, len(found) + 2))
    assert len(found) == max(0, min(most, owed // least) - 1), "and all of it is offered"


def test_without_a_policy_nothing_is_offered() -> None:
    assert plan.offers(facility(), 10**6, TODAY) == ()


# ------------------------------------------------------------------------------------------------------- written


def test_a_payer_chooses_once_and_pressing_twice_is_choosing_once(bench: Any) -> None:
    configured(bench, most=6, least="20.00")
    owing(bench)
    parts = plan.choose(bench.flow, bench.token(), 6)
    assert plan.choose(bench.flow, bench.token(), 6) == parts
    assert written(bench)[0] == ("2026-05-04", 2500)
    assert (len(written(bench)), sum(amount for _, amount in written(bench))) == (6, 15000)
    with pytest.raises(No, match="agreed already"):
        plan.choose(bench.flow, bench.token(), 3)
    [act] = bench.rows(tables.act)
    assert (act.by, act.verb, act.object) == ("payer", "plan", f"request:{bench.request().public_id}")


def test_the_page_shows_no_more_to_wait_for_than_is_still_asked(bench: Any) -> None:
    configured(bench, most=4)
    owing(bench, "100.00")
    plan.choose(bench.flow, bench.token(), 4)
    bench.pay(6000)
    shown = view.look(bench.flow, bench.token())
    assert shown is not None
    assert shown.due is not None
    assert [part.amount for part in shown.waits] == [1500, 2500]
    assert (shown.owed.minor, shown.due.minor) == (4000, 0)


@pytest.mark.parametrize("count", [0, 1, 7, -2])
def test_what_is_not_offered_cannot_be_chosen(bench: Any, count: int) -> None:
    configured(bench, most=6, least="25.00")
    owing(bench)
    with pytest.raises(No, match="offered"):
        plan.choose(bench.flow, bench.token(), count)
    assert written(bench) == []


def test_a_payer_needs_the_link_and_not_the_name_of_the_request(bench: Any) -> None:
    configured(bench, most=6)
    request = owing(bench)
    with pytest.raises(No, match="closed"):
        plan.choose(bench.flow, request.public_id, 3)
    assert len(plan.choose(bench.flow, request.public_id, 3, by="anna")) == 3


def test_two_tabs_choose_one_plan(bench: Any) -> None:
    configured(bench, most=6)
    owing(bench)

    def choose(count: int) -> int:
        try:
            return len(plan.choose(bench.flow, bench.token(), count))
        except No:
            return 0

    with ThreadPoolExecutor(2) as pool:
        chosen = [count for count in pool.map(choose, (2, 3)) if count]
    assert len(chosen) == 1
    assert len(written(bench)) == chosen[0]


def test_people_agree_on_other_dates_and_amounts_in_place_of_the_plan_before(bench: Any) -> None:
    configured(bench, most=6)
    request = owing(bench)
    plan.choose(bench.flow, bench.token(), 3)
    parts = [(TODAY + dt.timedelta(days=10), 10000), (TODAY + dt.timedelta(days=99), 5000)]
    made = plan.agree(bench.flow, request.public_id, parts, "anna", "as told on the phone")
    assert made == (Part(1, parts[0][0], 10000), Part(2, parts[1][0], 5000))
    assert written(bench) == [("2026-05-14", 10000), ("2026-08-11", 5000)]
    last = bench.rows(tables.act)[-1]
    assert (last.by, last.note.decode()) == (
        "anna", "100.00 USD on 2026-05-14, 50.00 USD on 2026-08-11; as told on the phone"
    )  # fmt: skip
    plan.drop(bench.flow, request.public_id, "anna")
    assert written(bench) == []
    with pytest.raises(No, match="no plan"):
        plan.drop(bench.flow, request.public_id, "anna")


@pytest.mark.parametrize(
    "parts",
    [
        [], [(0, 14999)], [(0, 15001)], [(0, 20000), (5, -5000)], [(0, 15000), (5, 0)], [(5, 7500), (5, 7500)],
        [(5, 7500), (4, 7500)], [(-1, 7500), (4, 7500)],
    ],
)  # fmt: skip
def test_a_plan_that_does_not_add_up_or_goes_backward_is_refused(bench: Any, parts: list[tuple[int, int]]) -> None:
    configured(bench, most=6)
    request = owing(bench)
    dated = [(TODAY + dt.timedelta(days=day), amount) for day, amount in parts]
    with pytest.raises(No):
        plan.agree(bench.flow, request.public_id, dated, "anna")
    assert (written(bench), bench.rows(tables.act)) == ([], [])


def test_a_closed_request_has_no_plan_to_choose(bench: Any) -> None:
    configured(bench, most=6)
    request = owing(bench)
    bench.pay(15000)
    for which, by in ((bench.token(), "payer"), (request.public_id, "anna"), ("no such link", "payer")):
        with pytest.raises(No, match="closed"):
            plan.choose(bench.flow, which, 2, by)
