"""Code tables: what the site's codes mean, and what becomes of a code that nobody explained.

Codes stand in the map itself, or in a CSV file beside it with the columns `code` and `meaning`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unknown = Literal["hold", "ignore", "pass", "value"]

#: Rows of one CSV table.
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Table:
    """A compiled table."""

    codes: Mapping[str, str]
    unknown: Unknown = "hold"
    value: str = ""  #: what an unknown code means, where `unknown` is "value"

    def meaning(self, code: str) -> str | None:
        """Return what a code means; None where unknown codes are ignored. Raises KeyError where they are held."""
        found = self.codes.get(code)
        if found is not None:
            return found
        match self.unknown:
            case "ignore":
                return None
            case "pass":
                return code
            case "value":
                return self.value
        raise KeyError(code)


def from_csv(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Return the codes of a CSV text, and its problems as (line, what).

    Commas or semicolons, as the first line has them. Other columns are notes.
    """
    problems: list[tuple[int, str]] = []
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    codes: dict[str, str] = {}
    columns: list[str] = []
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = [cell.lower() for cell in cells]
                if not {"code", "meaning"} <= set(columns):
                    return {}, [(rows.line_num, "the first line must name the columns `code` and `meaning`")]
                continue
            named = dict(zip(columns, cells, strict=False))
            code, meaning = named.get("code", ""), named.get("meaning", "")
            if not code or not meaning:
                problems.append((rows.line_num, "a code or its meaning is empty"))
                continue
            if code in codes:
                problems.append((rows.line_num, f"code {code[:20]!r} stands here a second time"))
            codes[code] = meaning
            if len(codes) > _MOST:
                return codes, [*problems, (rows.line_num, f"more than {_MOST} codes")]
    except csv.Error as error:
        problems.append((rows.line_num, f"not CSV: {error}"))
    if not columns:
        problems.append((1, "the file is empty"))
    return codes, problems
