"""A FHIR server that keeps Invoices and is searched for them; a test says how well it does."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scripted import Asked, Scripted, says

from chartpost.adapter.settings import FhirPoll, Plugin, Settings
from chartpost.mappings.fhir.state import written

SYSTEM = "urn:example:invoices"
PATIENT = {
    "resourceType": "Patient", "id": "p", "name": [{"family": "Sample", "given": ["Silvia"]}],
    "telecom": [{"system": "phone", "use": "mobile", "value": "608-555-0101"}],
}  # fmt: skip


def polling(settings: Settings, server: str, source: str = "fhir_all", **poll: Any) -> Settings:
    """Return the settings with a source that polls (or, with `poll=None`, only reads) the server at this address."""
    place = {"type": "fhir", "base_url": server, "map": "fhir-payment-reconciliation", "timeout_seconds": 2}
    asked = FhirPoll.model_validate({"server": "ehr"} | poll) if poll.get("poll", True) else None
    changed = settings.sources[source].model_copy(update={"poll": asked, "fetch": "ehr"})
    places = settings.destinations | {"ehr": Plugin.model_validate(place)}
    return settings.model_copy(update={"sources": settings.sources | {source: changed}, "destinations": places})


class Ehr:
    """Answers "GET Invoice?…" and "GET Invoice/17" as a server does; its clock is the test's."""

    def __init__(self, server: Scripted, clock: Callable[[], dt.datetime]) -> None:
        self.server, self.clock = server, clock
        self.kept: dict[str, dict[str, Any]] = {}
        self.size = 50  #: of a page
        self.before: Callable[[Asked], None] = lambda asked: None  #: what happens while a request is on its way
        self.filters = True  #: whether it looks at _lastUpdated
        self.links = True  #: whether it names next pages
        self.headers = True  #: whether it tells the time
        self.next: str | None = None  #: the next page that it names, whatever is asked
        server.on("GET Invoice", self._search)

    def put(self, number: str, amount: str = "45.00", status: str = "issued", **more: Any) -> dict[str, Any]:
        """Keep the next state of an Invoice."""
        version = int(self.kept.get(number, {}).get("meta", {}).get("versionId", 0)) + 1
        self.kept.pop(number, None)
        self.kept[number] = {
            "resourceType": "Invoice", "id": number, "status": status,
            "meta": {"versionId": str(version), "lastUpdated": written(self.clock())},
            "identifier": [{"system": SYSTEM, "value": f"N-{number}"}],
            "totalGross": {"value": float(amount), "currency": "USD"}, "subject": {"reference": "#p"},
            "contained": [PATIENT], **more,
        }  # fmt: skip
        self.server.on(f"GET Invoice/{number}", self._read)
        return self.kept[number]

    def asked(self) -> list[str]:
        """Return the searches so far."""
        return [one.path for one in self.server.asked if one.path.startswith("Invoice?")]

    def _read(self, line: socket.socket) -> None:
        asked = self.server.asked[-1]
        self.before(asked)
        found = self.kept.get(asked.path.partition("/")[2])
        says(200 if found else 410, found or {"resourceType": "OperationOutcome"})(line)

    def _search(self, line: socket.socket) -> None:
        asked = self.server.asked[-1]
        self.before(asked)
        query = parse_qs(urlsplit(asked.path).query)
        since = query.get("_lastUpdated", ["ge"])[0].removeprefix("ge")
        found = [one for one in self.kept.values() if not self.filters or one["meta"]["lastUpdated"] >= since]
        start, size = int(query.get("_page", ["0"])[0]), min(self.size, int(query.get("_count", ["50"])[0]))
        page = {
            "resourceType": "Bundle", "type": "searchset", "total": len(found),
            "link": [{"relation": "self", "url": f"{self.server.url}/{asked.path}"}],
            "entry": [{"resource": one, "search": {"mode": "match"}} for one in found[start : start + size]],
        }  # fmt: skip
        next = f"{asked.path.partition('&_page')[0]}&_page={start + size}" if start + size < len(found) else ""
        if self.next or (next and self.links):
            page["link"].append({"relation": "next", "url": self.next or next})
        time = {"Date": format_datetime(self.clock(), usegmt=True)} if self.headers else {}
        says(200, page, **time)(line)
