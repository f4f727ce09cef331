"""What a transform is, and how a row's chain of them is run. The transforms themselves: transforms.py, texts.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chartpost.mappings import er7
from chartpost.mappings.tables import Table

Shape = Literal["text", "money", "number", "date", "birth_date", "language", "yes_no", "contacts", "verbatim"]


class Rejected(ValueError):
    """A value cannot become what the map wants of it."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Cell:
    """Text as it stands in the message, for transforms that need more than one value of it."""

    raw: str  #: ER7 text at the level of the path
    following: str = ""  #: ER7 text of the next field


@dataclass(frozen=True, slots=True)
class Context:
    """What a transform may know beside the value."""

    currency: str  #: ISO 4217, the source's default
    region: str  #: ISO 3166, for numbers without a country code
    timezone: str  #: IANA zone in which the facility has its days
    delimiters: er7.Delimiters = er7.STANDARD
    codec: str = "utf-8"
    tables: Mapping[str, Table] = field(default_factory=dict)
    #: Where somebody wants to see them: what each step made, a list for every line of the trace.
    explained: list[list[str]] | None = field(default=None, compare=False)

    def text(self, raw: str, component: int = 1, subcomponent: int = 1) -> str:
        """Return one part of a repetition's ER7 text, unescaped."""
        return er7.unescape(er7.part(raw, self.delimiters, component, subcomponent), self.delimiters, self.codec)


@dataclass(frozen=True, slots=True)
class Transform:
    """One step of a row. Steps that read a Cell come first in a chain; all others take text.

    `run` gets the value, the context, and what `parse` made of the words after the transform's name (None without
    any). It returns None where it finds nothing, and raises Rejected.
    """

    run: Callable[[Any, Context, Any], Any]
    gives: Shape = "text"
    cell: bool = False
    parse: Callable[[str], Any] | None = None  #: raises ValueError that says what is wanted; None: it takes no words
    bare: bool = False  #: may stand without words, though it takes them
    collects: bool = False  #: takes the texts of all paths and repetitions as a list, and stands first
    rescues: bool = False  #: is run although nothing was found


@dataclass(frozen=True, slots=True)
class Step:
    """A transform with its argument, ready to run."""

    transform: Transform
    argument: Any = None


def explain(steps: Sequence[Step], value: Any, context: Context) -> list[str]:
    """Return what each step of a chain that works makes, as text."""
    made = [apply(steps[:count], value, context) for count in range(1, len(steps) + 1)]
    return [
        "" if one is None else ", ".join(map(_shown, one)) if isinstance(one, (list, tuple)) else str(one)
        for one in made
    ]


def _shown(item: Any) -> str:
    return str(getattr(item, "value", item))


def apply(steps: Sequence[Step], value: Any, context: Context) -> Any:
    """Run a chain. None as soon as a step finds nothing, unless a later one rescues it. Raises Rejected."""
    result: Any = value
    for step in steps:
        if (result is None or result == "") and not step.transform.rescues:
            continue
        result = step.transform.run(result, context, step.argument)
    return None if result == "" else result
