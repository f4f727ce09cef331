"""Write a posting as DFT^P03 with one FT1, by a map (HL7 v2.5.1 §6.4.1).

Values are escaped, so none can become another field or segment; chart fields go back as the chart wrote them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from chartpost.mappings import er7
from chartpost.mappings.model import Posting, Problem
from chartpost.mappings.postingmap import OutRow, PostingMap, release

__all__ = ["Unwritable", "write"]

_EXAMPLES = {
    "refund": "refund: {type: PY, sign: negative, code: REFUND}",
    "dispute": "dispute: {type: PY, sign: negative, code: DISPUTE}",
    "payment": "payment: {type: PY, sign: positive}",
}


class Unwritable(ValueError):
    """The destination's map cannot say this posting. `problems` holds every cause and fix."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = list(problems)


def write(posting: Posting, map: PostingMap) -> bytes:
    """Return the message, UTF-8, one segment a CR. Dates are local to the posting's time zone, with their offset.

    Raises Unwritable when the map says nothing about this kind or medium, or a required value is missing or too long.
    A segment of which every value is empty is left out: no PV1 without a visit number.
    """
    problems: list[Problem] = []
    values = _values(posting, map, problems)
    segments: dict[str, _Fields] = {}
    for row in map.rows:
        text = row.constant or values.get(row.value, "")
        place = f"{row.target.name}-{row.target.rest}"
        if row.required and not text:
            problems.append(Problem(path=place, cause=f"{row.value} is empty, and the map requires it"))
        if row.longest and len(text) > row.longest:
            problems.append(Problem(path=place, cause=f"{row.value} is longer than {row.longest} characters"))
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
        self.worth_writing = False

    def put(self, row: OutRow, text: str) -> None:
        self.worth_writing = self.worth_writing or bool(row.value and text)
        if not text:
            return
        target = row.target
        if row.value.startswith("chart."):
            # Already ER7, from a message or a database that may be older than this code: made safe once more.
            self._whole[target.field] = er7.recode(text)
        else:
            self._parts.setdefault(target.field, {})[target.component or 1, target.subcomponent or 1] = text

    def texts(self) -> dict[int, str]:
        # A constant beside an empty value says nothing: the type of an identifier that is not there.
        made = {number: er7.compose(parts) for number, parts in self._parts.items() if (1, 1) in parts}
        return {**made, **self._whole}


def _header(posting: Posting, map: PostingMap, now: str) -> dict[int, str]:
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


def _values(posting: Posting, map: PostingMap, problems: list[Problem]) -> dict[str, str]:
    """Return every value that a row may name, as text."""
    kind = map.kinds.get(posting.kind)
    if kind is None:
        problems.append(
            Problem(
                path="FT1-6",
                cause=f"map {map.name} does not say how a {posting.kind} is written: type, code and sign",
                fix=f"ask the site, then add under `kinds:` of the map, for instance, {_EXAMPLES[posting.kind]}",
            )
        )
    if posting.amount.minor < 0:
        problems.append(Problem(path="FT1-11", cause="the posting's amount must be what moved, without a sign"))
    negative = kind is not None and kind.sign == "negative"
    amount = -posting.amount.amount if negative else posting.amount.amount
    zone = ZoneInfo(posting.timezone)
    return {
        **{f"chart.{field}": text for field, text in posting.chart.items()},
        "posting_id": posting.posting_id,
        "paid_at": _timestamp(posting.paid_at, zone),
        "paid_date": _timestamp(posting.paid_at, zone)[:8],
        "posted_at": _timestamp(posting.posted_at, zone),
        "posted_date": _timestamp(posting.posted_at, zone)[:8],
        "type": kind.type if kind else "",
        "code": (kind.code if kind and kind.code else _medium(posting.medium, map, problems)),
        "amount": f"{amount:f}",
        "currency": posting.amount.currency,
        "provider_reference": posting.provider_reference,
        "account": posting.account,
    }


def _medium(medium: str, map: PostingMap, problems: list[Problem]) -> str:
    """Return the site's code for a way to pay: its own line, else the line of its family ("card" for card/visa)."""
    code = map.media.get(medium) or map.media.get(medium.partition("/")[0])
    if code is None:
        problems.append(
            Problem(
                path="FT1-7",
                cause=f'medium "{medium[:40]}" is not in the table media of map {map.name}',
                fix="add it with the site's code, or add its family as a whole, such as card",
            )
        )
    return code or ""


def _timestamp(moment: dt.datetime, zone: ZoneInfo) -> str:
    """Return a TS with offset. Raises ValueError for a naive datetime: nobody knows which instant that is."""
    if moment.tzinfo is None:
        raise ValueError("a posting's times must be aware")
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")
