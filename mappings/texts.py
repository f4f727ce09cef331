"""What a map can do to text: tidy it, cut it, put it together, look it up."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from chartpost.mappings import contacts
from chartpost.mappings.chain import Context, Rejected, Transform
from chartpost.mappings.languages import language
from chartpost.mappings.model import Contact

_WORD = re.compile(r'\s*(?:"([^"]*)"|([^\s"]+))')
_LONGEST = 2_000  #: characters that a text may grow to


def words(text: str) -> list[str]:
    """Return the words of an argument; a word with spaces stands in double quotes. Raises ValueError."""
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError("a double quote is missing")
        found.append(match[1] if match[1] is not None else match[2])
        at = match.end()
    return found


def one(text: str) -> str:
    """Return the only word. Raises ValueError."""
    found = words(text)
    if len(found) != 1:
        raise ValueError('takes one word; write several in double quotes, as in "a b"')
    return found[0]


def _name_of_table(text: str) -> str:
    return one(text)


def table(value: str, context: Context, name: str) -> str | None:
    """Return the meaning of a code. Raises Rejected for one that the table holds."""
    code = value.strip()
    try:
        return context.tables[name].meaning(code)
    except KeyError:
        raise Rejected(
            f'code "{code[:20]}" is not in table {name}', f"add the code to table {name} of the map, or correct it"
        ) from None


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a text to take."""

    separator: str
    part: int  #: 1 is the first, -1 the last


def _cut(text: str) -> Cut:
    found = words(text)
    if len(found) != 2 or not re.fullmatch(r"-?[1-9]\d?", found[1], re.ASCII) or not found[0]:
        raise ValueError('takes a separator and which part, as in split "/" 2 (-1 is the last)')
    return Cut(found[0], int(found[1]))


def split(value: str, context: Context, cut: Cut) -> str | None:
    """Return one part of a text, tidied; None when it has fewer parts."""
    parts = value.split(cut.separator)
    index = cut.part - 1 if cut.part > 0 else cut.part
    return parts[index].strip() if -len(parts) <= index < len(parts) else None


def join(values: list[str], context: Context, separator: str) -> str:
    """Return all texts as one."""
    return separator.join(value.strip() for value in values if value.strip())[:_LONGEST]


def strip(value: str, context: Context, characters: str | None) -> str:
    """Return the text without white space, or without these characters, at both ends."""
    return value.strip().strip(characters).strip() if characters else value.strip()


def _region(text: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS

    region = one(text)
    if region not in SUPPORTED_REGIONS:
        raise ValueError("takes a country code of two capital letters, as in phone US")
    return region


def phone(value: str, context: Context, region: str | None) -> tuple[Contact, ...]:
    """Return a number in E.164; numbers without a country code are read in `region`, else the facility's."""
    found = contacts.phone(value, region or context.region)
    return (found,) if found else ()


def email(value: str, context: Context, argument: object) -> tuple[Contact, ...]:
    """Return an address as a contact."""
    found = contacts.email(value)
    return (found,) if found else ()


#: A whole day: 19800229 and what may follow it in a TS (HL7 v2.5.1 §2.A.77), or 1980-02-29 as FHIR has it.
_DAY = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)(T.*|[\d.]*(?:[+-]\d{4})?)", re.ASCII)


def birth_date(value: str, context: Context, argument: object) -> dt.date | None:
    """Return the day on which somebody was born, as it was written where that was: no zone moves it.

    None for a month or a year alone and for what is no date: money does not wait for it, and it must not be a guess.
    """
    match = _DAY.fullmatch(value.strip())
    try:
        return dt.date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None


_YES_NO = {
    **dict.fromkeys(("y", "yes", "true", "t", "1"), True),
    **dict.fromkeys(("n", "no", "false", "f", "0"), False),
}


def yes_no(value: str, context: Context, argument: object) -> bool | None:
    """Return whether a word says yes or no; None where there is none. Raises Rejected: a guess could be a wrong yes."""
    word = value.strip().casefold()
    if word and word not in _YES_NO:
        raise Rejected(f'"{value.strip()[:20]}" says neither yes nor no', "give it a table in the map, or correct it")
    return _YES_NO.get(word)


#: Those that take text, for HL7 v2 and FHIR alike.
TEXTS: dict[str, Transform] = {
    "table": Transform(table, parse=_name_of_table),
    "phone": Transform(phone, "contacts", parse=_region, bare=True),
    "email": Transform(email, "contacts"),
    "birth_date": Transform(birth_date, "birth_date"),
    "language": Transform(lambda value, context, _: language(value), "language"),
    "yes_no": Transform(yes_no, "yes_no"),
    "name": Transform(lambda value, context, _: " ".join(value.split())),
    "strip": Transform(strip, parse=one, bare=True),
    "upper": Transform(lambda value, context, _: value.upper()),
    "lower": Transform(lambda value, context, _: value.lower()),
    "title": Transform(lambda value, context, _: value.title()),
    "digits": Transform(lambda value, context, _: "".join(re.findall(r"\d", value, re.ASCII))),
    "split": Transform(split, parse=_cut),
    "join": Transform(join, parse=one, collects=True),
    "default": Transform(lambda value, context, other: value or other, parse=one, rescues=True),
}
