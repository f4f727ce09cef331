"""A compiled map of charges: what mapfile.py makes of a file, and read.py and fhir/read.py read messages with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from chartpost.mappings.conditions import Condition
from chartpost.mappings.dialect import DialectName
from chartpost.mappings.mapspec import SameReference
from chartpost.mappings.model import ROLES
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.tables import Table
from chartpost.mappings.transforms import Shape, Step

#: Versions that senders of one map state at a time; there are not two, usually.
_VERSIONS = 16
IGNORE = "ignore"  #: a meaning of the kinds table: this line is no money of ours, leave it out and say so


@lru_cache(maxsize=256)
def release(version: str) -> tuple[int, ...]:
    """Return a version of HL7 v2 as numbers that compare; () for what is none."""
    tidy = version.strip()
    return tuple(int(part) for part in tidy.split(".")) if re.fullmatch(r"\d+(\.\d+)+", tidy, re.ASCII) else ()


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled row."""

    target: str
    shape: Shape
    paths: tuple[AnyPath, ...]
    steps: tuple[Step, ...]
    default: str | None
    required: bool
    line: int
    file: str = ""
    since: str = ""  #: the versions of HL7 v2 that have it; "" is no bound
    until: str = ""

    def is_for(self, version: str) -> bool:
        """Say whether messages of this version have the row; one that states none, or nonsense, is taken for new."""
        stated = release(version)
        newer = not stated or not self.since or stated >= release(self.since)
        return newer and (not self.until or (bool(stated) and stated <= release(self.until)))


@dataclass(frozen=True, slots=True)
class StopRule:
    """Nobody may be asked while this is true: the message is held with this cause."""

    condition: Condition
    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class Map:
    """A compiled map, immutable: share it between threads."""

    name: str
    version: str  #: eight hex digits: the same text, the same version
    dialect: DialectName
    messages: frozenset[str]  #: "DFT^P03", or "DFT" where 2.1 has no trigger event; "Invoice"
    account: tuple[AnyPath, ...]
    message: tuple[Row, ...]
    charge: tuple[Row, ...]
    tables: Mapping[str, Table]
    message_when: Condition | None = None
    charge_when: Condition | None = None
    stops: tuple[StopRule, ...] = ()
    same_reference: SameReference = "add"
    my: frozenset[str] = frozenset()  #: the names after `my.` that conditions see
    by_version: bool = False  #: some rows are for some versions only
    files: tuple[str, ...] = ()  #: that it was read from, and that may change
    people: dict[str, list[Row]] = field(default_factory=dict, init=False, compare=False, repr=False)  #: rows by role
    rest: list[Row] = field(default_factory=list, init=False, compare=False, repr=False)  #: of `message` the others
    _versions: dict[str, Map] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for row in self.message:
            role = row.target.partition(".")[0]
            (self.people.setdefault(role, []) if role in ROLES else self.rest).append(row)

    def of_version(self, version: str) -> Map:
        """Return the map with the rows only that messages of a version of HL7 v2 (MSH-12) have."""
        if not self.by_version:
            return self
        found = self._versions.get(version)
        if found is None:
            kept = (tuple(row for row in rows if row.is_for(version)) for rows in (self.message, self.charge))
            message, charge = kept
            found = replace(self, by_version=False, message=message, charge=charge)
            if len(self._versions) >= _VERSIONS:
                self._versions.clear()  # MSH-12 is the sender's word: it must not fill the memory
            self._versions[version] = found
        return found

    @property
    def label(self) -> str:
        """Name and version, as a message remembers them."""
        return f"{self.name}@{self.version}"
