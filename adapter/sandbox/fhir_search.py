"""Search on the clinic's FHIR server: by identifier, status and time, in pages (FHIR R4, 3.1.1)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from .fhir_json import Issue, Refused, Resource
from .fhir_store import Store, Version

#: search parameter → its type, for every resource type that can be searched
PARAMETERS = {"identifier": "token", "status": "token", "_lastUpdated": "date"}
_COUNT, _MOST = 20, 200
_ORDERS = ("_lastUpdated", "-_lastUpdated")
_PREFIXES: dict[str, Callable[[dt.datetime, dt.datetime], bool]] = {
    "ge": lambda at, asked: at >= asked, "gt": lambda at, asked: at > asked, "le": lambda at, asked: at <= asked,
    "lt": lambda at, asked: at < asked, "eq": lambda at, asked: at == asked,
}  # fmt: skip

Asked = list[tuple[str, str]]


def search(store: Store, type: str, asked: Asked, base: str) -> Resource:
    """Return the page that is asked for; the next one is named as long as there is one. Raises Refused (400)."""
    found = [
        one for one in store.find(type, *_values(asked, "identifier"))
        if all(str(one.resource.get("status")) in value.split(",") for value in _values(asked, "status"))
        and all(_in_time(one, value) for value in _values(asked, "_lastUpdated"))
    ]  # fmt: skip
    for name, value in asked:
        if name not in (*PARAMETERS, "_sort", "_count", "_offset") or (name == "_sort" and value not in _ORDERS):
            raise Refused(400, Issue("not-supported", f"known here are {', '.join(PARAMETERS)}, _sort by _lastUpdated"))
    if orders := _values(asked, "_sort"):
        found.sort(key=lambda one: one.at, reverse=orders[-1].startswith("-"))
    start, count = _number(asked, "_offset", 0), min(_number(asked, "_count", _COUNT), _MOST)
    links = [{"relation": "self", "url": _link(base, type, asked)}]
    if count and start + count < len(found):
        further = [pair for pair in asked if pair[0] != "_offset"] + [("_offset", str(start + count))]
        links.append({"relation": "next", "url": _link(base, type, further)})
    return {
        "resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links,
        "entry": [
            {"fullUrl": f"{base}/{one.reference}", "resource": one.resource, "search": {"mode": "match"}}
            for one in found[start : start + count]
        ],
    }  # fmt: skip


def _values(asked: Asked, name: str) -> list[str]:
    return [value for known, value in asked if known == name]


def _link(base: str, type: str, asked: Asked) -> str:
    return f"{base}/{type}" + (f"?{urlencode(asked)}" if asked else "")


def _number(asked: Asked, name: str, default: int) -> int:
    value: Any = (_values(asked, name) or [str(default)])[-1]
    if not value.isascii() or not value.isdigit() or len(value) > 6:
        raise Refused(400, Issue("value", f"{name} must be a number"))
    return int(value)


def _in_time(version: Version, value: str) -> bool:
    """Compare when it was changed, as the resource itself says: to the millisecond."""
    prefix, text = (value[:2], value[2:]) if value[:2] in _PREFIXES else ("eq", value)
    try:
        asked = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, Issue("value", "_lastUpdated must be a time, as in ge2026-04-19T08:00:00Z")) from None
    asked = asked if asked.tzinfo else asked.replace(tzinfo=dt.UTC)
    return _PREFIXES[prefix](dt.datetime.fromisoformat(version.resource["meta"]["lastUpdated"]), asked)
