"""What is allowed in a map of charges and still looks like a mistake: paths that no version has, rows without effect.

Pure. What cannot work at all is refused when the map is loaded (mapfile.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chartpost.mappings.conditions import Condition
from chartpost.mappings.mapfile import IGNORE, Map, Row
from chartpost.mappings.paths import Path


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a person should look at."""

    place: str  #: "site.yaml:12"
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def remarks(map: Map, versions: Sequence[str] = ()) -> list[Remark]:
    """Return what looks like a mistake. `versions`: of HL7 v2 that the sender uses; without any, all there are."""
    return [*_unknown_paths(map, versions), *_rows(map), *_tables(map), *_unused(map)]


def _place(row: Row) -> str:
    return f"{row.file}:{row.line}"


def _unknown_paths(map: Map, versions: Sequence[str]) -> Iterator[Remark]:
    if map.dialect != "hl7v2":
        return
    from chartpost.mappings.hl7.structure import VERSIONS, unknown_path  # hl7apy's tables are heavy

    versions = versions or VERSIONS
    for row in (*map.message, *map.charge):
        for path in row.paths:
            if isinstance(path, Path) and (said := unknown_path(path, versions)):
                yield Remark(_place(row), f"{row.target}: {said}")
    for path in map.account:
        if isinstance(path, Path) and (said := unknown_path(path, versions)):
            yield Remark(f"{map.name}", f"account: {said}")


def _rows(map: Map) -> Iterator[Remark]:
    for row in (*map.message, *map.charge):
        texts = [getattr(path, "text", "") for path in row.paths]
        for text in sorted({text for text in texts if texts.count(text) > 1}):
            yield Remark(_place(row), f"{row.target}: the path {text} stands twice; the second is never reached")
        if row.required and row.default is not None:
            yield Remark(_place(row), f"{row.target}: with a default it is never missing, so `required` does nothing")
        rescued = next((at for at, step in enumerate(row.steps) if step.transform.rescues), None)
        if rescued is not None and row.default is not None:
            yield Remark(_place(row), f"{row.target}: it has a `default` among its transforms and one of its own")
        if len(row.paths) > 1 and rescued is not None and row.shape != "contacts":
            said = "the transform `default` answers for the first path, so the others are never reached"
            yield Remark(_place(row), f"{row.target}: {said}; write `default:` beside it")
    targets = {row.target for row in map.charge}
    if map.dialect == "hl7v2" and "unit_price" in targets and "quantity" not in targets:
        row = next(row for row in map.charge if row.target == "unit_price")
        yield Remark(_place(row), "unit_price: there is no row for quantity, so every line counts once")


def _tables(map: Map) -> Iterator[Remark]:
    used = {
        step.argument for row in (*map.message, *map.charge) for step in row.steps if isinstance(step.argument, str)
    }
    restates = any(row.target == "balance" for row in map.message)  # what its lines are called does not matter
    for name, table in map.tables.items():
        if name not in used:
            yield Remark(map.name, f"table {name}: no row uses it")
        elif table.unknown != "hold" and not (restates and table.value == IGNORE):
            what = {"pass": "goes through as it is", "ignore": "is left out", "value": f"means {table.value}"}
            yield Remark(
                map.name, f"table {name}: a code that nobody explained {what[table.unknown]}; `hold` asks a person"
            )
        if not table.codes:
            yield Remark(map.name, f"table {name}: it has no codes")


def _unused(map: Map) -> Iterator[Remark]:
    """Values of the site's own that no condition of the map names; a source's `share:` may."""
    conditions: list[Condition | None] = [map.message_when, map.charge_when, *(rule.condition for rule in map.stops)]
    texts = " ".join(one.text for one in conditions if one is not None)
    for row in (*map.message, *map.charge):
        if row.target.startswith("my.") and row.target not in texts:
            yield Remark(
                _place(row), f"{row.target}: no condition of the map names it; perhaps `share:` of a source does"
            )
