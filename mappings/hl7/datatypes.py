"""Whether a text is what its datatype says (HL7 v2.5.1 §2.A), and whether a code stands in its table."""

from __future__ import annotations

import re
from functools import lru_cache

from chartpost.mappings.hl7.structure import codes_of
from chartpost.mappings.transforms import moment

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_SEQUENCE = re.compile(r"\d{1,4}", re.ASCII)
_DATE = re.compile(r"\d{4}(\d\d){0,2}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?([+-]\d{4})?", re.ASCII)
#: What in a table stands for a run of characters: HL7nnnn, NNxxx, 99zzz.
_RUN = re.compile(r"n{2,}|x{2,}|z{2,}|s{2,}")

#: What each datatype that can be wrong looks like, for the person who has to put it right.
LOOKS = {
    "NM": "a number: digits, a point and a sign, nothing else",
    "SI": "a number of up to four digits",
    "DT": "a date, as in 20260504",
    "DTM": "a date and time, as in 20260504153000-0600",
    "TM": "a time of day, as in 153000",
}


def fits(text: str, datatype: str) -> bool:
    """Say whether an unescaped text is a value of a primitive datatype; True for those in which any text may stand."""
    match datatype:
        case "NM":
            return bool(_NUMBER.fullmatch(text))
        case "SI":
            return bool(_SEQUENCE.fullmatch(text))
        case "TM":
            return bool(_TIME.fullmatch(text))
        case "DT":
            return bool(_DATE.fullmatch(text)) and _is_moment(text)
        case "DTM":
            return _is_moment(text)
    return True


def _is_moment(text: str) -> bool:
    try:
        moment(text)
    except (ValueError, OverflowError):
        return False
    return True


def in_table(code: str, table: str, version: str) -> bool:
    """Say whether a table ("0017") has a code; True where nobody lists its codes, or the list is open."""
    codes, patterns = _listed(table, version)
    return not codes or code in codes or any(pattern.fullmatch(code) for pattern in patterns)


@lru_cache(maxsize=1024)
def _listed(table: str, version: str) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    codes = codes_of(table, version)
    if any("..." in code or "<" in code for code in codes):
        return frozenset(), ()
    runs = [code for code in codes if _RUN.search(code)]
    return codes, tuple(re.compile(_RUN.sub(".+", re.escape(code))) for code in runs)
