"""Compare two states of one resource as its server numbers them: meta.versionId, meta.lastUpdated (FHIR, Meta).

A server that is asked, or that notifies, says the same state again and again, and sometimes an old one late. Pure.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from chartpost.mappings.fhir.references import Resource, text

Instant = dt.datetime


def instant(value: Any) -> Instant | None:
    """Return a FHIR instant as an aware time in UTC; None for what is none."""
    try:
        found = dt.datetime.fromisoformat(text(value))
        return found.astimezone(dt.UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def written(when: Instant) -> str:
    """Return a time as an instant, to the microsecond if need be: "2026-05-04T15:00:00.120Z"."""
    unit = "microseconds" if when.microsecond % 1000 else "milliseconds"
    return when.astimezone(dt.UTC).isoformat(timespec=unit).replace("+00:00", "Z")


def last_updated(resource: Resource) -> Instant | None:
    """Return when its server last changed a resource; None where it does not say."""
    return instant(_meta(resource).get("lastUpdated"))


def same(one: Resource, other: Resource) -> bool:
    """Say whether two states are one: the same version and time, or the same content whatever the version."""
    numbers, times = _versions(one, other), (last_updated(one), last_updated(other))
    if numbers[0] and numbers[0] == numbers[1] and (times[0] == times[1] or None in times):
        return True
    return _content(one) == _content(other)


def older(one: Resource, other: Resource) -> bool:
    """Say whether `one` is certainly an earlier state than `other`."""
    mine, its = last_updated(one), last_updated(other)
    if mine is not None and its is not None and mine != its:
        return mine < its
    numbers = _versions(one, other)
    return all(number.isascii() and number.isdigit() for number in numbers) and int(numbers[0]) < int(numbers[1])


def _versions(one: Resource, other: Resource) -> tuple[str, str]:
    return text(_meta(one).get("versionId"))[:64], text(_meta(other).get("versionId"))[:64]


def _content(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "meta"}


def _meta(resource: Resource) -> Resource:
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}
