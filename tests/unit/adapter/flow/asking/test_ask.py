"""A request follows its balance. Pure: a book in memory, no database."""

from __future__ import annotations

import datetime as dt

import pytest
from workbench import LINK_KEY, MAY

from chartpost.adapter.flow.asking import ask, link
from chartpost.adapter.ledger.books import Ask, Book


def book(balance: int, asked: int | None = None, session: tuple[str, int] | None = None) -> Book:
    made = Book("key", "his", "lakeside", "A-1", "USD", {}, None, {}, id=1, balance=balance, session=session)
    made.ask = None if asked is None else Ask("R1", asked, id=1)
    return made


def follow(made: Book, days: int | None = None, paying: bool = False) -> str:
    return ask.follow(made, LINK_KEY, MAY, days, paying=paying)


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
    return ask.follow(made, LINK_KEY, now, None, gather=4)


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
    assert ask.opens(book(0), 1)
    assert not ask.opens(book(-500), 500), "it only uses up a credit"
    assert not ask.opens(book(4000, asked=4000), 1000)
    made = book(0)
    gathered(made, 4000)
    assert not ask.opens(made, 1000), "it was counted when the gathering began"
