"""The map file for what goes out: one movement of money, told to a chart as DFT^P03, as a FHIR resource, or in a file.

Rows say: this field is this value, or this constant. Same rules as mapfile.py: readable aloud, every problem at once.
Here is what goes out as HL7 v2; `fhir/` and `flat/` have the others. `writes:` says which of them a file is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

from pydantic import TypeAdapter, ValidationError

from chartpost.mappings import layers, movement
from chartpost.mappings.dialect import CHART
from chartpost.mappings.fhir import postingmap as fhir
from chartpost.mappings.fhir.postingmap import FhirMap
from chartpost.mappings.flat import postingmap as flat
from chartpost.mappings.flat.postingmap import FlatMap
from chartpost.mappings.mapspec import TEXT, loosened
from chartpost.mappings.movement import KindSpec
from chartpost.mappings.overlay import Overlay
from chartpost.mappings.paths import Path, compile_path
from chartpost.mappings.yamltext import MapError

__all__ = ["FhirMap", "FlatMap", "Hl7Map", "KindSpec", "MapError", "OutRow", "PostingMap", "load", "parse", "release"]

DFT = "DFT^P03"
#: Versions that hl7apy can check (2.7.1 and 2.9 it cannot).
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
#: The values that a row may name, beside chart.PID-3 and the like.
VALUES = movement.COMMON
#: What `writes` may say.
WRITES = (DFT, *fhir.RESOURCES, flat.FLAT)


class OutRowSpec(movement.LineSpec):
    """One row as it is written."""

    longest: int | None = None
    since: str | None = None
    until: str | None = None


class PostingSpec(movement.HeadSpec):
    """The file as it is written."""

    writes: str
    version: str
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
    extension: ClassVar[str] = "hl7"  #: of a file that holds one


PostingMap: TypeAlias = Hl7Map | FhirMap | FlatMap


def release(version: str) -> tuple[int, ...]:
    """Return an HL7 version as numbers that compare. Raises ValueError."""
    return tuple(int(number) for number in version.split("."))


@lru_cache(maxsize=64)
def load(name_or_path: str) -> PostingMap:
    """Return a shipped posting map by name (`hl7v2-dft-payment`) or by path. Raises MapError with every problem."""
    return parse(*layers.read_file(name_or_path))


def parse(text: str, file: str = "map.yaml") -> PostingMap:
    """Return the posting map that a file's text describes. Raises MapError with every problem.

    What it `extends` is a shipped map, or lies beside `file`.
    """
    found = layers.layers(text, file)
    found.check()
    document = Overlay(found)
    writes = document.data.get("writes") if isinstance(document.data, dict) else None
    if writes in fhir.RESOURCES:
        return fhir.compile_map(document, found)
    if writes == flat.FLAT:
        return flat.compile_map(document, found)
    try:
        spec = PostingSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    if spec.writes != DFT:
        document.report(("writes",), f"{spec.writes!r} is not one of {', '.join(WRITES)}")
    if spec.version not in VERSIONS:
        document.report(("version",), f"version {spec.version!r} is not one of {', '.join(VERSIONS)}")
    rows: list[OutRow] = []
    for index, item in enumerate(spec.rows):
        if row := _row(document, index, item, spec):
            if any(_same(row, other) for other in rows):
                document.report(("rows", index), f"{row.place} has a row already: one for each kind of movement")
            rows.append(row)
    movement.check_media(document, spec, spec.rows)
    document.check()
    return Hl7Map(
        name=found.name,
        version=spec.version,
        kinds=dict(spec.kinds),
        media=movement.codes(spec.media),
        tables=movement.tables(spec),
        rows=tuple(rows),
        files=found.files,
        edition=found.version,
    )


def _row(document: Overlay, index: int, spec: OutRowSpec, file: PostingSpec) -> OutRow | None:
    """Return the compiled row, None when it has a problem or the version has no such field."""
    where = ("rows", index)
    movement.check_row(document, where, spec, file, VALUES, CHART, "chart.PID-3")
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
    if file.version in VERSIONS and (
        (spec.since is not None and release(file.version) < release(spec.since))
        or (spec.until is not None and release(file.version) > release(spec.until))
    ):
        return None
    return OutRow(
        place=f"{target.name}-{target.rest}",
        value=spec.value or "",
        constant=spec.constant or "",
        required=spec.required,
        table=spec.table or "",
        kinds=frozenset(spec.kinds),
        target=target,
        longest=spec.longest or 0,
    )


def _same(one: OutRow, other: OutRow) -> bool:
    """Whether two rows would fill the same place of the same posting; a chart field takes all of its own."""
    if (one.target.name, one.target.field) != (other.target.name, other.target.field) or not movement.meet(one, other):
        return False
    whole = one.value.startswith("chart.") or other.value.startswith("chart.")
    parts = [(row.target.component or 1, row.target.subcomponent or 1) for row in (one, other)]
    return whole or parts[0] == parts[1]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a map of postings for editors, whichever of the formats it writes."""
    made = loosened(TypeAdapter(PostingSpec | fhir.FhirPostingSpec | flat.FlatPostingSpec).json_schema())
    for name in ("PostingSpec", "FhirPostingSpec", "FlatPostingSpec"):
        made["$defs"][name].pop("required", None)  # a map that extends another holds only what differs
        made["$defs"][name]["properties"] |= {"extends": TEXT, "without": {"type": "array", "items": TEXT}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Chartpost map of postings"}
