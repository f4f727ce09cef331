"""What the clinic's FHIR server keeps: every version of every resource, found by id or by business identifier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .fhir_json import Resource
from .ids import Ids


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource, counted from 1."""

    resource: Resource
    number: int
    at: dt.datetime

    @property
    def etag(self) -> str:
        return f'W/"{self.number}"'

    @property
    def reference(self) -> str:
        return f"{self.resource['resourceType']}/{self.resource['id']}"


class Store:
    """Resources in memory. No rule about what they say stands here."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.on_put: Callable[[Version], None] = lambda version: None  #: is told of every version
        self._kept: dict[tuple[str, str], list[Version]] = {}

    def put(self, resource: Resource, id: str = "") -> Version:
        """Keep the next version of `id`, or a new resource under an id of ours."""
        id = id or self.ids.hex(16)
        versions = self._kept.setdefault((resource["resourceType"], id), [])
        now, given = dt.datetime.now(dt.UTC), resource.get("meta")
        number = len(versions) + 1
        meta = (given if isinstance(given, dict) else {}) | {
            "versionId": str(number),
            "lastUpdated": now.isoformat(timespec="milliseconds"),
        }
        head = {"resourceType": resource["resourceType"], "id": id, "meta": meta}
        made = Version(head | {name: value for name, value in resource.items() if name not in head}, number, now)
        versions.append(made)
        self.on_put(made)
        return made

    def get(self, type: str, id: str, number: int | None = None) -> Version | None:
        """Return the newest version, or version `number`."""
        versions = self._kept.get((type, id), [])
        if number is None:
            return versions[-1] if versions else None
        return versions[number - 1] if 0 < number <= len(versions) else None

    def find(self, type: str, *tokens: str) -> list[Version]:
        """Return all of a type, oldest first, that carry each of these identifiers (`system|value` or `value`)."""
        newest = [versions[-1] for (kind, _), versions in self._kept.items() if kind == type]
        return [found for found in newest if all(_carries(found.resource, token) for token in tokens)]


def identifiers(resource: Resource, name: str = "identifier") -> Iterator[tuple[str, str]]:
    """Yield (system, value) of each identifier that has a value; system "" where there is none."""
    given: Any = resource.get(name)
    for item in given if isinstance(given, list) else [given]:
        if isinstance(item, dict) and isinstance(item.get("value"), str) and item["value"]:
            system = item.get("system")
            yield (system if isinstance(system, str) else ""), item["value"]


def _carries(resource: Resource, token: str) -> bool:
    system, bar, value = token.rpartition("|")
    return any(value == found and (not bar or system == its) for its, found in identifiers(resource))
