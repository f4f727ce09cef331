"""Paths into an HL7 v2 message, as administrators write them: `PID-13[3=Internet].4`, `FT1-11.1.1`, `FT1[2]-6`.

    SEG[n]-F[r].C.S    segment n, field F, repetition r, component C, subcomponent S: all 1-based, `.` works for `-`
    SEG-F[C=text]      the first repetition whose component C is `text`

What is left out is the first. So FT1-11 as a value is the first subcomponent of its first component (HL7 v2.5.1 §2.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from chartpost.mappings import er7
from chartpost.mappings.transforms import Cell


class Found(NamedTuple):
    """One value in a message."""

    given: Any  #: what the first step of a row takes: text, or the whole cell or element; NULL for `""`
    place: str  #: as `located` says it
    raw: str  #: what stands there, for the trace


class AnyPath(Protocol):
    """What a row needs of a path, whatever it leads into: a message here, a resource in fhir/fhirpath.py."""

    @property
    def text(self) -> str:
        """The path as it is written."""

    def get(self, scope: Any) -> Any:
        """Return the first value as text; None when there is none."""

    def found(self, scope: Any, whole: bool) -> Found | None:
        """Return the first value and where it stands; None when there is none."""

    def items(self, scope: Any, whole: bool) -> Iterator[tuple[str, str, Any]]:
        """Yield all that stands there, each as place, raw text, and what the first step of a row takes."""

    def raw(self, scope: Any) -> str:
        """Return what stands there, for the trace."""

    def located(self, scope: Any) -> str:
        """Return where that is, for traces and problems."""


class Scope(Protocol):
    """Where a path looks: a message, or the part of it that belongs to one FT1."""

    @property
    def delimiters(self) -> er7.Delimiters: ...

    @property
    def codec(self) -> str: ...

    def segment(self, name: str, occurrence: int = 1) -> er7.Segment | None: ...


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. Absent numbers are 0: "as the text stands" for `raw`, "the first" for `get`."""

    text: str
    rest: str  #: what follows the segment: "11.1.1"
    name: str
    occurrence: int
    field: int
    repetition: int = 0
    key: tuple[int, str] | None = None  #: (component, text) that chooses the repetition
    component: int = 0
    subcomponent: int = 0

    def segment(self, scope: Scope) -> er7.Segment | None:
        """Return the segment that this path looks into."""
        return scope.segment(self.name, self.occurrence or 1)

    def field_text(self, scope: Scope) -> str:
        """Return the whole field with all its repetitions, as ER7 text."""
        segment = scope.segment(self.name, self.occurrence or 1)
        return segment.field(self.field) if segment is not None else ""

    def repetitions(self, scope: Scope) -> list[str]:
        """Return the repetitions as ER7 text: the chosen one, or all of them when the path chooses none."""
        segment = scope.segment(self.name, self.occurrence or 1)
        if segment is None:
            return []
        found = segment.repetitions(self.field)
        if self.key is not None:
            component, wanted = self.key
            marks, codec = scope.delimiters, scope.codec
            return [
                text for text in found if er7.unescape(er7.part(text, marks, component, 1), marks, codec) == wanted
            ][:1]
        return found[self.repetition - 1 : self.repetition] if self.repetition else found

    def repetition_text(self, scope: Scope) -> str:
        """Return the chosen repetition, or the first, as ER7 text; "" when absent."""
        segment = scope.segment(self.name, self.occurrence or 1)
        return self._chosen(segment, scope) if segment is not None else ""

    def _chosen(self, segment: er7.Segment, scope: Scope) -> str:
        text = segment.field(self.field)
        if not text or (self.key is None and self.repetition <= 1 and scope.delimiters.repetition not in text):
            return text  # most fields have one repetition or none: no need to split them
        found = self.repetitions(scope)
        return found[0] if found else ""

    def raw(self, scope: Scope) -> str:
        """Return the ER7 text at the level that the path names: all of `100.00&USD` for FT1-11; "" when absent."""
        return self._leveled(self.repetition_text(scope), scope)

    def _leveled(self, text: str, scope: Scope) -> str:
        if not self.component or text == er7.NULL_TEXT:
            return text
        return er7.part(text, scope.delimiters, self.component, self.subcomponent)

    def get(self, scope: Scope) -> str | er7.Null | None:
        """Return the value, unescaped; NULL for `""`; None when empty or absent."""
        return self._value(self.repetition_text(scope), scope)

    def _value(self, text: str, scope: Scope) -> str | er7.Null | None:
        if not text:
            return None
        if text == er7.NULL_TEXT:
            return er7.NULL
        if self.field <= 2 and self.name in er7.HEADERS:
            return text  # MSH-1 and MSH-2 are the delimiters themselves
        marks = scope.delimiters
        text = er7.part(text, marks, self.component or 1, self.subcomponent or 1)
        if text == er7.NULL_TEXT:
            return er7.NULL
        return er7.unescape(text, marks, scope.codec) or None

    def found(self, scope: Scope, whole: bool) -> Found | None:
        """Return the value for the first step of a row, a Cell for one that reads whole fields, and where it stands."""
        segment = scope.segment(self.name, self.occurrence or 1)
        text = self._chosen(segment, scope) if segment is not None else ""
        if not text or segment is None:
            return None
        value = self._value(text, scope)
        if value is None:
            return None
        raw = self._leveled(text, scope)
        if whole and value:
            cell = Cell(raw, "" if self.component else segment.field(self.field + 1))
            return Found(cell, self._located(segment), raw)
        return Found(value, self._located(segment), raw)

    def items(self, scope: Scope, whole: bool) -> Iterator[tuple[str, str, Cell | str]]:
        """Yield every repetition that says something: where it stands, its ER7 text, and what a row's step takes."""
        located = self.located(scope)
        for index, raw in enumerate(self.repetitions(scope), 1):
            if raw and raw != er7.NULL_TEXT:
                place = located if self.repetition or self.key else f"{located}[{index}]"
                if whole:
                    yield place, raw, Cell(raw)
                else:
                    text = er7.part(raw, scope.delimiters, self.component or 1, self.subcomponent or 1)
                    yield place, raw, er7.unescape(text, scope.delimiters, scope.codec)

    def following(self, scope: Scope) -> str:
        """Return the ER7 text of the next field: one sender writes `200.00|EUR`. "" when the path names a component."""
        segment = None if self.component else scope.segment(self.name, self.occurrence or 1)
        return segment.field(self.field + 1) if segment is not None else ""

    def located(self, scope: Scope) -> str:
        """Return the path with the segment's place in the message, for traces and problems: `FT1[2]-11`."""
        return self._located(scope.segment(self.name, self.occurrence or 1))

    def _located(self, segment: er7.Segment | None) -> str:
        if segment is None or (segment.occurrence == 1 and self.name != "FT1"):
            return f"{self.name}-{self.rest}"
        return f"{self.name}[{segment.occurrence}]-{self.rest}"


_STEPS: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    (re.compile(r"(?P<name>[A-Z][A-Z0-9]{2})"), "a segment name of three capitals or digits", True),
    (re.compile(r"\[(?P<occurrence>[1-9]\d{0,3})\]"), "", False),
    (re.compile(r"[-.](?P<field>[1-9]\d{0,2})"), "`-` and a field number", True),
    (re.compile(r"\[(?P<key>[1-9]\d?)=(?P<wanted>[^\]]+)\]"), "", False),
    (re.compile(r"\[(?P<repetition>[1-9]\d{0,3})\]"), "", False),
    (re.compile(r"\.(?P<component>[1-9]\d?)"), "", False),
    (re.compile(r"\.(?P<subcomponent>[1-9]\d?)"), "", False),
)


@lru_cache(maxsize=2048)
def compile_path(text: str) -> Path:
    """Return the compiled path. Raises ValueError that says at which character it stops being one."""
    at = 0
    found: dict[str, str] = {}
    starts: dict[str, int] = {}
    for pattern, wanted, needed in _STEPS:
        match = pattern.match(text, at)
        if match is None and needed:
            raise ValueError(f"{text!r} is not a path: {wanted} expected at character {at + 1}")
        if match is not None:
            found.update(match.groupdict())
            starts.update((name, match.start(name)) for name in match.groupdict())
            at = match.end()
    if at < len(text) or ("wanted" in found and "repetition" in found):
        raise ValueError(f"{text!r} is not a path: it goes wrong at character {at + 1}")
    return Path(
        text=text,
        rest=text[starts["field"] :],
        name=found["name"],
        occurrence=int(found.get("occurrence", 0)),
        field=int(found["field"]),
        repetition=int(found.get("repetition", 0)),
        key=(int(found["key"]), found["wanted"]) if "key" in found else None,
        component=int(found.get("component", 0)),
        subcomponent=int(found.get("subcomponent", 0)),
    )
