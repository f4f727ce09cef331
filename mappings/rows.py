"""Run the rows of a map over a message: values, people, fields kept verbatim; with a trace, and every problem noted.

Paths differ by dialect, and each has a scope of its own (paths.py, fhir/fhirpath.py); the rest is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from chartpost.mappings import er7
from chartpost.mappings.mapfile import Map, Row
from chartpost.mappings.model import Contact, Party, Problem, TraceLine
from chartpost.mappings.paths import AnyPath, Path, Scope
from chartpost.mappings.transforms import Context, Rejected, apply


class Rows:
    """One message being read: collects problems and trace while it goes."""

    def __init__(self, map: Map, context: Context) -> None:
        self.map = map
        self.context = context
        self.problems: list[Problem] = []
        self.trace: list[TraceLine] = []

    def party(self, role: str, scope: Any, prefix: str) -> Party | None:
        """Read the rows of a person; None when the message says nothing of them."""
        names: dict[str, str] = {}
        reached: list[Contact] = []
        for row in self.map.message:
            owner, _, target = row.target.partition(".")
            if owner != role:
                continue
            if row.shape == "contacts":
                reached += self.contacts(row, scope, prefix)
            elif value := self.value(row, scope, prefix + row.target):
                names[target] = value
        if not names and not reached:
            return None
        return Party.model_validate({"role": role, **names, "contacts": tuple(_distinct(reached))})

    def contacts(self, row: Row, scope: Any, prefix: str) -> list[Contact]:
        """Collect contacts from all paths. What is none is left out and traced: money must not wait for it."""
        found: list[Contact] = []
        whole = row.steps[0].transform.cell
        for path in row.paths:
            try:
                for place, raw, given in path.items(scope, whole):
                    here = list(apply(row.steps, given, self.context) or ())
                    self.note(prefix + row.target, place, raw, ", ".join(contact.value for contact in here))
                    found += here
            except Rejected as error:
                self.problem(path, scope, error.cause, error.fix)
        return found

    def verbatim(self, row: Row, scope: Scope) -> str:
        """Return a field as the chart wrote it, in standard delimiters, to be handed back unchanged. HL7 v2 only."""
        for path in cast("tuple[Path, ...]", row.paths):
            raw = path.raw(scope) if path.component else scope.delimiters.repetition.join(path.repetitions(scope))
            if raw == er7.NULL_TEXT:
                break
            if raw:
                text = er7.recode(raw, scope.delimiters, er7.STANDARD, scope.codec)
                self.note(row.target, path.located(scope), raw, text)
                return text
        if row.required:
            self.problem(row.paths[0], scope, "is required and empty")
        return ""

    def value(self, row: Row, scope: Any, target: str) -> Any:
        """Return the value of the first path that has one, else of the default, else None; problems are noted."""
        whole = bool(row.steps) and row.steps[0].transform.cell
        for path in row.paths:
            try:
                given = path.given(scope, whole)
                if given is None:
                    continue
                if given is er7.NULL:
                    if row.required:
                        self.problem(path, scope, 'is required and "" deletes it')
                    return None
                result = apply(row.steps, given, self.context)
            except Rejected as error:
                self.problem(path, scope, error.cause, error.fix)
                return None
            if result is not None:
                self.note(target, path.located(scope), given.raw if whole else path.raw(scope), str(result))
                return result
        if row.default is not None:
            result = apply(row.steps, row.default, self.context)
            self.note(target, "", "", str(result))
            return result
        if row.required:
            self.problem(row.paths[0], scope, "is required and empty", "complete it in the sending system")
        return None

    def note(self, target: str, path: str, raw: str, value: str) -> None:
        self.trace.append(TraceLine(target, path, raw, value))

    def problem(self, path: AnyPath, scope: Any, cause: str, fix: str = "") -> None:
        self.problems.append(Problem(path=path.located(scope), cause=cause, fix=fix))


def _distinct(found: Iterable[Contact]) -> list[Contact]:
    """Keep each contact once, at its first place; PID-40 may repeat PID-13 and know that it is a mobile."""
    kept: dict[str, Contact] = {}
    for contact in found:
        known = kept.get(contact.value)
        if known is None or (known.mobile is None and contact.mobile is not None):
            kept[contact.value] = contact
    return list(kept.values())
