"""What lint says of a message or a resource: one finding, with its place, its rule and what to do. Never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
#: From what a receiver may refuse to what is good to know.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

#: Where 2.5.1 defines a segment; other versions have the same chapters.
SECTIONS = {
    "MSH": "2.15.9", "EVN": "3.4.1", "PID": "3.4.2", "PV1": "3.4.3", "PV2": "3.4.4", "NK1": "3.4.5", "PD1": "3.4.10",
    "FT1": "6.5.1", "DG1": "6.5.2", "DRG": "6.5.3", "PR1": "6.5.4", "GT1": "6.5.5", "IN1": "6.5.6", "IN2": "6.5.7",
    "IN3": "6.5.8", "ACC": "6.5.9",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the standard says otherwise."""

    severity: Severity
    place: str  #: "FT1[2]-11.1", "lineItem[0].quantity"
    rule: str  #: a word that does not change; docs/integration/lint.md has all of them
    text: str
    fix: str
    section: str = ""  #: of the standard, "HL7 v2.5.1 §6.5.1"; "" where none is known


def finding(severity: Severity, place: str, rule: str, text: str, fix: str, section: str = "") -> Finding:
    """Return a Finding for a section of 2.5.1 ("6.5.1"), "" for none."""
    return Finding(severity, place, rule, text, fix, f"HL7 v2.5.1 §{section}" if section else "")


def unreadable(text: str) -> Finding:
    """Return the Finding for what is no message at all; `text` says why, and no value."""
    return Finding("error", "", "unreadable", text, "see that the file is whole, and what the sender writes there")


def counted(numbers: Mapping[str, int]) -> str:
    """Return "2 errors, 1 warning" for how many there are of each severity, "nothing found" when there is none."""
    said = [f"{numbers[one]} {one}{'s' * (numbers[one] != 1)}" for one in SEVERITIES if numbers.get(one)]
    return ", ".join(said) or "nothing found"
