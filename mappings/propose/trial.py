"""A proposed map, tried on the very messages that it was made from: how many are read, and why others are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chartpost.mappings.fhir.read import read as read_invoice
from chartpost.mappings.mapfile import Map
from chartpost.mappings.read import Unreadable, message_type, read
from chartpost.mappings.specimens import Specimens
from chartpost.mappings.valuekinds import shape

__all__ = ["Tried", "try_on"]


@dataclass(slots=True)
class Tried:
    """What became of the messages."""

    read: int = 0
    lines: int = 0  #: lines of money in what was read
    held: int = 0
    other: int = 0  #: of types that the map does not read
    reasons: Counter[str] = field(default_factory=Counter)  #: why messages are held, by number of messages
    with_account: int = 0
    reached: int = 0  #: read, and with somebody's number or address


def try_on(found: Specimens, map: Map, *, currency: str, region: str, timezone: str, safe: Iterable[str] = ()) -> Tried:
    """Read everything with a map. `safe`: codes that may be shown in a reason; all else is shown as a shape."""
    tried, shown = Tried(), frozenset(safe)
    if map.dialect == "fhir":
        beside = [one.resource for one in found.items if (one.resource or {}).get("resourceType") != "Invoice"]
    for one in found.items:
        try:
            if map.dialect == "fhir":
                if (one.resource or {}).get("resourceType") != "Invoice":
                    continue
                around = [*one.around, *beside]
                reading = read_invoice(
                    one.resource, map, currency=currency, region=region, timezone=timezone, around=around
                )
            elif one.message is None or message_type(one.message) not in map.messages:
                tried.other += 1
                continue
            else:
                reading = read(one.message, map, currency=currency, region=region, timezone=timezone)
        except Unreadable as error:
            tried.held += 1
            tried.reasons.update({_said(problem.path, problem.cause, shown) for problem in error.problems})
            continue
        tried.read += 1
        tried.lines += len(reading.charges)
        tried.with_account += bool(reading.account)
        people = (reading.patient, reading.guarantor)
        tried.reached += any(person is not None and person.contacts for person in people)
    return tried


def _said(path: str, cause: str, safe: frozenset[str]) -> str:
    """Return a reason without the place's number in its message, and without a value that nobody may see."""
    place = re.sub(r"\[\d+\]", "", path)
    return f"{place}: " + re.sub(r'"([^"]*)"', lambda match: f'"{_value(match[1], safe)}"', cause)


def _value(text: str, safe: frozenset[str]) -> str:
    return text if text in safe else shape(text)
