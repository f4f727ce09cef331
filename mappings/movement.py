"""What one posting says, whatever its format: the values that a row of a map may name, and what stands behind them.

Charts contradict each other about signs and codes, so a map states both; nothing here assumes them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from chartpost.mappings.mapfile import _Part
from chartpost.mappings.model import Posting, Problem

__all__ = ["COMMON", "KindSpec", "PaymentKind", "Row", "Stated", "Unwritable", "common", "local"]

PaymentKind = Literal["payment", "refund", "dispute"]

#: The values that a row of any map may name.
COMMON = frozenset(
    {
        "posting_id",  # 12 characters
        "paid_at",  # facility's local date and time with offset
        "paid_date",
        "posted_at",
        "posted_date",
        "type",  # by kind
        "code",  # the kind's own, else the medium through its table
        "amount",  # major units, signed by kind
        "currency",
        "provider_reference",
        "account",
        "predecessor",  # the posting that a refund or dispute takes back
        "card_brand",
        "facility",
    }
)


class Unwritable(ValueError):
    """The destination's map cannot say this posting. `problems` holds every cause and fix."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = list(problems)


class KindSpec(_Part):
    """How a destination wants one kind of movement."""

    type: str  #: FT1-6, or FHIR's payment type
    sign: Literal["positive", "negative"]  #: of the amount
    code: str | None = None  #: of this kind, instead of the medium's


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled row: where, and exactly one of a value's name and a constant."""

    place: str  #: the target as problems name it
    value: str
    constant: str
    required: bool


@dataclass(frozen=True, slots=True)
class Stated:
    """What a compiled map of any format states."""

    name: str
    version: str
    kinds: Mapping[PaymentKind, KindSpec]
    media: Mapping[str, str]  #: "card/visa" → the site's code; "card" answers for every card


def common(
    posting: Posting, map: Stated, rows: Iterable[Row], fixes: Mapping[str, str], problems: list[Problem]
) -> dict[str, str]:
    """Return the values that every format writes alike, as text: all of COMMON but the times.

    Adds to `problems` what the map says nothing about: this kind of movement (`fixes` says what to do then), or this
    medium where a row names `code`.
    """
    places: dict[str, str] = {}
    for row in rows:
        places.setdefault(row.value, row.place)
    kind = map.kinds.get(posting.kind)
    if kind is None:
        problems.append(
            Problem(
                path=places.get("type", "type"),
                cause=f"map {map.name} does not say how a {posting.kind} is written: type, code and sign",
                fix=fixes[posting.kind],
            )
        )
    if posting.amount.minor < 0:
        problems.append(
            Problem(
                path=places.get("amount", "amount"), cause="the posting's amount must be what moved, without a sign"
            )
        )
    negative = kind is not None and kind.sign == "negative"
    amount = -posting.amount.amount if negative else posting.amount.amount
    code = kind.code if kind and kind.code else ""
    if not code and "code" in places:
        code = _medium(posting.medium, map, places["code"], problems)
    family, _, brand = posting.medium.partition("/")
    return {
        "posting_id": posting.posting_id,
        "type": kind.type if kind else "",
        "code": code,
        "amount": f"{amount:f}",
        "currency": posting.amount.currency,
        "provider_reference": posting.provider_reference,
        "account": posting.account,
        "predecessor": posting.predecessor,
        "card_brand": brand if family == "card" else "",
        "facility": posting.facility,
    }


def _medium(medium: str, map: Stated, place: str, problems: list[Problem]) -> str:
    """Return the site's code for a way to pay: its own line, else the line of its family ("card" for card/visa)."""
    code = map.media.get(medium) or map.media.get(medium.partition("/")[0])
    if code is None:
        problems.append(
            Problem(
                path=place,
                cause=f'medium "{medium[:40]}" is not in the table media of map {map.name}',
                fix="add it with the site's code, or add its family as a whole, such as card",
            )
        )
    return code or ""


def local(moment: dt.datetime, timezone: str) -> dt.datetime:
    """Return a moment in a facility's zone. Raises ValueError for a naive one: nobody knows which instant that is."""
    if moment.tzinfo is None:
        raise ValueError("a posting's times must be aware")
    return moment.astimezone(ZoneInfo(timezone))
