"""The clinic tells of its Invoices: Subscriptions of R4 by criteria, and by topic as the R5 Backport has it.

By criteria (`Invoice?status=issued`) a rest-hook gets the resource at its own address (PUT), or an empty POST where the
channel names no payload. By topic it gets Bundles of type history that begin with the subscription's status in
Parameters: a handshake first, then every event with its number, bringing nothing, the id, or the resource.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .fhir_json import Issue, Refused, Resource, encode
from .fhir_store import Store, Version
from .outgoing import NotLoopback, call, require_loopback

TOPIC = "https://clinic.example.org/fhir/SubscriptionTopic/invoices"
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport"
CONTENTS = ("empty", "id-only", "full-resource")
_TRIES_S = (0.1, 0.5)  #: waits before the second and the third try; then the subscription is in error

Note = Callable[[str, str, str], None]


@dataclass
class _Listener:
    """One Subscription that is told of changes; its events are sent one after the other."""

    id: str
    base: str
    endpoint: str
    headers: dict[str, str]
    payload: str  #: by criteria: a content type or ""; by topic: one of CONTENTS
    topic: bool
    statuses: tuple[str, ...]  #: of Invoices that it is about; () for all
    count: int = 0
    skip: int = 0  #: events to come that are counted and not sent
    sent: tuple[str, str, bytes] | None = None  #: the last event: method, address, body
    queue: asyncio.Queue[tuple[str, str, bytes]] = field(default_factory=asyncio.Queue)


class Subscriptions:
    """What the server knows of those who want to be told. `note` writes the clinic's interface log."""

    def __init__(self, store: Store, note: Note) -> None:
        self.store, self.note = store, note
        self._listeners: dict[str, _Listener] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        store.on_put = self._changed

    def create(self, resource: Resource, base: str) -> Version:
        """Keep a Subscription and begin to tell; it is active once its handshake was taken. Raises Refused (422)."""
        listener = _listener(resource, base)
        status = "requested" if listener.topic else "active"
        made = self.store.put(resource | {"status": status})
        listener.id = made.resource["id"]
        self._listeners[listener.id] = listener
        if listener.topic:
            listener.queue.put_nowait(self._said(listener, "handshake", status))
        task = asyncio.get_running_loop().create_task(self._tell(listener))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return made

    def act(self, id: str, what: str) -> None:
        """Do what a test wants of a subscription; see fhir_control.py. Raises KeyError."""
        listener = self._listeners[id]
        match what:
            case "heartbeat":
                listener.queue.put_nowait(self._said(listener, "heartbeat", "active"))
            case "skip":
                listener.skip += 1
            case "repeat" if listener.sent:
                listener.queue.put_nowait(listener.sent)
            case "restart":
                listener.count = 0
                listener.queue.put_nowait(self._said(listener, "handshake", "requested"))
            case "off":
                self._listeners.pop(id)
                self._status(listener, "off")
                listener.queue.put_nowait(self._said(listener, "heartbeat", "off"))
            case _:
                raise KeyError(what)

    def _changed(self, version: Version) -> None:
        if version.resource["resourceType"] != "Invoice":
            return
        for listener in self._listeners.values():
            if listener.statuses and version.resource.get("status") not in listener.statuses:
                continue
            listener.count += 1
            listener.sent = self._event(listener, version)
            if listener.skip:
                listener.skip -= 1
            else:
                listener.queue.put_nowait(listener.sent)

    async def _tell(self, listener: _Listener) -> None:
        """Send whatever there is, in its order, until the other side takes nothing any more."""
        while True:
            method, url, body = await listener.queue.get()
            status = 0
            for wait in (*_TRIES_S, None):
                try:
                    status = (await call(method, url, body, listener.headers)).status
                except (OSError, TimeoutError, ValueError):
                    status = 0
                self.note("Notification", listener.id, str(status or "no answer"))
                if 200 <= status < 300 or wait is None:
                    break
                await asyncio.sleep(wait)
            if not 200 <= status < 300:
                self._listeners.pop(listener.id, None)
                self._status(listener, "error")
                return
            known = self.store.get("Subscription", listener.id)
            if known is not None and known.resource["status"] == "requested":
                self._status(listener, "active")

    def _status(self, listener: _Listener, status: str) -> None:
        known = self.store.get("Subscription", listener.id)
        if known is not None:
            self.store.put(known.resource | {"status": status}, listener.id)

    def _event(self, listener: _Listener, version: Version) -> tuple[str, str, bytes]:
        if listener.topic:
            return self._said(listener, "event-notification", "active", version)
        if listener.payload:
            return "PUT", f"{listener.endpoint}/{version.reference}", encode(version.resource)
        return "POST", listener.endpoint, b""

    def _said(
        self, listener: _Listener, kind: str, status: str, version: Version | None = None
    ) -> tuple[str, str, bytes]:
        """Write a notification (Subscriptions R5 Backport, R4)."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        told: list[Resource] = [
            {"name": "subscription", "valueReference": {"reference": f"{listener.base}/Subscription/{listener.id}"}},
            {"name": "topic", "valueCanonical": TOPIC},
            {"name": "status", "valueCode": status},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(listener.count)},
        ]
        entries: list[Resource] = []
        if version is not None:
            where = f"{listener.base}/{version.reference}"
            parts: list[Resource] = [
                {"name": "event-number", "valueString": str(listener.count)},
                {"name": "timestamp", "valueInstant": now},
            ]
            if listener.payload != "empty":
                parts.append({"name": "focus", "valueReference": {"reference": where}})
                request = {"method": "POST" if version.number == 1 else "PUT", "url": version.reference}
                entry = {"fullUrl": where, "request": request, "response": {"status": "200"}}
                whole = {"resource": version.resource} if listener.payload == "full-resource" else {}
                entries.append(entry | whole)
            told.append({"name": "notification-event", "part": parts})
        meta = {"profile": [f"{_BACKPORT}-subscription-status-r4"]}
        status_of = {"resourceType": "Parameters", "meta": meta, "parameter": told}
        asked = {"method": "GET", "url": f"Subscription/{listener.id}/$status"}
        first = {"fullUrl": f"urn:uuid:{_uuid(self.store)}", "resource": status_of, "request": asked}
        bundle = {
            "resourceType": "Bundle", "type": "history", "timestamp": now,
            "meta": {"profile": [f"{_BACKPORT}-subscription-notification-r4"]},
            "entry": [first | {"response": {"status": "200"}}, *entries],
        }  # fmt: skip
        return "POST", listener.endpoint, encode(bundle)


def _uuid(store: Store) -> str:
    digits = store.ids.hex(32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _listener(resource: Resource, base: str) -> _Listener:
    channel = resource["channel"]
    endpoint = str(channel.get("endpoint", "")).rstrip("/")
    if channel["type"] != "rest-hook" or not endpoint:
        raise Refused(422, Issue("not-supported", "taken are rest-hooks with an endpoint", "Subscription.channel"))
    try:
        require_loopback(urlsplit(endpoint).hostname or "")
    except NotLoopback as error:
        raise Refused(422, Issue("business-rule", str(error), "Subscription.channel.endpoint")) from None
    headers = {"Content-Type": "application/fhir+json"}
    headers |= {name.strip(): value.strip() for name, _, value in (text.partition(":") for text in _texts(channel))}
    topic = resource["criteria"] == TOPIC
    criteria = _extension(resource.get("_criteria"), "filter-criteria") if topic else resource["criteria"]
    payload = _extension(channel.get("_payload"), "payload-content") if topic else str(channel.get("payload", ""))
    if topic and payload not in CONTENTS:
        text = f"a topic needs the extension backport-payload-content: {', '.join(CONTENTS)}"
        raise Refused(422, Issue("required", text, "Subscription.channel.payload"))
    return _Listener("", base, endpoint, headers, payload, topic, _statuses(criteria))


def _texts(channel: Resource) -> list[str]:
    given = channel.get("header", [])
    return [text for text in given if isinstance(text, str) and ":" in text] if isinstance(given, list) else []


def _extension(element: Any, name: str) -> str:
    given = element.get("extension") if isinstance(element, dict) else None
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict) and one.get("url") == f"{_BACKPORT}-{name}":
            return str(one.get("valueCode") or one.get("valueString") or "")
    return ""


def _statuses(criteria: str) -> tuple[str, ...]:
    """Read criteria: Invoices, of some statuses or all. Raises Refused (422)."""
    type, _, query = criteria.partition("?")
    asked = dict(parse_qsl(query))
    if (criteria and type != "Invoice") or set(asked) - {"status"}:
        text = f"criteria are Invoice, Invoice?status=…, or the topic {TOPIC}"
        raise Refused(422, Issue("not-supported", text, "Subscription.criteria"))
    return tuple(asked["status"].split(",")) if "status" in asked else ()
