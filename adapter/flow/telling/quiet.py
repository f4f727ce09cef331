"""When somebody may be written to: outside quiet hours, days and holidays, where the payer is and where we are. Pure.

What counts is what clocks on the wall show, also in the nights in which they are changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from chartpost.adapter.facility import Facility
from chartpost.adapter.policy import WEEKDAYS, Quiet

#: A number of more zones than this tells nothing of where its owner is: toll-free, or a mobile of a wide country.
SEVERAL = 6
#: A policy that leaves no minute open for so long leaves none.
HORIZON = dt.timedelta(days=400)
_DAY, _MIDNIGHT = dt.timedelta(days=1), dt.time()


def zones_of(number: str) -> tuple[ZoneInfo, ...]:
    """Return the zones in which the owner of a number (E.164) may be; () where it does not tell."""
    try:
        names = timezone.time_zones_for_number(phonenumbers.parse(number))
        return tuple(map(ZoneInfo, names)) if len(names) <= SEVERAL else ()
    except (phonenumbers.NumberParseException, ZoneInfoNotFoundError):  # "Etc/Unknown"
        return ()


def open_from(now: dt.datetime, facility: Facility, zones: Iterable[ZoneInfo] = ()) -> dt.datetime | None:
    """Return the first moment from `now` (aware) on at which it is quiet in none of these zones nor in the facility's.

    None where there is none within HORIZON.
    """
    policy, places = facility.quiet, {facility.zone, *zones}
    if policy.span is None and not policy.days and not policy.holidays:
        return now
    moment = now
    while moment <= now + HORIZON:
        if not any(is_quiet(moment.astimezone(zone), policy) for zone in places):
            return moment
        moment = min(edge for zone in places for edge in _edges(moment, zone, policy))
    return None


def is_quiet(local: dt.datetime, policy: Quiet) -> bool:
    """Say whether it is quiet where clocks show this."""
    if local.date() in policy.holidays or WEEKDAYS[local.weekday()] in policy.days:
        return True
    if policy.span is None:
        return False
    start, end = policy.span
    time = local.time()
    return start <= time < end if start < end else time >= start or time < end


def _edges(moment: dt.datetime, zone: ZoneInfo, policy: Quiet) -> Iterator[dt.datetime]:
    """Yield the moments after this one, a day ahead, at which it may become quiet no longer."""
    today = moment.astimezone(zone).date()
    for time in (_MIDNIGHT, *([policy.span.end] if policy.span else [])):
        for day in (today, today + _DAY):
            for fold in (0, 1):
                edge = dt.datetime.combine(day, time, zone).replace(fold=fold).astimezone(dt.UTC)
                if edge > moment:
                    yield edge
    # Clocks that are changed may jump out of the quiet hours.
    if _offset(moment, zone) != _offset(moment + _DAY, zone):
        yield _change(moment, moment + _DAY, zone)


def _change(low: dt.datetime, high: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the moment between these two at which the clocks of a zone are changed: a whole second."""
    low, before = low.replace(microsecond=0), _offset(low, zone)
    while high - low > dt.timedelta(seconds=1):
        middle = low + dt.timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high.replace(microsecond=0)


def _offset(moment: dt.datetime, zone: ZoneInfo) -> dt.timedelta | None:
    return moment.astimezone(zone).utcoffset()
