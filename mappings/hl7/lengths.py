"""How long a field may be, for the fields that charges and payments are made of. hl7apy knows no lengths.

From 2.7 the standard limits only what it prints as a normative length (HL7 v2.7 §2.5.5.2); before that each field has a
limit over all its components, and a repetition counts by itself (HL7 v2.5.1 §2.5.3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

#: A field, its length in 2.1, and what it became: `2.3:26` is 26 from 2.3 on, `2.7:-` no limit from 2.7 on.
#: A field that came later begins with its version.
_TABLE = """
MSH-3 15 2.3:180 2.5:227 2.7:-
MSH-4 20 2.3:180 2.5:227 2.7:-
MSH-5 15 2.2:30 2.3:180 2.5:227 2.7:-
MSH-6 30 2.3:180 2.5:227 2.7:-
MSH-7 19 2.2:26 2.6:24 2.7:-
MSH-8 40 2.7:-
MSH-9 7 2.4:15 2.7:-
MSH-10 20 2.6:199
MSH-11 1 2.3:3 2.7:-
MSH-12 8 2.3.1:60 2.7:-
MSH-13 15 2.7:-
MSH-14 180 2.7:-
MSH-15 2.2:2
MSH-16 2.2:2
EVN-1 3 2.7:-
EVN-2 19 2.2:26 2.6:24 2.7:-
EVN-4 3 2.7:-
PID-1 4
PID-2 16 2.3.1:20 2.7:-
PID-3 16 2.2:20 2.4:250 2.7:-
PID-4 12 2.3.1:20 2.7:-
PID-5 48 2.4:250 2.7:-
PID-7 8 2.2:26 2.6:24 2.7:-
PID-8 1 2.7:-
PID-11 106 2.4:250 2.7:-
PID-13 40 2.4:250 2.7:-
PID-14 40 2.4:250 2.7:-
PID-18 20 2.4:250 2.7:-
PID-19 16 2.7:-
PID-30 2.3:1
PV1-1 4
PV1-2 1 2.7:-
PV1-19 4 2.2:15 2.3.1:20 2.4:250 2.7:-
PV1-20 11 2.2:50 2.7:-
PV1-46 12 2.7:-
PV1-47 12 2.7:-
PV1-48 12 2.7:-
PV1-49 12 2.7:-
FT1-1 4
FT1-2 12
FT1-3 5 2.2:10
FT1-4 8 2.3:26 2.5:53 2.7:-
FT1-5 8 2.3:26 2.6:24 2.7:-
FT1-6 8 2.7:-
FT1-7 20 2.3:80 2.4:250 2.7:-
FT1-8 40 2.7:-
FT1-9 40 2.7:-
FT1-10 12 2.2:4 2.3:6 2.7:-
FT1-11 4 2.2:12 2.7:-
FT1-12 12 2.7:-
FT1-13 16 2.2:60 2.4:250 2.7:-
FT1-14 8 2.3.1:60 2.4:250 2.7:-
FT1-15 12 2.7:-
FT1-16 12 2.3.1:80 2.7:-
FT1-17 1 2.7:-
FT1-18 2 2.7:-
FT1-19 8 2.3:60 2.4:250 2.7:-
FT1-20 60 2.3:120 2.4:250 2.7:-
FT1-21 60 2.3:120 2.4:250 2.7:-
FT1-22 12 2.7:-
FT1-25 2.3:80 2.4:250 2.6:705 2.7:-
FT1-30 2.5:250 2.7:-
FT1-31 2.5:4
GT1-1 4
GT1-2 20 2.3:59 2.4:250 2.7:-
GT1-3 48 2.4:250 2.7:-
GT1-5 106 2.4:250 2.7:-
GT1-6 40 2.4:250 2.7:-
GT1-7 40 2.4:250 2.7:-
GT1-8 8 2.3:26 2.6:24 2.7:-
GT1-11 2 2.3.1:80 2.4:250 2.7:-
"""


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@lru_cache(maxsize=1)
def _lengths() -> Mapping[str, list[tuple[tuple[int, ...], int | None]]]:
    found = {}
    for line in _TABLE.split("\n"):
        place, *steps = line.split() or [""]
        pairs = [step.rpartition(":") for step in steps]
        found[place] = [
            (_ordered(since or "2.1"), None if length == "-" else int(length)) for since, _, length in pairs
        ]
    return found


def length_of(place: str, version: str) -> int | None:
    """Return the most characters that a field ("FT1-2") may have in a version; None where no limit is known here."""
    limits = [length for since, length in _lengths().get(place, ()) if since <= _ordered(version)]
    return limits[-1] if limits else None
