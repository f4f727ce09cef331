"""Hold a received HL7 v2 message against the standard of its version: what is missing, too long, of the wrong type.

hl7apy's definitions, our own reader: its parser drops Z segments and stops at the first error, and takes thirty times
as long. What is reported names places and rules, and codes where they are no person's; never another value. Conditional
fields (C) and what sites have agreed on cannot be judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chartpost.mappings import er7
from chartpost.mappings.finding import SECTIONS, Finding, finding
from chartpost.mappings.hl7.fieldlint import FieldLint
from chartpost.mappings.hl7.order import misfits, segments_of, structure_named
from chartpost.mappings.hl7.structure import VERSIONS, nearest, segment_of

#: Judged by these where MSH-12 says nothing that can be used.
FALLBACK = "2.5.1"
_STRUCTURE = re.compile(r"[A-Z0-9_]{3,8}", re.ASCII)
_ASK = "ask the sender to correct it"


def lint(raw: bytes, version: str = "", charset: str = "utf-8") -> Iterator[Finding]:
    """Yield what one message says otherwise than its version, or than `version` if that is given, in its own order.

    `charset` is for bytes that name none in MSH-18. Raises Er7Error before the first finding, and nothing else, when
    the bytes are no HL7 v2 message.
    """
    try:
        message, odd = er7.parse(raw, charset), False
    except er7.Er7Error:
        # Any byte is a character of Latin-1, so what fails now is wrong for another reason.
        message, odd = er7.parse(raw, "latin-1"), True
    return _Lint(message, version, odd).findings()


class _Lint:
    def __init__(self, message: er7.Message, version: str, odd: bool) -> None:
        self.message = message
        self.said = message.text("MSH", 12)
        self.forced = bool(version)
        self.version = nearest(version or self.said) or FALLBACK
        self.odd = odd

    def findings(self) -> Iterator[Finding]:
        yield from self._header()
        yield from self._structure()
        judge = FieldLint(self.message, self.version)
        for segment in self.message.segments:
            fields = segment_of(segment.name, self.version)
            if fields is not None:
                yield from judge.segment(segment, fields, self._named(segment))

    # ------------------------------------------------------------------------------------- the message as a whole

    def _header(self) -> Iterator[Finding]:
        if self.odd:
            yield finding(
                "warning", "MSH-18", "charset", "the bytes are no UTF-8, and no charset that fits is named",
                "ask the sender to name the charset (table 0211), or set `encoding` of the source",
            )  # fmt: skip
        if self.forced:
            return  # whatever MSH-12 says, it was asked for another version
        if not nearest(self.said):
            what = "is no version of HL7 v2" if self.said else "is empty"
            yield finding(
                "error", "MSH-12", "version", f"{what}; judged as {self.version}",
                "ask the sender to write its version, or say one with --version",
            )  # fmt: skip
        elif self.said not in VERSIONS:
            text = f"{self.said} is judged by the definitions of {self.version}, the nearest that are known"
            yield finding("note", "MSH-12", "version", text[:120], "nothing needs to be done")

    def _structure(self) -> Iterator[Finding]:
        type, event, said = (self.message.text("MSH", 9, number) for number in (1, 2, 3))
        structure = structure_named(type, event, said, self.version)
        if said and said != structure and _STRUCTURE.fullmatch(said):
            yield finding(
                "warning", "MSH-9.3", "structure", f"{self.version} has no message structure {said}",
                f"ask the sender to write {structure}" if structure else _ASK,
            )  # fmt: skip
        if not structure:
            yield finding(
                "warning", "MSH-9", "structure", f"no message that {self.version} knows; its segments are judged alone",
                "see whether MSH-9 and MSH-12 belong together",
            )  # fmt: skip
        known = segments_of(structure, self.version)
        placed = []
        for segment in self.message.segments:
            if segment.name in known:
                placed.append(segment)
            elif segment.text.strip() and not segment.name.startswith("Z"):
                yield from self._stranger(segment, structure)
        if structure:
            for misfit in misfits([segment.name for segment in placed], structure, self.version):
                where = misfit.name if misfit.kind == "missing" else self._named(placed[misfit.at])
                yield _misfit(misfit.kind, where, misfit.name, f"{structure} {self.version}")

    def _stranger(self, segment: er7.Segment, structure: str) -> Iterator[Finding]:
        """A segment that the structure does not have. What is no segment's name is not shown: it may be a person's."""
        fix = "nothing in it is read; a segment of your own begins with Z"
        if segment_of(segment.name, self.version) is not None:
            if structure:
                text = f"{structure} {self.version} has no place for this segment"
                yield finding("warning", self._named(segment), "segment", text, fix, "2.8.2")
        elif any(segment_of(segment.name, other) is not None for other in (FALLBACK, VERSIONS[-1])):
            text = f"{self.version} has no such segment"
            yield finding("warning", self._named(segment), "segment", text, fix, "2.8.2")
        else:
            text = "does not begin with the name of a segment that the standard has"
            fix = "a line end inside a field is written \\.br\\ or \\X0D\\; a segment of your own begins with Z"
            yield finding("error", f"segment {segment.ordinal}", "segment", text, fix, "2.5.2")

    def _named(self, segment: er7.Segment) -> str:
        return f"{segment.name}[{segment.occurrence}]" if len(self.message.all(segment.name)) > 1 else segment.name


def _misfit(kind: str, place: str, name: str, structure: str) -> Finding:
    section = SECTIONS.get(name, "")
    if kind == "missing":
        return finding(
            "error", place, "missing", f"{structure} requires this segment", "ask the sender for it", section
        )
    if kind == "repeats":
        text = f"{structure} has it only once here"
        return finding("warning", place, "repeats", text, "only the first may be read", section)
    text = f"stands where {structure} has no place for it"
    return finding("warning", place, "order", text, "see that the map reads it from there", section)
