"""When a message says that it was made: MSH-7 of HL7 v2, `meta.lastUpdated` of FHIR; or recorded: EVN-2. Pure.

A sender may give less than the second, so the answer is two moments: the first and the last that it can mean.
"""

from __future__ import annotations

import datetime as dt
import re

from chartpost.mappings import er7

_TS = re.compile(r"(\d{8})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?)?([+-]\d{4})?")
#: By number of parts that are there: day, hour, minute, second.
_SPANS = (dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(seconds=1))

Span = tuple[dt.datetime, dt.datetime]


def of_message(raw: bytes, zone: dt.tzinfo) -> Span | None:
    """Return when an HL7 v2 message or a FHIR resource was made, aware; None where it does not say.

    `zone` is for times without an offset. Raises ValueError for what is no message.
    """
    if raw.lstrip()[:1] != b"{":
        return of_ts(er7.parse(raw).text("MSH", 7), zone)
    from chartpost.mappings.fhir import bundle

    resource, _ = bundle.unpack(raw, 100)
    meta = resource.get("meta")
    text = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if not isinstance(text, str):
        return None
    found = dt.datetime.fromisoformat(text)
    found = found if found.tzinfo else found.replace(tzinfo=zone)
    return found, found + dt.timedelta(seconds=1)


def recorded(raw: bytes, zone: dt.tzinfo) -> Span | None:
    """Return when what a message tells was recorded: EVN-2 (HL7 v2.5.1 §3.4.1.2), which stays when it is sent once
    more; else when the message was made. `zone` and ValueError as for of_message.
    """
    if raw.lstrip()[:1] == b"{":
        return of_message(raw, zone)
    message = er7.parse(raw)
    return of_ts(message.text("EVN", 2), zone) or of_ts(message.text("MSH", 7), zone)


def of_ts(text: str, zone: dt.tzinfo) -> Span | None:
    """Return the moments that a TS or DTM (HL7 v2.5.1 §2.A.22) can mean; None for one without a day, or none at all."""
    found = _TS.fullmatch(text.strip())
    try:
        return _span(found, zone) if found is not None else None
    except (ValueError, OverflowError):  # no such day, hour or offset, or the end of all calendars
        return None


def _span(found: re.Match[str], zone: dt.tzinfo) -> Span:
    day, *times = (found[number] for number in range(1, 5))
    given = [part for part in times if part]
    hour, minute, second = (int(part) for part in (*given, "0", "0", "0")[:3])
    midnight = dt.datetime.combine(dt.date.fromisoformat(day), dt.time())
    local = midnight.replace(hour=hour, minute=minute, second=min(second, 59))
    span = _SPANS[len(given)]
    if offset := found[5]:
        sign = -1 if offset[0] == "-" else 1
        aware = local.replace(tzinfo=dt.timezone(sign * dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))))
        return aware, aware + span
    # An hour in autumn comes twice.
    twice = [local.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1)]
    return min(twice), max(twice) + span
