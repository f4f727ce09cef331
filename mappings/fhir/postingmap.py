"""The map file for what goes out as FHIR: a PaymentReconciliation, a PaymentNotice, or a Basic with extensions.

Rows say: this element is this value, or this constant. Each target is looked up in the resource of the map's version,
so that a misspelt element is a problem of the file, with its line, and not of the first payment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import ValidationError

from chartpost.mappings import movement, named
from chartpost.mappings.fhir.versions import Element, Version, elements, root, unfit
from chartpost.mappings.layers import Layers
from chartpost.mappings.overlay import Overlay

__all__ = ["RESOURCES", "FhirMap", "FhirRow", "Step", "compile_map", "typed"]

#: What a map may write.
RESOURCES = ("PaymentReconciliation", "PaymentNotice", "Basic")
#: The values that a row may name: those of every map, then what the payment is for, and who the patient is.
VALUES = movement.COMMON | named.OWED | named.PATIENT | {"account_reference"}

Step: TypeAlias = tuple[str, int | None]  #: an element's name, and its place where it is a list
_STEP = re.compile(r"([a-z][A-Za-z0-9]*)(?:\[(0|[1-9]\d?)\])?")


class FhirRowSpec(movement.LineSpec):
    """One row as it is written."""


class FhirPostingSpec(movement.HeadSpec):
    """The file as it is written."""

    writes: Literal["PaymentReconciliation", "PaymentNotice", "Basic"]
    version: Version
    rows: list[FhirRowSpec]


@dataclass(frozen=True, slots=True)
class FhirRow(movement.Row):
    """One compiled row of a resource."""

    steps: tuple[Step, ...]
    element: Element  #: that the last step names


@dataclass(frozen=True, slots=True)
class FhirMap(movement.Stated):
    """A compiled map for postings as FHIR resources."""

    writes: str  #: the resource's type
    rows: tuple[FhirRow, ...]
    format: ClassVar[str] = "fhir"  #: last part of the name of the queue that carries them
    content_type: ClassVar[str] = "application/fhir+json"
    extension: ClassVar[str] = "json"  #: of a file that holds one


def compile_map(document: Overlay, found: Layers) -> FhirMap:
    """Return the map that a file describes. Raises MapError with every problem."""
    try:
        spec = FhirPostingSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    model = root(spec.version, spec.writes)
    rows: list[FhirRow] = []
    compiled = True
    for index, item in enumerate(spec.rows):
        row = _row(document, index, item, spec, model)
        if row is None:
            compiled = False
            continue
        if any(row.steps == other.steps and movement.meet(row, other) for other in rows):
            document.report(("rows", index), f"{row.place} has a row already: one for each kind of movement")
        rows.append(row)
    made = FhirMap(
        name=found.name,
        version=spec.version,
        kinds=dict(spec.kinds),
        media=movement.codes(spec.media),
        tables=movement.tables(spec),
        writes=spec.writes,
        rows=tuple(rows),
        files=found.files,
        edition=found.version,
    )
    if compiled:  # a row that could not be compiled may be the one that is missed
        _check_required(document, made, model)
    movement.check_media(document, spec, spec.rows)
    document.check()
    return made


def _row(document: Overlay, index: int, spec: FhirRowSpec, file: FhirPostingSpec, model: Any) -> FhirRow | None:
    """Return the compiled row, None when it cannot be compiled."""
    where = ("rows", index)
    movement.check_row(document, where, spec, file, VALUES)
    try:
        steps, element = _target(spec.target, f"{file.version} {file.writes}", model)
    except ValueError as error:
        document.report((*where, "target"), str(error))
        return None
    if spec.constant is not None and (wrong := unfit(element, typed(element, spec.constant))):
        document.report((*where, "constant"), f"{spec.target}: {wrong}")
    return FhirRow(
        place=spec.target,
        value=spec.value or "",
        constant=spec.constant or "",
        required=spec.required,
        table=spec.table or "",
        kinds=frozenset(spec.kinds),
        steps=steps,
        element=element,
    )


def _target(text: str, resource: str, model: Any) -> tuple[tuple[Step, ...], Element]:
    """Return a target's steps and the primitive element that it ends at. Raises ValueError that says why not."""
    steps: list[Step] = []
    element: Element | None = None
    before = ""
    for part in text.split("."):
        found = _STEP.fullmatch(part)
        if found is None:
            raise ValueError(f"{text!r} is not a path of elements such as detail[0].amount.value")
        here = before + found[1]
        before += part + "."
        if model is None:
            raise ValueError(f"{here}: what stands before has no elements of its own")
        element = elements(model).get(found[1])
        if element is None:
            raise ValueError(f"{here}: no such element in {resource}; known here: {', '.join(elements(model))}")
        if element.listed and found[2] is None:
            raise ValueError(f"{here} is a list: say which of it, as in {here}[0]")
        if found[2] is not None and not element.listed:
            raise ValueError(f"{here} is no list: leave [{found[2]}] out")
        steps.append((found[1], int(found[2]) if found[2] is not None else None))
        model = element.model
    assert element is not None
    if model is not None:
        raise ValueError(f"{text} is a {element.datatype}: name one of its elements, {', '.join(elements(model))}")
    return tuple(steps), element


def _check_required(document: Overlay, map: FhirMap, model: Any) -> None:
    """Report what the version requires, in the resource and in every object that a row begins, and no row fills."""
    for kind in map.kinds:
        for missing in _unfilled([row.steps for row in movement.rows_for(map.rows, kind)], model):
            document.report(("rows",), f"no row fills {missing} of a {kind}, and {map.version} requires it")


def _unfilled(paths: list[tuple[Step, ...]], model: Any, place: str = "") -> Iterator[str]:
    known = elements(model)
    begun = dict.fromkeys(path[0] for path in paths)
    for element in known.values():
        if element.required and element.name not in {name for name, _ in begun}:
            yield place + element.name
    for name, index in begun:
        if known[name].model is not None:
            inside = [path[1:] for path in paths if path[0] == (name, index)]
            here = f"{place}{name}" + (f"[{index}]" if index is not None else "")
            yield from _unfilled(inside, known[name].model, here + ".")


def typed(element: Element, text: str) -> str | int | bool | Decimal:
    """Return a text as what its element is in JSON; as it stands where it is not that, and `unfit` then says so."""
    if element.shape == "boolean":
        return {"true": True, "false": False}.get(text, text)
    try:
        if element.shape == "decimal":
            return Decimal(text)
        return int(text) if element.shape == "integer" else text
    except (ValueError, InvalidOperation):
        return text
