"""Write a posting by its destination's map, and check what was written before it leaves.

Here is DFT^P03 with one FT1 (HL7 v2.5.1 §6.4.1); `fhir/write.py` and `flat/write.py` have the others. Values are
escaped, so none can become another field or segment; chart fields go back as the chart wrote them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from chartpost.mappings import er7, movement
from chartpost.mappings.fhir import versions
from chartpost.mappings.fhir.write import write as write_fhir
from chartpost.mappings.flat import write as flat
from chartpost.mappings.hl7 import conformance
from chartpost.mappings.model import Posting, Problem
from chartpost.mappings.movement import Unwritable
from chartpost.mappings.postingmap import FhirMap, FlatMap, Hl7Map, OutRow, PostingMap, release

__all__ = ["Unwritable", "check", "write"]

_ADD = "ask the site, then add under `kinds:` of the map, for instance, "
_FIXES = {
    "refund": _ADD + "refund: {type: PY, sign: negative, code: REFUND}",
    "dispute": _ADD + "dispute: {type: PY, sign: negative, code: DISPUTE}",
    "payment": _ADD + "payment: {type: PY, sign: positive}",
}


def write(posting: Posting, map: PostingMap) -> bytes:
    """Return what goes on the wire: a DFT^P03, a FHIR resource as JSON, or a file of lines.

    Dates are local to the posting's time zone. Raises Unwritable when the map says nothing about this kind or medium,
    or a required value is missing or too long.
    """
    if isinstance(map, FhirMap):
        return write_fhir(posting, map)
    return flat.write(posting, map) if isinstance(map, FlatMap) else _write_dft(posting, map)


def check(body: bytes, map: PostingMap) -> list[str]:
    """Return what is wrong with a body for the version of its map, as places and rules, never values; [] if nothing.

    By the code of others: hl7apy for HL7 v2, fhir.resources for FHIR. A flat file is read again as its map says.
    """
    if isinstance(map, FhirMap):
        return versions.check(body, map.writes, map.version)
    if isinstance(map, FlatMap):
        return flat.check(body, map)
    return conformance.validate(body)


def _write_dft(posting: Posting, map: Hl7Map) -> bytes:
    """Return the message, UTF-8, one segment a CR.

    A segment of which every value is empty is left out: no PV1 without a visit number.
    """
    problems: list[Problem] = []
    rows = movement.rows_for(map.rows, posting.kind)
    values = _values(posting, map, rows, problems)
    segments: dict[str, _Fields] = {}
    for row in rows:
        text = movement.meant(row, values, map, problems)
        if row.longest and len(text) > row.longest:
            problems.append(Problem(path=row.place, cause=f"{row.value} is longer than {row.longest} characters"))
        segments.setdefault(row.target.name, _Fields()).put(row, text)
    if not 0 < len(posting.control_id) <= 20:
        problems.append(Problem(path="MSH-10", cause="control_id must have 1 to 20 characters"))
    if problems:
        raise Unwritable(problems)
    body = [(name, fields.texts()) for name, fields in segments.items() if fields.worth_writing]
    return er7.build([("MSH", _header(posting, map, values["posted_at"])), *body]).encode("utf-8")


class _Fields:
    """The fields of one segment while rows fill it."""

    def __init__(self) -> None:
        self._whole: dict[int, str] = {}
        self._parts: dict[int, dict[tuple[int, int], str]] = {}
        self._said: dict[int, bool] = {}  #: field → whether one of the values that it has rows for is there
        self.worth_writing = False

    def put(self, row: OutRow, text: str) -> None:
        target = row.target
        if row.value:
            self._said[target.field] = self._said.get(target.field, False) or bool(text)
            self.worth_writing = self.worth_writing or bool(text)
        if not text:
            return
        if row.value.startswith("chart."):
            # Already ER7, from a message or a database that may be older than this code: made safe once more.
            self._whole[target.field] = er7.recode(text)
        else:
            self._parts.setdefault(target.field, {})[target.component or 1, target.subcomponent or 1] = text

    def texts(self) -> dict[int, str]:
        # A constant beside an empty value says nothing: the type of an identifier that is not there.
        made = {number: er7.compose(parts) for number, parts in self._parts.items() if self._said.get(number, True)}
        return {**made, **self._whole}


def _header(posting: Posting, map: Hl7Map, now: str) -> dict[int, str]:
    """Return MSH. MSH-15 and 16 stay empty: original mode, one answer, and that from the chart."""
    structure = "^DFT_P03" if release(map.version) >= (2, 3, 1) else ""
    application, facility = posting.sending
    their_application, their_facility = posting.receiving
    return {
        3: er7.recode(application),
        4: er7.recode(facility),
        5: er7.recode(their_application),
        6: er7.recode(their_facility),
        7: now,
        9: f"DFT^P03{structure}",
        10: er7.escape(posting.control_id),
        11: er7.escape(posting.processing_id),
        12: map.version,
        18: "UNICODE UTF-8",
    }


def _values(posting: Posting, map: Hl7Map, rows: Iterable[OutRow], problems: list[Problem]) -> dict[str, str]:
    """Return every value that a row may name, as text."""
    paid, posted = (_timestamp(moment, posting.timezone) for moment in (posting.paid_at, posting.posted_at))
    return {
        **{f"chart.{field}": text for field, text in posting.chart.items()},
        **movement.common(posting, map, rows, _FIXES, problems),
        "paid_at": paid,
        "paid_date": paid[:8],
        "posted_at": posted,
        "posted_date": posted[:8],
    }


def _timestamp(moment: dt.datetime, timezone: str) -> str:
    """Return a TS with offset."""
    return movement.local(moment, timezone).strftime("%Y%m%d%H%M%S%z")
