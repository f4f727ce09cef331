"""Check with hl7apy what we send, before it leaves. The reader and writer of er7.py never judge themselves.

hl7apy alone is not enough (tried): it knows no lengths, reads a TS of 2.3 and 2.4 as any text, drops what does not fit
the structure without a word, stops at its first error, and its errors quote values. So each field is checked by
itself, the structure after that, and what is reported names places and rules only. About 20 ms a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chartpost.mappings import er7
from chartpost.mappings.transforms import moment

#: Lengths of fields that we fill (HL7 v2.5.1 §6.5.1, §2.15.9): older charts cut or refuse what is longer.
LENGTHS = {"MSH-10": 20, "MSH-11": 3, "FT1-1": 4, "FT1-2": 12, "FT1-3": 10, "FT1-6": 8}
#: The chart's own fields, given back as it wrote them. Some write more components than the standard has, and the
#: standard tells receivers to pass over those (HL7 v2.5.1 §2.8.2): they are not judged, all others are.
CHART = frozenset({"PID-3", "PID-5", "PID-18", "PV1-19"})
_TIMES = frozenset({"TS", "DTM", "DT", "DR"})


def validate(raw: bytes) -> list[str]:
    """Return what is wrong with a message for the version in its MSH-12; [] when nothing is.

    Each problem names a segment and field and a rule, never a value. Raises nothing for bad messages.
    """
    from hl7apy import load_library  # tens of megabytes: only for those who send

    try:
        message = er7.parse(raw)
    except er7.Er7Error as error:
        return [str(error)]
    version = message.text("MSH", 12)
    try:
        load_library(version)
    except Exception:
        return [f"MSH-12: version {version[:8]!r} is not one that can be checked"]
    structure = message.text("MSH", 9, 3) or f"{message.text('MSH', 9)}_{message.text('MSH', 9, 2)}"
    places = _places(structure, version)
    known = {name for name, _ in places}
    if not known:
        return [f"MSH-9: {structure[:12]} is no message structure of {version}"]
    problems: list[str] = []
    for segment in message.segments:
        if segment.name.startswith("Z"):
            continue  # agreed between sites: nobody else can judge it
        if segment.name not in known:
            problems.append(f"{segment.name[:3]}: this segment has no place in {structure} {version}")
        else:
            problems.extend(_field_problems(segment, version))
    problems.extend(_order_problems(message, places))
    problems.extend(_structure_problems(message, problems))
    return problems


def _places(structure: str, version: str) -> list[tuple[str, bool]]:
    """Return a structure's segments in order, each with whether a repeating group begins there; [] when unknown."""
    from hl7apy import load_reference

    def walk(children: Any, repeats: bool) -> Iterator[tuple[str, bool]]:
        for index, (name, reference, (_, most), kind) in enumerate(children):
            again = most == -1 or (repeats and index == 0)
            if kind == "SEG":
                yield name, again
            else:
                yield from walk(reference[1], again)

    try:
        return list(walk(load_reference(structure, "Message", version)[1], False))
    except Exception:
        return []


def _order_problems(message: er7.Message, places: list[tuple[str, bool]]) -> Iterator[str]:
    """Find segments that stand where the structure has no place for them: hl7apy sorts them in without a word."""
    at = 0
    for segment in message.segments:
        onward = next((i for i in range(at, len(places)) if places[i][0] == segment.name), -1)
        back = next((i for i in range(at) if places[i] == (segment.name, True)), -1)
        if onward < 0 and back < 0 and any(name == segment.name for name, _ in places):
            yield f"{segment.name}: stands where the structure has no place for it"
        at = onward if onward >= 0 else back if back >= 0 else at


def _field_problems(segment: er7.Segment, version: str) -> Iterator[str]:
    from hl7apy import load_reference
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import ChildNotFound
    from hl7apy.parser import parse_field

    count = segment.text.count(segment.delimiters.field) + (1 if segment.name in er7.HEADERS else 0)
    for number in range(3 if segment.name in er7.HEADERS else 1, count + 1):
        if not segment.field(number):
            continue
        place = f"{segment.name}-{number}"
        try:
            datatype = load_reference(f"{segment.name}_{number}", "Field", version)[2]
        except ChildNotFound:
            yield f"{place}: {version} has no such field"
            continue
        for text in segment.repetitions(number):
            if place in CHART:
                text = _expected(text, datatype, version, segment.delimiters)
            if len(text) > LENGTHS.get(place, len(text)):
                yield f"{place}: longer than {LENGTHS[place]} characters"
            if datatype in _TIMES and not _are_times(text, segment.delimiters.component):
                yield f"{place}: not a valid {datatype}"
                continue
            try:
                parse_field(
                    text,
                    name=f"{segment.name}_{number}",
                    version=version,
                    encoding_chars=_marks(segment.delimiters),
                    validation_level=VALIDATION_LEVEL.STRICT,
                )
            except Exception as error:  # bare ValueErrors among them
                yield f"{place}: not a valid {datatype} ({type(error).__name__})"


def _expected(text: str, datatype: str, version: str, marks: er7.Delimiters) -> str:
    """Return a repetition with just the components and subcomponents that its datatype has, and has to have.

    What the version wants beside the first component and the chart left out has a U in its place, as has the type of a
    number from 2.7 on (CX.5).
    """
    from hl7apy import load_reference

    kept = []
    children = load_reference(datatype, "Datatypes_Structs", version)
    components = text.split(marks.component)
    for index, (_, (structure, inner, *_), (least, most), _) in enumerate(children):
        component = components[index] if index < len(components) else ""
        count = len(inner) if structure == "sequence" else 1
        if most == 0:
            count = 0  # withdrawn in this version
        missing = "U" if least and index and text else ""
        kept.append(marks.subcomponent.join(component.split(marks.subcomponent)[:count]) or missing)
    return marks.component.join(kept).rstrip(marks.component)


def _expected_line(segment: er7.Segment, version: str) -> str:
    """Return a segment's text with its chart fields cut to what the version knows."""
    from hl7apy import load_reference

    fields = segment.text.split(segment.delimiters.field)
    limits = {child[0]: child[2][1] for child in load_reference(segment.name, "Segment", version)[1]}
    for place in CHART:
        name, _, number = place.partition("-")
        if name == segment.name and segment.field(int(number)):
            datatype = load_reference(f"{name}_{number}", "Field", version)[2]
            most = limits.get(f"{name}_{number}", -1)
            texts = segment.repetitions(int(number))[: most if most > 0 else None]
            fields[int(number)] = segment.delimiters.repetition.join(
                _expected(text, datatype, version, segment.delimiters) for text in texts
            )
    return segment.delimiters.field.join(fields)


def _are_times(text: str, component: str) -> bool:
    for value in text.split(component):
        if value:
            try:
                moment(value)
            except ValueError:
                return False
    return True


def _marks(delimiters: er7.Delimiters) -> dict[str, str]:
    return {
        "SEGMENT": "\r",
        "GROUP": "\r",
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "SUBCOMPONENT": delimiters.subcomponent,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape,
    }


def _structure_problems(message: er7.Message, found: list[str]) -> Iterator[str]:
    """Check cardinality. Skipped where a field is wrong already: hl7apy would only say it again."""
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    # hl7apy ends segments at CR only, and takes the whole text for MSH otherwise.
    lines = [segment for segment in message.segments if not segment.name.startswith("Z")]
    version = message.text("MSH", 12)
    try:
        tree = parse_message(
            "".join(_expected_line(segment, version) + "\r" for segment in lines),
            validation_level=VALIDATION_LEVEL.STRICT,
            find_groups=True,
        )
        tree.validate()
    except HL7apyException as error:
        if not found or "Missing required" in str(error):
            yield _without_values(str(error))
    except Exception as error:
        if not found:
            yield f"not a valid message ({type(error).__name__})"


def _without_values(text: str) -> str:
    """Cut what hl7apy quotes from the message: `Value … not in table`, `… is not an HL7 valid …`."""
    return re.sub(r"(?i)\bvalue \S.* (?=not in table)", "a value ", text)[:200]
