"""Consents in a table: one line a number or address. Pure: read whole, or every problem at once with its line.

phone,state,date,evidence
(608) 555-0142,granted,2026-03-02,form 4711
(608) 555-0143,revoked,2026-04-30,call
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chartpost.adapter import mail_address
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.flow.telling.reach import EMAIL, SMS
from chartpost.adapter.ledger.consents import GRANTED, REVOKED
from chartpost.mappings.contacts import e164

COLUMNS = frozenset(["phone", "email", "channel", "state", "date", "evidence"])
STATES = {"granted": GRANTED, "yes": GRANTED, "revoked": REVOKED, "no": REVOKED}
_CHANNELS = {"phone": SMS, "email": EMAIL}
#: Numbers and addresses have their own columns; evidence is shown in lists.
_PERSONAL = re.compile(r"@|\d[\d ().-]{6,}\d")


class Line(NamedTuple):
    """One line of the table."""

    channel: str
    to: str  #: E.164 or an address
    state: str
    evidence: str  #: "consents.csv:4, 2026-03-02, form 4711"


def read(text: str, name: str, region: str, today: dt.date) -> list[Line]:
    """Return the lines of a table called `name`; numbers without a country are read in `region`.

    Raises ConfigurationError with every problem, each "name:line: what is wrong", none with a number or an address.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), restkey="more")
    head = [column.strip().lower() for column in rows.fieldnames or ()]
    if problems := list(_of_head(head, name)):
        raise ConfigurationError(problems)
    rows.fieldnames = head
    found: list[Line] = []
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        at = f"{name}:{rows.line_num}"
        values = {key: (value or "").strip() for key, value in row.items() if key in COLUMNS}
        if not any(values.values()):
            continue
        wrong = list(_of_row(row, values, region, today))
        line = _line(values, at, region) if not wrong else None
        if line is not None:
            before = seen.setdefault((line.channel, line.to.casefold()), rows.line_num)
            if before != rows.line_num:
                wrong.append(f"the same number or address as in line {before}; keep one of the two")
            found.append(line)
        problems += [f"{at}: {one}" for one in wrong]
    if not found and not problems:
        problems.append(f"{name}:1: holds no line below its head")
    if problems:
        raise ConfigurationError(problems)
    return found


def _of_head(head: list[str], name: str) -> Iterator[str]:
    if unknown := [str(number) for number, column in enumerate(head, 1) if column not in COLUMNS]:
        be = "is" if len(unknown) == 1 else "are"
        yield f"{name}:1: of its columns {', '.join(unknown)} {be} none of ours: {', '.join(sorted(COLUMNS))}"
    for needed in ("state", "date", "evidence"):
        if needed not in head:
            yield f"{name}:1: there is no column {needed}"
    if not {"phone", "email"} & set(head):
        yield f"{name}:1: there is no column phone, and none email"
    if len(set(head)) < len(head):
        yield f"{name}:1: a column is there twice"


def _of_row(row: Mapping[str, object], values: Mapping[str, str], region: str, today: dt.date) -> Iterator[str]:
    if row.get("more"):
        yield "has more values than the head has columns"
    given = [column for column in ("phone", "email") if values.get(column)]
    if len(given) != 1:
        yield "must have a phone or an email, and not both"
    elif values.get("channel", "") not in ("", _CHANNELS[given[0]]):
        yield f"channel: a line with {given[0]} is of the channel {_CHANNELS[given[0]]}"
    if values.get("phone") and not e164(values["phone"], region):
        yield f"phone: is no number that can be called from {region}"
    if values.get("email"):
        try:
            mail_address.wire(values["email"])
        except ValueError as error:
            yield f"email: {error}"
    if values["state"].lower() not in STATES:
        yield f"state: must be one of {', '.join(STATES)}"
    try:
        if dt.date.fromisoformat(values["date"]) > today:
            yield "date: is in the future"
    except ValueError:
        yield "date: is no date; write it as in 2026-03-02"
    if not values["evidence"]:
        yield "evidence: is empty; say where the consent can be looked up"
    elif _PERSONAL.search(values["evidence"]) or len(values["evidence"]) > 200:
        yield "evidence: holds a number or an address, or is long; name a document, no person"


def _line(values: Mapping[str, str], at: str, region: str) -> Line:
    evidence = f"{at}, {values['date']}, {values['evidence']}"
    to = e164(values["phone"], region) if values.get("phone") else values["email"]
    return Line(SMS if values.get("phone") else EMAIL, to, STATES[values["state"].lower()], evidence)
