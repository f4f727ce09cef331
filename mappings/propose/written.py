"""The text of a proposed map: rows that differ, with their evidence; what a person must decide is a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from chartpost.mappings.propose.model import Code, Draft, Row

__all__ = ["text"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.^/-]*(\[\d+\][.\d]*)?")
_RESERVED = frozenset(["yes", "no", "on", "off", "true", "false", "null", "y", "n", "~"])
_WIDTH = 116


def text(draft: Draft, seen: str) -> str:
    """Return the map file of a proposal. `seen`: from what it was made, in words."""
    return "\n".join(_lines(draft, seen)) + "\n"


def _lines(draft: Draft, seen: str) -> Iterator[str]:
    yield from _comment(f"A proposal, made from {seen}. A person has to read it before it is used.")
    yield from _comment(
        f"It extends {draft.extends} and holds only what differs; every row says why. Lines that begin with # are "
        "alternatives, or wait for a decision."
    )
    if draft.share:
        yield "#"
        yield from _comment(
            "What is asked of the patient is said by `share:` of the source, not here. These messages offer:"
        )
        for one in dict.fromkeys(draft.share):
            yield f"#   {one}"
    if draft.questions:
        yield "#"
        yield "# Questions to the sending side:"
        for number, question in enumerate(draft.questions, 1):
            yield from _comment(f"{number}. {question}", "#   ", "#      ")
    yield ""
    yield f"extends: {draft.extends}"
    if draft.messages:
        yield f"messages: [{', '.join(map(_word, draft.messages))}]"
    if draft.account:
        yield from _comment(draft.account_note)
        yield f"account: [{', '.join(map(_word, draft.account))}]"
    if draft.without:
        yield f"without: [{', '.join(draft.without)}]"
    for section in ("message", "charge"):
        rows = [row for row in draft.rows if row.section == section]
        if rows:
            yield ""
            yield f"{section}:"
            for row in rows:
                yield from _row(row)
    if draft.codes:
        yield ""
        yield from _table(draft)


def _row(row: Row) -> Iterator[str]:
    yield f"  - target: {_word(row.target)}"
    yield f"    path: {_list(row.paths)}"
    if row.transforms:
        yield f"    transform: {_list(row.transforms)}"
    if row.default:
        yield f"    default: {_word(row.default)}"
    if row.required:
        yield "    required: true"
    if row.note:
        yield f"    note: {json.dumps(row.note, ensure_ascii=False)}"
    for other in row.instead:
        yield f"  # or: - {other}"


def _table(draft: Draft) -> Iterator[str]:
    yield "tables:"
    yield f"  {draft.table}:"
    yield "    unknown: hold"
    sure = [one for one in draft.codes if one.sure]
    open_ = [one for one in draft.codes if not one.sure]
    if sure:
        yield "    codes:"
        for one in sure:
            yield f"      {_entry(one)}   # {one.evidence}"
    else:
        yield "    codes: {}" if not open_ else "    codes: {}   # take the braces away when you decide"
    if open_:
        yield "      # To be decided by a person; until then a line with such a code is held:"
        for one in open_:
            yield f"      # {_entry(one)}   # {one.evidence}"


def _entry(code: Code) -> str:
    return f"{_word(code.code)}: {code.meaning or '?'}"


def _list(items: Sequence[str]) -> str:
    return _word(items[0]) if len(items) == 1 else f"[{', '.join(map(_word, items))}]"


def _word(item: str) -> str:
    """Return a scalar of YAML: plain where that is safe within brackets, else in quotes."""
    plain = _PLAIN.fullmatch(item) and item.lower() not in _RESERVED
    words = re.fullmatch(r"[a-z]+( [A-Za-z0-9_-]+)+", item)
    if plain or words:
        return item
    return f"'{item}'" if '"' in item and "'" not in item else json.dumps(item, ensure_ascii=False)


def _comment(said: str, first: str = "# ", rest: str = "# ") -> Iterator[str]:
    line = first
    for word in said.split():
        if len(line) + len(word) > _WIDTH and line.strip("# "):
            yield line.rstrip()
            line = rest
        line += word + " "
    yield line.rstrip()
