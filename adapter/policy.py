"""By which policy patients are asked: how much, in how many parts, when, by whom (docs/admin/requests.md).

Amounts are written in major units of the facility's currency ("5.00"); `Facility.minor` makes them exact.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from chartpost.adapter.part import Part
from chartpost.mappings.model import Role as Role

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]  #: ISO 639-1
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _decimal(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Amount = Annotated[Decimal, BeforeValidator(_decimal)]  #: in major units: 5.00


class Amounts(Part):
    """How much may be asked for, and paid at once."""

    minimum: Amount | None = None  #: less than this is not asked for until there is more
    maximum: Amount | None = None  #: more than this is never asked for
    review_above: Amount | None = None  #: a person looks first
    part_minimum: Amount | None = None  #: the smallest part that a payer may pay
    parts: bool = True  #: whether a payer may pay a part at all
    lower: bool = True  #: whether a person may ask for less than is owed
    higher: bool = False  #: whether a person may ask for more than is owed: deposits

    @model_validator(mode="after")
    def _some(self) -> Amounts:
        """Something can be asked for. Raises ValueError."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum: is more than maximum: nothing could be asked for")
        return self


class Plans(Part):
    """Instalments that a payer may choose; people may make others."""

    most: int = 6  #: instalments
    least: Amount | None = None  #: the smallest instalment
    every: Literal["week", "two_weeks", "month"] = "month"

    @model_validator(mode="after")
    def _several(self) -> Plans:
        if not 2 <= self.most <= 60:
            raise ValueError("most: a plan has 2 to 60 instalments")
        return self


class Reminders(Part):
    """When whoever has not paid is reminded: days before, on and after the day on which it is due."""

    due_days: PositiveInt = 30  #: a request is due so many days after it went out
    before: tuple[PositiveInt, ...] = ()
    on: bool = False
    after: tuple[NonNegativeInt, ...] = (1, 14)
    together_days: NonNegativeInt = 3  #: reminders of one payer that are so near to each other become one


class Hours(NamedTuple):
    """From a time of day until another, maybe over midnight: nobody is written to in between."""

    start: dt.time
    end: dt.time


_TIME = r"([01]\d|2[0-3]):([0-5]\d)"


def _hours(value: Any) -> Any:
    if value in (None, "none"):
        return None
    if not isinstance(value, str) or not re.fullmatch(rf"{_TIME}-{_TIME}", value) or value[:5] == value[6:]:
        raise ValueError("is no span of hours; write it as in 21:00-08:00, or none")
    return value


class Quiet(Part):
    """When nobody is written to, in the payer's zone and in the facility's: what is due then waits."""

    hours: Annotated[str | None, BeforeValidator(_hours)] = "21:00-08:00"
    days: tuple[Weekday, ...] = ()
    holidays: tuple[dt.date, ...] = ()

    @property
    def span(self) -> Hours | None:
        """The hours as times of day."""
        return None if self.hours is None else Hours(*map(dt.time.fromisoformat, self.hours.split("-")))


#: `quiet: none` switches all of it off.
QuietHours = Annotated[Quiet, BeforeValidator(lambda value: Quiet(hours=None) if value == "none" else value)]
