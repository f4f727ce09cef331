"""Which messages two maps understand differently: files, or what a source has sent in the last days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.charges import reading, share
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.tables import message
from chartpost.mappings import er7
from chartpost.mappings.compare import Difference, Made, differences
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Money, Problem
from chartpost.mappings.read import Unreadable

#: Messages of which a map could make something at all.
_READ = (states.Message.TRANSLATED, states.Message.HELD, states.Message.IGNORED, states.Message.RECEIVED)


@dataclass(frozen=True, slots=True)
class Compared:
    """One message by two maps; no differences: they mean the same."""

    message: str  #: a file's name, or "M12"
    differences: tuple[Difference, ...]


def of_files(flow: Flow, source: str, old: Map, new: Map, files: Sequence[Path]) -> Iterator[Compared]:
    """Compare what two maps make of files, on the terms of a source."""
    for file in files:
        body = file.read_bytes()
        parts = [body] if old.dialect == "fhir" else er7.split_batch(body)
        for number, part in enumerate(parts, 1):
            row = SimpleNamespace(source=source, control_id="", raw=part, edited=None)
            name = f"{file}" if len(parts) == 1 else f"{file} message {number}"
            yield _compared(flow, name, row, old, new)


def of_store(flow: Flow, source: str, old: Map, new: Map, since: dt.datetime) -> Iterator[Compared]:
    """Compare what two maps make of what a source has sent since then; by id, so that a ledger of any size will do."""
    last = 0
    where = (message.c.source == source, message.c.received_at >= since, message.c.state.in_(_READ))
    while True:
        with flow.store.read() as connection:
            rows = connection.execute(
                select(message).where(*where, message.c.id > last).order_by(message.c.id).limit(200)
            ).all()
        if not rows:
            return
        for row in rows:
            last = row.id
            yield _compared(flow, f"M{row.id}", row, old, new)


def _compared(flow: Flow, name: str, row: Any, old: Map, new: Map) -> Compared:
    return Compared(name, tuple(between(flow, row.source, made(flow, row, old), made(flow, row, new))))


def between(flow: Flow, source: str, before: Made, after: Made) -> list[Difference]:
    """Return how two readings differ on the terms of a source."""
    found = differences(before, after)
    shares = [patients_part(flow, source, one) for one in (before, after)]
    if shares[0] != shares[1]:
        found.append(Difference("the patient's share", *shares))
    return found


def made(flow: Flow, row: Any, map: Map) -> Made:
    """Return what a map makes of a stored message, or why it makes nothing of it."""
    try:
        fetched = reading.fetched(getattr(row, "fetched", None))
        return reading.read(flow, row, flow.source(row.source), fetched, map)
    except Unreadable as error:
        return error
    except (er7.Er7Error, FhirError) as error:
        return Unreadable([Problem(path="message", cause=str(error))])


def patients_part(flow: Flow, source: str, found: Made) -> str:
    """Return what of the lines is the patient's by the source's rule alone, whatever the account holds already."""
    if isinstance(found, Unreadable) or found.skipped:
        return ""
    if found.stops:
        return f"nobody is asked: {', '.join(stop.cause for stop in found.stops)}"
    rule = flow.source(source)
    sums: dict[str, int] = {}
    for charge in found.charges:
        own = share.share(rule.share, charge, found, rule.self_pay_classes).amount
        if own:
            sums[charge.amount.currency] = sums.get(charge.amount.currency, 0) + own
    return ", ".join(str(Money(minor=minor, currency=currency)) for currency, minor in sums.items())


def count(compared: Iterable[Compared]) -> tuple[int, list[Compared]]:
    """Return how many were compared, and those that differ."""
    total, changed = 0, []
    for one in compared:
        total += 1
        if one.differences:
            changed.append(one)
    return total, changed
