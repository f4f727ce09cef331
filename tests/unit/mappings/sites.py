"""Folders of invented messages, each of a site with habits of its own: what proposals are tried on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

FAMILIES = [
    "Abernathy",
    "Bellweather",
    "Castellan",
    "Dunmore",
    "Ellsworth",
    "Fairbanks",
    "Garrowby",
    "Holloway",
    "Inskeep",
    "Jessamine",
]
GIVEN = ["Aldous", "Beatrix", "Corwin", "Delphine", "Edmund", "Felicity", "Gideon", "Hester", "Ignatius", "Juniper"]
SERVICES = {"99213": "Office visit", "85025": "Blood count", "71046": "Chest film", "36415": "Drawing blood"}
PRICES = (4500, 12550, 8000, 15075, 2999, 30000, 6420)

Fields = dict[int, str]


@dataclass
class Line:
    """One FT1, and the segments behind it."""

    ft1: Fields
    behind: list[str] = field(default_factory=list)
    cents: int = 0
    number: int = 0


@dataclass
class Visit:
    """One message before it is written."""

    at: int
    segments: dict[str, Fields]
    lines: list[Line]
    before: list[str] = field(default_factory=list)  #: segments before the first FT1
    after: list[str] = field(default_factory=list)
    type: str = "DFT^P03"
    version: str = "2.3"
    marks: str = "|^~\\&"
    end: str = "\r"

    @property
    def family(self) -> str:
        return FAMILIES[self.at % len(FAMILIES)]

    @property
    def given(self) -> str:
        return GIVEN[(self.at * 3) % len(GIVEN)]


Habit = Callable[[Visit], None]


def row(name: str, fields: Mapping[int, str], marks: str = "|^~\\&") -> str:
    last = max(fields, default=0)
    return marks[0].join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def visit(at: int, chance: random.Random) -> Visit:
    lines = []
    for number in range(1, chance.choice((1, 2, 2, 3)) + 1):
        code = chance.choice(sorted(SERVICES))
        cents = chance.choice(PRICES)
        ft1 = {
            1: str(number), 2: f"T{at:03}{number}", 4: f"202605{at % 28 + 1:02}",
            6: "CG", 7: f"{code}^{SERVICES[code]}",
            10: "1", 11: dollars(cents),
        }  # fmt: skip
        lines.append(Line(ft1, cents=cents, number=number))
    family, given = FAMILIES[at % len(FAMILIES)], GIVEN[(at * 3) % len(GIVEN)]
    return Visit(
        at=at,
        segments={
            "EVN": {1: "P03", 2: f"202605{at % 28 + 1:02}1200"},
            "PID": {
                1: "1", 3: f"M{7000 + at}^^^HILL^MR", 5: f"{family}^{given}", 7: f"19{40 + at:02}0312", 8: "F",
                13: f"(608)555-01{at:02}", 18: f"K{3000 + at}",
            },
            "PV1": {1: "1", 2: "O", 19: f"V{5000 + at}"},
        },
        lines=lines,
    )  # fmt: skip


def written(one: Visit) -> bytes:
    marks = one.marks
    head = marks[0].join(
        [
            "MSH",
            marks[1:],
            "BILL",
            "HILL",
            "",
            "",
            f"202605{one.at % 28 + 1:02}1205",
            "",
            one.type,
            f"C{one.at}",
            "P",
            one.version,
        ]
    )
    rows = [head, *(row(name, fields, marks) for name, fields in one.segments.items()), *one.before]
    for line in one.lines:
        rows += [row("FT1", line.ft1, marks), *line.behind]
    text = one.end.join([*rows, *one.after]) + one.end
    return text.encode()


def folder(*habits: Habit, count: int = 12, seed: int = 7) -> list[tuple[str, bytes]]:
    """Return files of a site with these habits."""
    chance = random.Random(seed)
    found = []
    for at in range(1, count + 1):
        one = visit(at, chance)
        for habit in habits:
            habit(one)
        found.append((f"{at}.hl7", written(one)))
    return found


def each_line(change: Callable[[Visit, Line], None]) -> Habit:
    def habit(one: Visit) -> None:
        for line in one.lines:
            change(one, line)

    return habit


def moved(old: int, new: int) -> Habit:
    """A field of FT1 stands elsewhere."""

    def change(one: Visit, line: Line) -> None:
        line.ft1[new] = line.ft1.pop(old, "")

    return each_line(change)


def put(segment: str, number: int, text: Callable[[Visit], str] | str) -> Habit:
    def habit(one: Visit) -> None:
        one.segments.setdefault(segment, {})[number] = text if isinstance(text, str) else text(one)

    return habit


def line(number: int, text: Callable[[Line], str] | str) -> Habit:
    """A field of every FT1 holds this."""

    def change(one: Visit, line: Line) -> None:
        line.ft1[number] = text if isinstance(text, str) else text(line)

    return each_line(change)


def behind(text: Callable[[Visit, Line], str]) -> Habit:
    """A segment stands behind every FT1."""
    return each_line(lambda one, line: line.behind.append(text(one, line)))


def before(text: Callable[[Visit], str]) -> Habit:
    """A segment stands before the lines."""
    return lambda one: one.before.append(text(one))


def one_line(one: Visit) -> None:
    del one.lines[1:]


def joined(files: Iterable[tuple[str, bytes]]) -> bytes:
    return b"".join(body for _, body in files)


def kinds(codes: Sequence[str]) -> Habit:
    """The lines have these types in turn."""

    def change(one: Visit, line: Line) -> None:
        line.ft1[6] = codes[(one.at + line.number) % len(codes)]

    return each_line(change)
