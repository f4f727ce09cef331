"""Run the rows of a map over a message: values, people, fields kept verbatim; with a trace, and every problem noted.

Paths differ by dialect, and each has a scope of its own (paths.py, fhir/fhirpath.py); the rest is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from chartpost.mappings import er7
from chartpost.mappings.conditions import Condition, charge_values, message_values
from chartpost.mappings.mapfile import Map, Row
from chartpost.mappings.model import Contact, Party, Problem, Reading, Stop, TraceLine
from chartpost.mappings.paths import AnyPath, Path, Scope
from chartpost.mappings.transforms import Context, Rejected, apply, explain


class Rows:
    """One message being read: collects problems and trace while it goes."""

    def __init__(self, map: Map, context: Context) -> None:
        self.map = map
        self.context = context
        self.problems: list[Problem] = []
        self.trace: list[TraceLine] = []

    def party(self, role: str, scope: Any, prefix: str) -> Party | None:
        """Read the rows of a person; None when the message names nobody and no way to reach them.

        The patient is there without that: a birth date or a language alone is theirs.
        """
        said: dict[str, Any] = {}
        reached: list[Contact] = []
        for row in self.map.people.get(role, ()):
            if row.shape == "contacts":
                reached += self.contacts(row, scope, prefix)
            elif value := self.value(row, scope, prefix + row.target):
                said[row.target.removeprefix(f"{role}.")] = value
        named = reached or "family" in said or "given" in said
        if not named and not (said and role == "patient"):
            return None
        return Party.model_validate({"role": role, **said, "contacts": tuple(_distinct(reached))})

    def others(self, scope: Any) -> dict[str, Party]:
        """Read who else may be written to, by role."""
        roles = [role for role in self.map.people if role not in ("patient", "guarantor")]
        return {role: party for role in roles if (party := self.party(role, scope, "")) is not None}

    def consent(self, values: Mapping[str, Any]) -> dict[str, bool]:
        """Return by channel whether the payer may be written to, where the message says so."""
        found = {name.removeprefix("consent."): said for name, said in values.items() if name.startswith("consent.")}
        return {channel: said for channel, said in found.items() if said is not None}

    def contacts(self, row: Row, scope: Any, prefix: str) -> list[Contact]:
        """Collect contacts from all paths. What is none is left out and traced: money must not wait for it."""
        found: list[Contact] = []
        whole = row.steps[0].transform.cell
        for path in row.paths:
            try:
                for place, raw, given in path.items(scope, whole):
                    here = list(apply(row.steps, given, self.context) or ())
                    made = ", ".join(contact.value for contact in here)
                    self.note(prefix + row.target, place, raw, made, row, given)
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
        if row.steps and row.steps[0].transform.collects:
            return self.collected(row, scope, target)
        whole = bool(row.steps) and row.steps[0].transform.cell
        for path in row.paths:
            try:
                found = path.found(scope, whole)
                if found is None:
                    continue
                given = found.given
                if given is er7.NULL:
                    if row.required:
                        self.problem(path, scope, 'is required and "" deletes it')
                    return None
                result = apply(row.steps, given, self.context) if row.steps else given
            except Rejected as error:
                self.problem(path, scope, error.cause, error.fix)
                return None
            if result is not None:
                self.note(target, found.place, found.raw, str(result), row, given)
                return result
        if row.default is not None:
            result = apply(row.steps, row.default, self.context)
            self.note(target, "", "", str(result), row, row.default)
            return result
        if row.required:
            self.problem(row.paths[0], scope, "is required and empty", "complete it in the sending system")
        return None

    def collected(self, row: Row, scope: Any, target: str) -> Any:
        """Return what the chain makes of the texts of all paths together."""
        try:
            found = [given for path in row.paths for _, _, given in path.items(scope, False)]
            result = apply(row.steps, found, self.context)
        except Rejected as error:
            self.problem(row.paths[0], scope, error.cause, error.fix)
            return None
        if result is None and row.default is not None:
            result = row.default
        if result is not None:
            self.note(target, row.paths[0].located(scope) if found else "", " ".join(found), str(result), row, found)
        elif row.required:
            self.problem(row.paths[0], scope, "is required and empty", "complete it in the sending system")
        return result

    def conditioned(self, reading: Reading) -> Reading:
        """Return the reading as the map's conditions leave it: skipped, stopped, or without some lines."""
        map = self.map
        if map.message_when is None and map.charge_when is None and not map.stops:
            return reading
        values = message_values(reading, map.my)
        if not self.told(map.message_when, values):
            assert map.message_when is not None
            return _changed(reading, skipped=f"the map reads only what is `{map.message_when.text}`", charges=())
        stops = [rule for rule in map.stops if self.told(rule.condition, values, "stop")]
        if map.charge_when is None:
            return _changed(reading, stops=tuple(Stop(rule.cause, rule.text) for rule in stops)) if stops else reading
        charges, ignored = [], list(reading.ignored)
        for charge in reading.charges:
            if self.told(map.charge_when, charge_values(reading, charge, map.my)):
                charges.append(charge)
            else:
                ignored.append(f"line {charge.ordinal}: the map reads only what is `{map.charge_when.text}`")
        return _changed(
            reading,
            stops=tuple(Stop(rule.cause, rule.text) for rule in stops),
            charges=tuple(charges),
            ignored=tuple(ignored),
        )

    def told(self, condition: Condition | None, values: dict[str, Any], where: str = "when") -> bool:
        """Say whether a condition holds; none does always. What cannot be told is a problem of the message."""
        try:
            return condition is None or condition.holds(values)
        except Rejected as error:
            self.problems.append(Problem(path=where, cause=error.cause, fix=error.fix))
            return False

    def note(self, target: str, path: str, raw: str, value: str, row: Row | None = None, given: Any = None) -> None:
        """Leave a line on the trace; `row` and what its chain was `given`, where somebody wants to see each step."""
        self.trace.append(TraceLine(target, path, raw, value))
        if self.context.explained is not None:
            self.context.explained.append(explain(row.steps, given, self.context) if row is not None else [])

    def problem(self, path: AnyPath, scope: Any, cause: str, fix: str = "") -> None:
        self.problems.append(Problem(path=path.located(scope), cause=cause, fix=fix))


def _changed(reading: Reading, **changes: Any) -> Reading:
    # Made of checked values, as the reading itself.
    return reading.model_copy(update=changes)


def _distinct(found: Iterable[Contact]) -> list[Contact]:
    """Keep each contact once, at its first place; PID-40 may repeat PID-13 and know that it is a mobile."""
    kept: dict[str, Contact] = {}
    for contact in found:
        known = kept.get(contact.value)
        if known is None or (known.mobile is None and contact.mobile is not None):
            kept[contact.value] = contact
    return list(kept.values())
