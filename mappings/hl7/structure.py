"""What the standard says of a place in a message: its name, datatype, length, code table, and in which versions it is.

    name_of("FT1-11", "2.5.1")    "Transaction Amount - Extended"
    name_of("PID-5.1", "2.5.1")   "Family Name"
    unknown_path(compile_path("FT1-30"), ["2.3"])    "FT1-30 is not in 2.3; it is there from 2.5 on"

The definitions are hl7apy's, from 2.1 to 2.8.2, read by number and cached; a version takes 20–80 ms when it is first
asked for. A place is a compiled path or its text; its repetition and occurrence play no part. Z segments are agreed
between sites: the standard knows nothing of them, and the answer is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chartpost.mappings.hl7.lengths import length_of
from chartpost.mappings.hl7.names import in_words
from chartpost.mappings.paths import Path, compile_path

__all__ = [
    "VERSIONS", "Place", "codes_of", "exists", "is_user_defined", "max_length", "name_of", "nearest", "parts_of",
    "place_of", "segment_of", "structure_of", "table_of", "type_of", "unknown_path",
]  # fmt: skip

#: The versions whose definitions are known, oldest first.
VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")

#: Datatypes in which anything may stand: OBX-5, and the composites that 2.1 leaves to sites.
VARIES = frozenset({"varies", "CM"})


@dataclass(frozen=True, slots=True)
class Place:
    """A field, component or subcomponent, as one version defines it."""

    name: str  #: "Transaction Amount - Extended"
    datatype: str  #: "CP", "ST" …; "varies" where any may stand
    table: str  #: "0017"; "" where there is none
    length: int | None  #: characters; None where the version sets no limit, or none that is known here
    required: bool
    most: int  #: repetitions; 0: any number. A component has 1
    withdrawn: bool = False  #: the standard has taken it away, and its number is not used again


_WITHDRAWN = Place("Withdrawn", "WD", "", None, required=False, most=0, withdrawn=True)


def nearest(version: str) -> str:
    """Return the version whose definitions stand for `version`: itself, or the next older one that is known.

    So 2.7.1 is judged as 2.7 and 2.9 as 2.8.2. "" for what is no version of HL7 v2, and for an empty MSH-12.
    """
    if version in VERSIONS:
        return version
    try:
        wanted = tuple(int(part) for part in version.split("."))
    except ValueError:
        return ""
    if wanted[0] != 2 or len(wanted) > 3:
        return ""
    older = [known for known in VERSIONS if tuple(map(int, known.split("."))) <= wanted]
    return older[-1] if older else ""


# ------------------------------------------------------------------------------------------------ what a version says


@lru_cache(maxsize=len(VERSIONS))
def _library(version: str) -> Any:
    from hl7apy import load_library  # tens of megabytes, and only for those who ask

    return load_library(version)


@lru_cache(maxsize=4096)
def segment_of(name: str, version: str) -> Mapping[int, Place] | None:
    """Return the fields of a segment by number; None for a segment that the version does not have, Z among them."""
    found = _library(version).SEGMENTS.get(name)
    if not found or found[0] != "sequence":
        return None
    fields = _places(found[1] if len(found) > 1 else (), version, name)
    return _complete(fields, lambda older: segment_of(name, older), version)


@lru_cache(maxsize=4096)
def parts_of(datatype: str, version: str) -> Mapping[int, Place]:
    """Return the components of a datatype by number; nothing for a primitive, or where anything may stand."""
    found = _places(_library(version).DATATYPES_STRUCTS.get(datatype, ()), version, "")
    return _complete(found, lambda older: parts_of(datatype, older), version)


def _complete(
    found: dict[int, Place], older: Callable[[str], Mapping[int, Place] | None], version: str
) -> Mapping[int, Place]:
    """Fill the numbers that hl7apy leaves out: in 2.6 what is kept for older senders, later what was withdrawn."""
    missing = set(range(1, max(found, default=0))) - found.keys()
    before = (older("2.5.1") or {}) if missing and version == "2.6" else {}
    found.update({number: before.get(number, _WITHDRAWN) for number in missing})
    return found


def _places(children: Iterable[Any], version: str, segment: str) -> dict[int, Place]:
    found: dict[int, Place] = {}
    for name, definition, (least, most), _ in children:
        number = int(name.rpartition("_")[2])
        datatype = definition[2] or "varies"
        found[number] = Place(
            name=in_words(definition[3] or ""),
            datatype=datatype,
            table=(definition[4] or "").removeprefix("HL7"),
            length=length_of(f"{segment}-{number}", version) if segment else None,
            required=least > 0,
            most=max(most, 0),
            withdrawn=datatype == "WD" or most == 0,
        )
    return found


@lru_cache(maxsize=256)
def structure_of(name: str, version: str) -> Sequence[Any]:
    """Return hl7apy's tree of a message structure such as DFT_P03: (name, definition, (least, most), "SEG" or "GRP").

    () for a structure that the version does not have.
    """
    found = _library(version).MESSAGES.get(name)
    return found[1] if found else ()


@lru_cache(maxsize=1024)
def codes_of(table: str, version: str) -> frozenset[str]:
    """Return the codes that a table ("0017") suggests or prescribes; nothing where hl7apy lists none (before 2.3.1)."""
    found = getattr(_library(version), "TABLES", {}).get(f"HL7{table}")
    return frozenset(found[1]) if found else frozenset()


@lru_cache(maxsize=1024)
def is_user_defined(table: str) -> bool:
    """Say whether sites agree on a table's codes: one that any IS of 2.4 to 2.6 uses (HL7 v2.5.1 §2.5.3.6, §2.A.36)."""
    return table in _user_tables()


@lru_cache(maxsize=1)
def _user_tables() -> frozenset[str]:
    found: set[str] = set()
    for version in ("2.4", "2.6"):
        library = _library(version)
        trees = [tree[1] for tree in library.SEGMENTS.values() if tree[0] == "sequence" and len(tree) > 1]
        for children in [*trees, *library.DATATYPES_STRUCTS.values()]:
            found.update(part[1][4].removeprefix("HL7") for part in children if part[1][2] == "IS" and part[1][4])
    return frozenset(found)


# ---------------------------------------------------------------------------------------------------- what a path is


def place_of(path: Path | str, version: str) -> Place | None:
    """Return what the standard says of a path in a version (or its `nearest`); None where there is no such place.

    A value is the first component of itself (HL7 v2.5.1 §2.6), so FT1-2.1 is FT1-2. Raises ValueError for a text that
    is no path, as do the four functions below.
    """
    where = compile_path(path) if isinstance(path, str) else path
    return _place(where.name, where.field, where.component, where.subcomponent, nearest(version))


@lru_cache(maxsize=8192)
def _place(name: str, field: int, component: int, subcomponent: int, version: str) -> Place | None:
    found = (segment_of(name, version) or {}).get(field) if version else None
    for number in (component, subcomponent):
        if found is None or not number or found.withdrawn:
            break
        parts = parts_of(found.datatype, version)
        if parts:
            found = parts.get(number)
        elif number > 1 and found.datatype not in VARIES:
            found = None
    return found


def name_of(path: Path | str, version: str) -> str | None:
    """Return the name of the deepest part that a path names: "Family Name" for PID-5.1; None: no such place."""
    found = place_of(path, version)
    return found.name if found else None


def type_of(path: Path | str, version: str) -> str | None:
    """Return the datatype: "CP" for FT1-11, "MO" for FT1-11.1; "varies": any; "WD": withdrawn; None: no such place."""
    found = place_of(path, version)
    return found.datatype if found else None


def max_length(path: Path | str, version: str) -> int | None:
    """Return the most characters of a field of MSH, EVN, PID, PV1, FT1 or GT1; None where no limit is known."""
    found = place_of(path, version)
    return found.length if found else None


def table_of(path: Path | str, version: str) -> str | None:
    """Return the number of the code table, as in "0017"; None where there is none."""
    found = place_of(path, version)
    return found.table or None if found else None


def exists(segment: str, field: int, component: int, version: str) -> bool | None:
    """Say whether a version has this field (component 0), or this component of it. None for Z segments: nobody knows.

    What was withdrawn is no longer there.
    """
    if segment.startswith("Z"):
        return None
    found = _place(segment, field, component, 0, nearest(version))
    return found is not None and not found.withdrawn


def unknown_path(path: Path, versions: Iterable[str]) -> str | None:
    """Return a sentence about a path that none of these versions has; None when one has it, and for Z segments."""
    if path.name.startswith("Z"):
        return None
    asked = [version for version in dict.fromkeys(map(nearest, versions)) if version]
    if not asked or any(_has(path, version) for version in asked):
        return None
    numbers = ".".join(str(number) for number in (path.field, path.component, path.subcomponent) if number)
    name = f"{path.name}-{numbers}"
    having = [version for version in VERSIONS if _has(path, version)]
    if having:
        when = f"from {having[0]} on" if having[-1] == VERSIONS[-1] else f"from {having[0]} to {having[-1]}"
        when = f"in {having[0]} only" if len(having) == 1 else when
        return f"{name} is not in {', '.join(asked)}; it is there {when}"
    known = [version for version in VERSIONS if segment_of(path.name, version) is not None]
    if not known:
        return f"{path.name} is a segment of no version of HL7 v2; segments of your own begin with Z"
    fields = max(max(segment_of(path.name, version) or (0,)) for version in known)
    if path.field > fields:
        return f"{name} is in no version of HL7 v2: {path.name} ends with field {fields}"
    return f"{name} is in no version of HL7 v2: {path.name}-{path.field} has no such part"


def _has(path: Path, version: str) -> bool:
    found = _place(path.name, path.field, path.component, path.subcomponent, version)
    return found is not None and not found.withdrawn
