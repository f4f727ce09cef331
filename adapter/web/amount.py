"""What people type into an amount field, and how amounts and dates are shown to them. Pure."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, get_currency_symbol, get_group_symbol

from chartpost.mappings.model import Money

_SPACES = re.compile(r"[\s']+")  # NFKC has made plain spaces of the narrow and no-break ones
_LONGEST = 20  #: characters: more is no amount, and Decimal is spared the exercise


class AmountError(ValueError):
    """The text is no usable amount. `reason`: "empty", "not_an_amount", "decimals", "zero", "less" or "more"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@lru_cache(maxsize=64)
def known_locale(name: str) -> Locale:
    """Return the CLDR locale of a name like "en_US", that of its language where no such place speaks it; else en_US."""
    whole = name.replace("-", "_")
    for known in (whole, whole.partition("_")[0]):
        try:
            return Locale.parse(known)
        except (ValueError, UnknownLocaleError):
            continue
    return Locale.parse("en_US")


def shown(money: Money, locale: str) -> str:
    """Format an amount as people of the locale write it: $1,234.50."""
    return exact(money.amount, money.currency, locale)


def exact(amount: Decimal, currency: str, locale: str) -> str:
    """Format major units with all their decimals, as a price for one may have more of them: $0.125."""
    # Never rounded: CLDR has no decimals for some currencies that have minor units in ISO 4217.
    return str(format_currency(amount, currency, locale=known_locale(locale), decimal_quantization=False))


def day(date: dt.date, locale: str) -> str:
    """Write a date as people of the locale do: May 4, 2026."""
    return str(format_date(date, "long", locale=known_locale(locale)))


def plain(money: Money) -> str:
    """Format an amount as a field takes it: 1234.50."""
    return str(money.amount)


def symbol(currency: str, locale: str) -> str:
    """Return the sign of a currency as the locale writes it: $."""
    return str(get_currency_symbol(currency, locale=known_locale(locale)))


def read_amount(text: str, owed: Money, locale: str, least: int = 0) -> Money:
    """Read an amount as people type it: 20, 20.00, $20, "20,00", 1,234.50.

    Phones offer the comma or the dot by the phone's language, not the page's, so either is a decimal mark unless it
    stands where the locale groups thousands. Raises AmountError, also for zero, for more than `owed`, and for less than
    `least` minor units where that is not all of it.
    """
    typed = unicodedata.normalize("NFKC", text)
    signs = {symbol(owed.currency, locale), symbol(owed.currency, "en_US"), owed.currency, owed.currency.lower()}
    for sign in sorted(signs, key=len, reverse=True):
        typed = typed.replace(sign, " ")
    typed = _SPACES.sub("", typed)
    if not typed:
        raise AmountError("empty")
    if len(typed) > _LONGEST:
        raise AmountError("not_an_amount")
    try:
        amount = Money.of(Decimal(_dotted(typed, known_locale(locale))), owed.currency)
    except ValueError as error:
        raise error if isinstance(error, AmountError) else AmountError("decimals") from None
    if amount.minor == 0:
        raise AmountError("zero")
    if amount.minor > owed.minor:
        raise AmountError("more")
    if amount.minor < min(least, owed.minor):
        raise AmountError("less")
    return amount


def _dotted(typed: str, locale: Locale) -> str:
    """Return the number with "." as its decimal mark and no grouping."""
    if re.fullmatch(r"[0-9]+", typed):
        return typed
    group = "," if get_group_symbol(locale) == "," else "."
    if re.fullmatch(rf"[0-9]{{1,3}}(?:\{group}[0-9]{{3}})+", typed):
        return typed.replace(group, "")
    # One decimal mark, perhaps with the other sign between thousands.
    for mark, other in ((".", ","), (",", ".")):
        number = rf"(?:[0-9]*|[0-9]{{1,3}}(?:\{other}[0-9]{{3}})+)\{mark}[0-9]*"
        if re.fullmatch(number, typed) and typed != mark:
            return typed.replace(other, "").replace(mark, ".")
    raise AmountError("not_an_amount")
