"""What a value looks like, without saying it: an amount, a date, a telephone number; and its shape, as in `A-99999`.

For profiles of messages, and for guesses at what a field means. Pure; nothing here knows where a value stood.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from chartpost.mappings.transforms import Rejected, amount_of, moment

__all__ = [
    "Written", "date_pattern", "digits_alike", "first_date", "is_name", "is_phone", "kind_of", "number_of", "shape",
    "written",
]  # fmt: skip

_EMAIL = re.compile(r"(mailto:)?[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")
_AMOUNT = re.compile(r"[+-]?(\d{1,3}([.,]\d{3})+|\d{1,12})([.,]\d{1,6})?-?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,9}-?", re.ASCII)
_SPELLED_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d\d(:\d\d)?)?", re.ASCII)
_PHONE = re.compile(r"\+?[\d\s().\-/]{7,24}(\s*(x|ext\.?)\s*\d{1,6})?", re.ASCII | re.IGNORECASE)
_CODE = re.compile(r"[A-Z0-9][A-Z0-9_+-]{0,7}", re.ASCII)
_IDENTIFIER = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._:/#-]{2,63}", re.ASCII)
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '’.-]){0,39}")
_LONGEST_SHAPE = 24


def kind_of(text: str) -> str:
    """Return what one value looks like, in words: "amount", "integer", "date", "time stamp", "phone", "e-mail", …"""
    tidy = text.strip()
    if _EMAIL.fullmatch(tidy):
        return "e-mail"
    if when := first_date(tidy):
        return "time stamp" if len(tidy) > 10 or (tidy.isdigit() and len(tidy) > when) else "date"
    if _INTEGER.fullmatch(tidy):
        return "integer"
    if _AMOUNT.fullmatch(tidy) and not re.fullmatch(r"\d{10,}", tidy):
        return "amount"
    if is_phone(tidy):
        return "phone"
    if _CODE.fullmatch(tidy) and (len(tidy) <= 4 or tidy.isalpha()):
        return "code"
    if _IDENTIFIER.fullmatch(tidy):
        return "identifier"
    return "name" if is_name(tidy) else "text"


def is_name(text: str) -> bool:
    """Say whether a text could be a person's name: one to four words of letters."""
    return bool(_NAME.fullmatch(text)) and len(text.split()) <= 4 and len(text) > 1


def is_phone(text: str) -> bool:
    """Say whether a text is written as a telephone number: seven to fifteen digits, and not one long bare number."""
    if (
        not _PHONE.fullmatch(text)
        or re.fullmatch(r"\d+(\.\d+){3,}", text)
        or (first_date(text) and "-" not in text[5:])
    ):
        return False
    digits = re.sub(r"(x|ext).*", "", re.sub(r"[^\dxe]", "", text.lower()))
    if not 7 <= len(digits) <= 15 or len(set(digits)) == 1:
        return False
    # Ten bare digits are a number of North America only where its area and its office begin with 2 to 9.
    return not text.isdigit() or bool(re.fullmatch(r"1?[2-9]\d\d[2-9]\d{6}|0\d{8,11}", text))


def number_of(text: str) -> Decimal | None:
    """Return an amount as a number however it is written, in its own units; None for what is none."""
    tidy = re.sub(r"^(?:[$€£]|[A-Z]{3})\s*|\s*(?:[$€£]|[A-Z]{3})$", "", text.strip())
    if not _AMOUNT.fullmatch(tidy):
        return None
    marks = re.findall(r"[.,]", tidy)
    if len(marks) > 1:
        if len(set(marks[:-1])) > 1:
            return None
        thousands = marks[0]
        tidy = tidy.replace(thousands, "")
    elif re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}-?", tidy):
        tidy = tidy.replace(",", "")
    try:
        return amount_of(tidy)
    except Rejected:
        return None


def shape(text: str) -> str:
    """Return a value with every digit as 9 and every letter as A or a: `A-99999`. It tells how, not what."""
    made = "".join(
        "9"
        if char.isdigit()
        else ("A" if char.isupper() else "a")
        if char.isalpha()
        else char
        if char < "\x7f"
        else "?"
        for char in text[: _LONGEST_SHAPE + 1]
    )
    made = "".join(char if char.isprintable() else "?" for char in made)
    return made if len(made) <= _LONGEST_SHAPE else made[:_LONGEST_SHAPE] + "…"


# ------------------------------------------------------------------------------------------------------------ dates

#: The spellings that are tried, in the order in which they are preferred.
PATTERNS = (
    "%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%Y/%m/%d", "%m%d%Y", "%d%m%Y", "%y%m%d",
    "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M")


def first_date(text: str) -> int:
    """Return how many characters of a text are its date, where it is a date or a time stamp of our age; else 0."""
    if _SPELLED_DATE.fullmatch(text):
        separators = re.findall(r"[-/.]", text)
        years = [part for part in re.split(r"[-/.T ]", text)[:3] if len(part) in (2, 4)]
        return len(re.split("[ T]", text)[0]) if separators[0] == separators[1] and len(years) >= 1 else 0
    if len(text) < 8:
        return 0
    try:
        start, _ = moment(text)
    except (ValueError, OverflowError):
        return 0
    return 8 if 1880 <= start.year <= 2100 else 0


def date_pattern(texts: Iterable[str], near: Iterable[dt.date] = ()) -> tuple[str, float]:
    """Return how dates are written ("" is HL7's own way) and how many of them, 0 to 1, are read so.

    `near`: days on which the messages were written, one for each text; they tell 05/04 from 04/05.
    """
    found = [text.strip() for text in texts]
    days = list(near)
    if not found:
        return "", 0.0
    own = sum(bool(first_date(text)) and _is_own(text) for text in found) / len(found)
    if own >= 0.9:
        return "", own
    best, most, distance = "", own, 10.0**9
    for pattern in (base + time for base in PATTERNS for time in _TIMES):
        read = [_read(text, pattern) for text in found]
        share = sum(one is not None for one in read) / len(found)
        away = [abs((one - day).days) for one, day in zip(read, days, strict=False) if one is not None]
        far = float(median(away)) if away else 0.0
        if share > most + 0.01 or (share >= most - 0.01 and share > own and far < distance - 7):
            best, most, distance = pattern, share, far
    return best, most


def _is_own(text: str) -> bool:
    try:
        return 1880 <= moment(text)[0].year <= 2100
    except (ValueError, OverflowError):
        return False


def _read(text: str, pattern: str) -> dt.date | None:
    try:
        found = dt.datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return found if 1880 <= found.year <= 2100 else None


# ---------------------------------------------------------------------------------------------------------- amounts


@dataclass(frozen=True, slots=True)
class Written:
    """How a column of amounts is written: the transforms that read it, and why."""

    steps: tuple[str, ...]  #: as a map has them: ("money minor",)
    share: float  #: of the values, 0 to 1, that are amounts
    why: str = ""
    doubt: str = ""  #: what should be asked


def written(texts: Iterable[str], beside: Iterable[Decimal | None] = ()) -> Written:
    """Return how amounts are written. `beside`: for each text an amount that is known to be in major units."""
    found = [text.strip() for text in texts]
    numbers = [number_of(text) for text in found]
    good = [(text, one) for text, one in zip(found, numbers, strict=True) if one is not None]
    if not good:
        return Written(("money",), 0.0)
    share = len(good) / len(found)
    strips = {
        match[1] or match[2] for text, _ in good if (match := re.search(r"^([$€£]|[A-Z]{3})|([$€£]|[A-Z]{3})$", text))
    }
    before: tuple[str, ...] = (f'strip "{"".join(sorted(set("".join(strips))))}"',) if strips else ()
    if any(re.search(r"\d,\d{3}(\.|$|,\d{3})", text) and not re.fullmatch(r"0,\d{3}", text) for text, _ in good):
        return Written((*before, "money point"), share, "thousands are separated by a comma")
    if any(re.search(r"\d\.\d{3}(,\d|\.\d{3})", text) for text, _ in good):
        return Written((*before, "money comma"), share, "thousands are separated by a point")
    if any(re.search(r"[.,]", text) for text, _ in good):
        return Written((*before, "money"), share)
    return _whole(before, share, [(text, int(one)) for text, one in good], numbers, list(beside))


def _whole(
    before: tuple[str, ...], share: float, good: list[tuple[str, int]], numbers: list[Decimal | None],
    beside: list[Decimal | None],
) -> Written:  # fmt: skip
    """Tell whole cents from whole dollars, where no value has decimals."""
    minor = (*before, "money minor")
    pairs = [(one, other) for one, other in zip(numbers, beside, strict=False) if one and other]
    if pairs:
        if sum(one == other * 100 for one, other in pairs) >= 0.8 * len(pairs):
            return Written(minor, share, "each is a hundred times the amount beside it")
        if sum(one == other for one, other in pairs) >= 0.8 * len(pairs):
            return Written((*before, "money"), share)
    values = [abs(value) for _, value in good if value]
    doubt = "no amount has decimals: does 1250 mean 1250.00 or 12.50?"
    if not values:
        return Written((*before, "money"), share)
    padded = digits_alike(text for text, _ in good) and any(text.lstrip("+-").startswith("0") for text, _ in good)
    odd = sum(value % 100 != 0 for value in values) / len(values)
    if padded and max(len(text) for text, _ in good) >= 5:
        return Written(minor, share, "all are filled with zeros to one length, and none has a point", doubt)
    if min(values) >= 500 and (odd >= 0.5 or (odd > 0 and min(values) >= 1000) or len(set(values)) >= 3):
        return Written(minor, share, "none has a point, and all are 500 or more", doubt)
    return Written((*before, "money"), share, "", doubt if max(values) >= 1000 else "")


def digits_alike(texts: Iterable[str]) -> bool:
    """Say whether all are digits, equally many."""
    found = [text.lstrip("+-") for text in texts]
    return len({len(text) for text in found}) == 1 and all(text.isdigit() for text in found)
