"""The batch of a posting: one for each facility and day, so that a person compares one total with the chart's."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo


def name(facility: str, moment: dt.datetime, timezone: str) -> str:
    """Return the batch of what is recorded at `moment` (aware) for a facility: "LADE261122" for lakeside.

    At most ten characters, as FT1-3 has in every version (HL7 v2.5.1 §6.5.1): the day in the facility's own calendar as
    YYMMDD, and before it the facility's short name.
    """
    return f"{short(facility)}{moment.astimezone(ZoneInfo(timezone)):%y%m%d}"


def short(facility: str) -> str:
    """Return at most four characters of a facility's name in the configuration: site-1 and site-2 must stay apart."""
    plain = re.sub("[^A-Z0-9]", "", facility.upper())
    return plain if len(plain) <= 4 else plain[:2] + plain[-2:]
