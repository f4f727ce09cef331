"""Put the layers of a map together, the site's own over its base, and compile what comes of it.

Every problem is noted at its place, in the file where it stands, and all are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from chartpost.mappings import layers as sources
from chartpost.mappings import rowcompiler
from chartpost.mappings import tables as code_tables
from chartpost.mappings.conditions import CHARGE, MESSAGE, Condition
from chartpost.mappings.dialect import HL7V2, MY, Dialect, DialectName
from chartpost.mappings.layers import Layers
from chartpost.mappings.maps import IGNORE, Map, Row, StopRule, release
from chartpost.mappings.mapspec import Instead, MapSpec, RowSpec, SameReference, TableSpec
from chartpost.mappings.model import Kind
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.tables import Table
from chartpost.mappings.yamltext import Document, Where

Section = Literal["message", "charge"]


def compile_map(layers: Layers) -> Map:
    """Return the map of a file and what it extends. Raises MapError with every problem of all of them."""
    layers.check()
    specs = [(document, spec) for document in layers.documents if (spec := _spec(document)) is not None]
    layers.check()
    return _Compiler(layers, specs).map()


def _spec(document: Document) -> MapSpec | None:
    try:
        spec = MapSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        return None
    if spec.extends is None:
        for name in ("messages", "account", "message", "charge"):
            if not getattr(spec, name):
                document.report((), f"`{name}` is missing")
    return spec


def _dialect(name: DialectName, messages: Sequence[str]) -> Dialect:
    if name == "hl7v2":
        return HL7V2
    from chartpost.mappings.fhir.dialect import FHIR, FHIR_ITEM  # FHIRPath is heavy: only who has such a map pays

    return FHIR_ITEM if any(map(FHIR_ITEM.messages.fullmatch, messages)) else FHIR


@dataclass(frozen=True, slots=True)
class _Written:
    """A row and where it stands."""

    document: Document
    where: Where
    spec: RowSpec


class _Compiler:
    """Puts the layers of a map together, the base first, and compiles what comes of it."""

    def __init__(self, layers: Layers, specs: Sequence[tuple[Document, MapSpec]]) -> None:
        self.layers = layers
        self.specs = specs  #: the site's own first
        self.top = layers.top
        said = [(document, spec.dialect) for document, spec in specs if spec.dialect is not None]
        messages = next((spec.messages for _, spec in specs if spec.messages), ())
        self.dialect = _dialect(said[-1][1], messages) if said else HL7V2
        for document, name in said:
            if name != self.dialect.name:
                document.report(("dialect",), f"the map that this one extends is for {self.dialect.name}")

    def map(self) -> Map:
        self.without()
        tables = self.tables()
        message = self.rows("message", tables)
        charge = self.rows("charge", tables)
        self.needed("message", message)
        self.needed("charge", charge)
        mine = frozenset(row.target[3:] for row in (*message, *charge) if row.target.startswith("my."))
        of_message = frozenset(row.target[3:] for row in message if row.target.startswith("my."))
        self.check_kinds(charge, tables)
        messages = self.messages()
        if any(name.startswith("ADT^") for name in messages) and "chart.PID-3" not in {row.target for row in message}:
            said = "an ADT names patients by PID-3, so a map that lists one needs a row with the target chart.PID-3"
            self.top.report(("messages",), said)
        found = Map(
            name=self.layers.name,
            version=self.layers.version,
            dialect=self.dialect.name,
            messages=messages,
            account=self.account(),
            message=message,
            charge=charge,
            tables=tables,
            message_when=self.when("message", of_message),
            charge_when=self.when("charge", mine),
            stops=tuple(self.stops(of_message)),
            same_reference=self.same_reference(),
            my=mine,
            by_version=any(row.since or row.until for row in (*message, *charge)),
            files=self.layers.files,
        )
        self.layers.check()
        return found

    # -------------------------------------------------------------------------------- what one layer says for all

    def messages(self) -> frozenset[str]:
        document, names = next(((document, spec.messages) for document, spec in self.specs if spec.messages))
        for index, name in enumerate(names):
            if not self.dialect.messages.fullmatch(name):
                document.report(("messages", index), f"{name!r} is not {self.dialect.messages_are}")
        return frozenset(names)

    def account(self) -> tuple[AnyPath, ...]:
        document, texts = next(((document, spec.account) for document, spec in self.specs if spec.account))
        return rowcompiler.paths(document, self.dialect.compile_account, ("account",), texts)

    def same_reference(self) -> SameReference:
        said = (spec.corrections.same_reference for _, spec in self.specs)
        return next((one for one in said if one is not None), "add")

    def when(self, name: Section, mine: frozenset[str]) -> Condition | None:
        for document, spec in self.specs:
            if (text := getattr(spec.when, name)) is not None:
                return rowcompiler.condition(
                    document, ("when", name), text, MESSAGE if name == "message" else CHARGE, mine
                )
        return None

    def stops(self, mine: frozenset[str]) -> Iterator[StopRule]:
        """Yield the rules of all layers; a cause that a site states itself replaces the base's."""
        seen: set[str] = set()
        for document, spec in self.specs:
            for index, stop in enumerate(spec.stop):
                if stop.cause in seen:
                    continue
                condition = rowcompiler.condition(document, ("stop", index, "when"), stop.when, MESSAGE, mine)
                if condition is not None:
                    yield StopRule(condition, stop.cause, stop.text or f"by the rule {stop.cause} of the map")
            seen.update(stop.cause for stop in spec.stop)

    # ------------------------------------------------------------------------------------------ rows and tables

    def written(self, section: Section) -> list[_Written]:
        """Return the rows of a section, the base's first; a site's row replaces those of its target in their place."""
        by_target: dict[str, list[_Written]] = {}
        for document, spec in reversed(self.specs):
            for target in spec.without:
                by_target.pop(target, None)
            own: dict[str, list[_Written]] = {}
            for index, row in enumerate(getattr(spec, section)):
                own.setdefault(row.target, []).append(_Written(document, (section, index), row))
            by_target |= own
        return [row for rows in by_target.values() for row in rows]

    def without(self) -> None:
        """See that what a map leaves out is there to be left out."""
        below: set[str] = set()
        for document, spec in reversed(self.specs):
            for index, target in enumerate(spec.without):
                if target not in below:
                    document.report(("without", index), f"the map that this one extends has no row for {target!r}")
            below |= {row.target for row in (*spec.message, *spec.charge)}

    def rows(self, section: Section, tables: Mapping[str, Table]) -> tuple[Row, ...]:
        targets = self.dialect.message if section == "message" else self.dialect.charge
        rows: list[Row] = []
        for written in self.written(section):
            document, where, spec = written.document, written.where, written.spec
            shape = targets.get(spec.target)
            if shape is None and MY.fullmatch(spec.target):
                shape = "text"
            if shape is None and section == "message" and self.dialect.chart.fullmatch(spec.target):
                shape = "verbatim"
            if shape is None:
                more = [f"{self.dialect.chart_example} and the like"] if section == "message" else []
                known = ", ".join([*targets, "my.anything", *more])
                document.report((*where, "target"), f"unknown target {spec.target!r}; known here: {known}")
                continue
            before = [row for row in rows if row.target == spec.target and shape != "contacts"]
            if any(_overlap(row, spec) for row in before):
                document.report((*where, "target"), f"target {spec.target} has a row already: list its paths there")
            if (spec.since or spec.until) and self.dialect.name != "hl7v2":
                document.report(where, "`since` and `until` are versions of HL7 v2; this map reads FHIR")
            steps = rowcompiler.steps(document, self.dialect, where, spec.transform, shape, tables)
            if spec.default is not None:
                rowcompiler.check_default(document, (*where, "default"), spec.default, shape, steps, tables)
            rows.append(
                Row(
                    target=spec.target,
                    shape=shape,
                    paths=rowcompiler.paths(document, self.dialect.compile_path, (*where, "path"), spec.path),
                    steps=steps,
                    default=spec.default,
                    required=spec.required,
                    line=document.line(where),
                    file=document.file,
                    since=spec.since or "",
                    until=spec.until or "",
                )
            )
        return tuple(rows)

    def needed(self, section: Section, rows: Sequence[Row]) -> None:
        for target in self.dialect.needed.get(section, ()):
            if target not in {row.target for row in rows}:
                self.top.report((section,), f"no row has the target {target}")

    def tables(self) -> dict[str, Table]:
        """Return the tables, the codes of all layers put together; the site's own meaning counts."""
        found: dict[str, Table] = {}
        for document, spec in reversed(self.specs):
            for name, table in spec.tables.items():
                before = found.get(name, Table({}))
                codes = {**before.codes, **self.codes(document, name, table)}
                unknown, value = before.unknown, before.value
                if isinstance(table.unknown, Instead):
                    unknown, value = "value", table.unknown.value
                elif table.unknown is not None:
                    unknown, value = table.unknown, ""
                found[name] = Table(codes, unknown, value)
        return found

    def codes(self, document: Document, name: str, table: TableSpec) -> dict[str, str]:
        if table.file is None:
            return table.codes
        where: Where = ("tables", name, "file")
        try:
            text = sources.read_beside(self.layers, document, table.file)
        except ValueError as error:
            document.report(where, f"{table.file!r}: {error}")
            return table.codes
        found, problems = code_tables.from_csv(text)
        for line, problem in problems:
            document.report(where, f"{table.file} line {line}: {problem}")
        return {**found, **table.codes}

    def check_kinds(self, rows: Sequence[Row], tables: dict[str, Table]) -> None:
        """A kind comes from a table or is one of ours by name; where unknown codes are ignored, their line is."""
        row = next((row for row in rows if row.target == "kind"), None)
        kinds = {*Kind, IGNORE}
        for step in row.steps if row is not None else ():
            name = step.argument if isinstance(step.argument, str) else ""
            if (table := tables.get(name)) is None:
                continue
            if table.unknown == "ignore":
                tables[name] = table = Table(table.codes, "value", IGNORE)
            meanings = {**table.codes, **({"unknown": table.value} if table.unknown == "value" else {})}
            for code, meaning in meanings.items():
                if meaning not in kinds:
                    document, where = self.place_of_code(name, code)
                    known = ", ".join(sorted(kinds))
                    document.report(where, f"code {code} means {meaning!r}, but a kind is one of {known}")

    def place_of_code(self, table: str, code: str) -> tuple[Document, Where]:
        for document, spec in self.specs:
            if table in spec.tables and (code in spec.tables[table].codes or spec.tables[table].file):
                return document, ("tables", table, "codes", code)
        return self.top, ("tables", table)


def _overlap(row: Row, spec: RowSpec) -> bool:
    """Say whether some version has both rows."""
    starts = max(release(row.since), release(spec.since or ""))
    ends = [release(end) for end in (row.until, spec.until or "") if end]
    return not ends or starts <= min(ends)
