"""The map file for what goes out as a flat file: lines of fixed width, as lock boxes have them, or CSV.

Rows say what stands where: at positions (`1-8`), or in a column (by its title). A header and a trailer line may count
and add up what stands between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, ValidationError

from chartpost.mappings import movement, named
from chartpost.mappings.layers import Layers
from chartpost.mappings.overlay import Overlay

__all__ = ["FLAT", "TIMES", "FlatMap", "FlatRow", "compile_map"]

#: What `writes` says in such a map.
FLAT = "flat"
#: Values that a `format` shapes, with the shape that they have without one.
TIMES = {
    "paid_at": "YYYYMMDDhhmmss",
    "paid_date": "YYYYMMDD",
    "posted_at": "YYYYMMDDhhmmss",
    "posted_date": "YYYYMMDD",
}
#: The values that a row may name.
VALUES = (
    movement.COMMON
    | named.OWED
    | named.PATIENT
    | {
        "amount_minor",  # minor units, signed by kind: 4500
        "records",  # lines that tell of a movement
        "total",  # their sum, major units
        "total_minor",
    }
)

_POSITIONS = re.compile(r"([1-9]\d{0,3})-([1-9]\d{0,3})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SEPARATORS = {",": ",", ";": ";", "|": "|", "tab": "\t"}


class FlatRowSpec(movement.LineSpec):
    """One row as it is written."""

    align: Literal["left", "right"] | None = None
    pad: str | None = Field(None, min_length=1, max_length=1)
    format: str | None = None


class FlatPostingSpec(movement.HeadSpec):
    """The file as it is written."""

    writes: Literal["flat"]
    layout: Literal["fixed", "csv"]
    encoding: Literal["ascii", "latin-1", "utf-8"] | None = None
    ending: Literal["crlf", "lf"] = "crlf"
    width: str | None = None
    separator: Literal[",", ";", "|", "tab"] | None = None
    titles: Literal["true", "false"] | None = None
    header: tuple[FlatRowSpec, ...] = ()
    rows: tuple[FlatRowSpec, ...]
    trailer: tuple[FlatRowSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class FlatRow(movement.Row):
    """One compiled row: positions of a line, or a column."""

    target: str
    start: int  #: position of its first character, from 1; 0 in CSV
    length: int  #: characters; 0 is any number
    right: bool  #: stands at the right end of its positions
    pad: str  #: what fills them up
    format: str  #: of a time


@dataclass(frozen=True, slots=True)
class FlatMap(movement.Stated):
    """A compiled map for postings as files of lines."""

    layout: Literal["fixed", "csv"]
    encoding: str
    ending: str
    width: int  #: characters of a line; 0 in CSV
    separator: str
    titles: bool
    header: tuple[FlatRow, ...]
    rows: tuple[FlatRow, ...]
    trailer: tuple[FlatRow, ...]
    format: ClassVar[str] = "flat"  #: last part of the name of the queue that carries them

    @property
    def content_type(self) -> str:
        """What the bytes are called where they travel (RFC 7111 for CSV)."""
        return "text/csv" if self.layout == "csv" else "text/plain"

    @property
    def extension(self) -> str:
        """Of a file that holds one."""
        return "csv" if self.layout == "csv" else "txt"

    @property
    def columns(self) -> tuple[str, ...]:
        """The titles of the columns, each once."""
        return tuple(dict.fromkeys(row.target for row in self.rows))


def compile_map(document: Overlay, found: Layers) -> FlatMap:
    """Return the map that a file describes. Raises MapError with every problem."""
    try:
        spec = FlatPostingSpec.model_validate(document.data)
    except ValidationError as error:
        document.report_schema(error)
        document.check()
        raise
    fixed = spec.layout == "fixed"
    _check_options(document, spec, fixed)
    sections = [
        _rows(document, name, lines, spec, fixed)
        for name, lines in (("header", spec.header), ("rows", spec.rows), ("trailer", spec.trailer))
    ]
    if not spec.rows:
        document.report(("rows",), "a file tells of a movement in at least one row")
    width = max((row.start + row.length - 1 for rows in sections for row in rows), default=0)
    if fixed and spec.width is not None:
        width = _width(document, spec.width, width)
    movement.check_media(document, spec, [*spec.header, *spec.rows, *spec.trailer])
    document.check()
    return FlatMap(
        name=found.name,
        version="",
        kinds=dict(spec.kinds),
        media=movement.codes(spec.media),
        tables=movement.tables(spec),
        layout=spec.layout,
        encoding=spec.encoding or ("ascii" if fixed else "utf-8"),
        ending="\r\n" if spec.ending == "crlf" else "\n",
        width=width if fixed else 0,
        separator=_SEPARATORS[spec.separator or ","],
        titles=not fixed and spec.titles != "false",
        header=sections[0],
        rows=sections[1],
        trailer=sections[2],
        files=found.files,
        edition=found.version,
    )


def _check_options(document: Overlay, spec: FlatPostingSpec, fixed: bool) -> None:
    for name in ("separator", "titles") if fixed else ("width",):
        if getattr(spec, name) is not None:
            document.report((name,), f"`{name}` belongs to `layout: {'csv' if fixed else 'fixed'}`")
    if fixed and spec.encoding == "utf-8":
        document.report(("encoding",), "a line of fixed width needs characters of one byte: ascii or latin-1")


def _width(document: Overlay, text: str, least: int) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        document.report(("width",), f"{text!r} is no number of characters from 1 to 9999")
        return least
    if int(text) < least:
        document.report(("width",), f"a row ends at position {least}, behind the end of the line")
    return int(text)


def _rows(
    document: Overlay, section: str, lines: Sequence[FlatRowSpec], file: FlatPostingSpec, fixed: bool
) -> tuple[FlatRow, ...]:
    rows: list[FlatRow] = []
    for index, line in enumerate(lines):
        where = (section, index)
        movement.check_row(document, where, line, file, VALUES)
        _check_shape(document, where, line, fixed)
        start, length = _positions(document, (*where, "target"), line.target) if fixed else (0, 0)
        row = FlatRow(
            place=line.target if section == "rows" else f"{section} {line.target}",
            value=line.value or "",
            constant=line.constant or "",
            required=line.required,
            table=line.table or "",
            kinds=frozenset(line.kinds),
            target=line.target,
            start=start,
            length=length,
            right=line.align == "right",
            pad=line.pad or " ",
            format=line.format or TIMES.get(line.value or "", ""),
        )
        if fixed and len(row.constant) > length > 0:
            document.report((*where, "constant"), f"longer than the {length} characters of its positions")
        if other := _taken(row, rows, fixed):
            document.report((*where, "target"), f"{row.place} is taken already by the row {other.target}")
        rows.append(row)
    return tuple(rows)


def _taken(row: FlatRow, rows: Iterable[FlatRow], fixed: bool) -> FlatRow | None:
    """Return the row that fills a part of the same place for the same kind of movement."""
    for other in rows:
        overlaps = row.start < other.start + other.length and other.start < row.start + row.length
        if (overlaps if fixed else row.target == other.target) and movement.meet(row, other):
            return other
    return None


def _positions(document: Overlay, where: tuple[str | int, ...], text: str) -> tuple[int, int]:
    found = _POSITIONS.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        document.report(where, f"{text!r} is no positions: write the first and the last, counted from 1, as in 1-8")
        return 0, 0
    return int(found[1]), int(found[2]) - int(found[1]) + 1


def _check_shape(document: Overlay, where: tuple[str | int, ...], line: FlatRowSpec, fixed: bool) -> None:
    for name in ("align", "pad") if not fixed else ():
        if getattr(line, name) is not None:
            document.report((*where, name), f"`{name}` belongs to `layout: fixed`")
    if (line.pad or "").isdigit():
        if line.align != "right":
            document.report((*where, "pad"), "a 0 behind an amount makes it another: say `align: right`")
        elif line.pad != "0":
            document.report((*where, "pad"), "a digit other than 0 makes a number another one")
    for name in ("target", "constant", "pad"):
        if _CONTROL.search(getattr(line, name) or ""):
            document.report((*where, name), f"`{name}` holds a line break or another control character")
    if line.format is not None and line.value not in TIMES:
        document.report((*where, "format"), f"`format` is for times: {', '.join(TIMES)}")
    elif line.format is not None and re.search("[A-Za-z]", re.sub("YYYY|YY|MM|DD|hh|mm|ss", "", line.format)):
        document.report((*where, "format"), "a format is made of YYYY or YY, MM, DD, hh, mm and ss")
