"""Correct one field of a message, and say field by field how two texts differ. Pure; nothing here knows what they mean.

HL7 v2 is changed by path and compared by position; FHIR JSON is only compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from chartpost.mappings import er7
from chartpost.mappings.paths import Path


class Difference(NamedTuple):
    """One place where two texts differ. The texts may be personal: show them only where somebody asked for it."""

    path: str  #: "FT1[2]-6", "Invoice.totalGross.value"; a whole segment or element that only one has: "FT1[3]"
    before: str  #: "" where it was not there
    after: str  #: "" where it is no longer


def put(message: er7.Message, path: Path, value: str) -> er7.Message:
    """Return the message with `value` at `path`: a whole field or repetition as it stands, a component as plain text.

    All else keeps its bytes. Raises ValueError, which names the path and never a value, when there is no such segment
    or repetition, or when the value would be more than one field.
    """
    segment = message.segment(path.name, path.occurrence or 1)
    if segment is None:
        raise ValueError(f"{path.text}: the message has no such segment")
    header = path.name in er7.HEADERS
    if header and path.field <= 2:
        raise ValueError(f"{path.text}: the delimiters cannot be changed here; correct the whole text")
    marks = message.delimiters
    fields = segment.text.split(marks.field)
    index = path.field - 1 if header else path.field
    fields += [""] * (index + 1 - len(fields))
    fields[index] = _field(fields[index], message, path, value)
    changed = marks.field.join(fields)
    texts = [(changed if one is segment else one.text) + one.end for one in message.segments]
    try:
        raw = (message.prefix + "".join(texts)).encode(message.codec)
    except UnicodeEncodeError:  # its own text would show the value
        raise ValueError(f"{path.text}: a character of the value cannot be written as {message.codec}") from None
    return er7.parse(raw, message.codec)


def _field(text: str, message: er7.Message, path: Path, value: str) -> str:
    marks = message.delimiters
    if "\r" in value or "\n" in value:
        raise ValueError(f"{path.text}: a value has no line break")
    if path.component:
        value = value if value == er7.NULL_TEXT else er7.escape(value, marks, message.codec)
    elif marks.field in value or (marks.repetition and marks.repetition in value and (path.repetition or path.key)):
        raise ValueError(f"{path.text}: the value holds a separator; write it as \\F\\ or \\R\\")
    if not (path.component or path.repetition or path.key):
        return value
    repetitions = text.split(marks.repetition) if marks.repetition else [text]
    number = _chosen(repetitions, message, path)
    repetitions += [""] * (number - len(repetitions))
    if len(repetitions) > 1 and not marks.repetition:
        raise ValueError(f"{path.text}: the message has no separator for repetitions")
    repetitions[number - 1] = _part(repetitions[number - 1], marks, path, value)
    return marks.repetition.join(repetitions)


def _chosen(repetitions: list[str], message: er7.Message, path: Path) -> int:
    if path.key is None:
        return path.repetition or 1
    component, wanted = path.key
    for number, text in enumerate(repetitions, start=1):
        part = er7.part(text, message.delimiters, component, 1)
        if er7.unescape(part, message.delimiters, message.codec) == wanted:
            return number
    raise ValueError(f"{path.text}: no repetition has that in component {component}")


def _part(text: str, marks: er7.Delimiters, path: Path, value: str) -> str:
    if not path.component:
        return value
    components = _split(text, marks.component, path.component, path)
    if path.subcomponent:
        subcomponents = _split(components[path.component - 1], marks.subcomponent, path.subcomponent, path)
        subcomponents[path.subcomponent - 1] = value
        value = marks.subcomponent.join(subcomponents)
    components[path.component - 1] = value
    return marks.component.join(components)


def _split(text: str, mark: str, number: int, path: Path) -> list[str]:
    parts = text.split(mark) if mark else [text]
    if number > len(parts) and not mark:
        raise ValueError(f"{path.text}: the message has no separator for it")
    return parts + [""] * (number - len(parts))


def differences(before: er7.Message, after: er7.Message) -> Iterator[Difference]:
    """Yield the fields in which two messages differ, segment by segment of a name in order."""
    names = dict.fromkeys(segment.name for segment in (*before.segments, *after.segments))
    for name in names:
        old, new = before.all(name), after.all(name)
        for number in range(1, max(len(old), len(new)) + 1):
            place = f"{name}[{number}]" if number > 1 or name == "FT1" else name
            if number > len(old) or number > len(new):
                yield Difference(place, *(one[number - 1].text if number <= len(one) else "" for one in (old, new)))
            elif old[number - 1].text != new[number - 1].text:
                yield from _fields(place, old[number - 1], new[number - 1])


def _fields(place: str, old: er7.Segment, new: er7.Segment) -> Iterator[Difference]:
    count = 1 + max(old.text.count(old.delimiters.field), new.text.count(new.delimiters.field))
    for number in range(1, count + 1):
        if (was := old.field(number)) != (now := new.field(number)):
            yield Difference(f"{place}-{number}", was, now)


def json_differences(before: Any, after: Any, place: str) -> Iterator[Difference]:
    """Yield the elements in which two JSON values differ; `place` is what the outermost is called."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from json_differences(before.get(name), after.get(name), f"{place}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (one[index] if index < len(one) else None for one in (before, after))
            yield from json_differences(old, new, f"{place}[{index}]")
    elif before != after:
        yield Difference(place, *("" if one is None else str(one) for one in (before, after)))
