"""What a proposal is made of: rows that differ from the shipped map, candidates with their evidence, and questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from chartpost.mappings.hl7.structure import name_of

__all__ = ["Candidate", "Code", "Draft", "Row", "called", "listed"]

Choice = Literal["standard", "proposed", "alternative"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a target could stand."""

    target: str
    path: str
    choice: Choice  #: "standard": as the shipped map has it; "proposed": in the proposal; "alternative": neither
    evidence: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the proposal."""

    section: Literal["message", "charge"]
    target: str
    paths: tuple[str, ...]
    transforms: tuple[str, ...] = ()
    note: str = ""
    required: bool = False
    default: str = ""
    instead: tuple[str, ...] = ()  #: rows as comments: what else it could be


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a table, and what it seems to mean."""

    code: str
    meaning: str  #: "" where nobody could tell
    sure: bool  #: proposed; else a person decides
    evidence: str


@dataclass(slots=True)
class Draft:
    """A proposal while it is made."""

    dialect: Literal["hl7v2", "fhir"] = "hl7v2"
    extends: str = "hl7v2-dft"
    messages: tuple[str, ...] = ()  #: () as the shipped map has them
    account: tuple[str, ...] = ()
    account_note: str = ""
    rows: list[Row] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    table: str = "kinds"  #: the table of kinds, or of statuses
    codes: list[Code] = field(default_factory=list)
    share: list[str] = field(default_factory=list)  #: what could say the patient's part
    candidates: list[Candidate] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def saw(self, target: str, path: str, choice: Choice, evidence: str) -> None:
        """Note a candidate."""
        self.candidates.append(Candidate(target, path, choice, evidence))

    def ask(self, question: str) -> None:
        """Note a question to the sending side, once."""
        if question not in self.questions:
            self.questions.append(question)

    def path_of(self, target: str, standard: str) -> str:
        """Return the first path that the proposal reads a target from."""
        return next((row.paths[0] for row in self.rows if row.target == target), standard)


def listed(items: Sequence[str], most: int = 6) -> str:
    """Return items as one text, the rest counted."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def called(path: str) -> str:
    """Return a path with its name by the standard: "FT1-22 (Unit Cost)"."""
    name = name_of(path.partition("[")[0], "2.5.1") if not path.startswith("Z") else None
    return f"{path} ({name})" if name else path
