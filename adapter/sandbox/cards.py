"""Test cards: numbers that belong to nobody, each with its fixed fate. The numbers are Stripe's published ones."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `decline` is the decline code, "" where it is accepted."""

    number: str
    brand: str
    fate: str  #: for the page: what this card does
    decline: str = ""
    message: str = ""  #: what the payer reads when it is declined
    second_step: bool = False  #: the bank asks the payer to confirm (3-D Secure)


CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242", "visa", "Succeeds"),
        Card("5555555555554444", "mastercard", "Succeeds"),
        Card("378282246310005", "amex", "Succeeds"),
        Card("4000000000000002", "visa", "Is declined", "generic_decline", "Your card was declined."),
        Card(
            "4000000000009995",
            "visa",
            "Has insufficient funds",
            "insufficient_funds",
            "Your card has insufficient funds. Try a different card.",
        ),
        Card("4000002500003155", "visa", "Asks for a second step", second_step=True),
    )
}


class CardProblem(ValueError):
    """What the payer must correct on the form; the text is for the payer and repeats no number."""


def read(number: str, expiry: str, cvc: str, today: dt.date) -> tuple[Card, int, int]:
    """Check what was typed; return the card, the month and the four-digit year. Raises CardProblem."""
    digits = "".join(c for c in number if c.isdigit())
    if not digits.isascii() or len(digits) < 12 or not _luhn(digits):
        raise CardProblem("Your card number is invalid.")
    if (card := CARDS.get(digits)) is None:
        raise CardProblem("This is a test page: use one of the test cards listed below.")
    date = [part.strip() for part in expiry.replace("-", "/").split("/")]
    if len(date) != 2 or not all(part.isascii() and part.isdigit() for part in date) or not 1 <= int(date[0]) <= 12:
        raise CardProblem("Your card's expiration date is incomplete. Write it as MM / YY.")
    month, year = int(date[0]), int(date[1]) % 100 + 2000
    if (year, month) < (today.year, today.month):
        raise CardProblem("Your card's expiration date is in the past.")
    if not cvc.isascii() or not cvc.isdigit() or len(cvc) not in (3, 4):
        raise CardProblem("Your card's security code is incomplete.")
    return card, month, year


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
