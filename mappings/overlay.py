"""A posting map laid over the one that it extends, as one document: problems are reported where they were written.

A row stands for all rows of the base with its target, `without` takes rows away, kinds and tables are merged by name
and their codes by code; everything else is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chartpost.mappings.layers import Layers
from chartpost.mappings.yamltext import Document, Where

#: What a file says of itself alone.
_OWN = ("extends", "without", "note")
#: What is merged, and how many names deep.
_DEPTH = {"kinds": 1, "media": 2, "tables": 3}


class Overlay(Document):
    """What a map and its bases come to. `report` takes places in the merged data."""

    def __init__(self, layers: Layers) -> None:
        self.file = layers.top.file
        self.problems = []
        self._layers = layers
        self._origins: dict[Where, tuple[Document, Where]] = {}
        self.data: Any = layers.top.data
        if all(isinstance(document.data, dict) for document in layers.documents):
            self.data = {}
            for document in reversed(layers.documents):
                self._lay(document)

    def report(self, where: Where, problem: str) -> None:
        """Note a problem at a place of the merged data, in the file where it stands."""
        for length in range(len(where), 0, -1):
            if where[:length] in self._origins:
                document, origin = self._origins[where[:length]]
                return document.report(origin + where[length:], problem)
        return self._layers.top.report(where, problem)

    def check(self) -> None:
        """Raise MapError with every problem noted so far in any of the files."""
        self._layers.check()

    def _lay(self, document: Document) -> None:
        over: Mapping[str, Any] = document.data
        for name in _OWN:
            self.data.pop(name, None)
        self._take_away(document, over.get("without"))
        for name, value in over.items():
            if name == "rows" and isinstance(value, list):
                self._lay_rows(document, value)
            else:
                self._merge(self.data, name, value, document, (name,), _DEPTH.get(name, 0))

    def _merge(self, into: dict[str, Any], name: str, value: Any, document: Document, where: Where, depth: int) -> None:
        if depth and isinstance(value, dict) and isinstance(into.get(name), dict):
            merged = into[name] = dict(into[name])  # the base's own data stay as they are
            for inner, one in value.items():
                self._merge(merged, inner, one, document, (*where, inner), depth - 1)
        else:
            into[name] = value
            for known in [known for known in self._origins if known[: len(where)] == where]:
                del self._origins[known]
            self._origins[where] = document, where

    def _take_away(self, document: Document, targets: Any) -> None:
        for index, target in enumerate(targets if isinstance(targets, list) else []):
            rows = self._rows()
            kept = [number for number, row in enumerate(rows) if _target(row) != _plain(target)]
            if len(kept) == len(rows):
                document.report(("without", index), f"no row of what this map extends has the target {target!r}")
            self._place_rows([(rows[number], *self._origins["rows", number]) for number in kept])

    def _lay_rows(self, document: Document, rows: list[Any]) -> None:
        lines = [(row, *self._origins["rows", number]) for number, row in enumerate(self._rows())]
        fresh = [(row, document, ("rows", number)) for number, row in enumerate(rows)]
        for target in dict.fromkeys(found for row in rows if (found := _target(row)) is not None):
            places = [number for number, line in enumerate(lines) if _target(line[0]) == target]
            if places:  # where the first of the base's stood: the order of segments and columns is kept
                own = [line for line in fresh if _target(line[0]) == target]
                fresh = [line for line in fresh if _target(line[0]) != target]
                kept = [line for number, line in enumerate(lines) if number not in places]
                lines = [*kept[: places[0]], *own, *kept[places[0] :]]
        self._place_rows([*lines, *fresh])

    def _rows(self) -> list[Any]:
        found = self.data.get("rows")
        return found if isinstance(found, list) else []

    def _place_rows(self, lines: list[Any]) -> None:
        for known in [known for known in self._origins if known[0] == "rows"]:
            del self._origins[known]
        self.data["rows"] = [row for row, _, _ in lines]
        for number, (_, document, origin) in enumerate(lines):
            self._origins["rows", number] = document, origin


def _target(row: Any) -> str | None:
    """Return what a row fills, None where it does not say."""
    return _plain(row["target"]) if isinstance(row, dict) and isinstance(row.get("target"), str) else None


def _plain(target: Any) -> str:
    """Return a target in one spelling: FT1.11 is FT1-11."""
    return re.sub(r"^([A-Z][A-Z0-9]{2})\.(?=\d)", r"\1-", str(target).strip())
