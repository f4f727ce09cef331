"""What in a message is a person's: names, numbers, addresses. None of it may be shown where nobody asked for it.

The standard says which fields hold people (by datatype), and some hold nothing else. What stands there once is a
person's wherever it stands again, also in a Z segment that no standard knows.
"""

from __future__ import annotations

import re
from typing import Any

from chartpost.mappings import er7
from chartpost.mappings.hl7.structure import nearest, segment_of

__all__ = ["People", "is_personal"]

#: Datatypes of people, and which of their components say who it is (HL7 v2.5.1 §2.A).
_PARTS = {
    "XPN": range(1, 7), "PN": range(1, 7), "PPN": range(1, 8), "XCN": range(1, 8), "CN": range(1, 8), "CK": (1,),
    "CX": (1,), "XAD": (1, 2, 3, 5, 8), "AD": (1, 2, 3, 5, 8), "XTN": (1, 4, 5, 6, 7, 9, 12), "TN": (1,), "SAD": (1,),
    "XON": (),
}  # fmt: skip
#: Segments about people, and the few fields of theirs that are about something else.
_OF_PEOPLE = {"PID", "PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "MRG", "ACC", "CON", "ARV", "ROL", "PRT", "STF"}
_WORD = re.compile(r"\w{3,}")
_ENDS = re.compile(r"[^\w]+")


def is_personal(name: str) -> bool:
    """Say whether a segment is about a person."""
    return name in _OF_PEOPLE


class People:
    """The words of the people in a folder: what may not be shown."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def add(self, message: er7.Message) -> None:
        """Remember who is in a message."""
        version = nearest(message.text("MSH", 12)) or "2.5.1"
        for segment in message.segments:
            places = segment_of(segment.name, version) or {}
            for number, place in places.items():
                parts = _PARTS.get(place.datatype, range(1, 7) if segment.name == "PID" and number <= 6 else ())
                if not parts or segment.name == "MSH" or not (text := segment.field(number)):
                    continue
                for repetition in segment.repetitions(number) if text else ():
                    for component in parts:
                        self.add_text(er7.part(repetition, message.delimiters, component))

    def add_text(self, text: str) -> None:
        """Remember a text about a person."""
        if len(text) >= 2:
            self._words.update(word.casefold() for word in _WORD.findall(text))
            self._words.add(_ENDS.sub("", text).casefold())

    def add_resource(self, resource: Any) -> None:
        """Remember who is in a resource: every text of a Patient, RelatedPerson, Person or Practitioner."""
        if isinstance(resource, dict):
            for value in resource.values():
                self.add_resource(value)
        elif isinstance(resource, list):
            for value in resource:
                self.add_resource(value)
        elif isinstance(resource, str):
            self.add_text(resource)

    def knows(self, text: str) -> bool:
        """Say whether a text holds a word of somebody's."""
        words = {word.casefold() for word in _WORD.findall(text)} | {_ENDS.sub("", text).casefold()}
        return bool(words & self._words)
