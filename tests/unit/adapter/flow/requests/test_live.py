"""Requests that people make and change, between a real SMS service and a real card provider (the sandbox)."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from workbench import Other, Workbench, dft, line, unique

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import pay
from chartpost.adapter.flow.requests.change import Edit, cancel, edit, resend, settle
from chartpost.adapter.flow.requests.make import Wish, make, preview
from chartpost.adapter.ledger import tables
from chartpost.adapter.policy import Amounts

_last = count(110)


@pytest.fixture
def phones() -> tuple[str, str, str]:
    """Three numbers that no other test of this process writes to."""
    return tuple(f"+1317555{next(_last):04d}" for _ in range(3))  # type: ignore[return-value]


def owe(live: Workbench, other: Other, phone: str = "") -> str:
    """Charge an account that the clinic knows; return the id of the request that this opens."""
    charges = dft(line("CG", "100.00"), account=unique("Q"), phone=phone[2:])
    other.knows(charges)
    live.take(charges)
    return str(live.request().public_id)


def test_what_the_preview_shows_is_what_arrives_on_each_phone_and_the_chart_s_own_number_gets_nothing(
    live, other, phones
):
    cancel(live.flow, owe(live, other, phones[0]), by="anna")
    live.work("notify")
    wish = Wish("A1", amount=Decimal("40.00"), recipients="; ".join(phones[1:]))
    seen = preview(live.flow, wish, by="anna")
    made = make(live.flow, wish, by="anna")
    live.work("notify")
    assert [one.to for one in seen.messages] == list(phones[1:])
    token = made.link.rpartition("/")[2]
    for one in seen.messages:
        (text,) = other.texts(one.to)
        assert text["body"].replace(token, "x" * len(token)) == one.text
    assert other.texts(phones[0]) == [], "its request was withdrawn before anything had gone out"


def test_a_practice_with_an_address_of_its_own_has_its_links_and_the_way_back_from_the_card_page_under_it(
    live, other, phones
):
    site = live.flow.settings
    clinic = site.facilities["lakeside"].model_copy(update={"pay_url": "https://pay.lakeside.example.org"})
    live.use(site.model_copy(update={"facilities": {"lakeside": clinic}}))
    owe(live, other, phones[0])
    live.work("notify")
    (text,) = other.texts(phones[0])
    assert f"https://pay.lakeside.example.org/p/{live.token()}" in text["body"]
    pay.begin(live.flow, live.token(), None)
    (asked,) = other.sessions(live.one(tables.card_session).public_id)
    for back in ("success_url", "cancel_url"):
        assert asked["params"][back].startswith("https://pay.lakeside.example.org/p/")


def test_a_number_that_was_mistyped_and_corrected_in_time_gets_nothing(live, other, phones):
    other.call("/_control/twilio/callbacks?mode=hold")  # nobody says yet that the text has arrived
    name = owe(live, other, phones[0])
    edit(live.flow, name, Edit(recipients=phones[1]), by="anna")
    edit(live.flow, name, Edit(recipients=phones[2]), by="anna")
    live.work("notify")
    assert [len(other.texts(phone)) for phone in phones] == [0, 0, 1]
    with pytest.raises(No, match="may have arrived"):
        resend(live.flow, name, by="anna")
    resend(live.flow, name, by="anna", sure=True)
    live.work("notify")
    assert [len(other.texts(phone)) for phone in phones] == [0, 0, 2]


def test_an_advance_that_is_paid_before_its_charge_is_posted_once_the_chart_has_sent_what_it_needs(
    live, other, hooks, phones
):
    site = live.flow.settings
    clinic = site.facilities["lakeside"].model_copy(update={"amounts": Amounts(higher=True)})
    live.use(site.model_copy(update={"facilities": {"lakeside": clinic}}))
    hooks.flow, number = live.flow, unique("Q")
    wish = Wish(number, "all", amount=Decimal("50.00"), patient="Silvia Sample", recipients=phones[0])
    make(live.flow, wish, by="anna")
    live.work("notify")
    other.pay(pay.begin(live.flow, live.token(), None))
    paid(live, hooks)
    live.work("post")
    waits = {row.cause: row.id for row in live.rows(tables.hold, state="open")}
    assert "PID-3" in live.one(tables.hold, id=waits["not_sent"]).text
    charges = dft(line("CG", "60.00"), account=number)
    other.knows(charges)
    live.take(charges)
    assert release.retry(live.flow, waits["not_sent"], by="anna").done
    live.work("post", "deliver")
    assert live.one(tables.posting).state == "accepted"
    assert (live.one(tables.account).balance, live.request().asked) == (1000, 1000)


def paid(live: Workbench, hooks: Any) -> Any:
    return hooks.until(lambda: live.rows(tables.payment))


def test_a_request_that_is_withdrawn_in_another_tab_cannot_be_paid_on_the_card_page_that_is_open(live, other, phones):
    name = owe(live, other, phones[0])
    url = pay.begin(live.flow, live.token(), None)
    cancel(live.flow, name, by="anna")
    live.work("expire")
    assert live.one(tables.card_session).state == "expired"
    other.pay(url)
    assert (live.rows(tables.payment), live.one(tables.account).balance) == ([], 10000)


def test_who_was_faster_than_the_withdrawal_has_paid_and_is_asked_for_nothing_more(live, other, hooks, phones):
    name = owe(live, other, phones[0])
    url = pay.begin(live.flow, live.token(), None)
    cancel(live.flow, name, by="anna")
    other.pay(url)
    paid(live, hooks)
    live.work("expire")
    assert (live.one(tables.account).balance, live.one(tables.account).withheld) == (0, 0)
    assert live.request().state == "cancelled"


def test_money_at_the_desk_closes_the_card_page_that_would_take_it_again(live, other, hooks, phones):
    name = owe(live, other, phones[0])
    url = pay.begin(live.flow, live.token(), None)
    settle(live.flow, name, method="cash", amount=Decimal("60.00"), by="anna")
    live.work("expire")
    other.pay(url)
    assert live.rows(tables.payment) == []
    other.pay(pay.begin(live.flow, live.token(), None))
    paid(live, hooks)
    assert (live.request().state, live.one(tables.account).balance) == ("paid", 0)
    assert [row.amount for row in live.rows(tables.payment)] == [4000]
