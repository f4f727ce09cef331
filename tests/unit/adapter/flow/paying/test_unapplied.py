"""Money that nobody asks for any more, or not yet: it is credit of its account, a rule says who hears of it, and the
next charge uses it up. None of it is ever lost, and none of it is counted twice.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from workbench import dft, line, unique

from chartpost.adapter.flow.paying import pay
from chartpost.adapter.flow.requests import change, make
from chartpost.adapter.flow.requests.wish import Wish
from chartpost.adapter.ledger import tables
from chartpost.adapter.policy import Amounts

RULES = {"ask": ["credit_balance"], "refund": ["refund_proposed"], "credit": []}


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


def use(bench, **changes):
    kept = bench.flow.settings
    facility = kept.facilities["lakeside"].model_copy(update=changes)
    bench.use(kept.model_copy(update={"facilities": {**kept.facilities, "lakeside": facility}}))
    return bench


def number(bench):
    return bench.rows(tables.account)[-1].number.decode()


def used_up(bench, credit, rule):
    """Assert that so many minor units are in credit, that the rule spoke, and that the next charges use them up."""
    account = bench.rows(tables.account)[-1]
    assert account.balance == -credit
    assert sorted(bench.holds()) == RULES[rule]
    before = len(bench.rows(tables.request))
    half = f"{credit // 200}.{credit // 2 % 100:02}"
    bench.take(dft(line("CG", half, "N1", date="20260505"), account=number(bench)))
    assert len(bench.rows(tables.request)) == before, "nobody is asked for what is paid already"
    bench.take(dft(line("CG", half, "N2", date="20260506"), line("CG", "3.00", "N3"), account=number(bench)))
    assert (bench.request().state, bench.request().asked, bench.holds()) == ("open", 300 + credit % 2, [])


def test_what_was_paid_before_its_charge_came_waits_for_it(bench, rule):
    use(bench, overpaid=rule, amounts=Amounts(higher=True))
    bench.take(dft(line("CG", "10.00", "A")))
    bench.pay(1000)
    make.make(bench.flow, Wish(account="A1", amount=Decimal("50.00")), by="tess")
    asked = bench.request()
    assert (asked.asked, asked.advance) == (5000, 5000)
    bench.pay(5000)
    assert bench.request().state == "paid"
    used_up(bench, 5000, rule)


def test_what_was_paid_in_advance_in_two_parts_is_asked_for_once(bench):
    use(bench, amounts=Amounts(higher=True), overpaid="credit")
    bench.take(dft(line("CG", "10.00", "A")))
    bench.pay(1000)
    make.make(bench.flow, Wish(account="A1", amount=Decimal("50.00")), by="tess")
    bench.pay(2000)
    assert (bench.request().asked, bench.request().state) == (3000, "open")
    bench.take(dft(line("CG", "45.00", "B")))
    assert (bench.request().asked, bench.request().state) == (3000, "open"), "the charge is part of the deposit"
    bench.pay(3000)
    assert (bench.request().state, bench.one(tables.account).balance) == ("paid", -500)


def test_what_was_paid_twice_is_credit(bench, rule):
    use(bench, overpaid=rule)
    bench.take(dft(line("CG", "40.00", "A")))
    asked = bench.request()
    bench.pay(4000, request=asked)
    bench.pay(4000, request=asked)
    assert [row.amount for row in bench.rows(tables.payment)] == [4000, 4000]
    used_up(bench, 4000, rule)


def test_what_was_paid_on_an_account_that_was_closed_is_credit(bench, rule):
    use(bench, overpaid=rule)
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(4000)
    bench.take(dft(line("CD", "40.00", "A")))
    used_up(bench, 4000, rule)


def test_what_was_paid_for_a_request_that_was_withdrawn_counts_and_asks_for_nothing_more(bench, rule):
    use(bench, overpaid=rule)
    bench.take(dft(line("CG", "40.00", "A")))
    asked = bench.request()
    change.cancel(bench.flow, asked.public_id, by="tess")
    bench.pay(4100, request=asked)
    assert bench.request().state == "cancelled"
    used_up(bench, 100, rule)


def test_a_part_that_was_paid_for_a_request_that_was_withdrawn_leaves_the_rest_withdrawn(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    asked = bench.request()
    change.cancel(bench.flow, asked.public_id, by="tess")
    bench.pay(1500, request=asked)
    account = bench.one(tables.account)
    assert (account.balance, account.withheld, bench.request().state) == (2500, 2500, "cancelled")
    bench.take(dft(line("CG", "5.00", "B")))
    assert (bench.request().state, bench.request().asked) == ("open", 500)


# ------------------------------------------------------------------------------------------------------------ two tabs


def test_what_waited_for_a_person_to_look_is_asked_for_once_a_late_payment_has_made_it_less(bench):
    use(bench, request_days=1, amounts=Amounts(review_above=Decimal(500)))
    bench.take(dft(line("CG", "100.00", "A")))
    late = bench.request()
    bench.clock.advance(days=2)
    bench.work("lapse")
    bench.take(dft(line("CG", "450.00", "B")))
    assert (bench.request().state, "above_review" in bench.holds()) == ("expired", True)
    bench.pay(10000, request=late)
    assert (bench.request().state, bench.request().asked) == ("open", 45000)
    assert "above_review" not in bench.holds()


def test_a_request_that_is_cancelled_while_its_page_is_open_in_another_tab_can_be_paid_no_more(live, other):
    live.take(dft(line("CG", "40.00", "A"), account=unique("U")))
    token, asked = live.token(), live.request()
    url = pay.begin(live.flow, token)
    change.cancel(live.flow, asked.public_id, by="tess")
    with pytest.raises(pay.PayRefused, match="not_open"):
        pay.begin(live.flow, token)
    assert live.work("expire") == ["expire"]
    assert other.pay(url)[0] == 200, "the card page says that it is over"
    assert (live.rows(tables.payment), live.one(tables.account).balance) == ([], 4000)


def test_who_pressed_before_the_page_was_closed_has_paid_and_a_person_is_not_asked_to_pay_again(live, other):
    live.take(dft(line("CG", "40.00", "A"), account=unique("U")))
    token, asked = live.token(), live.request()
    url = pay.begin(live.flow, token)
    change.cancel(live.flow, asked.public_id, by="tess")
    assert other.pay(url)[0] == 303
    other.hooks.until(lambda: live.rows(tables.payment))
    live.work("expire")
    assert (live.one(tables.account).balance, live.request().state) == (0, "cancelled")
    assert (pay.look(live.flow, token).paid.minor, live.holds()) == (4000, [])
    assert [row.destination for row in live.rows(tables.posting)] == ["chart"], "the chart hears of it all the same"


def test_of_two_tabs_with_two_amounts_only_the_newer_can_be_paid(live, other):
    live.take(dft(line("CG", "40.00", "A"), account=unique("U")))
    first = pay.begin(live.flow, live.token(), 4000)
    second = pay.begin(live.flow, live.token(), 1000)
    assert other.pay(first)[0] == 200
    assert other.pay(second)[0] == 303
    other.hooks.until(lambda: live.rows(tables.payment))
    assert [row.amount for row in live.rows(tables.payment)] == [1000]
    assert other.pay(second)[0] != 303, "a page is paid once"
    assert live.one(tables.account).balance == 3000


def test_of_two_tabs_with_the_same_page_one_pays_and_the_other_finds_it_paid(live, other):
    live.take(dft(line("CG", "40.00", "A"), account=unique("U")))
    token = live.token()
    urls = {pay.begin(live.flow, token) for _ in range(2)}
    (url,) = urls
    assert (other.pay(url)[0], other.pay(url)[0] == 303) == (303, False)
    other.hooks.until(lambda: live.rows(tables.payment))
    with pytest.raises(pay.PayRefused, match="not_open"):
        pay.begin(live.flow, token)
    assert len(live.rows(tables.payment)) == 1
