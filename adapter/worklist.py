"""The work list: open holds in groups that one change mends, and all that is known about one of them. Reads only.

Without `reveal` it tells paths, codes and ids; what stands in the fields only with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, create_engine, func, select

from chartpost.adapter import proposals
from chartpost.adapter.flow.charges import reading
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.release import WAIVABLE
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import hold, message
from chartpost.adapter.ports import World
from chartpost.adapter.settings import Hl7Rules, Settings
from chartpost.adapter.story import Moment, story
from chartpost.adapter.views import View, hold_view, iso
from chartpost.mappings import er7, mapfile
from chartpost.mappings.model import Problem
from chartpost.mappings.paths import compile_path
from chartpost.mappings.read import Unreadable

#: How a text of a hold names a place in a message: FT1[2]-11.1, PID-18, FT1[3].
_PLACE = re.compile(r"\b[A-Z][A-Z0-9]{2}(?:\[\d+\])?-\d+(?:\[\d+\])?(?:\.\d+)*|\b[A-Z][A-Z0-9]{2}\[\d+\]")
#: Columns of the list of groups.
COLUMNS = ("example", "cause", "place", "holds", "oldest", "what", "fix")


def groups(connection: Connection) -> Iterator[View]:
    """Yield one row for all open holds of one likeness, the largest group first."""
    columns = (func.min(hold.c.id).label("first"), func.count().label("holds"), func.min(hold.c.at).label("oldest"))
    grouped = select(*columns).where(hold.c.state == states.Hold.OPEN).group_by(hold.c.cause, hold.c.likeness)
    counted = {row.first: row for row in connection.execute(grouped)}
    rows = connection.execute(select(hold).where(hold.c.id.in_(counted))).all()
    for row in sorted(rows, key=lambda row: (-counted[row.id].holds, row.id)):
        _, place, what = (*row.likeness.split(" ", 2), "", "", "")[:3]
        yield {
            "example": f"H{row.id}",
            "cause": row.cause,
            "place": place,
            "likeness": what,
            "holds": counted[row.id].holds,
            "oldest": iso(counted[row.id].oldest),
            "what": row.text,
            "fix": row.fix,
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """All about one hold."""

    row: View  #: as in the list
    alike: int  #: open holds that the same change mends, this one among them
    now: str  #: what reading the message would come to today; "" where there is no message to read
    fields: list[tuple[str, str]]  #: what it is about: place and, where revealed, what stands there
    proposals: list[proposals.Proposal]
    story: list[Moment]

    def view(self) -> View:
        """Return it as one object of JSON."""
        return {
            **self.row,
            "alike": self.alike,
            "now": self.now,
            "fields": [{"path": path, "text": text} for path, text in self.fields],
            "proposals": [one._asdict() for one in self.proposals],
            "story": [moment.view() for moment in self.story],
        }


def show(connection: Connection, settings: Settings, number: int, *, reveal: bool = False) -> Shown | None:
    """Return all about hold `number`; None when there is no such hold."""
    row = connection.execute(select(hold).where(hold.c.id == number)).first()
    if row is None:
        return None
    noun, _, key = row.object.partition(":")
    alike = select(func.count()).where(
        hold.c.state == states.Hold.OPEN, hold.c.cause == row.cause, hold.c.likeness == row.likeness
    )
    held = _message(connection, int(key)) if noun == "message" else None
    is_open = row.state == states.Hold.OPEN
    waits = is_open and held is not None and held.state == states.Message.HELD
    problems, now, stops = _now(settings, held) if waits else ([], "", frozenset[str]())
    places = [problem.path for problem in problems] or _PLACE.findall(f"{row.text} {row.fix}")
    fields = [(place, _stands(settings, held, place) if reveal else "") for place in dict.fromkeys(places)]
    count = connection.scalar(alike) or 0
    source = settings.sources.get(held.source) if held is not None else None
    proposed = proposals.propose(
        number, noun, row.cause, problems, source.map if source is not None else "",
        alike=count, reads=now == READS, held=waits, waivable=row.cause in WAIVABLE | stops,
    ) if is_open else []  # fmt: skip
    return Shown(hold_view(row), count, now, fields, proposed, story(connection, f"H{number}", reveal=reveal))


#: Said of a message that the map of today can read.
READS = "the map, as it is now, can read it"


def _message(connection: Connection, number: int) -> Row[Any] | None:
    names = ("id", "source", "control_id", "state", "raw", "edited", "fetched")
    return connection.execute(select(*(message.c[name] for name in names)).where(message.c.id == number)).first()


def _now(settings: Settings, held: Any) -> tuple[list[Problem], str, frozenset[str]]:
    """Read a held message with the configuration of today: its problems, the same in a sentence, and its stops."""
    source = settings.sources.get(held.source)
    if source is None:
        return [], "its source is not in the configuration", frozenset()
    flow = Flow(
        settings, Store(create_engine("sqlite://")), World(), link_key=b"", public_url="",
        maps={held.source: mapfile.load(source.map)}, outbound={},
    )  # fmt: skip
    try:
        found = reading.read(flow, held, source, reading.fetched(held.fetched))
    except Unreadable as error:
        said = "; ".join(f"{problem.path}: {problem.cause}" for problem in error.problems)
        return error.problems, said, frozenset()
    except ValueError as error:
        return [], str(error), frozenset()
    return [], READS, frozenset(stop.cause for stop in found.stops)


def _stands(settings: Settings, held: Any, place: str) -> str:
    """Return the text at a place of an HL7 message, "" where there is none to be had."""
    source = settings.sources.get(held.source) if held is not None else None
    charset = source.encoding if isinstance(source, Hl7Rules) else "utf-8"
    try:
        found = er7.parse(held.raw if held.edited is None else held.edited, charset)
        if "-" not in place:
            name, _, ordinal = place.partition("[")
            segment = found.segment(name, int(ordinal.rstrip("]") or 1))
            return segment.text if segment is not None else ""
        scope: Any = SimpleNamespace(delimiters=found.delimiters, codec=found.codec, segment=found.segment)
        return compile_path(place).raw(scope)
    except (ValueError, AttributeError):  # FHIR, a posting, or bytes that are no message
        return ""
