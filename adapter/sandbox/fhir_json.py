"""JSON as FHIR needs it (decimals keep their digits), and OperationOutcome, which says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

Resource = dict[str, Any]
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: a code of FHIR's issue-type, words, and the element."""

    code: str
    text: str
    where: str = ""


class Refused(Exception):
    """The request is answered with an HTTP status and an OperationOutcome."""

    def __init__(self, status: int, *issues: Issue, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, issues)
        self.status, self.issues, self.headers = status, issues, headers or {}

    @property
    def outcome(self) -> Resource:
        return {"resourceType": "OperationOutcome", "issue": [_shown(issue) for issue in self.issues]}


def _shown(issue: Issue) -> Resource:
    shown: Resource = {"severity": "error", "code": issue.code, "diagnostics": issue.text}
    return shown | ({"expression": [issue.where]} if issue.where else {})


def decode(body: bytes) -> Resource:
    """Read one resource. `10.00` becomes Decimal("10.00"), whole numbers int. Raises Refused (400)."""
    try:
        value = json.loads(body.decode(), parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError:
        raise Refused(400, Issue("structure", "the body is nested too deeply")) from None
    except ValueError as error:
        words = str(error) if isinstance(error, _Wrong) else "the body is not JSON in UTF-8"
        raise Refused(400, Issue("structure", words)) from None
    if wrong := _unfit(value):
        raise Refused(400, Issue("structure", wrong))
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Refused(400, Issue("structure", "the body is no resource: resourceType is missing"))
    return value


class _Wrong(ValueError):
    """Something that `json` itself would let pass."""


def _no_number(name: str) -> NoReturn:
    raise _Wrong("NaN and Infinity are no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Wrong("an object names the same element twice")
    return found


def _unfit(value: Any) -> str:
    """Say why a value cannot be kept or shown; "" when it can."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _DEEPEST:
            return "the body is nested too deeply"
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str) and any("\ud800" <= letter <= "\udfff" for letter in item):
            return "a text holds half a character"
    return ""


def encode(value: Any) -> bytes:
    """Write JSON; every Decimal with its own digits."""
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(name)}:{_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
