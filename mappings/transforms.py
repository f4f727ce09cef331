"""What a map can do to a value on its way: money, date, number, phone, tables, and plain text.

Pure functions. They raise `Rejected` with a cause and a fix. Amounts and codes may stand in a cause, because they are
needed to mend it; dates, names and numbers of people may not.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chartpost.mappings import contacts, er7
from chartpost.mappings.model import Contact, Money, exponent


class Rejected(ValueError):
    """A value cannot become what the map wants of it."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Cell:
    """Text as it stands in the message, for transforms that need more than one value of it."""

    raw: str  #: ER7 text at the level of the path
    following: str = ""  #: ER7 text of the next field


@dataclass(frozen=True, slots=True)
class Context:
    """What a transform may know beside the value."""

    currency: str  #: ISO 4217, the source's default
    region: str  #: ISO 3166, for numbers without a country code
    timezone: str  #: IANA zone in which the facility has its days
    delimiters: er7.Delimiters = er7.STANDARD
    codec: str = "utf-8"
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def text(self, raw: str, component: int = 1, subcomponent: int = 1) -> str:
        """Return one part of a repetition's ER7 text, unescaped."""
        return er7.unescape(er7.part(raw, self.delimiters, component, subcomponent), self.delimiters, self.codec)


# ----------------------------------------------------------------------------------------------------------- money

_AMOUNT = re.compile(r"([+-]?)([0-9]{0,12})(?:[.,]([0-9]{0,12}))?", re.ASCII)
_NUMBER_FIX = "ask the sender for a plain decimal such as 12.50, or correct the message"


def amount_of(text: str) -> Decimal:
    """Return an amount in major units: `100.00`, `10,00`, `79.000000`, `-5`. Raises Rejected for anything else.

    No thousands separators: 1,234.56 and 1.234,56 cannot be told from a mistake.
    """
    tidy = text.strip()
    match = _AMOUNT.fullmatch(tidy)
    if match is None or not (match[2] or match[3]):
        raise Rejected(f'"{text[:40]}" is not an amount', _NUMBER_FIX)
    return Decimal(f"{match[1]}{match[2] or 0}" + (f".{match[3]}" if match[3] else ""))


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


def money(value: Cell | str, context: Context) -> Money | None:
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
        beside = (context.text(cell.raw, 2).strip(), context.text(cell.following).strip())
        currency = next((code for code in beside if is_currency(code)), context.currency)
    try:
        return Money.of(amount_of(text), currency)
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
    offset = match[7]
    if offset:
        shift = dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        start = start.replace(tzinfo=dt.timezone(-shift if offset[0] == "-" else shift))
    return start, bool(hour)


def date(value: Cell | str, context: Context) -> dt.date | None:
    """Read the day, in the facility's calendar, of a DT, TS, or the start of a DR (`start^end`, from 2.5).

    A month or year alone is its first day. None when empty. Raises Rejected, without the date: it is a person's.
    """
    text = (context.text(value.raw) if isinstance(value, Cell) else value).strip()
    if not text:
        return None
    try:
        start, timed = moment(text)
        if timed and start.tzinfo is not None:
            start = start.astimezone(_zone(context.timezone))
    except (ValueError, OverflowError):
        raise Rejected("not a date", "HL7 dates look like 20250314 or 20250314093000-0500") from None
    return start.date()


# ------------------------------------------------------------------------------------------------------------ text


def _table(value: str, context: Context, argument: str) -> str:
    table = context.tables[argument]
    code = value.strip()
    try:
        return table[code]
    except KeyError:
        raise Rejected(
            f'code "{code[:20]}" is not in table {argument}',
            f"add the code to table {argument} of the map, or correct it",
        ) from None


def _name(value: str, context: Context, argument: str) -> str:
    return " ".join(value.split())


def _phone(value: str, context: Context, argument: str) -> tuple[Contact, ...]:
    found = contacts.phone(value, context.region)
    return (found,) if found else ()


def _email(value: str, context: Context, argument: str) -> tuple[Contact, ...]:
    found = contacts.email(value)
    return (found,) if found else ()


def _xtn(value: Cell, context: Context, argument: str) -> list[Contact]:
    return contacts.from_xtn(value.raw, context.region, context.delimiters, context.codec)


Shape = Literal["text", "money", "number", "date", "contacts", "verbatim"]


@dataclass(frozen=True, slots=True)
class Transform:
    """One step of a row. Steps that read a Cell come first in a chain; all others take text."""

    run: Callable[[Any, Context, str], Any]
    gives: Shape = "text"
    argument: bool = False
    cell: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A transform with its argument, ready to run."""

    transform: Transform
    argument: str = ""


def apply(steps: Sequence[Step], value: Cell | str, context: Context) -> Any:
    """Run a chain. None as soon as a step finds nothing. Raises Rejected."""
    result: Any = value
    for step in steps:
        result = step.transform.run(result, context, step.argument)
        if result is None or result == "":
            return None
    return result


#: What a map of HL7 v2 may write under `transform:`; fhir/transforms.py has those of a map of FHIR.
#: `verbatim` reads a whole field with its repetitions: see rows.py.
TRANSFORMS: dict[str, Transform] = {
    "money": Transform(lambda value, context, _: money(value, context), "money", cell=True),
    "number": Transform(lambda value, context, _: number(value, context), "number", cell=True),
    "date": Transform(lambda value, context, _: date(value, context), "date", cell=True),
    "phone": Transform(_phone, "contacts"),
    "email": Transform(_email, "contacts"),
    "contacts": Transform(_xtn, "contacts", cell=True),
    "verbatim": Transform(lambda value, context, _: value, "verbatim", cell=True),
    "table": Transform(_table, argument=True),
    "name": Transform(_name),
    "strip": Transform(lambda value, context, _: value.strip()),
    "upper": Transform(lambda value, context, _: value.upper()),
    "lower": Transform(lambda value, context, _: value.lower()),
}
