"""Notifications of subscriptions, as R4 (Backport), R4B and R5 write them."""

from __future__ import annotations

import datetime as dt
from typing import Any

NOON = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)
FORMS = ("R4", "R4B", "R5")
BASE = "https://ehr.example.org/fhir"
SUBSCRIPTION = f"{BASE}/Subscription/3"


def bundle(kind: str, *entries: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}


def notice(
    form: str, kind: str, *events: tuple[int, str], counted: int | None = None, status: str = "active",
    at: dt.datetime = NOON, brings: tuple[dict[str, Any], ...] = (), subscription: str = SUBSCRIPTION,
) -> dict[str, Any]:  # fmt: skip
    """Return a notification of events (number, focus). `brings` are resources; without them it only names."""
    when = at.isoformat().replace("+00:00", "Z")
    status_of = {"R4": _parameters, "R4B": _status, "R5": _status}[form]
    first = {"fullUrl": "urn:uuid:5d4a6a26-0f1e-4c43-9a1f-3d0f4f4f0001"}
    first |= {"resource": status_of(kind, events, counted, status, when, subscription)}
    if form != "R5":
        asked = {"method": "GET", "url": "Subscription/3/$status"}
        first |= {"request": asked, "response": {"status": "200"}}
    entries = [first]
    for resource in brings:
        entry = {"fullUrl": f"{BASE}/Invoice/{resource['id']}", "resource": resource}
        if form != "R5":
            asked = {"method": "PUT", "url": f"Invoice/{resource['id']}"}
            entry |= {"request": asked, "response": {"status": "200"}}
        entries.append(entry)
    return bundle("subscription-notification" if form == "R5" else "history", *entries, timestamp=when)


def _status(kind: str, events: Any, counted: int | None, status: str, when: str, subscription: str) -> dict[str, Any]:
    said: dict[str, Any] = {"resourceType": "SubscriptionStatus", "status": status, "type": kind}
    said |= {"eventsSinceSubscriptionStart": str(counted)} if counted is not None else {}
    told = [
        {"eventNumber": str(number), "timestamp": when} | ({"focus": {"reference": focus}} if focus else {})
        for number, focus in events
    ]
    return said | ({"notificationEvent": told} if told else {}) | {"subscription": {"reference": subscription}}


def _parameters(
    kind: str, events: Any, counted: int | None, status: str, when: str, subscription: str
) -> dict[str, Any]:
    said: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": subscription}},
        {"name": "status", "valueCode": status},
        {"name": "type", "valueCode": kind},
    ]
    if counted is not None:
        said.append({"name": "events-since-subscription-start", "valueString": str(counted)})
    for number, focus in events:
        parts = [{"name": "event-number", "valueString": str(number)}, {"name": "timestamp", "valueInstant": when}]
        parts += [{"name": "focus", "valueReference": {"reference": focus}}] if focus else []
        said.append({"name": "notification-event", "part": parts})
    return {"resourceType": "Parameters", "parameter": said}
