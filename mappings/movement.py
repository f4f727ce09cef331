"""What one posting says, whatever its format: the values that a row of a map may name, and what stands behind them.

Charts contradict each other about signs and codes, so a map states both; nothing here assumes them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field

from chartpost.mappings.mapspec import Instead, Part
from chartpost.mappings.model import Money, Posting, Problem
from chartpost.mappings.overlay import Overlay
from chartpost.mappings.tables import Table

__all__ = [
    "COMMON", "CodesSpec", "HeadSpec", "KindSpec", "LineSpec", "PaymentKind", "Row", "Stated", "Unwritable",
    "check_media", "check_row", "codes", "common", "local", "meant", "meet", "rows_for", "signed", "tables",
]  # fmt: skip

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
        "kind_code",  # the kind's own
        "medium",  # through its table
        "amount",  # major units, signed by kind
        "currency",
        "provider_reference",
        "account",
        "predecessor",  # the posting that a refund or dispute takes back
        "batch",  # under which control total the chart finds it
        "card_brand",
        "facility",
    }
)


class Unwritable(ValueError):
    """The destination's map cannot say this posting. `problems` holds every cause and fix."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = list(problems)


# ------------------------------------------------------------------------------------------------ as it is written


class KindSpec(Part):
    """How a destination wants one kind of movement."""

    type: str  #: FT1-6, or FHIR's payment type
    sign: Literal["positive", "negative"]  #: of the amount
    code: str | None = None  #: of this kind, instead of the medium's


class CodesSpec(Part):
    """A table: what the site calls what we know under another name."""

    codes: dict[str, str]
    unknown: Literal["hold", "pass"] | Instead = "hold"
    note: str = ""


class HeadSpec(Part):
    """What every posting map states beside its rows."""

    note: str = ""
    extends: str | None = None
    without: tuple[str, ...] = ()
    kinds: dict[PaymentKind, KindSpec]
    media: CodesSpec | None = None
    tables: dict[str, CodesSpec] = Field(default_factory=dict)


class LineSpec(Part):
    """What every row of a posting map has."""

    target: str
    value: str | None = None
    constant: str | None = None
    table: str | None = None
    required: bool = False
    kinds: tuple[PaymentKind, ...] = ()
    note: str = ""


# ------------------------------------------------------------------------------------------------------- compiled


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled row: where, and exactly one of a value's name and a constant."""

    place: str  #: the target as problems name it
    value: str
    constant: str
    required: bool
    table: str  #: the table that the value goes through; "" is none
    kinds: frozenset[str]  #: of movement that it is for; empty is all


@dataclass(frozen=True, slots=True)
class Stated:
    """What a compiled map of any format states."""

    name: str
    version: str  #: of HL7 or FHIR; "" where a format has none
    kinds: Mapping[PaymentKind, KindSpec]
    media: Table  #: "card/visa" → the site's code; "card" answers for every card
    tables: Mapping[str, Table]
    files: tuple[str, ...] = field(default=(), kw_only=True)  #: that it was read from, the shipped ones left out
    edition: str = field(default="", kw_only=True)  #: eight hex digits of all that was read

    @property
    def label(self) -> str:
        """Which map this is, and which text of it: "chart@1f8a03c2"."""
        return f"{self.name}@{self.edition}"


_Row = TypeVar("_Row", bound=Row)


def rows_for(rows: Iterable[_Row], kind: str) -> tuple[_Row, ...]:
    """Return the rows that one kind of movement has."""
    return tuple(row for row in rows if not row.kinds or kind in row.kinds)


def meet(one: Row, other: Row) -> bool:
    """Say whether two rows are for the same kind of movement."""
    return not (one.kinds and other.kinds and one.kinds.isdisjoint(other.kinds))


def codes(spec: CodesSpec | None) -> Table:
    """Return a compiled table; one that was left out knows no code."""
    if spec is None:
        return Table({})
    if isinstance(spec.unknown, Instead):
        return Table(dict(spec.codes), "value", spec.unknown.value)
    return Table(dict(spec.codes), spec.unknown)


def tables(spec: HeadSpec) -> dict[str, Table]:
    """Return the compiled tables of a file."""
    return {name: codes(table) for name, table in spec.tables.items()}


def check_row(
    document: Overlay,
    where: tuple[str | int, ...],
    line: LineSpec,
    file: HeadSpec,
    values: Iterable[str],
    also: re.Pattern[str] | None = None,
    example: str = "",
) -> None:
    """Report what is wrong with a row in any format.

    `values` are those that it may name; `also` is the shape of further ones, and `example` one of them.
    """
    if (line.value is None) == (line.constant is None):
        document.report(where, "a row needs either `value` or `constant`")
    if line.value is not None and line.value not in values and not (also and also.fullmatch(line.value)):
        known = ", ".join([*sorted(values), *([f"{example} and the like"] if example else [])])
        document.report((*where, "value"), f"unknown value {line.value!r}; known: {known}")
    if line.table is not None and line.constant is not None:
        document.report((*where, "table"), "a constant goes through no table: write what it means")
    elif line.table is not None and line.table not in file.tables:
        known = ", ".join(sorted(file.tables)) or "none"
        document.report((*where, "table"), f"there is no table {line.table!r}; tables: {known}")


def check_media(document: Overlay, file: HeadSpec, lines: Iterable[LineSpec]) -> None:
    """Report rows that name the way to pay where no table says what it is called."""
    if file.media is not None:
        return
    named = {line.value for line in lines}
    if "medium" in named or ("code" in named and not all(kind.code for kind in file.kinds.values())):
        word = "medium" if "medium" in named else "code"
        document.report((), f"a row names `{word}`: say under `media:` what each way to pay is called")


# --------------------------------------------------------------------------------------------------- of one posting


def common(
    posting: Posting, map: Stated, rows: Iterable[Row], fixes: Mapping[str, str], problems: list[Problem]
) -> dict[str, str]:
    """Return the values that every format writes alike, as text: all of COMMON but the times.

    Adds to `problems` what the map says nothing about: this kind of movement (`fixes` says what to do then), or this
    medium where a row names it.
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
    own = kind.code if kind and kind.code else ""
    asks = places.get("medium") or (places.get("code") if not own else None)
    medium = _medium(posting.medium, map, asks, problems) if asks else ""
    family, _, brand = posting.medium.partition("/")
    return {
        "posting_id": posting.posting_id,
        "type": kind.type if kind else "",
        "code": own or medium,
        "kind_code": own,
        "medium": medium,
        "amount": f"{signed(posting, map).amount:f}",
        "currency": posting.amount.currency,
        "provider_reference": posting.provider_reference,
        "account": posting.account,
        "predecessor": posting.predecessor,
        "batch": posting.batch,
        "card_brand": brand if family == "card" else "",
        "facility": posting.facility,
    }


def signed(posting: Posting, map: Stated) -> Money:
    """Return what moved with the sign that the map gives this kind."""
    kind = map.kinds.get(posting.kind)
    negative = kind is not None and kind.sign == "negative"
    return Money(minor=-posting.amount.minor, currency=posting.amount.currency) if negative else posting.amount


def meant(row: Row, values: Mapping[str, str], map: Stated, problems: list[Problem]) -> str:
    """Return the text of a row: its constant, or its value through its table. Adds to `problems` what is missing."""
    text = row.constant or values.get(row.value, "")
    if row.table and text:
        try:
            text = map.tables[row.table].meaning(text) or ""
        except KeyError:  # the code itself may be a person's
            cause = f"{row.value} holds a code that is not in the table {row.table} of map {map.name}"
            fix = f"add it under `tables:`, {row.table}, `codes:`, or say there what an unknown one means"
            problems.append(Problem(path=row.place, cause=cause, fix=fix))
            return ""
    if row.required and not text.strip():
        problems.append(Problem(path=row.place, cause=f"{row.value} is empty, and the map requires it"))
    return text


def _medium(medium: str, map: Stated, place: str, problems: list[Problem]) -> str:
    """Return the site's code for a way to pay: its own line, else the line of its family ("card" for card/visa)."""
    code = map.media.codes.get(medium) or map.media.codes.get(medium.partition("/")[0])
    try:
        return code or map.media.meaning(medium) or ""
    except KeyError:
        problems.append(
            Problem(
                path=place,
                cause=f'medium "{medium[:40]}" is not in the table media of map {map.name}',
                fix="add it with the site's code, or add its family as a whole, such as card",
            )
        )
        return ""


def local(moment: dt.datetime, timezone: str) -> dt.datetime:
    """Return a moment in a facility's zone. Raises ValueError for a naive one: nobody knows which instant that is."""
    if moment.tzinfo is None:
        raise ValueError("a posting's times must be aware")
    return moment.astimezone(ZoneInfo(timezone))
