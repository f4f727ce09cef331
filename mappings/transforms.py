"""What a map can do to a value on its way: money, date, number, contacts; plain text is in texts.py.

Pure functions. They raise `Rejected` with a cause and a fix. Amounts and codes may stand in a cause, because they are
needed to mend it; dates, names and numbers of people may not.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from chartpost.mappings import contacts, er7
from chartpost.mappings.chain import Cell, Context, Rejected, Shape, Step, Transform, apply, explain
from chartpost.mappings.model import Contact, Money, exponent
from chartpost.mappings.texts import TEXTS, words

__all__ = [
    "TRANSFORMS", "Cell", "Context", "Rejected", "Shape", "Step", "Transform", "amount_of", "apply", "date", "explain",
    "is_currency", "moment", "money", "number",
]  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- money

_AMOUNT = re.compile(r"([+-]?)([0-9]{0,12})(?:[.,]([0-9]{0,12}))?(-?)", re.ASCII)
_NUMBER_FIX = "ask the sender for a plain decimal such as 12.50, or correct the message"


def amount_of(text: str) -> Decimal:
    """Return an amount in major units: `100.00`, `10,00`, `79.000000`, `-5`, `5-`. Raises Rejected for anything else.

    No thousands separators: 1,234.56 and 1.234,56 cannot be told from a mistake.
    """
    tidy = text.strip()
    match = _AMOUNT.fullmatch(tidy)
    if match is None or not (match[2] or match[3]) or (match[1] and match[4]):
        raise Rejected(f'"{text[:40]}" is not an amount', _NUMBER_FIX)
    return Decimal(f"{match[1]}{match[4]}{match[2] or 0}" + (f".{match[3]}" if match[3] else ""))


@lru_cache(maxsize=1024)
def is_currency(text: str) -> bool:
    """Tell whether a text is an ISO 4217 code."""
    if len(text) != 3 or not text.isascii() or not text.isupper():
        return False
    try:
        exponent(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class MoneyRules:
    """How a site writes amounts, where it is not the plain way: the words after `money`."""

    minor: bool = False  #: integers of minor units: 1250 is 12.50
    thousands: str = ""  #: what separates thousands: "," in 1,234.56
    sign: str = ""  #: "negated", or "unsigned" where only the kind has a sign
    currency: str = ""  #: whatever the message says


_WAYS: dict[str, dict[str, Any]] = {"minor": {"minor": True}, "point": {"thousands": ","}, "comma": {"thousands": "."}}
_SIGNS = ("negated", "unsigned")


def _money_rules(text: str) -> MoneyRules:
    found: dict[str, Any] = {}
    for word in words(text):
        if word in _WAYS:
            found |= _WAYS[word]
        elif word in _SIGNS:
            found["sign"] = word
        elif is_currency(word):
            found["currency"] = word
        else:
            raise ValueError("takes minor, comma, point, negated, unsigned or a currency such as USD")
    return MoneyRules(**found)


def _by_rules(text: str, currency: str, rules: MoneyRules) -> Money:
    """Return the amount as the site writes it. Raises Rejected, ValueError."""
    if rules.thousands:
        whole, mark, rest = text.partition("," if rules.thousands == "." else ".")
        if not re.fullmatch(rf"[+-]?\d{{1,3}}(\{rules.thousands}?\d{{3}})*", whole, re.ASCII):
            raise Rejected(f'"{text[:40]}" is not an amount', _NUMBER_FIX)
        text = whole.replace(rules.thousands, "") + (f".{rest}" if mark else "")
    amount = amount_of(text)
    if rules.minor:
        if amount != amount.to_integral_value():
            raise Rejected(f'"{text[:40]}" is not a whole number of minor units', "leave `minor` out of the map")
        found = Money(minor=int(amount), currency=currency)
    else:
        found = Money.of(amount, currency)
    match rules.sign:
        case "negated":
            return Money(minor=-found.minor, currency=currency)
        case "unsigned":
            return Money(minor=abs(found.minor), currency=currency)
    return found


_PLAIN = MoneyRules()


def money(value: Cell | str, context: Context, rules: MoneyRules | None = None) -> Money | None:
    """Read a CP or MO field: `100.00&USD`, else `150.00^USD`, else `200.00|EUR`, else the source's currency.

    None when there is no amount: that means "priced elsewhere", never 0. Raises Rejected for what is no amount, for an
    unknown currency after `&`, and for more decimals than the currency has.
    """
    cell = value if isinstance(value, Cell) else Cell(er7.escape(value, context.delimiters, context.codec))
    text = context.text(cell.raw).strip()
    if not text:
        return None
    currency = context.text(cell.raw, 1, 2).strip()
    if currency and not is_currency(currency):
        raise Rejected(f'"{currency[:12]}" is not an ISO 4217 currency', "ask the sender for a code such as USD")
    if not currency:
        # CP.2 is the price type (UP, TP …) by the standard, and the currency by habit.
        currency = context.text(cell.raw, 2).strip()
        if not is_currency(currency):
            beside = context.text(cell.following).strip() if cell.following else ""
            currency = beside if is_currency(beside) else context.currency
    rules = rules or _PLAIN
    try:
        return _by_rules(text, rules.currency or currency, rules)
    except Rejected:
        raise
    except ValueError as error:
        raise Rejected(str(error), "ask the sender to round, or to state the right currency") from None


def number(value: Cell | str, context: Context) -> Decimal | None:
    """Read a quantity (NM). None when empty. Raises Rejected."""
    text = (context.text(value.raw) if isinstance(value, Cell) else value).strip()
    if not text:
        return None
    try:
        return amount_of(text)
    except Rejected:
        raise Rejected(f'"{text[:40]}" is not a number', _NUMBER_FIX) from None


# ------------------------------------------------------------------------------------------------------------ date

_TIMESTAMP = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def moment(text: str) -> tuple[dt.datetime, bool]:
    """Read a DT, TS or DTM of any precision: the start of the period, and whether it says a time of day.

    Aware only when the text has an offset. Raises ValueError (HL7 v2.5.1 §2.A.22).
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    year, month, day, hour, minute, second = match.groups("")[:6]
    start = dt.datetime(  # noqa: DTZ001 - no offset said means the sender's local time
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)
    )
    if offset := match[7]:
        start = start.replace(tzinfo=_shifted(offset))
    return start, bool(hour)


@lru_cache(maxsize=64)
def _shifted(offset: str) -> dt.timezone:
    shift = dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return dt.timezone(-shift if offset[0] == "-" else shift)


_PATTERN = re.compile(r"(?:%[YymdHMS]|[^%])+")


def _pattern(text: str) -> str:
    pattern = " ".join(words(text))
    if not _PATTERN.fullmatch(pattern) or "%d" not in pattern or "%m" not in pattern:
        raise ValueError("takes a pattern of %Y %y %m %d %H %M %S, as in date %m/%d/%Y")
    return pattern


def date(value: Cell | str, context: Context, pattern: str | None = None) -> dt.date | None:
    """Read the day, in the facility's calendar, of a DT, TS, or the start of a DR (`start^end`, from 2.5).

    A month or year alone is its first day. None when empty. With `pattern` the text is in the site's own way, in the
    facility's own time. Raises Rejected, without the date: it is a person's.
    """
    text = (context.text(value.raw) if isinstance(value, Cell) else value).strip()
    if not text:
        return None
    if pattern is not None:
        try:
            return dt.datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            raise Rejected("not a date", f"the map says that this sender's dates look like {pattern}") from None
    try:
        start, timed = moment(text)
        if timed and start.tzinfo is not None:
            start = start.astimezone(_zone(context.timezone))
    except (ValueError, OverflowError):
        raise Rejected("not a date", "HL7 dates look like 20250314 or 20250314093000-0500") from None
    return start.date()


# --------------------------------------------------------------------------------------------------------- contacts


def _xtn(value: Cell, context: Context, argument: object) -> list[Contact]:
    return contacts.from_xtn(value.raw, context.region, context.delimiters, context.codec)


#: What a map of HL7 v2 may write under `transform:`; fhir/transforms.py has those of a map of FHIR.
#: `verbatim` reads a whole field with its repetitions: see rows.py.
TRANSFORMS: dict[str, Transform] = {
    "money": Transform(money, "money", cell=True, parse=_money_rules, bare=True),
    "number": Transform(lambda value, context, _: number(value, context), "number", cell=True),
    "date": Transform(date, "date", cell=True, parse=_pattern, bare=True),
    "contacts": Transform(_xtn, "contacts", cell=True),
    "verbatim": Transform(lambda value, context, _: value, "verbatim", cell=True),
    **TEXTS,
}
