"""Carry a posting to a FHIR server as a resource, once, and read what the server says of it.

Once: the resource carries the posting's id as an identifier. Where the server offers conditional create it is asked to
create only if it has none with that identifier (If-None-Exist); elsewhere we look first. Either way a posting that is
sent again finds the first one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import model_validator

from chartpost.adapter.errors import Ambiguous, ChartpostError, Permanent, Transient
from chartpost.adapter.fhirclient import FhirClient, Server, reasons, resource, succeeded, version
from chartpost.adapter.httpcall import Reply
from chartpost.adapter.ports import Answer, Page, Verdict
from chartpost.mappings import postingmap
from chartpost.mappings.fhir import jsontext

#: The system of the identifier that is the posting's id.
POSTING = "urn:chartpost:posting"
_REPEATS = "the server cannot be asked whether it has a posting already, so it must not be sent again: resend: never"
PAYMENT_STATUS = "http://terminology.hl7.org/CodeSystem/paymentstatus"

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_PLACE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$")


class FhirSender:
    """A destination that speaks FHIR over HTTP (ports.Sender)."""

    def __init__(self, client: FhirClient, recipient: str = "", map: str = "", *, repeats: bool = False) -> None:
        """Send through `client` what `map` writes.

        With `recipient` ("Organization/1"), tell by a PaymentNotice as well. `repeats`: after silence the same posting
        is sent again.
        """
        self._client, self._recipient, self._map, self._repeats = client, recipient, map, repeats

    def send(self, body: bytes, control_id: str) -> Answer:
        """Create the resource in `body`, whose identifier is `control_id`, unless the server has it already.

        Raises Transient when it was not created, Ambiguous when the server may have it and did not say.
        """
        posting = _posting(body, control_id)
        answer, place = self._create(posting["resourceType"], body, control_id)
        if answer.verdict is Verdict.ACCEPTED and self._recipient:
            told = notice(posting, place, self._recipient)
            problem = self._tell(told, control_id) if told else ""
            if problem:
                return Answer(answer.verdict, answer.code, f"PaymentNotice was not taken: {problem}", answer.raw)
        return answer

    def read(self, reference: str) -> dict[str, Any] | None:
        """Read what a source's resource refers to (ports.Server): the chart that is told is the one that knows."""
        return self._client.read(reference)

    def search(self, target: str) -> Page:
        """Search what a source's server has (ports.Server)."""
        return self._client.search(target)

    def settle_invoice(self, reference: str) -> Answer:
        """Set the status of an issued Invoice to balanced and leave everything else of it as it is.

        Repeating is harmless: a balanced Invoice is accepted as it stands, and If-Match lets no change of others be
        overwritten. Raises Transient, Permanent or Ambiguous as `send` does.
        """
        path = self._client.path(reference)
        if not path.startswith("Invoice/") or "/_history/" in path:
            raise Permanent("the account's Invoice is not on this server: it cannot be settled here")
        answer = self._settle(path)
        if answer.code in ("412", "409"):  # somebody was faster (409 is what STU3 said): look at what it is now
            answer = self._settle(path)
        return answer

    def check(self) -> list[str]:
        """Say what keeps the server from taking our postings (ports.Checkable). Reads its CapabilityStatement."""
        try:
            kind = getattr(postingmap.load(self._map), "writes", "PaymentReconciliation")
        except postingmap.MapError:
            kind = "PaymentReconciliation"  # the map's own problems are told elsewhere
        try:
            offer = self._client.offer(kind)
        except ChartpostError as error:
            return [f"{error}; check base_url, the token or smart, and the network"]
        if "create" not in _interactions(offer):
            return [f"it offers no create of {kind}; compare base_url/metadata, and choose another type"]
        return [_REPEATS] if self._repeats and _blind(offer) else []

    def _create(self, kind: str, body: bytes, value: str) -> tuple[Answer, str]:
        """Return the answer, and the place of what is there now ("PaymentReconciliation/7") where it is known."""
        headers = {"Prefer": "return=minimal"}
        offer = self._client.offer(kind)
        if _blind(offer):
            if self._repeats:
                raise Permanent(_REPEATS)
        elif value not in _identifiers(jsontext.decode(body)):
            raise Permanent(f"the posting has no identifier {POSTING} with its own id: the map must write one")
        elif offer.get("conditionalCreate") is True:
            headers["If-None-Exist"] = f"identifier={POSTING}|{value}"
        else:
            found, reply = self._search(kind, value)
            if len(found) > 1:
                return _refused("multiple-matches", f"several {kind} carry this posting's id", reply), ""
            if found:
                number = found[0].get("id")
                return Answer(Verdict.ACCEPTED, "200", raw=reply.body), f"{kind}/{number}" if number else ""
        reply = self._client.request("POST", kind, body, headers=headers)
        return verdict(reply), _place(kind, reply)

    def _search(self, kind: str, value: str) -> tuple[list[dict[str, Any]], Reply]:
        """Look for resources with this identifier. Raises Permanent when the server cannot be asked that."""
        reply = self._client.get(f"{kind}?identifier={quote(f'{POSTING}|{value}', safe='')}")
        if reply.status != 200:
            raise Permanent(_said(f"cannot be searched for {kind} by identifier", reply), str(reply.status))
        entries = resource(reply, "Bundle").get("entry") or []
        found = [entry.get("resource") for entry in entries if isinstance(entry, dict)]
        others = [one for one in found if isinstance(one, dict) and one.get("resourceType") == kind]
        ours = [one for one in others if value in _identifiers(one)]
        if len(ours) < len(others):
            # FHIR lets a server pass over a parameter that it does not know; then it answers everything it has.
            raise Permanent(f"the FHIR server passes over `identifier` when it is searched for {kind}: it cannot tell")
        return ours, reply

    def _tell(self, told: Mapping[str, Any], control_id: str) -> str:
        """Create a PaymentNotice and return what is wrong. The posting is accepted, whatever becomes of this."""
        try:
            answer, _ = self._create("PaymentNotice", jsontext.encode(told), control_id)
        except ChartpostError as error:
            return str(error)
        return "" if answer.verdict is not Verdict.REFUSED else f"{answer.code} {answer.text}".strip()

    def _settle(self, path: str) -> Answer:
        reply = self._client.get(path)
        if reply.status in (404, 410):
            return _refused(str(reply.status), "the Invoice is no longer there", reply)
        invoice = resource(reply, "Invoice")
        if invoice.get("status") == "balanced":
            return Answer(Verdict.ACCEPTED, "200", raw=reply.body)
        if invoice.get("status") != "issued":
            return _refused("not-issued", "the Invoice is neither issued nor balanced; it was left as it is", reply)
        tag = version(reply, invoice)
        if not tag:
            return _refused("no-version", "the server names no version of the Invoice to compare with", reply)
        body = jsontext.encode(invoice | {"status": "balanced"})
        headers = {"If-Match": tag, "Prefer": "return=minimal"}
        return verdict(self._client.request("PUT", path, body, headers=headers))


def verdict(reply: Reply) -> Answer:
    """Say what an answer to a create or an update means (FHIR §3.1.0.4.3, §3.1.0.8).

    Raises Transient for 429 and 503, which happen before anything is done, and Ambiguous for what says neither.
    """
    code = str(reply.status)
    if reply.status in (200, 201, 204) and (reply.status == 201 or succeeded(reply)):
        return Answer(Verdict.ACCEPTED, code, raw=reply.body)
    if reply.status == 202:
        return Answer(Verdict.RECEIVED, code, raw=reply.body)
    if reply.status in (429, 503):
        raise Transient(f"the FHIR server answered HTTP {code}: not now")
    if 300 <= reply.status < 400 and reply.status != 303:
        return _refused(code, "redirects; none is followed: base_url must be the address itself", reply)
    if 400 <= reply.status < 500 and reply.status != 408:
        return _refused(code, reasons(reply), reply)
    raise Ambiguous(_said(f"answered HTTP {code}: it may have taken it", reply))


def notice(reconciliation: Mapping[str, Any], place: str, recipient: str) -> dict[str, Any] | None:
    """Return the PaymentNotice that tells of a PaymentReconciliation, in the same version of FHIR.

    R4 and R4B write the money as paymentAmount and the Invoice as detail.request, R5 as amount and allocation.target.
    None for anything else, and for a refund or dispute: of money that went back no PaymentNotice can tell.
    """
    amount = reconciliation.get("paymentAmount") or reconciliation.get("amount")
    value = amount.get("value") if isinstance(amount, dict) else None
    if reconciliation.get("resourceType") != "PaymentReconciliation" or not isinstance(value, Decimal | int):
        return None
    if value < 0:
        return None
    named = _identifiers(reconciliation) + _identifiers(reconciliation, None)
    own = {"system": POSTING, "value": next(iter(named), "")}
    lines = reconciliation.get("detail") or reconciliation.get("allocation") or [{}]
    line = lines[0] if isinstance(lines, list) and isinstance(lines[0], dict) else {}
    told = {
        "resourceType": "PaymentNotice",
        "identifier": [own],
        "status": "active",
        "request": line.get("request") or line.get("target"),
        "created": reconciliation.get("created"),
        "payment": {"reference": place} if place else {"type": "PaymentReconciliation", "identifier": own},
        "paymentDate": reconciliation.get("paymentDate") or reconciliation.get("date"),
        "recipient": {"reference": recipient},
        "amount": amount,
        "paymentStatus": {"coding": [{"system": PAYMENT_STATUS, "code": "paid"}]},
    }
    return {name: value for name, value in told.items() if value}


def _posting(body: bytes, control_id: str) -> dict[str, Any]:
    try:
        posting = jsontext.decode(body)
    except jsontext.FhirError as error:
        raise Permanent(f"the posting is no FHIR JSON: {error}") from None
    if not isinstance(posting, dict) or not isinstance(posting.get("resourceType"), str):
        raise Permanent("the posting is no FHIR resource: this destination needs a map that writes one")
    if not _ID.fullmatch(control_id) or control_id not in _identifiers(posting) + _identifiers(posting, None):
        raise Permanent(f"the posting has no identifier {POSTING} with its own id: the map must write one")
    return posting


def _interactions(offer: Mapping[str, Any]) -> set[Any]:
    given = offer.get("interaction")
    return {one.get("code") for one in given if isinstance(one, dict)} if isinstance(given, list) else set()


def _blind(offer: Mapping[str, Any]) -> bool:
    """Say whether a server takes resources of a type, and cannot be asked whether it has one already.

    Then a posting is sent once, and after silence a person looks. Its identifier may stand without a system.
    """
    offered = _interactions(offer)
    return "create" in offered and "search-type" not in offered and offer.get("conditionalCreate") is not True


def _identifiers(found: Mapping[str, Any], system: str | None = POSTING) -> list[Any]:
    """Return the values of the identifiers that are posting ids. One such identifier may stand without a list in R4."""
    given = found.get("identifier")
    given = given if isinstance(given, list) else [given]
    return [one.get("value") for one in given if isinstance(one, dict) and one.get("system") == system]


def _place(kind: str, reply: Reply) -> str:
    found = _PLACE.search(reply.headers.get("location") or reply.headers.get("content-location") or "")
    return f"{kind}/{found[2]}" if found and found[1] == kind else ""


def _refused(code: str, text: str, reply: Reply) -> Answer:
    return Answer(Verdict.REFUSED, code, text, reply.body)


def _said(what: str, reply: Reply) -> str:
    return ": ".join(filter(None, [f"the FHIR server {what}", reasons(reply)]))


class Options(Server):
    """A destination of `type: fhir` in the configuration."""

    type: str
    map: str  #: the map that renders postings for this destination
    #: After silence a person decides, or the same posting goes again: only where conditional create is offered.
    resend: Literal["never", "same_identifier"] = "never"
    payment_notice: bool = False  #: tell of each payment by a PaymentNotice, too
    recipient: str = ""  #: whom the PaymentNotice is for: "Organization/1"
    settle_invoice: bool = False  #: set the source's Invoice to balanced once nothing is owed on it

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.payment_notice != bool(self.recipient):
            raise ValueError("recipient belongs to payment_notice: true, and that needs one, as in Organization/1")
        if self.recipient and not re.fullmatch(r"Organization/[A-Za-z0-9.-]{1,64}", self.recipient):
            raise ValueError("recipient must be a reference such as Organization/1")
        return self


def from_settings(options: Options) -> FhirSender:
    """Make the sender of one configured destination."""
    return FhirSender(FhirClient(options), options.recipient, options.map, repeats=options.resend != "never")
