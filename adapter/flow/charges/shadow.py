"""What would be: a source that is only tried, and a map that reads along.

A source with `shadow` and no map is worked as any other, on books that are never written: what a message would count,
whom it would ask, and how, is kept sealed with the message, which is ignored. The next message of the account goes on
from there. With a map, that map reads every message too, and where it means something else is kept; only the map in
force counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from chartpost.adapter import mapdiff
from chartpost.adapter.flow.charges.lines import Verdict
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.adapter.ledger.gathering import Window
from chartpost.adapter.ledger.reversals import Line, pair
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import cursor, message
from chartpost.adapter.log import get
from chartpost.mappings.model import Reading

#: What of an account is kept with each message, beside its lines.
_KEPT = (
    "key", "source", "facility", "number", "currency", "patient", "guarantor", "chart", "stopped", "patient_only",
    "others", "provider",
)  # fmt: skip
_LINE = ("amount", "kind", "reference", "likeness", "item")

log = get(__name__)


def is_dry(flow: Flow, source: str) -> bool:
    """Say whether nothing that a source sends counts."""
    configured = flow.settings.sources.get(source)
    return configured is not None and configured.shadow is not None and configured.shadow.map is None


# ------------------------------------------------------------------------------------------------ a map reads along


def along(flow: Flow, row: Any, found: Reading | Verdict) -> dict[str, Any] | None:
    """Return how a source's other map differs about a message, for its column `shadow`; None where none reads along.

    `found` is what the map in force made of it. Never raises: what is only tried stops nothing.
    """
    other = flow.shadows.get(row.source)
    if other is None or (isinstance(found, Verdict) and found.state is states.Message.FETCHING):
        return None
    try:
        before = found if isinstance(found, Reading) else mapdiff.made(flow, row, flow.maps[row.source])
        differ = mapdiff.between(flow, row.source, before, mapdiff.made(flow, row, other))
    except Exception as error:
        log.error("shadow.failed", exc_info=error, message_id=row.id, map=other.name)
        told = {"target": "message", "before": "", "after": f"an unexpected {type(error).__name__}"}
        return {"map": other.label, "differences": [told]}
    return {"map": other.label, "differences": [asdict(one) for one in differ]}


# -------------------------------------------------------------------------------------------- a source is only tried


def books(flow: Flow, tx: Tx, rows: Iterable[Any], shelf: Mapping[str, Book]) -> dict[str, Book]:
    """Return the accounts as they would stand, by key, for those of these messages whose source is only tried.

    Those that do stand in the ledger are on the `shelf`: what would be lies on top of them, in memory.
    """
    lanes: dict[str, set[str]] = {}
    for row in rows:
        if is_dry(flow, row.source):
            lanes.setdefault(row.source, set()).add(row.lane)
    found: dict[str, Book] = {}
    for source, wanted in lanes.items():
        since = tx.scalar(select(cursor.c.at).where(cursor.c.name == f"shadow/source/{source}"))
        earlier = (message.c.source == source, message.c.lane.in_(wanted), message.c.shadow.is_not(None))
        statement = select(message.c.id, message.c.shadow).where(*earlier).order_by(message.c.id)
        if since is not None:  # an earlier trial is over
            statement = statement.where(message.c.received_at >= since)
        for row in tx.all(statement):
            if (kept := row.shadow.get("account")) is not None:
                _take_up(found, shelf, row.id, kept)
    for book in found.values():
        pair(book.lines)
    return found


def _take_up(found: dict[str, Book], shelf: Mapping[str, Book], number: int, kept: dict[str, Any]) -> None:
    """Go on from what one message left behind."""
    people = {name: kept[name] for name in _KEPT if name in kept}  # an older version kept less
    book = found.get(kept["key"]) or shelf.get(kept["key"]) or Book(**people)
    for name, value in people.items():
        setattr(book, name, value)
    for line in kept["lines"]:
        book.lines.append(Line(**{name: line[name] for name in _LINE}, message_id=number))
        book.balance += line["amount"]
    book.was = book.balance
    book.ask = Ask("", kept["asked"], 0) if kept["asked"] is not None else None
    window = [dt.datetime.fromisoformat(moment) for moment in kept["window"]]
    book.window = Window(*window) if window else None
    found[kept["key"]] = book


def told(flow: Flow, verdict: Verdict, book: Book | None, lines: Sequence[dict[str, Any]]) -> Verdict:
    """Return what becomes of a message of a source that is only tried: it is ignored, and says what would have been.

    `book` is its account as it would stand now, None where it has none; `lines` the entries that it would have made.
    """
    if verdict.state is states.Message.FETCHING:
        return verdict
    kept: dict[str, Any] = {"would": str(verdict.state), "cause": verdict.cause}
    reason = verdict.reason
    if book is not None and verdict.state is states.Message.TRANSLATED:
        kept["account"] = _account(book, lines)
        kept["request"] = "opened" if reason.endswith("request opened") else ""
        if kept["request"]:
            way = notify.find_way(flow, book)
            kept |= {"told": "" if way.why_not else f"{way.channel} {way.to}", "not_told": (way.why_not or ("",))[0]}
            reason += f", told by {way.channel}" if way.why_not is None else f", told to nobody ({way.why_not[0]})"
    said = {states.Message.TRANSLATED: "count", states.Message.HELD: f"be held ({verdict.cause})"}
    text = f"shadow: would {said.get(verdict.state, 'be ignored')}: {reason}"
    return Verdict(states.Message.IGNORED, text, verdict.trace, shadow=kept)


def _account(book: Book, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    window = [book.window.first, book.window.due] if book.window is not None else []
    return {name: getattr(book, name) for name in _KEPT} | {
        "lines": [{name: line[name] for name in _LINE} for line in lines],
        "balance": book.balance,
        "asked": book.ask.asked if book.ask is not None else None,
        "window": [moment.isoformat() for moment in window],
    }
