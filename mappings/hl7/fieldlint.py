"""Judge the fields of one segment: what is empty, too long, of the wrong type, withdrawn, or not in its table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from chartpost.mappings import er7
from chartpost.mappings.finding import SECTIONS, Finding, finding
from chartpost.mappings.hl7.datatypes import LOOKS, fits, in_table
from chartpost.mappings.hl7.structure import VARIES, Place, is_user_defined, parts_of

#: Where a code may be shown. Nowhere else: columns shift, and a name is where a code should be.
_SHOWN = re.compile(r"(MSH|EVN)-|FT1(\[\d+\])?-6(\.1)?$")
_CODE = re.compile(r"[A-Z0-9]{1,4}", re.ASCII)
#: What lint.py judges with the message as a whole.
_HEADER = ("MSH-9", "MSH-12")
_CODED = frozenset({"CE", "CWE", "CNE"})
#: TS.1, which 2.4 and older call an ST.
_TIME = Place("Time", "DTM", "", None, required=True, most=1)


class FieldLint:
    """Judges segments of one message, by the definitions of one version."""

    def __init__(self, message: er7.Message, version: str) -> None:
        self.marks = message.delimiters
        self.codec = message.codec
        self.version = version

    def segment(self, segment: er7.Segment, fields: Mapping[int, Place], name: str) -> Iterator[Finding]:
        """Yield what is wrong in a segment that is called `name`: "FT1[2]"."""
        section = SECTIONS.get(segment.name, "")
        written = segment.text.count(self.marks.field) + (1 if segment.name in er7.HEADERS else 0)
        last = max(fields, default=0)
        for number in range(3 if segment.name in er7.HEADERS else 1, max(written, last) + 1):
            text, place = segment.field(number), f"{name}-{number}"
            definition = fields.get(number)
            if not text:
                if definition is not None and definition.required and place not in _HEADER:
                    what = f"is empty, and {self.version} requires it ({definition.name})"
                    yield finding("error", place, "missing", what, "ask the sender to fill it", section)
            elif definition is None:
                what = f"{self.version} has no such field: {segment.name} ends with {last}"
                fix = "a map can read it; agree on it with the sender, or see whether columns have shifted"
                yield finding("warning", place, "field", what, fix, "2.8.2")
            else:
                yield from self._field(segment, number, definition, place, section)

    def _field(
        self, segment: er7.Segment, number: int, definition: Place, place: str, section: str
    ) -> Iterator[Finding]:
        if definition.withdrawn:
            yield self._withdrawn(place, section)
            return
        repetitions = segment.repetitions(number)
        if 0 < definition.most < len(repetitions):
            what = f"stands {len(repetitions)} times, and {self.version} allows {definition.most}"
            yield finding("warning", place, "repeats", what, "only the first may be read", section)
        for index, text in enumerate(repetitions, 1):
            here = f"{place}[{index}]" if len(repetitions) > 1 else place
            if not text or text == er7.NULL_TEXT:
                continue
            if definition.length and len(text) > definition.length and self._length(text) > definition.length:
                what = f"longer than the {definition.length} characters of {self.version}"
                yield finding("warning", here, "length", what, "older systems cut it or refuse it", "2.5.3.2")
            yield from self._value(text, definition, here, [self.marks.component, self.marks.subcomponent], section)

    def _length(self, text: str) -> int:
        return len(er7.unescape(text, self.marks, self.codec))

    def _withdrawn(self, place: str, section: str) -> Finding:
        what = f"was withdrawn in {self.version} or before it"
        return finding(
            "warning", place, "withdrawn", what, "a map may read it; new systems write it elsewhere", section
        )

    def _value(self, text: str, definition: Place, place: str, marks: list[str], section: str) -> Iterator[Finding]:
        """Judge one repetition, or one component of it: `marks` are the delimiters that may still divide it."""
        parts = parts_of(definition.datatype, self.version)
        if not parts:
            yield from self._primitive(text, definition, place, marks, section)
            return
        if not marks:  # the standard nests deeper here than the wire can
            return
        mark = marks[0]
        values = text.split(mark) if mark and mark in text else [text]
        coded = definition.datatype in _CODED and definition.table
        if coded and values[0] and (len(values) < 3 or values[2] in ("", f"HL7{definition.table}")):
            yield from self._code(values[0], definition, f"{place}.1", section)
        for number, value in enumerate(values, 1):
            here, part = f"{place}.{number}", parts.get(number)
            if part is None:
                if value:
                    what = f"a {definition.datatype} of {self.version} has {max(parts)} components"
                    yield finding("warning", here, "component", what, "nobody is obliged to read it", "2.8.2")
            elif value and value != er7.NULL_TEXT:
                if part.withdrawn:
                    yield self._withdrawn(here, "2.A")
                elif definition.datatype == "TS" and number == 1:  # 2.4 and older call it an ST
                    yield from self._primitive(value, _TIME, here, marks[1:], section)
                else:
                    yield from self._value(value, part, here, marks[1:], section)
        for number, part in parts.items():
            if part.required and (number > len(values) or not values[number - 1]):
                what = f"is empty, and a {definition.datatype} of {self.version} requires it ({part.name})"
                yield finding("warning", f"{place}.{number}", "missing", what, "ask the sender to fill it", "2.A")

    def _primitive(self, text: str, definition: Place, place: str, marks: list[str], section: str) -> Iterator[Finding]:
        if definition.datatype in VARIES:
            return
        for mark in marks:
            if mark and mark in text:
                what = f"{definition.datatype} is one value, and has no parts"
                fix = "a delimiter inside a text must be escaped; only what stands before it may be read"
                yield finding("warning", place, "component", what, fix, "2.5.3")
                text = text.split(mark)[0]
        value = er7.unescape(text, self.marks, self.codec)
        if not value:
            return
        if not fits(value, definition.datatype):
            what = f"not a valid {definition.datatype} ({LOOKS[definition.datatype]})"
            yield finding("error", place, "type", what, "ask the sender to correct it", "2.A")
        elif definition.datatype in ("ID", "IS") and definition.table:
            yield from self._code(value, definition, place, section)

    def _code(self, code: str, definition: Place, place: str, section: str) -> Iterator[Finding]:
        table = definition.table
        if place.startswith(_HEADER) or in_table(code, table, self.version):
            return
        shown = f'code "{code}"' if _SHOWN.match(place) and _CODE.fullmatch(code) else "the code"
        if is_user_defined(table) or definition.datatype != "ID":
            text = f"{shown} is none that table {table} suggests; sites agree on their own"
            yield finding("note", place, "table", text, "see that the map's table explains it", section)
        else:
            text = f"{shown} is not in table {table} of {self.version}"
            yield finding("warning", place, "table", text, "ask the sender to correct it", section)
