"""What was done, and when: code, description and service date."""

from __future__ import annotations

import datetime as dt
import re

from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row, called
from chartpost.mappings.transforms import moment
from chartpost.mappings.valuekinds import date_pattern

__all__ = ["code", "description", "service_date"]

_CODES = ("FT1-7", "FT1-25", "PR1-3", "FT1-7.4", "FT1-25.4", "PR1-3.4", "FT1-22", "FT1-29", "FT1-34")
_TEXTS = ("FT1-7.2", "FT1-8", "FT1-9", "FT1-25.2", "PR1-3.2", "PR1-4", "FT1-7.5", "FT1-25.5", "FT1-22.2", "FT1-29.2")
_DATES = ("FT1-4", "FT1-5", "PR1-5", "PV1-44", "EVN-6", "EVN-2")


def code(evidence: Evidence, draft: Draft) -> None:
    """Propose where the code of what was done stands."""
    taken = {path for row in draft.rows for path in row.paths}
    usual = evidence.line("FT1-7")
    if usual.fill >= 0.5 and usual.path not in taken and not _sentences(usual):
        draft.saw("code", "FT1-7", "standard", f"{called('FT1-7')} is filled in {usual.of} lines")
        return
    if usual.path not in taken and (mark := _in_front(usual)):
        steps = (f'split "{mark}" 1',)
        note = f"{called('FT1-7')} holds a code and words in one component, in {usual.of} lines"
        draft.rows.append(Row("charge", "code", ("FT1-7",), steps, note))
        draft.saw("code", "FT1-7", "proposed", note)
        return
    z = [path for path in evidence.line_paths if path.startswith("Z") and evidence.tells(path)]
    for path in (*_CODES[1:], *z):
        column = evidence.line(path)
        if path in taken or column.fill < 0.5 or _sentences(column) or not _coded(column, path):
            continue
        said = _why(usual, taken)
        note = f"{called(path)} holds codes in {column.of} lines; FT1-7 {said}"
        paths = (path,) if said != "is often empty" else ("FT1-7.1", path)
        draft.rows.append(Row("charge", "code", paths, (), note))
        draft.saw("code", ", ".join(paths), "proposed", note)
        return
    draft.saw("code", "FT1-7", "standard", f"FT1-7 {_why(usual, taken)}, and no other field holds codes of services")


def _why(usual: Column, taken: set[str]) -> str:
    if usual.path in taken:
        return "holds something else"
    return "is empty" if not usual.filled else "holds sentences" if _sentences(usual) else "is often empty"


def _sentences(column: Column) -> bool:
    """Say whether a column holds words rather than codes."""
    return column.filled > 0 and sum(" " in value.strip() for value in column.given) > 0.5 * column.filled


def _in_front(column: Column) -> str:
    """Return what separates a code from the words behind it in one component; "" where nothing does."""
    for mark in ("|", ":", ";", "/", " - ", " "):
        heads = [value.partition(mark) for value in column.given]
        good = sum(
            bool(re.fullmatch(r"(?=.*\d)[A-Z0-9.-]{3,10}", head.strip())) and bool(tail) for head, _, tail in heads
        )
        if column.fill >= 0.5 and good >= 0.9 * column.filled:
            return mark
    return ""


def _coded(column: Column, path: str) -> bool:
    if not path.startswith("Z"):
        return True
    if column.are("date", "time stamp", "amount", "e-mail", "phone", "name") > 0.2:
        return False
    # Codes of services come again, and differ; a number of a line does not come again.
    return 1 < len(column.counts) < column.filled and all(3 <= len(value) <= 12 for value in column.counts)


def description(evidence: Evidence, draft: Draft) -> None:
    """Propose where the words for it stand."""
    usual = [evidence.line("FT1-7.2"), evidence.line("FT1-8")]
    taken = {path for row in draft.rows for path in row.paths}
    if any(column.fill >= 0.5 and _worded(column) and column.path not in taken for column in usual):
        said = " and ".join(f"{column.path} in {column.of} lines" for column in usual if column.filled)
        draft.saw("description", "FT1-7.2, FT1-8", "standard", f"filled: {said}")
        return
    z = [path for path in evidence.line_paths if path.startswith("Z") and evidence.tells(path)]
    beside = draft.path_of("code", "FT1-7") + ".2"
    found: list[tuple[float, Column]] = []
    for path in dict.fromkeys((beside, *_TEXTS[2:], "FT1-7", *z)):
        column = evidence.line(path) if path.count(".") < 2 else evidence.line("FT1-7.2")
        if path in taken or column.fill < 0.5 or not _worded(column) or (path[0] == "Z" and not _sentences(column)):
            continue
        if path.startswith("Z") and evidence.people.knows(" ".join(column.given[:20])):
            continue
        spaces = sum(" " in value.strip() for value in column.given) / column.filled
        found.append((spaces + 2 * (path == beside), column))
    if found:
        column = max(found, key=lambda one: one[0])[1]
        note = f"{called(column.path)} holds words in {column.of} lines; FT1-7.2 and FT1-8 do not"
        draft.rows.append(Row("charge", "description", (column.path,), (), note))
        draft.saw("description", column.path, "proposed", note)
        return
    draft.saw("description", "FT1-7.2, FT1-8", "standard", "neither holds words in most lines, and nothing else does")


def _worded(column: Column) -> bool:
    return column.filled > 0 and column.are("name", "text") >= 0.6


def service_date(evidence: Evidence, draft: Draft) -> None:
    """Propose where the day of the service stands, and how it is written."""
    usual = evidence.line("FT1-4")
    pattern, share = date_pattern(usual.given, _near(evidence, usual))
    if share >= 0.9 and usual.fill >= 0.9 and not pattern:
        draft.saw("service_date", "FT1-4", "standard", f"{called('FT1-4')} is a date in {usual.of} lines")
        return
    z = [path for path in evidence.line_paths if path.startswith("Z") and evidence.tells(path)]
    for path in (*_DATES, *z):
        column = evidence.line(path) if path[:2] in ("FT", "PR") or path[0] == "Z" else evidence.spread(path)
        pattern, share = date_pattern(column.given, _near(evidence, column))
        if share < 0.9 or column.fill < 0.5 or not _plausible(column, pattern):
            continue
        if path == "FT1-4" and column.fill >= 0.5 and not pattern:
            draft.saw("service_date", "FT1-4", "standard", f"{called('FT1-4')} is a date in {column.of} lines")
            if column.fill < 0.9:
                draft.ask(f"FT1-4 is empty in {len(column.values) - column.filled} lines: when was that done?")
            return
        steps = (f'date "{pattern}"' if " " in pattern else f"date {pattern}",) if pattern else ("date",)
        note = f"{called(path)} is a date in {column.of} lines"
        note += f", written as {pattern}" if pattern else ""
        note += "" if path == "FT1-4" else f"; FT1-4 {'is empty' if not usual.filled else 'is no date there'}"
        draft.rows.append(Row("charge", "service_date", (path,), steps, note))
        draft.saw("service_date", path, "proposed", note)
        if pattern and ("%d/%m" in pattern or "%m/%d" in pattern) and not _told(column):
            draft.ask(f"{path}: is the day before the month, or behind it? No day here is later than the 12th.")
        return
    if usual.filled:
        draft.without.append("service_date")
        draft.saw(
            "service_date",
            "FT1-4",
            "alternative",
            f"FT1-4 is filled in {usual.of} lines, and in no way that could be read",
        )
        draft.ask("FT1-4: how are dates written there? The map reads no service date until that is known.")
    else:
        draft.saw("service_date", "FT1-4", "standard", "FT1-4 is empty, and no other field holds a date of each line")


def _near(evidence: Evidence, column: Column) -> list[dt.date]:
    """Return the day on which each filled value's message was written."""
    found = []
    for owner, value in zip(evidence.owners, column.values, strict=True):
        if value:
            try:
                found.append(moment(owner.message.text("MSH", 7))[0].date())
            except (ValueError, OverflowError):
                return []
    return found


def _plausible(column: Column, pattern: str) -> bool:
    """Say whether a column holds days of services and not of births: none before 1990."""
    if pattern:
        return True
    years = [int(value[:4]) for value in column.given if value[:4].isdigit()]
    return bool(years) and min(years) >= 1990 and column.are("date", "time stamp") >= 0.9


def _told(column: Column) -> bool:
    """Say whether any day is later than the 12th, so that day and month cannot be mixed up."""
    return any(
        12 < int(part) <= 31
        for value in column.given
        for part in value.replace("-", "/").split("/")[:2]
        if part.isdigit()
    )
