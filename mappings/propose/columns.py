"""Which columns could be money, and how much speaks for each: how it is filled, where it stands, what it adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from chartpost.mappings.hl7.structure import type_of
from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.transforms import is_currency
from chartpost.mappings.valuekinds import first_date

__all__ = ["filler", "fits", "is_product", "money_columns", "parts", "products", "score"]

#: Datatypes in which the standard lets an amount or a number stand.
_NUMERIC = frozenset(["CP", "MO", "NM", "CM", "varies", None])
NEEDED = 0.5  #: of the lines, for a place to be taken for the amount
AGREES = 0.9  #: of the lines in which both have a number


def money_columns(evidence: Evidence) -> list[Column]:
    """Return the columns of lines that could be money: numbers that are no dates, and not part of a code."""
    found = []
    for path in evidence.line_paths:
        column = evidence.line(path)
        if path.count(".") > 1 or column.numeric < AGREES or not any(column.numbers) or not evidence.tells(path):
            continue
        if sum(bool(first_date(value)) for value in column.given) > 0.5 * column.filled:
            continue
        if any(abs(number) >= 10**8 for number in column.numbers if number is not None):
            continue
        found.append(column)
    return found


def fits(column: Column) -> bool:
    """Say whether the standard's own place holds amounts."""
    return column.filled > 0 and column.numeric >= AGREES and column.fill >= NEEDED


def filler(column: Column) -> bool:
    return not any(column.numbers)


def score(evidence: Evidence, column: Column, standard: str) -> float:
    """Return how much speaks for a column as the amount."""
    path, given = column.path, column.given
    decimals = sum("." in value or "," in value for value in given) / len(given)
    whole = all(abs(number) <= 20 for number in column.numbers if number is not None)
    score = 10 * column.fill * column.numeric + 4 * decimals
    score += 6 * (path == standard) - 8 * (whole and not decimals) - 8 * filler(column)
    score += 3 * any(is_currency(value) for value in (*parts(evidence, path, ".1.2"), *parts(evidence, path, ".2")))
    if path.startswith("FT1") and type_of(path, "2.5.1") not in _NUMERIC and path != standard:
        score -= 5
    if path in ("FT1-12", "FT1-22"):
        score -= 1
    if path == "FT1-15":
        score -= 7  # what insurance pays is no price
    if "." not in path and any(len(value) > 1 and not is_currency(value) for value in parts(evidence, path, ".2")):
        score -= 9  # a code with its text
    if "." in path and any(value and not is_currency(value) for value in evidence.line(path.partition(".")[0]).given):
        score -= 2  # a component, whose first one says something else
    if not decimals and len(column.counts) == column.filled and column.filled > 3 and _consecutive(column):
        score -= 8  # a serial number
    if not decimals and all(len(value) > 1 and value.startswith("0") for value in given) and not path.startswith("Z"):
        score -= 3
    if products(evidence, column):
        score += 4
    return score


def parts(evidence: Evidence, path: str, part: str) -> Sequence[str]:
    return evidence.line(path + part).given if "." not in path else ()


def _consecutive(column: Column) -> bool:
    values = sorted(number for number in column.numbers if number is not None)
    return all(b - a == 1 for a, b in pairwise(values))


def products(evidence: Evidence, column: Column) -> bool:
    """Say whether it is quantity × price of others wherever the quantity is not 1."""
    near = [path for path in evidence.line_paths if path[:3] == column.path[:3] and "." not in path]
    usual = ["FT1-10", "FT1-11", "FT1-12", "FT1-22"]
    others = [evidence.line(path) for path in dict.fromkeys((*usual, *near)) if path not in (column.path, "FT1-1")]
    others = [one for one in others if one.filled and one.numeric >= AGREES]
    counts = [one for one in others if all(n is None or n == n.to_integral_value() for n in one.numbers)]
    return any(
        is_product(column.numbers, count.numbers, price.numbers)
        for count in counts
        for price in others
        if count is not price and _tells(price)
    )


def _tells(price: Column) -> bool:
    """Say whether a price is more than a number that happens to fit: with decimals, or in its own place."""
    return price.path in ("FT1-11", "FT1-12", "FT1-22") or any("." in value or "," in value for value in price.given)


def is_product(
    whole: Sequence[Decimal | None], count: Sequence[Decimal | None], price: Sequence[Decimal | None]
) -> bool:
    """Say whether the first is the product of the others, in nine lines of ten where that says something."""
    told = [(a, q, p) for a, q, p in zip(whole, count, price, strict=True) if a and q and p and abs(q) != 1]
    return bool(told) and sum(abs(a) == abs(q * p) for a, q, p in told) >= AGREES * len(told)
