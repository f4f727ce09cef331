"""What a proposal looks at: messages and their FT1s as the rows of a map would see them, and columns of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from chartpost.mappings import er7
from chartpost.mappings.paths import compile_path
from chartpost.mappings.personal import People
from chartpost.mappings.read import message_type
from chartpost.mappings.scopes import LineScope, MessageScope
from chartpost.mappings.valuekinds import kind_of, number_of

__all__ = ["Case", "Column", "Evidence"]


@dataclass(frozen=True, slots=True)
class Case:
    """One message."""

    message: er7.Message
    type: str
    version: str
    whole: MessageScope
    lines: tuple[LineScope, ...]


def _case(message: er7.Message) -> Case:
    grouped = message.text("MSH", 9, 2) == "P11"
    whole = MessageScope(message, grouped)
    lines = tuple(LineScope(message, line, whole, grouped) for line in message.all("FT1"))
    return Case(message, message_type(message), message.text("MSH", 12), whole, lines)


@dataclass(frozen=True)
class Column:
    """The values at one path, one for each line or message; "" where there is none."""

    path: str
    values: tuple[str, ...]

    @cached_property
    def given(self) -> list[str]:
        return [value for value in self.values if value]

    @property
    def filled(self) -> int:
        return len(self.given)

    @property
    def fill(self) -> float:
        return self.filled / len(self.values) if self.values else 0.0

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.given)

    @cached_property
    def kinds(self) -> Counter[str]:
        return Counter(kind_of(value) for value in self.given)

    def are(self, *kinds: str) -> float:
        """Return how many of the values, 0 to 1, are of these kinds."""
        return sum(self.kinds[kind] for kind in kinds) / self.filled if self.filled else 0.0

    @cached_property
    def numbers(self) -> list[Decimal | None]:
        return [number_of(value) if value else None for value in self.values]

    @cached_property
    def numeric(self) -> float:
        """How many of the values, 0 to 1, are numbers."""
        return sum(one is not None for one in self.numbers) / self.filled if self.filled else 0.0

    @property
    def of(self) -> str:
        """How often it is filled, in words."""
        return f"{self.filled} of {len(self.values)}"


@dataclass
class Evidence:
    """All messages that have lines of money, and what stands where."""

    cases: Sequence[Case]
    others: Counter[str]  #: types of messages without any FT1
    people: People = field(default_factory=People)  #: whose words may not be shown
    _lines: dict[str, Column] = field(default_factory=dict)
    _wholes: dict[str, Column] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Iterable[er7.Message]) -> Evidence:
        cases, people = [], People()
        for message in messages:
            cases.append(_case(message))
            people.add(message)
        charged = [case for case in cases if case.lines]
        return cls(charged, Counter(case.type for case in cases if not case.lines), people)

    @cached_property
    def owners(self) -> list[Case]:
        """The message of each line."""
        return [case for case in self.cases for _ in case.lines]

    @cached_property
    def old(self) -> bool:
        """Whether all messages are of 2.1, where amount and quantity stand the other way round."""
        return bool(self.cases) and all(case.version == "2.1" for case in self.cases)

    def line(self, path: str) -> Column:
        """Return a column with a value for each FT1, as a row under `charge:` reads it."""
        found = self._lines.get(path)
        if found is None:
            compiled = compile_path(path)
            texts = (compiled.get(line) for case in self.cases for line in case.lines)
            found = self._lines[path] = Column(path, tuple(map(_tidy, texts)))
        return found

    def whole(self, path: str) -> Column:
        """Return a column with a value for each message, as a row under `message:` reads it."""
        found = self._wholes.get(path)
        if found is None:
            compiled = compile_path(path)
            texts = (compiled.get(case.whole) for case in self.cases)
            found = self._wholes[path] = Column(path, tuple(map(_tidy, texts)))
        return found

    def spread(self, path: str) -> Column:
        """Return a column of the whole message with its value for each of its lines."""
        return Column(
            path, tuple(v for v, case in zip(self.whole(path).values, self.cases, strict=True) for _ in case.lines)
        )

    @cached_property
    def several(self) -> bool:
        """Whether any message has more than one line."""
        return any(len(case.lines) > 1 for case in self.cases)

    @cached_property
    def patients(self) -> int:
        """How many different patients there are."""
        return len({case.message.text("PID", 3) or case.message.text("PID", 5) for case in self.cases})

    def few(self, column: Column) -> bool:
        """Say whether a few values come again and again for many patients, so that they are no patient's own."""
        return column.filled >= 4 and len(column.counts) <= 0.5 * min(self.patients, column.filled)

    def per_line(self, path: str) -> bool:
        """Say whether a segment stands in the lines' own groups, so that each has its own."""
        name = path[:3]
        if name == "FT1":
            return True
        having = [line for case in self.cases if case.message.segment(name) is not None for line in case.lines]
        return bool(having) and sum(line.own(name) is not None for line in having) >= 0.9 * len(having)

    def tells(self, path: str) -> bool:
        """Say whether a value there is about one line: not about a whole message that has several."""
        return not self.several or self.per_line(path)

    @cached_property
    def line_paths(self) -> list[str]:
        """Every path that is filled in an FT1, in its group, or in a Z segment that its rows can see."""
        return [path for path in self._paths if path[:1] == "Z" or path[:3] in ("FT1", "PR1")]

    @cached_property
    def whole_paths(self) -> list[str]:
        """Every path that is filled outside of lines."""
        return [path for path in self._paths if path[:3] not in ("FT1", "MSH")]

    @cached_property
    def _paths(self) -> list[str]:
        """Every field that is filled anywhere, and its components and subcomponents from the second on."""
        found: set[tuple[str, int, int, int]] = set()
        for case in self.cases:
            marks = case.message.delimiters
            for segment in case.message.segments:
                if not (segment.name.isalnum() and segment.name.isupper() and len(segment.name) == 3):
                    continue
                if not segment.name[0].isalpha():
                    continue
                for number in range(1, min(segment.text.count(marks.field) + 1, 120)):
                    if text := segment.field(number):
                        found.add((segment.name, number, 1, 1))
                        if len(text) > 1:
                            found.update((segment.name, number, c, s) for c, s in _inside(segment, number, marks))
        return [_named(key) for key in sorted(found)]


def _tidy(value: str | er7.Null | None) -> str:
    return value.strip() if isinstance(value, str) else ""


def _inside(segment: er7.Segment, number: int, marks: er7.Delimiters) -> Iterable[tuple[int, int]]:
    for component, part in enumerate(segment.repetitions(number)[0].split(marks.component or "\0")[:40], 1):
        for sub, text in enumerate(part.split(marks.subcomponent or "\0")[:10], 1):
            if text and (component > 1 or sub > 1):
                yield component, sub


def _named(key: tuple[str, int, int, int]) -> str:
    name, number, component, sub = key
    if sub > 1:
        return f"{name}-{number}.{component}.{sub}"
    return f"{name}-{number}.{component}" if component > 1 else f"{name}-{number}"
