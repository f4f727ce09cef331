"""A request follows its balance. Pure: a book in memory, no database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from workbench import LINK_KEY, MAY, configuration

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.asking import ask, link
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.adapter.policy import Amounts


def book(balance: int, asked: int | None = None, session: tuple[str, int] | None = None) -> Book:
    made = Book("key", "his", "lakeside", "A-1", "USD", {}, None, {}, id=1, balance=balance, session=session)
    made.ask = None if asked is None else Ask("R1", asked, id=1)
    return made


def clinic(**policy: Any) -> Facility:
    return configuration().facilities["lakeside"].model_copy(update=policy)


def follow(made: Book, days: int | None = None, paying: bool = False, **policy: Any) -> str:
    return ask.follow(made, LINK_KEY, MAY, clinic(request_days=days, **policy), paying=paying)


@pytest.mark.parametrize("balance", [0, -100])
def test_nobody_is_asked_for_nothing(balance):
    made = book(balance)
    assert (follow(made), made.ask, made.errands) == ("", None, [])


def test_a_debt_opens_a_request_with_a_link():
    made = book(4000)
    assert follow(made) == "request opened"
    assert (made.ask.asked, made.ask.expires_at) == (4000, None)
    assert made.ask.token_hash == link.token_hash(link.token(LINK_KEY, made.ask.public_id))
    assert made.errands == [], "who is told, and whether, is notify.plan's to say"


def test_a_facility_may_say_how_long_a_request_lives():
    made = book(4000)
    follow(made, days=30)
    assert made.ask.expires_at == MAY + dt.timedelta(days=30)
    assert ("lapse", made.ask.expires_at) in [(kind, due) for kind, _, _, due in made.errands]


@pytest.mark.parametrize(
    ("balance", "said"),
    [(5000, "request raised from 40.00 to 50.00 USD"), (3000, "request lowered from 40.00 to 30.00 USD"), (4000, "")],
)
def test_an_open_request_follows_without_a_word_to_the_payer(balance, said):
    made = book(balance, asked=4000)
    assert (follow(made), made.ask.asked, made.errands) == (said, balance, [])


@pytest.mark.parametrize(("paying", "state"), [(True, "paid"), (False, "settled")])
@pytest.mark.parametrize("balance", [0, -500])
def test_a_balance_that_is_gone_closes_the_request_and_the_word_says_who_paid(balance, paying, state):
    made = book(balance, asked=4000)
    assert follow(made, paying=paying) == f"request {state}"
    assert (made.ask, [(one.state, one.asked) for one in made.closed]) == (None, [(state, 0)])


@pytest.mark.parametrize(("balance", "closes"), [(5000, False), (4000, False), (3999, True), (0, True)])
def test_a_card_page_that_would_take_more_than_is_owed_is_closed(balance, closes):
    made = book(balance, asked=4000, session=("C1", 4000))
    follow(made)
    assert [kind for kind, _, _, _ in made.errands] == (["expire"] if closes else [])


def test_a_token_has_128_bits_differs_with_every_part_and_tells_nothing_of_the_request():
    tokens = {
        link.token(key, request, generation)
        for key in (b"a" * 32, b"b" * 32) for request in ("R1", "R11") for generation in (0, 1)
    }  # fmt: skip
    assert len(tokens) == 8
    assert all(len(token) == 22 and "R1" not in token for token in tokens)


# --------------------------------------------------------------------------------------------------------- gathering


def gathered(made: Book, amount: int, hours: float = 0) -> str:
    """Add a line so many hours after the beginning, and follow it."""
    now = MAY + dt.timedelta(hours=hours)
    made.entries.clear()
    made.add(f"message:{hours}:1", "charge" if amount > 0 else "credit", amount, now)
    return ask.follow(made, LINK_KEY, now, clinic(gather_hours=4), gather=True)


def due(made: Book) -> float | None:
    """Return after how many hours the payer is asked."""
    return None if made.window is None else (made.window.due - MAY) / dt.timedelta(hours=1)


def test_with_gathering_a_debt_waits_and_opens_nothing():
    made = book(0)
    assert gathered(made, 4000) == "to be asked for from 2026-05-04 19:00 UTC"
    assert (made.ask, made.errands, due(made), made.gathers) == (None, [], 4, True)


def test_a_charge_moves_the_time_a_credit_does_not_and_three_times_the_hours_are_the_end():
    made = book(0)
    ends = [due(made) for amount, hours in [(4000, 0), (-1000, 1), (500, 3), (500, 6), (500, 9), (500, 11)]
            if gathered(made, amount, hours)]  # fmt: skip
    assert ends == [4, 4, 7, 10, 12, 12]


def test_what_is_settled_is_forgotten_and_the_next_charge_begins_anew():
    made = book(0)
    gathered(made, 4000)
    assert (gathered(made, -4000, 2), due(made)) == ("", None)
    gathered(made, 700, 3)
    assert (due(made), made.window.first) == (7, MAY + dt.timedelta(hours=3))


def test_an_open_request_follows_at_once_whatever_is_gathered():
    made = book(4000, asked=4000)
    assert gathered(made, 1000) == "request raised from 40.00 to 50.00 USD"
    assert made.window is None


def test_whether_an_entry_would_open_a_request_is_known_before_it_is_made():
    assert ask.opens(book(0), 1, clinic())
    assert not ask.opens(book(-500), 500, clinic()), "it only uses up a credit"
    assert not ask.opens(book(4000, asked=4000), 1000, clinic())
    made = book(0)
    gathered(made, 4000)
    assert not ask.opens(made, 1000, clinic()), "it was counted when the gathering began"


@given(
    balance=st.integers(-200, 400), withheld=st.integers(0, 100), amount=st.integers(1, 400),
    least=st.none() | st.integers(1, 300), most=st.none() | st.integers(1, 300), review=st.none() | st.integers(1, 300),
)  # fmt: skip
def test_it_is_known_as_well_where_little_waits_for_more_and_much_for_a_person(
    balance, withheld, amount, least, most, review
):
    assume(least is None or most is None or least <= most)
    limits = {"minimum": least, "maximum": most, "review_above": review}
    place = clinic(amounts=Amounts(**{name: one and Decimal(one) / 100 for name, one in limits.items()}))
    made = book(balance)
    made.withheld = max(0, min(withheld, balance))
    known = ask.opens(made, amount, place)
    made.balance += amount
    assert (ask.follow(made, LINK_KEY, MAY, place) == "request opened") == known


# ------------------------------------------------------------------------------------- amounts that people set


def test_what_a_person_withheld_is_not_asked_for_and_never_more_is_withheld_than_is_owed():
    made = book(10000)
    made.withheld = 6000
    follow(made)
    assert made.ask.asked == 4000
    made.balance = 5000
    assert follow(made) == "request settled"
    assert made.withheld == 5000
    made.balance = 7000
    follow(made)
    assert made.ask.asked == 2000, "only what is new"


def test_an_advance_is_asked_for_until_it_is_paid_whatever_is_owed_meanwhile():
    made = book(0, asked=20000)
    made.ask.advance = 20000
    made.add("message:1:1", "charge", 15000, MAY)
    follow(made)
    assert made.ask.asked == 20000, "the deposit is for this charge"
    made.add("payment:1", "card", -5000, MAY)
    follow(made, paying=True)
    assert (made.ask.asked, made.balance) == (15000, 10000)
    made.add("payment:2", "card", -15000, MAY)
    assert follow(made, paying=True) == "request paid"
    assert made.balance == -5000, "a credit for what comes"


def test_a_write_off_is_no_payment_and_leaves_an_advance_as_it_is():
    made = book(0, asked=20000)
    made.ask.advance = 20000
    made.add("message:1:1", "adjustment", -500, MAY)
    follow(made)
    assert made.ask.asked == 20000


def test_too_little_waits_for_more_and_too_much_for_a_person():
    few = Amounts(minimum=Decimal("5.00"), review_above=Decimal("100.00"))
    made = book(499)
    assert (follow(made, amounts=few), made.ask) == ("too little to be asked for", None)
    made.balance = 500
    assert follow(made, amounts=few) == "request opened"
    large = book(10001)
    assert (follow(large, amounts=few), large.ask) == ("not asked for: a person looks first", None)
    large.approved = 10001
    assert follow(large, amounts=few) == "request opened"


def test_an_open_request_is_raised_up_to_what_may_go_out_and_no_further():
    made = book(15000, asked=4000)
    follow(made, amounts=Amounts(review_above=Decimal("100.00")))
    assert made.ask.asked == 10000
    made.approved = 15000
    follow(made, amounts=Amounts(review_above=Decimal("100.00")))
    assert made.ask.asked == 15000
    follow(made, amounts=Amounts(review_above=Decimal("100.00"), maximum=Decimal("120.00")))
    assert made.ask.asked == 12000, "a maximum no person goes beyond"
