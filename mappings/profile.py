"""A profile of messages: which fields are filled, how often, and with what kind of values. Shows no value of anybody.

Codes of few kinds are shown where the standard has a code of the site's or of HL7's, outside of the segments about
people; in Z segments only those that come with several patients and are nobody's name. All else is shown as a shape:
`A-99999`. Examples are kept only for who asks for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chartpost.mappings import er7
from chartpost.mappings.hl7.structure import place_of, segment_of
from chartpost.mappings.personal import People, is_personal
from chartpost.mappings.specimens import Specimen, Specimens, Trouble
from chartpost.mappings.valuekinds import kind_of, shape

__all__ = ["Place", "Profile", "make", "safe_type", "safe_version"]

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_SHOWABLE = re.compile(r"[A-Za-z0-9+_^-]{1,10}", re.ASCII)
_TYPE = re.compile(r"[A-Z]{3}(\^[A-Z][A-Z0-9]{2})?", re.ASCII)
_VERSION = re.compile(r"2\.\d(\.\d)?", re.ASCII)
#: Fields with codes of treatments: what was done to whom is nobody's business here.
_TREATMENTS = re.compile(r"FT1-(7|8|9|19|25|26)\b|DG1-|PR1-|OBX-|OBR-|RXA-|AL1-|NTE-")
_DISTINCT = 5_000  #: values remembered of one place
_CODES = 12  #: different values that are few
_PATIENTS = 3  #: with so many different ones a code of a Z segment must come
_EXAMPLES = 3
_LEAST = 0.5  #: of the values must be of a kind for it to be the place's


@dataclass(slots=True)
class Place:
    """One field, component or element, over all messages."""

    path: str
    name: str = ""  #: by the standard, "" where it knows none
    filled: int = 0
    of: int = 0  #: segments (FHIR: resources) that there are
    messages: int = 0  #: in which it is filled
    repeats: int = 1  #: most repetitions
    kinds: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    patients: dict[str, set[str]] = field(default_factory=dict)  #: by value, a few
    codes: dict[str, int] = field(default_factory=dict)  #: that may be shown
    examples: tuple[str, ...] = ()  #: only where somebody asked

    @property
    def kind(self) -> str:
        """What stands there, in words."""
        if not self.filled:
            return ""
        [(first, count)] = self.kinds.most_common(1)
        merged = self.kinds["amount"] + self.kinds["integer"]
        if self.kinds["amount"] and merged >= _LEAST * self.kinds.total():
            return "amount"
        if self.codes and first != "integer":
            return "code"
        return first if count >= _LEAST * self.kinds.total() else "mixed"

    @property
    def distinct(self) -> int:
        return len(self.values)

    def row(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "path": self.path, "name": self.name, "filled": self.filled, "of": self.of, "messages": self.messages,
            "repeats": self.repeats, "kind": self.kind, "kinds": dict(self.kinds), "distinct": self.distinct,
            "codes": self.codes, "shapes": [text for text, _ in self.shapes.most_common(_EXAMPLES)],
            "examples": list(self.examples),
        }  # fmt: skip


@dataclass(slots=True)
class Profile:
    """What a folder holds."""

    files: int
    messages: int
    types: Counter[str]  #: of messages and resources
    versions: Counter[str]
    segments: Counter[str]
    places: list[Place]
    troubles: list[Trouble]


def make(found: Specimens, *, reveal: bool = False, progress: Callable[[int, int], None] | None = None) -> Profile:
    """Return the profile of what was found. Never raises. `reveal` keeps examples; `progress` hears done and of all."""
    maker = _Maker(reveal)
    for number, one in enumerate(found.items, 1):
        if one.message is not None:
            maker.add(one.message)
        else:
            maker.add_resource(one)
        if progress is not None:
            progress(number, len(found.items))
    return Profile(
        files=found.files, messages=len(found.items), types=maker.types, versions=maker.versions,
        segments=maker.segments, places=maker.finished(), troubles=found.troubles,
    )  # fmt: skip


class _Maker:
    """Counts."""

    def __init__(self, reveal: bool) -> None:
        self.reveal = reveal
        self.types: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.segments: Counter[str] = Counter()
        self.people = People()
        self.hl7: dict[tuple[str, int, int, int], Place] = {}
        self.fhir: dict[str, Place] = {}
        self.seen: dict[str, int] = {}  #: messages in which a segment is

    # ------------------------------------------------------------------------------------------------------ HL7 v2

    def add(self, message: er7.Message) -> None:
        self.people.add(message)
        kind = "^".join(filter(None, (message.text("MSH", 9), message.text("MSH", 9, 2))))
        self.types[safe_type(kind)] += 1
        self.versions[safe_version(message.text("MSH", 12))] += 1
        patient = message.text("PID", 3) or message.text("PID", 5)
        touched: set[tuple[str, int, int, int]] = set()
        for segment in message.segments:
            if segment.text.strip():
                self._segment(message, segment, patient, touched)
        for key in touched:
            self.hl7[key].messages += 1

    def _segment(
        self, message: er7.Message, segment: er7.Segment, patient: str, touched: set[tuple[str, int, int, int]]
    ) -> None:
        name = segment.name
        if not _is_segment(name):
            self.segments["(no segment name)"] += 1
            return
        self.segments[name] += 1
        marks = message.delimiters
        count = segment.text.count(marks.field) + (2 if name in er7.HEADERS else 1)
        for number in range(3 if name in er7.HEADERS else 1, min(count, 200)):
            if not segment.field(number):
                continue
            here: set[tuple[str, int, int, int]] = set()
            repetitions = segment.repetitions(number)
            for repetition in repetitions:
                for component, part in _split(repetition, marks.component):
                    for sub, raw in _split(part, marks.subcomponent):
                        value = er7.unescape(raw, marks, message.codec).strip()
                        if value and raw != er7.NULL_TEXT:
                            key = (name, number, component, sub)
                            self._value(self.hl7.setdefault(key, Place("")), value, patient)
                            here.add(key)
            for key in here:
                place = self.hl7[key]
                place.filled += 1
                place.repeats = max(place.repeats, len(repetitions))
            touched |= here

    def _value(self, place: Place, value: str, patient: str) -> None:
        place.kinds[kind_of(value)] += 1
        place.shapes[shape(value)] += 1
        if len(place.values) < _DISTINCT or value in place.values:
            place.values[value] += 1
        if len(place.values) <= _CODES:
            patients = place.patients.setdefault(value, set())
            if len(patients) < _PATIENTS:
                patients.add(patient)

    # -------------------------------------------------------------------------------------------------------- FHIR

    def add_resource(self, one: Specimen) -> None:
        resource = one.resource or {}
        kind = str(resource.get("resourceType"))
        kind = kind if re.fullmatch(r"[A-Z][A-Za-z]{2,40}", kind) else "(no resource)"
        self.types[kind] += 1
        self.segments[kind] += 1
        if kind in ("Patient", "RelatedPerson", "Person", "Practitioner"):
            self.people.add_resource(resource)
        here: set[str] = set()
        self._walk(kind, resource, here, 0)
        for path in here:
            self.fhir[path].messages += 1
            self.fhir[path].filled += 1
        for entry in one.around:
            if isinstance(entry.get("resource"), dict):
                self.people.add_resource(entry["resource"])

    def _walk(self, path: str, data: Any, here: set[str], depth: int) -> None:
        if isinstance(data, dict) and depth < 40:
            inside = path
            if path.endswith("extension") and isinstance(data.get("url"), str):
                inside = f"{path}({_address(data['url'])})"
            for name, value in data.items():
                if name != "resourceType" and re.fullmatch(r"_?[a-zA-Z][a-zA-Z0-9]{0,63}", name):
                    self._walk(f"{inside}.{name}", value, here, depth + 1)
        elif isinstance(data, list):
            for value in data:
                self._walk(path, value, here, depth + 1)
        elif data is not None and not isinstance(data, dict):
            text = ("true" if data else "false") if isinstance(data, bool) else str(data)
            self._value(self.fhir.setdefault(path, Place(path)), text, "")
            here.add(path)

    # ---------------------------------------------------------------------------------------------------- in the end

    def finished(self) -> list[Place]:
        version = next((one for one, _ in self.versions.most_common() if _VERSION.fullmatch(one)), "2.5.1")
        most: dict[tuple[str, int], int] = {}
        deep: dict[tuple[str, int, int], int] = {}
        for name, number, component, sub in self.hl7:
            most[name, number] = max(most.get((name, number), 1), component)
            deep[name, number, component] = max(deep.get((name, number, component), 1), sub)
        rows = []
        order = {name: at for at, name in enumerate(self.segments)}
        for key in sorted(self.hl7, key=lambda key: (order[key[0]], key)):
            name, number, component, sub = key
            place = self.hl7[key]
            place.path = f"{name}-{number}"
            if most[name, number] > 1 or deep[name, number, component] > 1:
                place.path += f".{component}"
            if deep[name, number, component] > 1:
                place.path += f".{sub}"
            place.of = self.segments[name]
            standard = place_of(place.path, version)
            place.name = standard.name if standard is not None and not standard.withdrawn else ""
            place.codes = self._codes(place, name, coded=name.startswith("Z") or _is_coded(place.path, version))
            self._keep(place)
            rows.append(place)
        for path in sorted(self.fhir):
            place = self.fhir[path]
            place.of = self.segments[path.partition(".")[0].partition("(")[0]]
            coded = path.rpartition(".")[2] in ("status", "currency", "system", "use", "type", "url") and not re.match(
                r"(Patient|RelatedPerson|Person|Practitioner)\b|.*\bcontained\b", path
            )
            place.codes = self._codes(place, path, coded=coded and "identifier" not in path.lower())
            self._keep(place)
            rows.append(place)
        return rows

    def _codes(self, place: Place, name: str, *, coded: bool) -> dict[str, int]:
        """Return the codes of a place that may be shown, with how often; {} where there are none."""
        if not coded or is_personal(name) or _TREATMENTS.match(place.path) or not 1 <= len(place.values) <= _CODES:
            return {}
        for value in place.values:
            if not _SHOWABLE.fullmatch(value) or self.people.knows(value):
                return {}
            if name.startswith("Z") and (
                len(place.patients.get(value, ())) < _PATIENTS or kind_of(value) in ("date", "time stamp", "phone")
            ):
                return {}
        return dict(place.values.most_common())

    def _keep(self, place: Place) -> None:
        if self.reveal:
            place.examples = tuple(value for value, _ in place.values.most_common(_EXAMPLES))
        if place.kind == "text":
            lengths = [len(value) for value in place.values]
            place.shapes = Counter({f"text of {min(lengths)} to {max(lengths)} characters": place.filled})


def _is_coded(path: str, version: str) -> bool:
    """Say whether the standard has a code at a place: of a table of HL7, or of the site."""
    place = place_of(path, version)
    if place is not None and place.datatype in ("PT", "VID", "CWE", "CE", "CNE", "FC"):
        place = place_of(path + ".1", version) if place.datatype in ("PT", "VID", "FC") else place
        return bool(place and place.table)
    return place is not None and place.datatype in ("ID", "IS")


def _split(text: str, mark: str) -> list[tuple[int, str]]:
    return [(number, part) for number, part in enumerate(text.split(mark) if mark else [text], 1) if part]


def _is_segment(name: str) -> bool:
    """Say whether a line begins with a name that the standard knows, or with one of the site's own."""
    return bool(_NAME.fullmatch(name)) and (
        name[0] == "Z" or any(segment_of(name, version) is not None for version in ("2.8.2", "2.5.1", "2.1"))
    )


def _address(url: str) -> str:
    return url if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9/.:_#-]{1,200}", url) else "…"


def safe_type(text: str) -> str:
    """Return a message type if it looks like one: whatever else stands there is not shown."""
    return text if _TYPE.fullmatch(text) else "(no message type)" if not text else "(another)"


def safe_version(text: str) -> str:
    """Return a version if it looks like one."""
    return text if _VERSION.fullmatch(text) else "(no version)" if not text else "(another)"
