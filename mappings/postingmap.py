"""The map file for what goes out: one movement of money, told to a chart as DFT^P03 or as a FHIR resource.

Rows say: this field is this value, or this constant. Same rules as mapfile.py: readable aloud, every problem at once.
Here is what goes out as HL7 v2; `fhir/postingmap.py` has the other. `writes:` says which of the two a file is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import ClassVar, TypeAlias

from pydantic import ValidationError

from chartpost.mappings import movement
from chartpost.mappings.fhir import postingmap as fhir
from chartpost.mappings.fhir.postingmap import FhirMap
from chartpost.mappings.mapfile import CHART, MapError, TableSpec, _Part, read_file
from chartpost.mappings.movement import KindSpec, PaymentKind
from chartpost.mappings.paths import Path, compile_path
from chartpost.mappings.yamltext import Document

__all__ = ["FhirMap", "Hl7Map", "KindSpec", "MapError", "OutRow", "PostingMap", "load", "parse", "release"]

DFT = "DFT^P03"
#: Versions that hl7apy can check (2.7.1 and 2.9 it cannot).
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
#: The values that a row may name, beside chart.PID-3 and the like.
VALUES = movement.COMMON


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
    writes: str
    version: str
    kinds: dict[PaymentKind, KindSpec]
    media: TableSpec
    rows: list[OutRowSpec]


@dataclass(frozen=True, slots=True)
class OutRow(movement.Row):
    """One compiled row of a DFT."""

    target: Path
    longest: int  #: characters; 0 is any number


@dataclass(frozen=True, slots=True)
class Hl7Map(movement.Stated):
    """A compiled map for postings as DFT^P03, with only the rows that its version has."""

    rows: tuple[OutRow, ...]
    format: ClassVar[str] = "hl7v2"  #: last part of the name of the queue that carries them
    content_type: ClassVar[str] = "application/hl7-v2"


PostingMap: TypeAlias = Hl7Map | FhirMap


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
    name = FilePath(file).stem
    if isinstance(document.data, dict) and document.data.get("writes") in fhir.RESOURCES:
        return fhir.compile_map(document, name)
    try:
        spec = PostingSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    if spec.writes != DFT:
        document.report(("writes",), f"{spec.writes!r} is not one of {', '.join((DFT, *fhir.RESOURCES))}")
    if spec.version not in VERSIONS:
        document.report(("version",), f"version {spec.version!r} is not one of {', '.join(VERSIONS)}")
    rows = [row for index, item in enumerate(spec.rows) if (row := _row(document, index, item, spec.version))]
    document.check()
    return Hl7Map(name, spec.version, dict(spec.kinds), dict(spec.media.codes), tuple(rows))


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
    return OutRow(
        place=f"{target.name}-{target.rest}",
        value=spec.value or "",
        constant=spec.constant or "",
        required=spec.required,
        target=target,
        longest=spec.longest or 0,
    )
