"""notified: what a server says through a subscription. Stored first, answered then; what it only names is read after.

Of one subscription we know how far it was heard (mappings/fhir/heard.py), so the same event counts once, and one that
never came is seen: then the source is polled at once, or a person is told where it is not polled.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, NamedTuple

from sqlalchemy import select

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.flow.door import found, poll_fhir
from chartpost.adapter.flow.door.found import Finder, Found
from chartpost.adapter.ledger import cursors, errands, holds
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.invoices import INVOICE
from chartpost.adapter.ledger.keep import keep
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.log import get
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.heard import Heard, advance, heard
from chartpost.mappings.fhir.notification import ENDED, Notification, notification
from chartpost.mappings.fhir.references import Resource, literal, objects, text

KIND = "notified"
#: Tries (a minute or two) before a person is told that the server is away.
TRIES = 7
_SUBSCRIPTION = re.compile(r"(?:^|/)(Subscription/[A-Za-z0-9.-]{1,64})$", re.ASCII)
_BILLED = re.compile(r"(?:^|/)(Invoice|ChargeItem)/([A-Za-z0-9.-]{1,64})$", re.ASCII)

log = get(__name__)


class Wanted(NamedTuple):
    """What a notification leaves to be done."""

    reads: tuple[str, ...]  #: references to Invoices that it names and did not bring
    look: bool  #: something has changed, and it does not say which Invoice


def wanted(bundle: Resource, told: Notification, kind: str = INVOICE) -> Wanted:
    """Say what is still to be read after a notification, of what the source takes (`kind`). Pure."""
    here, gone = set[str](), set[str]()
    for one in objects(bundle.get("entry")):
        resource = one.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") == kind:
            here.add(text(resource.get("id")) or _id(text(one.get("fullUrl")), kind))
        request = one.get("request")
        if isinstance(request, dict) and request.get("method") == "DELETE":
            gone.add(_id(text(one.get("fullUrl")), kind) or _id(text(request.get("url")), kind))
    named = [_id(literal({"reference": event.focus}), kind) for event in told.events]
    # Not by the address that it was given: a server has one name for others and another one for us.
    reads = tuple(dict.fromkeys(f"{kind}/{id}" for id in named if id and id not in here | gone))
    return Wanted(reads, not here and not any(named))


def _id(reference: str, kind: str) -> str:
    """Return the id in a reference to a resource of this kind, "" for any other."""
    match = _BILLED.search(reference)
    return match[2] if match and match[1] == kind else ""


class Subscriptions:
    """One source's subscriptions, at its door. Hold the turn of its Invoices (found.py)."""

    def __init__(self, store: Store, finder: Finder, *, polled: bool, readable: bool) -> None:
        """`polled`: its server is asked for what has changed; `readable`: an Invoice can be read there by its id."""
        self._store, self._finder, self._source = store, finder, finder.rules.source
        self._polled, self._readable = polled, readable

    def empty(self) -> bool:
        """Take an empty notification (FHIR R4, Subscription: rest-hook without payload). False: nothing comes of it."""
        if self._polled:
            with self._store.write() as tx:
                poll_fhir.hurry(tx, self._source)
        return self._polled

    def hear(self, bundle: Resource, body: bytes, told: Notification, now: int) -> int:
        """Take a notification; return the number of Invoices that were taken from it. `now` is in microseconds.

        Raises FhirError for what is no Bundle of entries, Transient where it has to come again.
        """
        brought = self._finder.found(bundle, now) if told.tells else Found([], [])
        left = wanted(bundle, told, self._finder.rules.kind)
        obj = f"subscription:{self._source}/{_label(told.subscription)}"
        with self._store.write() as tx:
            before = heard(cursors.value(tx, obj))
            step = advance(before, told)
            cursors.put(tx, obj, step.heard.text())
            fresh = told.tells and step.fresh
            unread = fresh and (left.look or bool(left.reads and not self._readable))
            if fresh:
                self._keep(tx, body, now, brought, left)
            if step.gap:
                log.warning("subscription.gap", source=self._source, object=obj)
            if self._polled and (step.gap or unread):
                poll_fhir.hurry(tx, self._source)
            elif unread:
                self._missed(tx, obj, "it tells of changes and does not bring the Invoices")
            elif step.gap and not step.heard.missing:
                self._missed(tx, obj, "it has begun to count anew, and what was before may not have come")
            self._tell(tx, obj, told, before or Heard(), step.heard)
            return len(brought.rows) if fresh else 0

    def _keep(self, tx: Tx, body: bytes, now: int, brought: Found, left: Wanted) -> None:
        """Store the notification and what it brought; what it names is read after the commit."""
        reason = f"a notification of {len(brought.rows)} new states of Invoices"
        reason += f"; {len(left.reads)} to be read" if left.reads else ""
        rows = [row._replace(back=place) for place, row in enumerate(brought.rows, 1)]
        number, *_ = keep(tx, [self._finder.whole(body, now, reason), *rows])
        if rows:
            tx.work.add(TRANSLATE)
        found.take(tx, Found([], brought.refused))
        if left.reads and self._readable:
            errands.add(tx, KIND, str(number), f"{KIND}:{self._source}")

    def _tell(self, tx: Tx, obj: str, told: Notification, before: Heard, after: Heard) -> None:
        """Tell a person what no machine mends, and take it back once it is mended."""
        if told.status in ENDED:
            log.warning("subscription.ended", source=self._source, object=obj, status=told.status)
            holds.add(
                tx, obj, "subscription_ended",
                f"a subscription of source {self._source} has ended at its server (status {told.status}): "
                "what changes there is no longer told",
                "see there why, and activate it again; this closes by itself when it is heard of again",
            )  # fmt: skip
        else:
            holds.close(tx, obj, "subscription_ended")
        if before.missing and not after.missing:
            holds.close(tx, obj, "events_missed")
        elif after.missing != before.missing and after.missing and not self._polled:
            numbers = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in after.missing[-3:])
            self._missed(tx, obj, f"its events {numbers} never came")

    def _missed(self, tx: Tx, obj: str, what: str) -> None:
        holds.add(
            tx, obj, "events_missed", f"a subscription of source {self._source} is heard in part: {what}",
            "have the Invoices of that time sent again, then dismiss this; with `poll` on the source nothing is missed",
        )  # fmt: skip


def _label(subscription: str) -> str:
    """Return what we call a subscription: "Subscription/3"."""
    match = _SUBSCRIPTION.search(subscription)
    return match[1] if match else keyring().search("subscription", subscription)[:12]


def run(flow: Flow, errand: Errand) -> None:
    """Read the Invoices that the notification in message (the errand's subject) has named."""
    with flow.store.read() as connection:
        columns = (message.c.source, message.c.raw)
        row = connection.execute(select(*columns).where(message.c.id == int(errand.subject))).one()
    server = flow.world.invoices.get(row.source)
    if server is None or row.source not in flow.settings.sources:
        with flow.store.write() as tx:  # taken out of the configuration
            return errands.done(tx, errand)
    finder = found.finder(flow, row.source)
    bundle = jsontext.decode(row.raw, finder.rules.max_depth)
    told = notification(bundle)
    assert told is not None, "it was one when it was stored"
    read: list[dict[str, Any]] = []
    refused = ""
    obj = f"source:{row.source}"
    try:
        for reference in wanted(bundle, told, finder.rules.kind).reads:
            try:
                resource = server.read(reference)
            except Permanent as error:
                refused = str(error)
                continue
            if resource is None:
                log.info("notified.gone", source=row.source, message_id=int(errand.subject))
            else:
                read.append({"resource": resource})
        with found.turn(row.source):
            page = {"resourceType": "Bundle", "type": "collection", "entry": read}
            taken = finder.found(page, found.now(flow))
            with flow.store.write() as tx:
                found.take(tx, taken)
                holds.close(tx, obj, "not_read")
                if refused:
                    holds.add(
                        tx, f"message:{errand.subject}", "not_read",
                        f"an Invoice that this notification names cannot be read: {refused}",
                        "see that we may read Invoices at the server, and have it sent again; then dismiss this",
                    )  # fmt: skip
                errands.done(tx, errand)
    except Transient as error:
        with flow.store.write() as tx:
            if errand.attempts >= TRIES:
                holds.add(
                    tx, obj, "not_read", f"Invoices that notifications name cannot be read for now: {error}",
                    "see that the server answers; they are read then, and this closes by itself",
                )  # fmt: skip
            wait = max(delay(errand.attempts), dt.timedelta(seconds=error.wait))
            errands.again(tx, errand, tx.now + wait, str(error))
    return None
