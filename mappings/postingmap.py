"""The map file for what goes out: one DFT^P03 with one FT1 that tells a chart of a payment.

Rows say: this field is this value, or this constant. Same rules as mapfile.py: readable aloud, every problem at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Literal

from pydantic import ValidationError

from chartpost.mappings.mapfile import CHART, MapError, TableSpec, _Part, read_file
from chartpost.mappings.paths import Path, compile_path
from chartpost.mappings.yamltext import Document

__all__ = ["KindSpec", "MapError", "OutRow", "PostingMap", "load", "parse", "release"]

#: Versions that hl7apy can check (2.7.1 and 2.9 it cannot).
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
#: The values that a row may name, beside chart.PID-3 and the like.
VALUES = frozenset(
    {
        "posting_id",  # 12 characters
        "paid_at",  # facility's local date and time with offset
        "paid_date",
        "posted_at",
        "posted_date",
        "type",  # FT1-6, by kind
        "code",  # FT1-7: the kind's own code, else the medium through its table
        "amount",  # major units, signed by kind
        "currency",
        "provider_reference",
        "account",
    }
)

PaymentKind = Literal["payment", "refund", "dispute"]


class KindSpec(_Part):
    """How a destination wants one kind of movement. Vendors contradict each other, so it is said, never assumed."""

    type: str  #: FT1-6
    sign: Literal["positive", "negative"]  #: of FT1-11
    code: str | None = None  #: FT1-7 of this kind, instead of the medium's


class OutRowSpec(_Part):
    """One row as it is written."""

    target: str
    value: str | None = None
    constant: str | None = None
    required: bool = False
    longest: int | None = None
    since: str | None = None
    until: str | None = None
    note: str = ""


class PostingSpec(_Part):
    """The file as it is written."""

    note: str = ""
    writes: Literal["DFT^P03"]
    version: str
    kinds: dict[PaymentKind, KindSpec]
    media: TableSpec
    rows: list[OutRowSpec]


@dataclass(frozen=True, slots=True)
class OutRow:
    """One compiled row: where, and exactly one of a value's name and a constant."""

    target: Path
    value: str
    constant: str
    required: bool
    longest: int  #: characters; 0 is any number


@dataclass(frozen=True, slots=True)
class PostingMap:
    """A compiled map for postings, with only the rows that its version has."""

    name: str
    version: str
    kinds: Mapping[PaymentKind, KindSpec]
    media: Mapping[str, str]  #: "card/visa" → the site's code; "card" answers for every card
    rows: tuple[OutRow, ...]


def release(version: str) -> tuple[int, ...]:
    """Return an HL7 version as numbers that compare. Raises ValueError."""
    return tuple(int(number) for number in version.split("."))


@lru_cache(maxsize=64)
def load(name_or_path: str) -> PostingMap:
    """Return a shipped posting map by name (`hl7v2-dft-payment`) or by path. Raises MapError with every problem."""
    text, file = read_file(name_or_path)
    return parse(text, file)


def parse(text: str, file: str = "map.yaml") -> PostingMap:
    """Return the posting map that a file's text describes. Raises MapError with every problem."""
    document = Document(text, file)
    document.check()
    try:
        spec = PostingSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    if spec.version not in VERSIONS:
        document.report(("version",), f"version {spec.version!r} is not one of {', '.join(VERSIONS)}")
    rows = [row for index, item in enumerate(spec.rows) if (row := _row(document, index, item, spec.version))]
    document.check()
    return PostingMap(FilePath(file).stem, spec.version, dict(spec.kinds), dict(spec.media.codes), tuple(rows))


def _row(document: Document, index: int, spec: OutRowSpec, version: str) -> OutRow | None:
    """Return the compiled row, None when it has a problem or the version has no such field."""
    where = ("rows", index)
    if (spec.value is None) == (spec.constant is None):
        document.report(where, "a row needs either `value` or `constant`")
    if spec.value is not None and spec.value not in VALUES and not CHART.fullmatch(spec.value):
        known = ", ".join(sorted(VALUES))
        document.report((*where, "value"), f"unknown value {spec.value!r}; known: {known}, chart.PID-3 and the like")
    for name, bound in (("since", spec.since), ("until", spec.until)):
        if bound is not None and bound not in VERSIONS:
            document.report((*where, name), f"{bound!r} is not one of {', '.join(VERSIONS)}")
            return None
    try:
        target = compile_path(spec.target)
    except ValueError as error:
        document.report((*where, "target"), str(error))
        return None
    if target.name == "MSH" or target.occurrence or target.repetition or target.key:
        document.report((*where, "target"), "a target is a plain field such as FT1-11.1.1; MSH is written by itself")
    if spec.value is not None and spec.value.startswith("chart.") and target.component:
        document.report((*where, "target"), "a chart field is given back whole: its target cannot name a component")
    if version in VERSIONS and (
        (spec.since is not None and release(version) < release(spec.since))
        or (spec.until is not None and release(version) > release(spec.until))
    ):
        return None
    return OutRow(target, spec.value or "", spec.constant or "", spec.required, spec.longest or 0)
