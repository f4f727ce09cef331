"""What a person wants of a request, as they say it; read and judged here, before anything is looked up. Pure.

Amounts are decimals of major units ("45.00"), as people write them; `minor` makes them exact or says why it cannot.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from chartpost.adapter import mail_address
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.telling.reach import EMAIL, SMS
from chartpost.mappings import contacts
from chartpost.mappings.model import Money

#: Digits before the decimal mark: no bill has more, and the ledger's integers hold them.
_DIGITS = 12
#: Characters of a note, and of a name.
LONGEST, LONGEST_NAME = 2000, 200


@dataclass(frozen=True, slots=True)
class Item:
    """One line of what is asked for; amounts in major units. Its description leaves for nobody but the payer."""

    description: str
    unit_amount: Decimal
    quantity: Decimal = Decimal(1)
    discount: Decimal = Decimal(0)  #: off the whole line
    tax: Decimal = Decimal(0)  #: on the whole line

    @property
    def total(self) -> Decimal:
        """What the line comes to, in major units and exactly."""
        with localcontext(prec=4 * _DIGITS):
            return self.quantity * self.unit_amount - self.discount + self.tax


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that a person wants made. What is left out is as the account and the facility's policy have it."""

    account: str  #: "A7", or with `source` the number by which the chart knows it
    source: str = ""
    amount: Decimal | None = None  #: in major units; None: what the items come to, else what is owed
    currency: str = ""  #: if it is said, it must be the account's
    payer: str = ""  #: whom the page addresses; "": the guarantor, else the patient
    recipients: str = ""  #: "anna@example.org; 608 555 0142"; "": whom the chart names
    note: str = ""  #: shown after the identity check only
    due_on: dt.date | None = None  #: None: as the facility's reminders have it
    expires: str = ""  #: "once" (24 hours), days as in "30", "never"; "": the facility's request_days
    language: str = ""  #: one of the facility's; "": the payer's
    items: tuple[Item, ...] = ()
    patient: str = ""  #: the name of the patient of an account that is not here yet: an advance
    approved: bool = False  #: it may be more than goes out without a person's look


def minor(amount: Decimal, currency: str, said: str = "") -> int:
    """Return an amount in minor units of the account's currency; `said` is the currency that the person named.

    Raises No for what is no amount, nothing, negative, too large, over-precise or in another currency.
    """
    if said and said.strip().upper() != currency:
        raise No(f"the account is in {currency}: an amount in another currency cannot be asked for")
    if not amount.is_finite():
        raise No("the amount is no number")
    if amount.adjusted() >= _DIGITS:
        raise No("the amount is too large to be one")
    try:
        if _scale(amount) > _DIGITS:  # decimal would round it, and find it exact
            raise ValueError
        found = Money.of(amount, currency).minor
    except ValueError:
        raise No(f"the amount has more decimals than {currency} has") from None
    if found <= 0:
        raise No("the amount must be above zero")
    return found


def amount(amount: Decimal | None, said: str, items: tuple[Item, ...], currency: str) -> int | None:
    """Return how much is to be asked for, in minor units: the amount, which items must add up to; None: not said.

    Raises No.
    """
    if not items:
        return None if amount is None else minor(amount, currency, said)
    _, total = itemised(items, currency)
    found = minor(total, currency, said)
    if amount is not None and minor(amount, currency, said) != found:
        raise No(f"the items come to {total} {currency}, and the amount is another one")
    return found


def itemised(items: Iterable[Item], currency: str) -> tuple[list[dict[str, str]], Decimal]:
    """Return items as they are kept, and what they come to in major units. Raises No, which names them by position."""
    kept: list[dict[str, str]] = []
    total = Decimal(0)
    for position, item in enumerate(items, start=1):
        described = one_line(item.description, f"item {position}: its description")
        if not described:
            raise No(f"item {position}: it has no description")
        parts = (item.quantity, item.unit_amount, item.discount, item.tax)
        if not all(part.is_finite() and part.adjusted() < _DIGITS and _scale(part) <= _DIGITS for part in parts):
            raise No(f"item {position}: an amount of it is no number that an item can have")
        if item.quantity <= 0 or min(item.unit_amount, item.discount, item.tax) < 0:
            raise No(f"item {position}: quantity must be above zero, and no amount below it")
        if item.total < 0:
            raise No(f"item {position}: its discount is more than it costs")
        try:
            with localcontext(prec=4 * _DIGITS):
                exact = Money.of(item.total, currency)
        except ValueError:
            raise No(f"item {position}: it does not come to whole minor units of {currency}") from None
        total += exact.amount
        names = ("quantity", "unit_amount", "discount", "tax")
        amounts = {name: f"{part:f}" for name, part in zip(names, parts, strict=True)}
        kept.append({"description": described, **amounts, "total": str(exact.amount)})
    return kept, total


def recipients(text: str, facility: Facility) -> list[dict[str, str]]:
    """Return numbers (E.164) and addresses out of a list with semicolons, each once: [{"channel", "to"}].

    Raises No with every one that is neither, by position and without repeating it.
    """
    found: list[dict[str, str]] = []
    wrong: list[str] = []
    for position, part in enumerate((one.strip() for one in text.split(";")), start=1):
        if not part:
            continue
        one = _recipient(part, facility.region)
        if one is None:
            kind = "e-mail address" if "@" in part else f"phone number that can be called from {facility.region}"
            wrong.append(f"recipient {position} is no {kind}")
        elif one["to"].casefold() not in {other["to"].casefold() for other in found}:
            found.append(one)
    if wrong:
        raise No(f"{'; '.join(wrong)}. Write them as in anna@example.org; +1 608 555 0142")
    return found


def expiry(text: str, now: dt.datetime, facility: Facility) -> dt.datetime | None:
    """Return when a request ends (Wish.expires), None for never. Raises No."""
    said = text.strip().lower()
    if said == "never":
        return None
    if said == "once":
        return now + dt.timedelta(hours=24)
    if not said:
        return None if facility.request_days is None else now + dt.timedelta(days=facility.request_days)
    if not said.isascii() or not said.isdigit() or not 1 <= len(said) <= 4 or int(said) == 0:
        raise No('an expiry is once (24 hours), 1 to 9999 days as in "30", or never')
    return now + dt.timedelta(days=int(said))


def due(day: dt.date | None, now: dt.datetime, facility: Facility) -> str:
    """Return a due date as it is kept, "" for none. Raises No for one that has passed in the facility's calendar."""
    if day is not None and day < now.astimezone(facility.zone).date():
        raise No("the due date has passed already")
    return day.isoformat() if day is not None else ""


def language(text: str, facility: Facility) -> str:
    """Return a language that the facility speaks, "" where none is said. Raises No."""
    said = text.strip().lower()
    if said and said not in facility.languages:
        raise No(f"the facility speaks {', '.join(facility.languages)}: choose one of them")
    return said


def one_line(text: str, what: str) -> str:
    """Return a name or description on one line. Raises No where it is too long to be one; `what` is what it is."""
    found = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(found) > LONGEST_NAME:
        raise No(f"{what} is longer than {LONGEST_NAME} characters")
    return found


def note(text: str) -> str:
    """Return a note without control characters. Raises No where it is too long."""
    found = "".join(char for char in text.replace("\r\n", "\n") if char.isprintable() or char == "\n").strip()
    if len(found) > LONGEST:
        raise No(f"the note is longer than {LONGEST} characters")
    return found


def _recipient(text: str, region: str) -> dict[str, str] | None:
    if "@" in text:
        try:
            mail_address.wire(text)
        except ValueError:
            return None
        return {"channel": EMAIL, "to": text}
    number = contacts.e164(text, region)
    return {"channel": SMS, "to": number} if number else None


def _scale(amount: Decimal) -> int:
    exponent: Any = amount.as_tuple().exponent
    return -int(exponent)
