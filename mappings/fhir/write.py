"""Write a posting as a FHIR resource, by a map. Amounts have exactly the currency's decimals: 45.00 stays 45.00.

An object of which every value is empty is left out with its constants: no type of an identifier that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chartpost.mappings import movement, named
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.postingmap import FhirMap, FhirRow, Step, typed
from chartpost.mappings.model import Posting, Problem
from chartpost.mappings.movement import Unwritable

__all__ = ["write"]

_ADD = "add under `kinds:` of the map, for instance, "
_FIXES = {
    "refund": _ADD + "refund: {type: adjustment, sign: negative}",
    "dispute": _ADD + "dispute: {type: adjustment, sign: negative}",
    "payment": _ADD + "payment: {type: payment, sign: positive}",
}
_NOTICE = "a PaymentNotice has no words for it: tell the chart by a PaymentReconciliation, or by hand"
_BASIC = {
    "refund": _ADD + "refund: {type: adjustment, sign: positive, code: the alias that your site has for it}",
    "dispute": _ADD + "dispute: {type: adjustment, sign: positive, code: the alias that your site has for it}",
    "payment": _ADD + "payment: {type: payment, sign: positive, code: the alias that your site has for it}",
}
#: JSON can write them, but no reader may take them: half of a surrogate pair, NUL.
_UNSAYABLE = re.compile("[\0\ud800-\udfff]")


def write(posting: Posting, map: FhirMap) -> bytes:
    """Return the resource as JSON, UTF-8. Dates are days in the posting's time zone, instants have its offset.

    Raises Unwritable when the map says nothing about this kind or medium, or a required value is missing.
    """
    rows = movement.rows_for(map.rows, posting.kind)
    problems: list[Problem] = []
    values = _values(posting, map, rows, problems)
    filled: list[tuple[FhirRow, str]] = []
    for row in rows:
        text = movement.meant(row, values, map, problems)
        if _UNSAYABLE.search(text):
            problems.append(Problem(path=row.place, cause=f"{row.value} holds a character that JSON cannot carry"))
        elif text and not text.isspace():  # FHIR has no empty strings
            filled.append((row, text))
    if problems:
        raise Unwritable(problems)
    empty = {step for row in rows if row.value for step in _objects(row)}
    empty -= {step for row, _ in filled if row.value for step in _objects(row)}
    kept = [(row.steps, typed(row.element, text)) for row, text in filled if empty.isdisjoint(_objects(row))]
    return jsontext.encode({"resourceType": map.writes, **_grown(kept)})


def _objects(row: FhirRow) -> Iterator[tuple[Step, ...]]:
    """The objects around a row's element, the outermost first."""
    return (row.steps[:length] for length in range(1, len(row.steps)))


def _grown(leaves: Sequence[tuple[tuple[Step, ...], Any]]) -> dict[str, Any]:
    """Return leaves as the object that they make, in their own order; lists close up over what was left out."""
    grown: dict[str, Any] = {}
    for name in dict.fromkeys(steps[0][0] for steps, _ in leaves):
        same = [(steps, value) for steps, value in leaves if steps[0][0] == name]
        places = sorted({-1 if steps[0][1] is None else steps[0][1] for steps, _ in same})
        items = [_item([leaf for leaf in same if leaf[0][0] in ((name, place), (name, None))]) for place in places]
        grown[name] = items[0] if places == [-1] else items
    return grown


def _item(leaves: Sequence[tuple[tuple[Step, ...], Any]]) -> Any:
    steps, value = leaves[0]
    return value if len(steps) == 1 else _grown([(steps[1:], value) for steps, value in leaves])


def _values(posting: Posting, map: FhirMap, rows: Iterable[FhirRow], problems: list[Problem]) -> dict[str, str]:
    """Return every value that a row may name, as text."""
    paid, posted = (movement.local(moment, posting.timezone) for moment in (posting.paid_at, posting.posted_at))
    fixes = {"PaymentNotice": dict.fromkeys(_FIXES, _NOTICE), "Basic": _BASIC}.get(map.writes, _FIXES)
    return {
        **movement.common(posting, map, rows, fixes, problems),
        "paid_at": paid.isoformat(timespec="seconds"),
        "paid_date": paid.date().isoformat(),
        "posted_at": posted.isoformat(timespec="seconds"),
        "posted_date": posted.date().isoformat(),
        **named.owed(posting),
        "account_reference": posting.chart.get("Account.reference", ""),
        **named.patient(posting.chart),
    }
