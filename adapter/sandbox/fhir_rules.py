"""What a strict R4 chart takes: element by element, with cardinality, data type and binding (FHIR R4, 4.0.1).

What R5 has put in their place (`date`, `amount`, `allocation`, …) is no element of R4, and is refused.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .fhir_json import Issue, Resource

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ANY = {"id", "extension"}

Check = Callable[[Any, str], Iterator[Issue]]


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its type; whether it must be there; whether it is a list."""

    check: Check
    required: bool = False
    many: bool = False


def _wrong(test: Callable[[Any], bool], text: str) -> Check:
    def check(value: Any, where: str) -> Iterator[Issue]:
        if not test(value):
            yield Issue("value", text, where)

    return check


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and bool(_DATE.fullmatch(value)) and _parses(value + "0000-01-01"[len(value) :])


def _is_time(value: Any) -> bool:
    return _is_date(value) or (isinstance(value, str) and bool(_TIME.fullmatch(value)) and _parses(value))


def _parses(value: str) -> bool:
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_amount(value: Any) -> bool:
    number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    return number and (value == 0 or -6 <= Decimal(value).adjusted() < 15)


def _code(*codes: str) -> Check:
    return _wrong(lambda value: value in codes, f"must be one of {', '.join(codes)}")


def _object(elements: dict[str, Element]) -> Check:
    return lambda value, where: _elements(value, where, elements)


def _elements(value: Any, where: str, elements: dict[str, Element]) -> Iterator[Issue]:
    if not isinstance(value, dict) or not value:
        yield Issue("structure", "must be an object with something in it", where)
        return
    for name in value:
        if name.removeprefix("_") not in elements and name not in _ANY:
            yield Issue(
                "structure", "FHIR R4 has no such element here, or this server does not know it", _at(where, name)
            )
    for name, element in elements.items():
        if name in value:
            yield from _element(value[name], _at(where, name), element)
        elif element.required:
            yield Issue("required", "is required", _at(where, name))


def _element(value: Any, where: str, element: Element) -> Iterator[Issue]:
    if not element.many:
        yield from element.check(value, where)
    elif not isinstance(value, list) or not value:
        yield Issue("structure", "must be a list with something in it", where)
    else:
        for number, item in enumerate(value):
            yield from element.check(item, f"{where}[{number}]")


def _at(where: str, name: str) -> str:
    # A name comes from the sender: only what can be a name of FHIR is repeated.
    return f"{where}.{name if re.fullmatch(r'_?[A-Za-z]{1,40}', name) else '?'}"


def _reference(*types: str) -> Check:
    inside = _object(
        {name: Element(TEXT) for name in ("reference", "type", "display")} | {"identifier": Element(IDENTIFIER)}
    )

    def check(value: Any, where: str) -> Iterator[Issue]:
        yield from inside(value, where)
        to = value.get("reference") if isinstance(value, dict) else None
        if not types or not isinstance(to, str) or to.startswith("#"):
            return
        parts = to.partition("/_history/")[0].split("/")
        kind = parts[-2] if len(parts) > 1 else "?"
        # An address elsewhere may be of any shape: only what names a resource type can be a wrong one.
        if kind not in types and not (len(parts) > 2 and kind.islower()):
            yield Issue("value", f"must refer to {' or '.join(types)}", where)

    return check


ANYTHING: Check = _wrong(lambda value: value not in (None, "", [], {}), "must not be empty")
TEXT: Check = _wrong(lambda value: isinstance(value, str) and bool(value.strip()), "must be a text")
DATE: Check = _wrong(_is_date, "must be a date, as in 2026-04-19, without a time")
TIME: Check = _wrong(_is_time, "must be a date, or a date and time with its zone")
MONEY: Check = _object({
    "value": Element(_wrong(_is_amount, "must be a JSON number"), required=True),
    "currency": Element(
        _wrong(lambda v: isinstance(v, str) and bool(re.fullmatch("[A-Z]{3}", v)), "must be a code of ISO 4217"),
        required=True,
    ),
})  # fmt: skip
CODING: Check = _object({name: Element(TEXT) for name in ("system", "version", "code", "display")} | {
    "userSelected": Element(_wrong(lambda value: isinstance(value, bool), "must be true or false")),
})  # fmt: skip
CONCEPT: Check = _object({"coding": Element(CODING, many=True), "text": Element(TEXT)})
PERIOD: Check = _object({"start": Element(TIME), "end": Element(TIME)})
IDENTIFIER: Check = _object({
    "use": Element(_code("usual", "official", "temp", "secondary", "old")),
    "type": Element(CONCEPT),
    "system": Element(TEXT),
    "value": Element(TEXT),
    "period": Element(PERIOD),
    "assigner": Element(ANYTHING),
})  # fmt: skip

_STATUS = Element(_code("active", "cancelled", "draft", "entered-in-error"), required=True)
_EVERY = {
    name: Element(ANYTHING)
    for name in ("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension")
}
_DETAIL = {
    "identifier": Element(IDENTIFIER),
    "predecessor": Element(IDENTIFIER),
    "type": Element(CONCEPT, required=True),
    "request": Element(_reference()),
    "submitter": Element(_reference("Practitioner", "PractitionerRole", "Organization")),
    "response": Element(_reference()),
    "date": Element(DATE),
    "responsible": Element(_reference("PractitionerRole")),
    "payee": Element(_reference("Practitioner", "PractitionerRole", "Organization")),
    "amount": Element(MONEY),
}
_RULES: dict[str, Check] = {
    "PaymentReconciliation": _object(_EVERY | {
        "identifier": Element(IDENTIFIER, many=True),
        "status": _STATUS,
        "period": Element(PERIOD),
        "created": Element(TIME, required=True),
        "paymentIssuer": Element(_reference("Organization")),
        "request": Element(_reference("Task")),
        "requestor": Element(_reference("Practitioner", "PractitionerRole", "Organization")),
        "outcome": Element(_code("queued", "complete", "error", "partial")),
        "disposition": Element(TEXT),
        "paymentDate": Element(DATE, required=True),
        "paymentAmount": Element(MONEY, required=True),
        "paymentIdentifier": Element(IDENTIFIER),
        "detail": Element(_object(_DETAIL), many=True),
        "formCode": Element(CONCEPT),
        "processNote": Element(ANYTHING, many=True),
    }),
    "PaymentNotice": _object(_EVERY | {
        "identifier": Element(IDENTIFIER, many=True),
        "status": _STATUS,
        "request": Element(_reference()),
        "response": Element(_reference()),
        "created": Element(TIME, required=True),
        "provider": Element(_reference("Practitioner", "PractitionerRole", "Organization")),
        "payment": Element(_reference("PaymentReconciliation"), required=True),
        "paymentDate": Element(DATE),
        "payee": Element(_reference("Practitioner", "PractitionerRole", "Organization")),
        "recipient": Element(_reference("Organization"), required=True),
        "amount": Element(MONEY, required=True),
        "paymentStatus": Element(CONCEPT),
    }),
    "Consent": _object(_EVERY | {
        "identifier": Element(IDENTIFIER, many=True),
        "status": Element(
            _code("draft", "proposed", "active", "rejected", "inactive", "entered-in-error"), required=True
        ),
        "scope": Element(CONCEPT, required=True),
        "category": Element(CONCEPT, required=True, many=True),
        "patient": Element(_reference("Patient"), required=True),
        "dateTime": Element(TIME),
        "performer": Element(ANYTHING, many=True),
        "organization": Element(_reference("Organization"), many=True),
        "sourceReference": Element(ANYTHING),
        "policy": Element(ANYTHING, many=True),
        "policyRule": Element(CONCEPT, required=True),  # by ppc-1 this or policy; this server wants this
        "verification": Element(ANYTHING, many=True),
        "provision": Element(_object({
            "type": Element(_code("deny", "permit"), required=True),
            "period": Element(PERIOD),
            "purpose": Element(CODING, many=True),
            "code": Element(CONCEPT, required=True, many=True),
        }), required=True),
    }),
    "Subscription": _object(_EVERY | {
        "status": Element(_code("requested", "active", "error", "off"), required=True),
        "contact": Element(ANYTHING, many=True),
        "end": Element(TIME),
        "reason": Element(TEXT, required=True),
        "criteria": Element(TEXT, required=True),
        "error": Element(TEXT),
        "channel": Element(_object({
            "type": Element(_code("rest-hook", "websocket", "email", "sms", "message"), required=True),
            "endpoint": Element(TEXT),
            "payload": Element(TEXT),
            "header": Element(TEXT, many=True),
        }), required=True),
    }),
}  # fmt: skip


def problems(resource: Resource) -> list[Issue]:
    """List what is wrong with a resource that can be created; the texts hold no values of it."""
    type = resource["resourceType"]
    return list(_RULES[type](resource, type))
