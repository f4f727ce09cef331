"""Amounts as Stripe counts them, against ours. Both are integers, but not always of the same unit.

Stripe's page on currencies: most have two decimals; a list has none, another three. ISK and UGX have none in ISO 4217,
yet Stripe still takes hundredths, always 00 (UGX even stands on its list of those without decimals; its paragraph on
UGX decides). HUF and TWD are special in payouts only.
"""

from __future__ import annotations

from chartpost.adapter.errors import Permanent
from chartpost.mappings.model import exponent

_ZERO = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def to_stripe(amount: int, currency: str) -> int:
    """Convert our minor units to Stripe's. Raises Permanent for an amount that Stripe cannot take.

    Three-decimal amounts must end in 0: Stripe's partners have no thousandths.
    """
    converted = _rescale(amount, _stripe_exponent(currency) - _exponent(currency), currency)
    if currency in _THREE and converted % 10:
        raise Permanent(f"{currency}: Stripe takes hundredths only, the amount has thousandths", "amount")
    return converted


def from_stripe(amount: int, currency: str) -> int:
    """Convert Stripe's integer to our minor units. Raises Permanent for what our minor units cannot say."""
    return _rescale(amount, _exponent(currency) - _stripe_exponent(currency), currency)


def _rescale(amount: int, shift: int, currency: str) -> int:
    factor: int = 10 ** abs(shift)
    if shift >= 0:
        return amount * factor
    converted, rest = divmod(amount, factor)
    if rest:
        raise Permanent(f"{currency}: an amount with more decimals than the currency has", "amount")
    return converted


def _stripe_exponent(currency: str) -> int:
    return 0 if currency in _ZERO else 3 if currency in _THREE else 2


def _exponent(currency: str) -> int:
    try:
        return exponent(currency)
    except ValueError as error:
        raise Permanent(str(error), "currency") from None
