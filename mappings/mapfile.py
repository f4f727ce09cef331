"""The map file for charges: which message types, which account, and which value comes from where.

A file is YAML that can be read aloud: "charge: target amount, path FT1-11, transform money". Every problem of a file is
reported at once, with its line. HL7 v2 and FHIR are two dialects of one language (dialect.py). What goes out,
payments, is described by postingmap.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chartpost.mappings import transforms
from chartpost.mappings.dialect import CHARGE_TARGETS, CHART, HL7V2, MESSAGE_TARGETS, Dialect, DialectName
from chartpost.mappings.model import Kind
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.transforms import Shape, Step
from chartpost.mappings.yamltext import Document, MapError, Where

__all__ = ["CHARGE_TARGETS", "CHART", "MESSAGE_TARGETS", "Map", "MapError", "Row", "load", "parse", "read_file"]

#: Where the shipped maps are.
_LIBRARY = "chartpost.mappings.library"
IGNORE = "ignore"  #: a meaning of the kinds table: this line is no money of ours, leave it out and say so


def _dialect(name: DialectName) -> Dialect:
    if name == "hl7v2":
        return HL7V2
    from chartpost.mappings.fhir.dialect import FHIR  # FHIRPath is heavy: only who has such a map pays for it

    return FHIR


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Listed = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TableSpec(_Part):
    """A code table: what the site's code means."""

    codes: dict[str, str]
    unknown: Literal["hold"] = "hold"  #: the only answer to a code that nobody explained
    note: str = ""


class RowSpec(_Part):
    """One row as it is written."""

    target: str
    path: Listed
    transform: Listed | None = None
    default: str | None = None
    required: bool = False
    note: str = ""


class MapSpec(_Part):
    """The file as it is written."""

    note: str = ""
    dialect: DialectName = "hl7v2"
    messages: Listed
    account: Listed
    message: list[RowSpec]
    charge: list[RowSpec]
    tables: dict[str, TableSpec] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled row."""

    target: str
    shape: Shape
    paths: tuple[AnyPath, ...]
    steps: tuple[Step, ...]
    default: str | None
    required: bool
    line: int


@dataclass(frozen=True, slots=True)
class Map:
    """A compiled map, immutable: share it between threads."""

    name: str
    dialect: DialectName
    messages: frozenset[str]  #: "DFT^P03", or "DFT" where 2.1 has no trigger event; "Invoice"
    account: tuple[AnyPath, ...]
    message: tuple[Row, ...]
    charge: tuple[Row, ...]
    tables: Mapping[str, Mapping[str, str]]


@lru_cache(maxsize=64)
def load(name_or_path: str) -> Map:
    """Return a shipped map by name (`hl7v2-dft`) or a map file by path. Raises MapError with every problem."""
    text, file = read_file(name_or_path)
    return parse(text, file)


def read_file(name_or_path: str) -> tuple[str, str]:
    """Return a map's text and the name that problems call it by. Raises MapError when there is no such map."""
    shipped = resources.files(_LIBRARY).joinpath(f"{name_or_path}.yaml")
    if re.fullmatch(r"[a-z0-9-]+", name_or_path) and shipped.is_file():
        return shipped.read_text("utf-8"), f"{name_or_path}.yaml"
    try:
        return FilePath(name_or_path).read_text("utf-8"), name_or_path
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        names = sorted(one.name[:-5] for one in resources.files(_LIBRARY).iterdir() if one.name.endswith(".yaml"))
        problem = f"no shipped map of this name, and as a file: {reason}; shipped: {', '.join(names)}"
        raise MapError([f"{name_or_path}:1: {problem}"]) from None


def parse(text: str, file: str = "map.yaml") -> Map:
    """Return the map that a file's text describes. Raises MapError with every problem, each "file:line: …"."""
    document = Document(text, file)
    document.check()
    try:
        spec = MapSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    dialect = _dialect(spec.dialect)
    tables = {name: dict(table.codes) for name, table in spec.tables.items()}
    message = _rows(document, dialect, "message", spec.message, tables)
    charge = _rows(document, dialect, "charge", spec.charge, tables)
    for index, name in enumerate(spec.messages):
        if not dialect.messages.fullmatch(name):
            document.report(("messages", index), f"{name!r} is not {dialect.messages_are}")
    account = _paths(document, dialect.compile_account, ("account",), spec.account)
    for section, rows in (("message", message), ("charge", charge)):
        for needed in dialect.needed.get(section, ()):
            if needed not in {row.target for row in rows}:
                document.report((section,), f"no row has the target {needed}")
    _check_kinds(document, charge, tables)
    document.check()
    return Map(
        name=FilePath(file).stem,
        dialect=dialect.name,
        messages=frozenset(spec.messages),
        account=account,
        message=message,
        charge=charge,
        tables=tables,
    )


def _check_kinds(document: Document, rows: Sequence[Row], tables: Mapping[str, Mapping[str, str]]) -> None:
    """A kind comes from a table or is one of ours by name."""
    targets = {row.target: row for row in rows}
    kinds = {*Kind, IGNORE}
    for step in targets["kind"].steps if "kind" in targets else ():
        for code, meaning in tables.get(step.argument, {}).items():
            if meaning not in kinds:
                document.report(
                    ("tables", step.argument, "codes", code),
                    f"code {code} means {meaning!r}, but a kind is one of {', '.join(sorted(kinds))}",
                )


def _rows(
    document: Document,
    dialect: Dialect,
    section: Literal["message", "charge"],
    specs: Sequence[RowSpec],
    tables: Mapping[str, Mapping[str, str]],
) -> tuple[Row, ...]:
    targets = dialect.message if section == "message" else dialect.charge
    rows: list[Row] = []
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        where: Where = (section, index)
        shape = targets.get(spec.target)
        if shape is None and section == "message" and dialect.chart.fullmatch(spec.target):
            shape = "verbatim"
        if shape is None:
            known = ", ".join([*targets, *([f"{dialect.chart_example} and the like"] if section == "message" else [])])
            document.report((*where, "target"), f"unknown target {spec.target!r}; known here: {known}")
            continue
        if spec.target in seen and shape != "contacts":
            document.report((*where, "target"), f"target {spec.target} has a row already: list its paths there")
        seen.add(spec.target)
        steps = _steps(document, dialect, where, spec.transform, shape, tables)
        if spec.default is not None:
            _check_default(document, (*where, "default"), spec.default, shape, steps, tables)
        rows.append(
            Row(
                target=spec.target,
                shape=shape,
                paths=_paths(document, dialect.compile_path, (*where, "path"), spec.path),
                steps=steps,
                default=spec.default,
                required=spec.required,
                line=document.line(where),
            )
        )
    return tuple(rows)


def _check_default(
    document: Document,
    where: Where,
    default: str,
    shape: Shape,
    steps: Sequence[Step],
    tables: Mapping[str, Mapping[str, str]],
) -> None:
    if shape in ("contacts", "verbatim"):
        document.report(where, f"a target that needs {shape} cannot have a default")
        return
    try:
        transforms.apply(steps, default, transforms.Context("USD", "US", "UTC", tables=tables))
    except transforms.Rejected as error:
        document.report(where, error.cause)
    except KeyError:
        pass  # the table that it names is missing: reported with the transform


def _paths(
    document: Document, compile_one: Callable[[str], AnyPath], where: Where, texts: Sequence[str]
) -> tuple[AnyPath, ...]:
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(compile_one(text))
        except ValueError as error:
            document.report((*where, index), str(error))
    return tuple(found)


def _steps(
    document: Document,
    dialect: Dialect,
    where: Where,
    chain: Sequence[str] | None,
    shape: Shape,
    tables: Mapping[str, Mapping[str, str]],
) -> tuple[Step, ...]:
    """Compile a chain such as `[strip, table kinds]`. Left out, it is the one that the target's shape asks for."""
    place = (*where, "transform")
    if chain is None:
        chain = [] if shape == "text" else [shape]
    steps: list[Step] = []
    for index, text in enumerate(chain):
        name, _, argument = text.partition(" ")
        transform = dialect.transforms.get(name)
        if transform is None:
            document.report((*place, index), f"unknown transform {name!r}; known: {', '.join(dialect.transforms)}")
            return ()
        if transform.argument != bool(argument):
            needs = "needs the name of a table" if transform.argument else "takes nothing after it"
            document.report((*place, index), f"transform {name} {needs}")
        elif transform.argument and argument not in tables:
            document.report((*place, index), f"there is no table {argument!r} under `tables:`")
        if steps and steps[-1].transform.gives != "text":
            document.report((*place, index), f"nothing can follow {chain[index - 1]}: it gives no text")
        if steps and name in ("contacts", "verbatim"):
            document.report((*place, index), f"{name} reads the field itself: it must stand alone")
        steps.append(Step(transform, argument))
    gives = steps[-1].transform.gives if steps else "text"
    if gives != shape:
        document.report(place, f"this target needs {shape}, and the transforms give {gives}")
    return tuple(steps)
