"""Hold the segments of a message against the structure of its type: what is missing, too many, or in the wrong place.

A walk over hl7apy's tree that never gives up: what has no place here is told and passed over, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chartpost.mappings.hl7.structure import structure_of

_NOTHING: frozenset[str] = frozenset()
#: Events that share the structure of another (HL7 v2.5.1, table 0354), where MSH-9.3 does not say it.
_SHARED = {
    **dict.fromkeys(("ADT_A04", "ADT_A08", "ADT_A13"), "ADT_A01"),
    **dict.fromkeys(("ADT_A14", "ADT_A28", "ADT_A31"), "ADT_A05"),
    **dict.fromkeys(("ADT_A34", "ADT_A35", "ADT_A36"), "ADT_A30"),
    **dict.fromkeys(("ADT_A40", "ADT_A41", "ADT_A42"), "ADT_A39"),
    "ADT_A07": "ADT_A06",
    "ADT_A11": "ADT_A09",
    "DFT": "DFT_P03",  # 2.1 has no other
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit: `kind` is missing, order or repeats; `at` counts the segments, 0 the first."""

    kind: str
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    least: int
    most: int  #: -1: any number
    children: tuple[_Node, ...]  #: () for a segment
    first: frozenset[str]  #: with which segments it may begin
    all: frozenset[str]  #: which segments it has
    after: frozenset[str]  #: which segments its later siblings have


def structure_named(type: str, event: str, said: str, version: str) -> str:
    """Return the name of the structure of MSH-9 (`said` is its third component), "" when the version has none."""
    event_named = f"{type}_{event}" if event else type
    for name in (said, event_named, _SHARED.get(event_named, "")):
        if name and structure_of(name, version):
            return name
    return ""


def segments_of(structure: str, version: str) -> frozenset[str]:
    """Return the names of all segments that a structure has; nothing for an unknown one."""
    return _names(_tree(structure, version))


def misfits(names: Sequence[str], structure: str, version: str) -> list[Misfit]:
    """Return what does not fit, in the order of the message. `names`: its segments, those that the structure has."""
    walk = _Walk(names)
    walk.through(_tree(structure, version), _NOTHING)
    walk.skip(_NOTHING)
    return walk.found


class _Walk:
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.at = 0
        self.found: list[Misfit] = []

    @property
    def name(self) -> str:
        return self.names[self.at] if self.at < len(self.names) else ""

    def skip(self, allowed: frozenset[str]) -> None:
        """Pass over what can stand neither here nor later."""
        while self.name and self.name not in allowed:
            self.found.append(Misfit("order", self.name, self.at))
            self.at += 1

    def through(self, nodes: Sequence[_Node], later: frozenset[str]) -> None:
        for node in nodes:
            count = self.repeated(node, node.after | later)
            if count < node.least:
                name = node.name if not node.children else _needed(node)
                self.found.append(Misfit("missing", name, self.at))

    def repeated(self, node: _Node, rest: frozenset[str]) -> int:
        """Go through a node as often as it stands here; return how often that was."""
        count = 0
        within = rest | node.first
        while True:
            self.skip(within if node.children else rest | {node.name})
            before = self.at
            if self.name not in node.first:
                return count
            if node.most >= 0 and count >= node.most:
                if self.name in rest:
                    return count
                self.found.append(Misfit("repeats", self.name, self.at))
            if node.children:
                self.through(node.children, within if node.most < 0 else rest)
            else:
                self.at += 1
            count += 1
            if self.at == before:
                return count


def _needed(node: _Node) -> str:
    """Return the segment that a group cannot be without; else the one with which it begins."""
    while node.children:
        node = next((child for child in node.children if child.least), node.children[0])
    return node.name


@lru_cache(maxsize=256)
def _tree(structure: str, version: str) -> tuple[_Node, ...]:
    return _nodes(structure_of(structure, version))


def _nodes(children: Iterable[Any], choice: bool = False) -> tuple[_Node, ...]:
    found: list[_Node] = []
    for name, definition, (least, most), kind in reversed(tuple(children)):
        if kind == "SEG":
            inner: tuple[_Node, ...] = ()
            first = names = frozenset([name])
        else:
            inner = _nodes(definition[1], choice=definition[0] == "choice")
            first, names = _first(inner), _names(inner)
        found.append(_Node(name, 0 if choice else least, most, inner, first, names, _names(found)))
    return tuple(reversed(found))


def _first(nodes: Iterable[_Node]) -> frozenset[str]:
    found: set[str] = set()
    for node in nodes:
        found |= node.first
        if node.least:
            break
    return frozenset(found)


def _names(nodes: Iterable[_Node]) -> frozenset[str]:
    return frozenset().union(*(node.all for node in nodes))
