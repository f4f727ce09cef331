"""Write a posting as a FHIR resource, by a map. Amounts have exactly the currency's decimals: 45.00 stays 45.00.

An object of which every value is empty is left out with its constants: no type of an identifier that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chartpost.mappings import er7, movement
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
#: Where a charge that came by HL7 has its number: what that number names in FHIR, and its type in HL7 table 0203.
_NUMBERS = (("PID-18", "Account", "AN"), ("PV1-19", "Encounter", "VN"))
#: JSON can write them, but no reader may take them: half of a surrogate pair, NUL.
_UNSAYABLE = re.compile("[\0\ud800-\udfff]")


def write(posting: Posting, map: FhirMap) -> bytes:
    """Return the resource as JSON, UTF-8. Dates are days in the posting's time zone, instants have its offset.

    Raises Unwritable when the map says nothing about this kind or medium, or a required value is missing.
    """
    rows = map.rows_for(posting.kind)
    problems: list[Problem] = []
    values = _values(posting, map, rows, problems)
    filled: list[tuple[FhirRow, str]] = []
    for row in rows:
        text = row.constant or values.get(row.value, "")
        if _UNSAYABLE.search(text):
            problems.append(Problem(path=row.place, cause=f"{row.value} holds a character that JSON cannot carry"))
        elif text and not text.isspace():  # FHIR has no empty strings
            filled.append((row, text))
        elif row.required:
            problems.append(Problem(path=row.place, cause=f"{row.value} is empty, and the map requires it"))
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
    fixes = _FIXES if map.writes == "PaymentReconciliation" else dict.fromkeys(_FIXES, _NOTICE)
    return {
        **movement.common(posting, map, rows, fixes, problems),
        "paid_at": paid.isoformat(timespec="seconds"),
        "paid_date": paid.date().isoformat(),
        "posted_at": posted.isoformat(timespec="seconds"),
        "posted_date": posted.date().isoformat(),
        **_owed(posting),
        "account_reference": posting.chart.get("Account.reference", ""),
        **_patient(posting.chart),
    }


def _owed(posting: Posting) -> dict[str, str]:
    """Return what the payment is for: the Invoice, or the account or visit of which HL7 told us.

    What came by HL7 has no address on a FHIR server: it is named by its number (FHIR R4 §2.3.0.2, logical references).
    """
    chart = posting.chart
    if chart.get("Invoice.id") or chart.get("Invoice.identifier"):
        system, value = _token(chart.get("Invoice.identifier", ""))
        return {
            "owed_type": "Invoice",
            "owed_reference": f"Invoice/{chart['Invoice.id']}" if chart.get("Invoice.id") else "",
            "owed_system": system,
            "owed_identifier": value,
        }
    for field, resource, code in _NUMBERS:
        value, system, assigner = _identifier(chart.get(field, ""))
        if value and value == posting.account:
            return {
                "owed_type": resource,
                "owed_system": system,
                "owed_identifier": value,
                "owed_identifier_type": code,
                "owed_assigner": assigner,
            }
    return {"owed_type": "Account", "owed_identifier": posting.account}


def _patient(chart: dict[str, str]) -> dict[str, str]:
    system, value = _token(chart.get("Patient.identifier", ""))
    if not value:
        value, system, _ = _identifier(chart.get("PID-3", ""))
    return {
        "patient_reference": chart.get("Patient.reference", ""),
        "patient_system": system,
        "patient_identifier": value,
    }


def _token(text: str) -> tuple[str, str]:
    """Return system and value of "system|value". A URI cannot hold the bar, a value can."""
    system, bar, value = text.partition("|")
    return (system, value) if bar else ("", text)


def _identifier(field: str) -> tuple[str, str, str]:
    """Return value, system and assigner of a CX field (HL7 v2.5.1 §2.A.14). An OID of the assigner is a system."""
    first = field.split(er7.STANDARD.repetition)[0]

    def part(component: int, subcomponent: int) -> str:
        text = er7.part(first, er7.STANDARD, component, subcomponent)
        return "" if text == er7.NULL_TEXT else er7.unescape(text)

    oid = part(4, 2) if part(4, 3) == "ISO" else ""
    return part(1, 1), f"urn:oid:{oid}" if oid else "", part(4, 1)
