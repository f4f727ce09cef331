"""Write a posting as a flat file, by a map: every character has its place; no text becomes another field or line.

What does not fit its positions is never cut, because half an account number is another account.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Mapping

from chartpost.mappings import movement, named
from chartpost.mappings.flat.postingmap import TIMES, FlatMap, FlatRow
from chartpost.mappings.model import Posting, Problem
from chartpost.mappings.movement import Unwritable

__all__ = ["check", "write"]

_ADD = "ask the site, then add under `kinds:` of the map, for instance, "
_FIXES = {
    "refund": _ADD + "refund: {type: R, sign: negative}",
    "dispute": _ADD + "dispute: {type: D, sign: negative}",
    "payment": _ADD + "payment: {type: P, sign: positive}",
}
_PARTS = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}
#: What would end a line, or be shown as something else.
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: A spreadsheet takes what begins so for a formula, and runs it.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def write(posting: Posting, map: FlatMap) -> bytes:
    """Return the file: a header if the map has one, one line for the movement, a trailer if the map has one.

    Times are those of the posting's time zone. Raises Unwritable when the map says nothing about this kind or medium,
    or a value is missing, does not fit its positions, or has a character that the encoding lacks.
    """
    problems: list[Problem] = []
    sections = [movement.rows_for(rows, posting.kind) for rows in (map.header, map.rows, map.trailer)]
    named_rows = [row for rows in sections for row in rows]
    values = _values(posting, map, named_rows, problems)
    texts = {row: _text(row, values, posting, map, problems) for row in named_rows}
    if problems:
        raise Unwritable(problems)
    if map.layout == "fixed":
        lines = [_fixed(rows, texts, map.width) for rows in sections if rows]
    else:
        cells = {row.target: texts[row] for row in sections[1]}
        whole = [[texts[row] for row in sections[0]], [cells.get(name, "") for name in map.columns]]
        whole.insert(1, list(map.columns) if map.titles else [])
        lines = [_joined(one, map.separator) for one in [*whole, [texts[row] for row in sections[2]]] if one]
    return "".join(line + map.ending for line in lines).encode(map.encoding)


def check(body: bytes, map: FlatMap) -> list[str]:
    """Read a file again as its map describes it; return what does not come out, as places and rules, never values."""
    try:
        text = body.decode(map.encoding)
    except UnicodeDecodeError:
        return [f"file: not {map.encoding}"]
    if not text.endswith(map.ending):
        return ["file: its last line does not end"]
    lines = text.removesuffix(map.ending).split(map.ending)
    most = sum(rows != () for rows in (map.header, map.rows, map.trailer)) + map.titles
    problems = [f"file: has {len(lines)} lines, and its map makes {most} at most"] if len(lines) > most else []
    if map.layout == "fixed":
        wrong = [number for number, line in enumerate(lines, 1) if len(line) != map.width]
        return problems + [f"line {number}: not {map.width} characters" for number in wrong]
    records = list(csv.reader(io.StringIO(text, newline=""), delimiter=map.separator))
    if len(records) != len(lines):
        problems.append("file: a cell goes on in another line")
    if map.titles and list(map.columns) not in records:
        problems.append("file: no line has the titles of the columns")
    if not any(len(record) == len(map.columns) for record in records if record != list(map.columns)):
        problems.append(f"file: no line has {len(map.columns)} cells")
    return problems


def _values(posting: Posting, map: FlatMap, rows: Iterable[FlatRow], problems: list[Problem]) -> dict[str, str]:
    """Return every value that a row may name but the times, as text. One movement is all that a file tells of."""
    amount = movement.signed(posting, map)
    sums = {"records": "1", "total": f"{amount.amount:f}", "total_minor": str(amount.minor)}
    return {
        **movement.common(posting, map, rows, _FIXES, problems),
        **named.owed(posting),
        **named.patient(posting.chart),
        "amount_minor": str(amount.minor),
        **sums,
    }


def _text(row: FlatRow, values: Mapping[str, str], posting: Posting, map: FlatMap, problems: list[Problem]) -> str:
    """Return what stands there, safe for a line. Adds to `problems` what cannot stand there."""
    if row.value in TIMES:
        moment = posting.paid_at if row.value.startswith("paid") else posting.posted_at
        values = {row.value: _shaped(movement.local(moment, posting.timezone), row.format)}
    text = movement.meant(row, values, map, problems)
    if row.value:
        text = _BREAKING.sub(" ", text)
        if map.layout == "csv" and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
            text = f"'{text}"
    wrong = ""
    try:
        text.encode(map.encoding)
    except UnicodeEncodeError:
        wrong = f"{row.value or 'the constant'} holds a character that {map.encoding} does not have"
    if row.length and len(text) > row.length:
        wrong = f"{row.value} is longer than the {row.length} characters of its positions"
    if wrong:
        problems.append(Problem(path=row.place, cause=wrong, fix="change the map as the reader of the file allows it"))
    return text


def _shaped(moment: dt.datetime, format: str) -> str:
    return re.sub("YYYY|YY|MM|DD|hh|mm|ss", lambda part: moment.strftime(_PARTS[part[0]]), format)


def _fixed(rows: Iterable[FlatRow], texts: Mapping[FlatRow, str], width: int) -> str:
    line = [" "] * width
    for row in rows:
        text = texts[row]
        sign = "-" if row.right and row.pad == "0" and text.startswith("-") else ""  # -0045, never 00-45
        rest, room = text.removeprefix(sign), row.length - len(sign)
        filled = sign + (rest.rjust(room, row.pad) if row.right else rest.ljust(room, row.pad))
        line[row.start - 1 : row.start - 1 + row.length] = filled
    return "".join(line)


def _joined(cells: Iterable[str], separator: str) -> str:
    """Return one line of CSV (RFC 4180): a cell with a separator or a quotation mark stands in quotation marks."""
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=separator, lineterminator="").writerow(cells)
    return line.getvalue()
