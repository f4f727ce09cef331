"""Invoices that their server shows: found by polling, read after a notification, or brought by one; ChargeItems too.

At a door whatever comes is news. Here the same state is seen again and again, and an old one may come late: both are
left out. There is nobody to be told of a refusal either, so a person is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.flow.door.receive_fhir import FhirReceiver, FhirRules, too_long
from chartpost.adapter.flow.door.receive_invoice import Asked, Refused, Wanted, decide, identify, rest_id
from chartpost.adapter.ledger import holds
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Row
from chartpost.adapter.ledger.invoices import KnownInvoices, Look, knows_nothing
from chartpost.adapter.ledger.keep import keep, kept
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.settings import FhirRules as FhirSettings
from chartpost.mappings.fhir import bundle as bundles
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.state import last_updated, older, same

#: What was taken once is read again, also if less would be taken now.
_DEEP = 200

Resource = dict[str, Any]
#: Returns the newest state that is stored of Invoices, by resource id.
Bodies = Callable[[Collection[str]], Mapping[str, bytes]]


class Found(NamedTuple):
    """What is to be done about Invoices that were found."""

    rows: list[Row]  #: to be taken, oldest first
    refused: list[Row]  #: to be kept, with the reason


@cache
def turn(source: str) -> threading.Lock:
    """Return what is held from the look at what is known of a source's Invoices to the commit, by whoever brings them.

    The same new Invoice under two names at once would be billed twice.
    """
    return threading.Lock()


class Finder(FhirReceiver):
    """Judges one source's Invoices, also those that nobody sent."""

    def __init__(self, rules: FhirRules, look: Look = knows_nothing, bodies: Bodies = lambda ids: {}) -> None:
        super().__init__(rules, look)
        self._bodies = bodies

    def found(self, bundle: Resource, now: int) -> Found:
        """Judge the Invoices in a Bundle, each by itself; `now` is in microseconds since 1970. Hold the turn.

        Raises FhirError for what is no Bundle of entries, and Transient where one cannot be judged before its last
        version is worked: then nothing of it may be stored.
        """
        result = Found([], [])
        plan: list[tuple[Wanted, Resource]] = []
        for part in _oldest_first(bundles.parts(bundle), self.rules.kind):
            resource: Resource = part.resource or {}
            raw = bundles.pack(resource, part.around) if part.around else jsontext.encode(resource)
            asked = Asked() if "id" in resource else Asked(id=rest_id(part.full_url, self.rules.kind))
            try:
                if len(raw) > self.rules.max_bytes:
                    raise Refused(413, too_long(self.rules.max_bytes))
                wanted = identify(resource, raw, self.rules.kind, asked, self.rules.reads(), self._place)
                plan.append((wanted, resource))
            except Refused as refused:
                result.refused.append(self._unasked(raw, now, refused))
        known = self._known([wanted for wanted, _ in plan])
        stored = self._bodies({wanted.id for wanted, _ in plan} - {""})
        newest = {id: bundles.unpack(raw, _DEEP)[0] for id, raw in stored.items()}
        claimed: dict[str, str] = {}
        for wanted, resource in plan:
            here = newest.get(wanted.id)
            # Older: also what was read just before a newer state came to the door.
            if here is not None and (same(resource, here) or older(resource, here)):
                continue
            try:
                done = decide(wanted, known, claimed)
            except Refused as refused:
                if refused.status == 503:
                    raise Transient(f"{self._article} has to wait until its last version is worked") from None
                result.refused.append(self._unasked(wanted.raw, now, refused))
                continue
            newest[wanted.id] = resource
            result.rows.append(self._row(wanted, done, now).row._replace(ack_code=""))
        return result

    def whole(self, body: bytes, now: int, reason: str) -> Row:
        """Return the row of a Bundle that is kept for what it told."""
        return self._kept(body, now, "Bundle", 200, reason).row

    def _unasked(self, raw: bytes, now: int, refused: Refused) -> Row:
        return self._refusal(raw, now, refused).receipts[0].row._replace(ack_code="")


def _oldest_first(parts: list[bundles.Part], kind: str) -> list[bundles.Part]:
    """Return the resources of this kind, in the order of their states where all of them say when they were written."""
    invoices = [part for part in parts if part.resource is not None and part.resource.get("resourceType") == kind]
    times = {part.ordinal: last_updated(part.resource or {}) for part in invoices}
    if None in times.values():
        return invoices
    return sorted(invoices, key=lambda part: times[part.ordinal])  # type: ignore[arg-type, return-value]


def finder(flow: Flow, name: str) -> Finder:
    """Return what judges the Invoices of source `name`."""
    source = flow.source(name)
    assert isinstance(source, FhirSettings)
    rules = FhirRules(
        name, source.facility, flow.maps[name], source.version, source.max_bytes, source.max_depth,
        live=partial(flow.maps.__getitem__, name),
    )  # fmt: skip
    known = KnownInvoices(flow.store, name, rules.kind)
    return Finder(rules, known, known.bodies)


def take(tx: Tx, found: Found) -> None:
    """Store what was found; what cannot be taken waits for a person, once."""
    if found.rows:
        keep(tx, found.rows)
        tx.work.add(TRANSLATE)
    for row in found.refused:
        if kept(tx, row) is None:
            (number,) = keep(tx, [row])
            holds.add(
                tx, f"message:{number}", "not_taken",
                f"an Invoice that was found at its server cannot be taken: {row.reason}",
                "correct it at the server, and its next state is taken; then dismiss this",
            )  # fmt: skip


def now(flow: Flow) -> int:
    """Return the time as rows have it."""
    return micros(flow.store.clock())
