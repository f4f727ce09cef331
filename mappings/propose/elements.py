"""What stands where in FHIR resources: every value with the FHIRPath that finds it, extensions by their address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

__all__ = ["Element", "leaves", "table"]

#: Keys of a Money (FHIR R4 §2.24.0.10); one that has only these, and a value, is one.
_MONEY = frozenset(["value", "currency", "extension", "id"])
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9/.:_#?=&%-]{1,300}|[A-Za-z][A-Za-z0-9_.-]{0,60}")
#: Which part of a list's items tells them apart.
_BY = {"extension": "url", "modifierExtension": "url", "totalPriceComponent": "type"}
_DEEPEST = 12


@dataclass
class Element:
    """One place, in all resources."""

    path: str
    values: dict[int, Any] = field(default_factory=dict)  #: by number of the resource: the first one there

    @property
    def money(self) -> dict[int, Decimal]:
        """Return the amounts that stand there."""
        found = {}
        for number, value in self.values.items():
            amount = value.get("value") if isinstance(value, dict) else value
            if isinstance(amount, (int, Decimal)) and not isinstance(amount, bool):
                found[number] = Decimal(amount)
        return found

    @property
    def texts(self) -> dict[int, str]:
        return {number: value for number, value in self.values.items() if isinstance(value, str)}


def table(resources: Sequence[Any], root: str) -> dict[str, Element]:
    """Return the places of these resources by their paths."""
    found: dict[str, Element] = {}
    for number, resource in enumerate(resources):
        for path, value in leaves(resource, root):
            found.setdefault(path, Element(path)).values.setdefault(number, value)
    return found


def leaves(data: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield every value below, amounts of money as they stand, each with its path. Lines and notes are left out."""
    if depth > _DEEPEST or not isinstance(data, dict):
        return
    for name, value in data.items():
        if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9]{0,63}", name) or name in ("resourceType", "text", "lineItem", "note"):
            continue
        for item in value if isinstance(value, list) else [value]:
            inside = f"{path}.{name}"
            if not isinstance(item, dict):
                yield inside, item
                continue
            by = _BY.get(name, "")
            mark = item.get(by) if by else None
            if by:
                if not isinstance(mark, str) or not _URL.fullmatch(mark):
                    continue
                inside = f"{inside}.where({by} = '{mark}')"
            if "value" in item and item.keys() <= _MONEY and isinstance(item["value"], (int, Decimal)):
                yield inside, item
            yield from leaves(item, inside, depth + 1)
