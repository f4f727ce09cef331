"""Door 1 for FHIR, the part that means something: what a body is, whose turn it is in, and what will be answered.

An Invoice states what is owed now: the newest one counts, the same one again changes nothing, so none is a duplicate.
The same holds for a ChargeItem and its line; the source's map says which of the two is taken. Whatever is one is stored
and taken, even if its business is unclear: that goes to the work list. Refused is what is no FHIR, is nothing that this
door takes, or would bill one of them on two accounts (receive_invoice.py). No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.flow.door.receive_invoice import (
    ID,
    Asked,
    Done,
    Refused,
    Wanted,
    decide,
    identify,
    requested,
    rest_id,
)
from chartpost.adapter.ledger import identities
from chartpost.adapter.ledger.intake import Fate, Row
from chartpost.adapter.ledger.invoices import Known, Look, knows_nothing
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.states import Message
from chartpost.mappings.fhir import billed, consented, jsontext
from chartpost.mappings.fhir import bundle as bundles
from chartpost.mappings.fhir.notification import notification
from chartpost.mappings.fhir.outcome import Issue, note, outcome
from chartpost.mappings.mapfile import Map

Version = Literal["R4", "R4B", "R5"]
#: Taken by every source: what it says of texts counts for the accounts of its patient.
CONSENT = "Consent"
#: Bundles whose entries are requests; the others are lists of resources.
REST = ("transaction", "batch")
BUNDLES = (*REST, "collection", "document", "message", "history", "searchset", "subscription-notification")
#: What a Bundle is that tells of a subscription, and has an answer of its own (notified.py).
NOTIFICATION = "notification"
#: Invoices in a Bundle, and how often the resources that they share may be copied, in sizes of the largest body.
MOST_INVOICES, MOST_COPIES = 1000, 8

_HEAD = 4096  # bytes that are kept of a body over the limit
_SHOWN = 20  # reasons of a refusal that are told
_LONG = 200  # characters of a name that we keep and index


@dataclass(frozen=True, slots=True)
class FhirRules:
    """What one source of type fhir may send, and how it is read."""

    source: str
    facility: str
    map: Map
    version: Version = "R4"
    max_bytes: int = 1_048_576
    max_depth: int = 32
    live: Callable[[], Map] | None = None  #: returns the map in force, where that may change while we run

    def reads(self) -> Map:
        """Return the map in force."""
        return self.map if self.live is None else self.live()

    @property
    def kind(self) -> str:
        """What is taken: "Invoice" or "ChargeItem". A map that changes while we run reads the same."""
        return billed.billed(self.map.messages).name


class Judgement(NamedTuple):
    """A body, judged: what to store, and what the answer is made of."""

    receipts: list[Receipt]
    status: int
    kind: str  #: "Invoice" or "ChargeItem", a Bundle's type, NOTIFICATION, or "" for what was refused
    done: list[Done]  #: of the Invoice or ChargeItem, or of each entry
    resource: Any = None
    takes: str = "Invoice"  #: what this source takes: "Invoice" or "ChargeItem"


class FhirReceiver:
    """Judges what one source sends. `look` tells what came before; without it every Invoice is the first."""

    def __init__(self, rules: FhirRules, look: Look = knows_nothing) -> None:
        self.rules = rules
        self._look = look
        self._place = (rules.source, rules.facility)
        self._article = billed.BILLED[rules.kind].article

    def judge(self, body: bytes, now: int, asked: Asked | None = None) -> Judgement:
        """Judge a body: one Invoice (or ChargeItem); or a Bundle, first the row of the whole, then one for each in it.

        `now` is in microseconds since 1970. With status 503 nothing is to be stored: it must come again.
        """
        asked, taken = asked or Asked(), self.rules.kind
        try:
            resource = self._decoded(body)
            kind = resource["resourceType"]
            if asked.interaction == "bundle" and kind == taken:  # a rest-hook's payload, by servers that add no id
                asked = Asked()
            expected = {"create": taken, "update": taken, "consent": CONSENT, "bundle": "Bundle", "message": "Bundle"}
            wanted = expected.get(asked.interaction, kind)
            if asked.interaction == "other" or wanted not in (taken, CONSENT, "Bundle"):
                text = f"{_name(kind) or 'this'} is not taken here; send {taken} or Bundle to its own address"
                raise Refused(404, Issue("not-supported", text))
            if kind == CONSENT and asked.interaction in ("", "consent"):
                return self._consent(resource, body, now, asked)
            if kind != wanted:
                raise Refused(400, Issue("invalid", f"this address takes a resource of type {wanted}"))
            if asked.interaction == "bundle" and notification(resource) is not None:
                return Judgement([], 200, NOTIFICATION, [], resource)
            return (self._single if kind == taken else self._bundle)(resource, body, now, asked)
        except Refused as refused:
            return self._refusal(body, now, refused)

    def _single(self, resource: dict[str, Any], body: bytes, now: int, asked: Asked) -> Judgement:
        kind = self.rules.kind
        wanted = identify(resource, body, kind, asked, self.rules.reads(), self._place)
        done = decide(wanted, self._known([wanted]), {})
        rows = [] if done.message else [self._row(wanted, done, now)]
        return Judgement(rows, done.status, kind, [done._replace(row=len(rows) - 1)], resource, kind)

    def _consent(self, resource: dict[str, Any], body: bytes, now: int, asked: Asked) -> Judgement:
        status = 200 if asked.id else 201
        receipt = self._consent_row(resource, body, now, id=asked.id, status=status)
        return Judgement([receipt], status, CONSENT, [Done(status, receipt.row.control_id, 0)], resource, CONSENT)

    def _consent_row(
        self, consent: dict[str, Any], raw: bytes, now: int, around: list[dict[str, Any]] | None = None, *,
        id: str = "", status: int = 202,
    ) -> Receipt:  # fmt: skip
        """Return the row of a Consent: what it means is read later. Its lane is its patient's. Raises Refused."""
        own = consent.get("id", "")
        wrong = any(one and not ID.fullmatch(one) for one in (id, own) if isinstance(one, str))
        if not isinstance(own, str) or wrong or (id and own and id != own):
            raise Refused(400, Issue("value", "an id has 1 to 64 letters, digits, - and ., and is one", "Consent.id"))
        name = id or own or keyring().digest(raw).hex()
        lane = identities.first(self.rules.source, consented.chart(consent, around or ()))
        lane = lane or keyring().search(*self._place, CONSENT, name)
        row = Row(
            self.rules.source, f"{CONSENT}|{name}", name, CONSENT, self.rules.version, lane, now, raw,
            keyring().digest(raw), str(status), Message.RECEIVED.value, "", None,
        )  # fmt: skip
        return Receipt(row, None)

    def _bundle(self, resource: dict[str, Any], body: bytes, now: int, asked: Asked) -> Judgement:
        kind = resource.get("type")
        if kind not in BUNDLES:
            raise Refused(400, Issue("value", f"it must be one of {', '.join(BUNDLES)}", "Bundle.type"))
        if asked.interaction == "message" and kind != "message":
            raise Refused(400, Issue("value", "$process-message takes a Bundle of type message", "Bundle.type"))
        plan = list(self._plan(resource, kind, now))
        known = self._known([step for step in plan if isinstance(step, Wanted)])
        claimed: dict[str, str] = {}
        done: list[Done] = []
        rows: list[Receipt] = []
        for step in plan:
            if isinstance(step, Receipt):
                rows.append(Receipt(step.row._replace(back=len(rows) + 1), None))
                done.append(Done(202, row=len(rows), issues=(note("a Consent: stored, to be read"),)))
                continue
            try:
                entry = decide(step, known, claimed) if isinstance(step, Wanted) else step
            except Refused as refused:
                entry = Done(refused.status, issues=refused.issues)
            if isinstance(step, Wanted) and entry.status < 300 and not entry.message:
                rows.append(self._row(step, entry, now, back=len(rows) + 1))
                entry = entry._replace(row=len(rows))
            done.append(entry)
        failed = [entry for entry in done if entry.status >= 300]
        if failed and kind != "batch":  # all or nothing
            status = failed[0].status if failed[0].status in (412, 422, 503) else 400
            raise Refused(status, *[issue for entry in failed for issue in entry.issues][:_SHOWN])
        reason = f"Bundle of {len(rows)}" if rows else f"a Bundle without {self._article} to take: nothing to bill"
        reason += f"; {len(failed)} entries refused" if failed else ""
        status = 200 if kind in (*REST, "message") else 202
        name = resource.get("id")
        whole = self._kept(body, now, "Bundle", status, reason, name=name if isinstance(name, str) else "")
        return Judgement([whole, *rows], status, kind, done, resource, self.rules.kind)

    def _plan(self, resource: dict[str, Any], kind: str, now: int) -> Iterator[Wanted | Done | Receipt]:
        """Yield for each entry the Invoice, ChargeItem or Consent that it is, or what becomes of it."""
        taken = self.rules.kind
        try:
            parts = bundles.parts(resource)
        except ValueError as error:
            raise Refused(400, Issue("structure", str(error), "Bundle")) from None
        room, count = MOST_COPIES * self.rules.max_bytes, 0
        newer: set[str] = set()  # ids and numbers: a history has its oldest versions last (FHIR R4 §3.1.0.12)
        for index, part in enumerate(parts):
            where = f"Bundle.entry[{index}]"
            found = part.resource if isinstance(part.resource, dict) else {}
            try:
                asked = requested(resource["entry"][index], found, where) if kind in REST else Asked()
                if kind == "history" and part.method == "DELETE":
                    newer.add(rest_id(part.full_url, taken))
                if found.get("resourceType") == CONSENT and kind != "history":  # whose oldest versions come last
                    own = found.get("patient") or found.get("subject")
                    named = own.get("reference") if isinstance(own, dict) else None
                    people = [item for item in resource["entry"] if named and item.get("fullUrl") == named]
                    yield self._consent_row(found, bundles.pack(found, people[:1]), now, people[:1])
                    continue
                if found.get("resourceType") != taken:
                    said = f"kept with the Bundle, for its {taken}s that refer to it; taken are {taken}s alone"
                    yield Done(202, issues=(note(said, where),))
                    continue
                raw = bundles.pack(found, part.around)
                room, count = room - len(raw), count + 1
                if room < 0 or count > MOST_INVOICES:
                    break
                if kind not in REST and "id" not in found:
                    asked = Asked(id=rest_id(part.full_url, taken))
                wanted = identify(found, raw, f"{where}.resource", asked, self.rules.reads(), self._place)
                if kind == "history" and not newer.isdisjoint({wanted.id, wanted.key} - {""}):
                    yield Done(202, issues=(note("kept with the Bundle: a newer version stands before it", where),))
                    continue
                newer |= {wanted.id, wanted.key}
                yield wanted
            except Refused as refused:
                yield Done(refused.status, issues=refused.issues)
        if room < 0 or count > MOST_INVOICES:
            text = f"send fewer {taken}s in one Bundle: at most {MOST_INVOICES}, or less where they share much"
            raise Refused(413, Issue("too-costly", text, "Bundle.entry"))

    def _known(self, wanted: Sequence[Wanted]) -> Known:
        ids = {invoice.id for invoice in wanted}
        keys = {key for invoice in wanted for key in (invoice.key, invoice.only_if_new)}
        return self._look(ids - {""}, keys - {""})

    def _decoded(self, body: bytes) -> dict[str, Any]:
        if len(body) > self.rules.max_bytes:
            raise Refused(413, too_long(self.rules.max_bytes))
        try:
            resource = jsontext.decode(body, self.rules.max_depth)
        except jsontext.FhirError as error:
            raise Refused(400, Issue("structure", str(error))) from None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise Refused(400, Issue("structure", "the body is no resource: it is no object with a resourceType"))
        return resource

    def _row(self, wanted: Wanted, done: Done, now: int, back: int = 0) -> Receipt:
        row = Row(
            self.rules.source, wanted.key, done.id, wanted.kind, self.rules.version, wanted.lane, now, wanted.raw,
            keyring().digest(wanted.raw), str(done.status), Message.RECEIVED.value, "", None, back,
        )  # fmt: skip
        return Receipt(row, None)

    def _kept(
        self, body: bytes, now: int, kind: str, status: int, reason: str, state: Message = Message.IGNORED,
        name: str = "",
    ) -> Receipt:  # fmt: skip
        """Return the row of what is kept without being interpreted."""
        digest = keyring().digest(body)
        key = f"{kind}|{name or '#' + digest.hex()}"[:_LONG]
        row = Row(
            self.rules.source, key, name[:_LONG], kind, self.rules.version, "", now, body, digest, str(status),
            state.value, reason, None,
        )  # fmt: skip
        return Receipt(row, None)

    def _refusal(self, body: bytes, now: int, refused: Refused) -> Judgement:
        """Keep what was refused, with the reason; but not what will come again by itself."""
        done = [Done(refused.status, issues=refused.issues)]
        if refused.status == 503:
            return Judgement([], refused.status, "", done)
        reason = "; ".join(f"{issue.where}: {issue.text}" if issue.where else issue.text for issue in refused.issues)
        try:
            kind, state = _name(self._decoded(body)["resourceType"]), Message.IGNORED
        except Refused:
            kind, state = "", Message.UNREADABLE
        body = body if len(body) <= self.rules.max_bytes else body[:_HEAD]
        return Judgement([self._kept(body, now, kind, refused.status, reason, state)], refused.status, "", done)


def answer(receipts: Sequence[Receipt], fates: Sequence[Fate]) -> bytes:
    """Return the OperationOutcome that answers a body which came without a request around it, once it is stored."""
    said = []
    for receipt, fate in zip(receipts, fates, strict=True):
        row = receipt.row
        if row.ack_code < "3":
            said.append(note(f"{row.type} stored as message M{fate.id}" + (f": {row.reason}" if row.reason else "")))
        else:
            said.append(Issue("processing", f"kept as message M{fate.id}, not taken: {row.reason}"))
    return jsontext.encode(outcome(*said))


def too_long(limit: int) -> Issue:
    """Return what is said of a body over the limit of bytes."""
    return Issue("too-long", f"the body is larger than {limit} bytes")


def _name(kind: Any) -> str:
    """Return a resource's type if it could be one, else ""."""
    return kind if isinstance(kind, str) and re.fullmatch("[A-Za-z]{1,40}", kind, re.ASCII) else ""
