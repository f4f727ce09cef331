"""What a destination says of a message that it got: the acknowledgement, read (HL7 v2.5.1 §2.14.8). Pure.

Only codes and places are told further. What stands beside them in words (MSA-3, ERR-7, ERR-8) may name the patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chartpost.mappings import er7

#: HL7 table 0008: what each code says of a posting, in the words of its states.
MEANS = {
    "AA": "accepted",
    "CA": "received",
    "AE": "refused",
    "AR": "refused",
    "CE": "refused",
    "CR": "refused",
}

#: HL7 table 0357, in our own wording.
CONDITIONS = {
    "0": "message accepted",
    "100": "segment sequence error",
    "101": "required field missing",
    "102": "data type error",
    "103": "table value not found",
    "104": "value too long",
    "198": "non-conformant cardinality",
    "199": "other HL7 error",
    "200": "unsupported message type",
    "201": "unsupported event code",
    "202": "unsupported processing id",
    "203": "unsupported version id",
    "204": "unknown key identifier",
    "205": "duplicate key identifier",
    "206": "application record locked",
    "207": "application error",
}

_CODE = re.compile(r"[A-Za-z]{0,4}[0-9]{1,6}")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An answer to one message."""

    control_id: str  #: MSA-2: the MSH-10 that it answers
    code: str  #: MSA-1 as it stands; what is not in MEANS is no acknowledgement code
    reason: str = ""  #: of a refusal: places and codes


def read(body: bytes) -> Acknowledgement | None:
    """Read an acknowledgement; None when the bytes are none."""
    try:
        message = er7.parse(body, default_charset="latin-1")
    except er7.Er7Error:
        return None
    if message.segment("MSA") is None:
        return None
    code = message.text("MSA", 1)
    reasons = dict.fromkeys(_reasons(message)) if MEANS.get(code) == "refused" else ()
    return Acknowledgement(message.text("MSA", 2), code, "; ".join(reasons)[:200])


def _reasons(message: er7.Message) -> Iterator[str]:
    for segment in message.all("ERR"):
        marks = message.delimiters
        for place in segment.repetitions(2):
            condition = er7.part(segment.field(3), marks, 1)
            yield from _reason([er7.part(place, marks, n) for n in (1, 2, 3, 5)], condition)
        for old in segment.repetitions(1):  # ELD, through v2.4: all of it in ERR-1
            condition = er7.part(old, marks, 4, 1)
            yield from _reason([er7.part(old, marks, n) for n in (1, 2, 3)], condition)
    yield from _reason([], er7.part(message.text("MSA", 6), message.delimiters, 1))


def _reason(place: list[str], condition: str) -> Iterator[str]:
    segment, sequence, field, component = (*place, "", "", "", "")[:4]
    words = ""
    if _SEGMENT.fullmatch(segment):
        words = f"{segment}[{sequence}]" if _NUMBER.fullmatch(sequence) and sequence != "1" else segment
        if _NUMBER.fullmatch(field):
            words += f"-{field}" + (f".{component}" if _NUMBER.fullmatch(component) else "")
    if _CODE.fullmatch(condition):
        words += f" {condition} {CONDITIONS.get(condition, '')}"
    if words:
        yield words.strip()
