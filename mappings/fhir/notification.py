"""Read what a FHIR server says through a topic-based subscription: a Bundle that begins with the subscription's status.

R5 sends `subscription-notification` with a SubscriptionStatus first (FHIR R5, Subscriptions Framework); R4B a `history`
with the same; R4 a `history` with the same in Parameters (Subscriptions R5 Backport, Notifications). A history that
begins with anything else is a plain one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from chartpost.mappings.fhir.references import Resource, objects, text
from chartpost.mappings.fhir.state import Instant, instant

#: Value sets subscription-notification-type and subscription-status, the same in R4B and R5.
HANDSHAKE, HEARTBEAT, EVENT, QUERY_STATUS = "handshake", "heartbeat", "event-notification", "query-status"
KINDS = (HANDSHAKE, HEARTBEAT, EVENT, QUERY_STATUS, "query-event")
ENDED = ("error", "off", "entered-in-error")
_BUNDLES = ("history", "subscription-notification")
#: An event number is an integer64, which FHIR writes as a text (R5, Data Types).
_MOST_DIGITS = 18


class Event(NamedTuple):
    """One change that a subscription tells of."""

    number: int  #: counted by the server from 1; 0 where it does not say
    focus: str  #: the reference to what has changed, "Invoice/17"; "" where it does not say
    at: Instant | None  #: when it happened, else when the notification was written


class Notification(NamedTuple):
    """What a notification says beside the resources that it brings."""

    subscription: str  #: the reference to it, "https://ehr.example.org/fhir/Subscription/3"
    kind: str  #: one of KINDS
    status: str  #: active, or one of ENDED …
    counted: int | None  #: events since the subscription began, as far as the server has counted; None: not said
    events: tuple[Event, ...] = ()

    @property
    def tells(self) -> bool:
        """Say whether it is about changes; the others are about the subscription alone."""
        return self.kind in (EVENT, "query-event")


def notification(bundle: Resource) -> Notification | None:
    """Return what a Bundle says about its subscription, or None where it is no notification."""
    if bundle.get("type") not in _BUNDLES:
        return None
    entries = bundle.get("entry")
    first = entries[0].get("resource") if isinstance(entries, list) and objects(entries[:1]) else None
    if not isinstance(first, dict):
        return None
    status = {"Parameters": _parameters, "SubscriptionStatus": _status}.get(text(first.get("resourceType")))
    said = status(first) if status is not None else {}
    if said.get("type") not in KINDS:
        return None
    written = instant(bundle.get("timestamp"))
    return Notification(
        _reference(said.get("subscription")), said["type"], text(said.get("status")), _number(said.get("count")),
        tuple(
            Event(_number(one.get("number")) or 0, _reference(one.get("focus")), instant(one.get("at")) or written)
            for one in said["events"]
        ),
    )  # fmt: skip


def _status(resource: Resource) -> dict[str, Any]:
    """Return the parts of a SubscriptionStatus, by one name for all versions."""
    events = [
        {"number": one.get("eventNumber"), "focus": one.get("focus"), "at": one.get("timestamp")}
        for one in objects(resource.get("notificationEvent"))
    ]
    count = resource.get("eventsSinceSubscriptionStart")
    said = {name: resource.get(name) for name in ("subscription", "type", "status")}
    return said | {"count": count, "events": events}


def _parameters(resource: Resource) -> dict[str, Any]:
    """Return the same of Parameters."""
    said = dict(_named(resource.get("parameter")))
    events = []
    for one in objects(resource.get("parameter")):
        if one.get("name") == "notification-event":
            parts = dict(_named(one.get("part")))
            events.append({
                "number": parts.get("event-number"), "focus": parts.get("focus"), "at": parts.get("timestamp"),
            })  # fmt: skip
    return said | {"count": said.get("events-since-subscription-start"), "events": events}


def _named(parameters: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of parameters, whichever type the value is of: servers differ."""
    for one in objects(parameters):
        if value := next((one[key] for key in one if key.startswith("value")), None):
            yield text(one.get("name")), value


def _reference(value: Any) -> str:
    """Return where a Reference leads, also where it is written as a bare text."""
    return text(value.get("reference")) if isinstance(value, dict) else text(value)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS else None
