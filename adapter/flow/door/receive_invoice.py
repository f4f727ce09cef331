"""One Invoice or ChargeItem at the door: which one it is, and whether it may be taken. Pure.

It is known by its first business identifier, else by its resource id. That makes an Invoice's account; a ChargeItem
names its account itself. The newest state counts, so an update under the same name is always welcome, and one under
another name, or on another account, never.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

from chartpost.adapter.ledger.invoices import CHARGE_ITEM, INVOICE, Known, Seen
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.states import Message
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.billed import BILLED
from chartpost.mappings.fhir.outcome import Issue
from chartpost.mappings.fhir.read import identity, item
from chartpost.mappings.mapfile import Map

ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)

_LONG = 200  # characters of a name that we keep and index


class Refused(Exception):
    """A body, or one entry of it, is not taken: the status of the answer, and why."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__(status)
        self.status, self.issues = status, issues


class Asked(NamedTuple):
    """What a request said beside its body; "" where it said nothing."""

    #: "": whatever the body is; other: an address that takes nothing
    interaction: Literal["", "create", "update", "consent", "bundle", "message", "other"] = ""
    id: str = ""
    if_none_exist: str = ""
    if_match: str = ""


class Done(NamedTuple):
    """What becomes of one resource: its HTTP status, and the message that stands for it."""

    status: int
    id: str = ""  #: of an Invoice or a ChargeItem; "" for anything else
    row: int = -1  #: its place among the receipts; -1: nothing is stored for it
    message: int = 0  #: where nothing is stored because it is there already: the message that holds it
    issues: tuple[Issue, ...] = ()


class Wanted(NamedTuple):
    """An Invoice or a ChargeItem in hand."""

    id: str  #: the resource id by which the sender knows it; "" where it says none
    key: str  #: control key
    lane: str
    raw: bytes  #: what its row holds
    where: str  #: FHIRPath of it in the body
    only_if_new: str = ""  #: the control key that If-None-Exist asks for
    if_match: str = ""
    kind: str = INVOICE  #: or CHARGE_ITEM
    alone: str = ""  #: the lane in which a ChargeItem waits while it names no account: it owes nothing there


def identify(
    resource: dict[str, Any], raw: bytes, where: str, asked: Asked, map: Map, place: tuple[str, str]
) -> Wanted:
    """Say which Invoice or ChargeItem this is. `place` is source and facility. Raises Refused."""
    id = asked.id
    own = resource.get("id", "")
    if not isinstance(own, str) or (own and not ID.fullmatch(own)) or (id and not ID.fullmatch(id)):
        raise Refused(400, Issue("value", "an id has 1 to 64 letters, digits, - and .", f"{where}.id"))
    if id and own and id != own:
        raise Refused(400, Issue("invalid", "the id in the resource is not the one in the address", f"{where}.id"))
    id = id or own
    kind = CHARGE_ITEM if resource.get("resourceType") == CHARGE_ITEM else INVOICE
    try:
        system, value = identity(resource, map, id) if kind == INVOICE else item(resource, map, id)
    except ValueError as error:
        raise Refused(400, Issue("invalid", str(error), where)) from None
    if not value:
        # No id and no identifier: the same content is then the same Invoice, or a repeated POST would bill twice.
        id = value = keyring().digest(jsontext.encode(resource)).hex()
    key = _key(kind, system, value)
    alone = keyring().search(*place, kind, key) if kind == CHARGE_ITEM else ""
    if kind == CHARGE_ITEM:
        system, value = identity(resource, map)
    lane = keyring().search(*place, f"{system}|{value}" if system else value) if value else alone
    condition = _condition(kind, asked.if_none_exist, where) if asked.if_none_exist else ""
    return Wanted(id, key, lane, raw, where, condition, asked.if_match, kind, alone)


def decide(wanted: Wanted, known: Known, claimed: dict[str, str]) -> Done:
    """Say what becomes of an Invoice or a ChargeItem. Raises Refused.

    `claimed` is, of those before it in the body, id → what it stands for, and the key of a ChargeItem → its account.
    """
    if wanted.only_if_new and (there := known.by_key.get(wanted.only_if_new)):
        return Done(200, there.id, message=there.message)
    same = known.by_key.get(wanted.key)
    id = wanted.id or (same.id if same else keyring().search(wanted.key))
    earlier = known.by_id.get(id)
    mine = (_key(wanted.kind, "", id), _key(wanted.kind, "", same.id if same else ""))
    if same is not None and same.id != id and wanted.key in mine:
        text = f"the number of this {wanted.kind}, or its id, is the other one of another one; give numbers a system"
        raise Refused(422, Issue("business-rule", text, f"{wanted.where}.identifier"))
    if wanted.if_match and not _matches(wanted.if_match, earlier):
        text = f"the {wanted.kind} is no longer, or never was, the version in If-Match"
        raise Refused(412, Issue("conflict", text, wanted.where))
    for before in (earlier, same if wanted.kind == CHARGE_ITEM else None):
        if before is not None and _elsewhere(before, wanted):
            _other_account(before, wanted)
    claims = {id: wanted.lane} if wanted.kind == INVOICE else {id: wanted.key, f"/{wanted.key}": wanted.lane}
    if any(claimed.setdefault(name, claim) != claim for name, claim in claims.items()):
        text = f"this id or number stands for another {wanted.kind}, too"
        raise Refused(422, Issue("business-rule", text, f"{wanted.where}.id"))
    return Done(200 if same or earlier else 201, id)


def requested(entry: dict[str, Any], resource: dict[str, Any], where: str) -> Asked:
    """Read the request of an entry (FHIR R4 §3.1.0.11). Raises Refused."""
    found = entry.get("request")
    request = {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}
    method, url = request.get("method", ""), request.get("url", "").strip("/")
    if not method or not url:
        raise Refused(400, Issue("required", "an entry needs method and url", f"{where}.request"))
    if method not in ("POST", "PUT"):
        raise Refused(405, Issue("not-supported", "taken are POST and PUT", f"{where}.request.method"))
    if not isinstance(resource.get("resourceType"), str):
        raise Refused(400, Issue("required", "POST and PUT need a resource", f"{where}.resource"))
    kind = resource["resourceType"]
    if kind not in BILLED:
        return Asked()
    target, _, id = url.partition("/")
    if target != kind or (method == "PUT") != bool(id) or (id and not ID.fullmatch(id)):
        raise Refused(400, Issue("value", f"write POST {kind} or PUT {kind}/id", f"{where}.request.url"))
    return Asked("", id, request.get("ifNoneExist", "") if method == "POST" else "", request.get("ifMatch", ""))


def rest_id(full_url: str | None, kind: str = INVOICE) -> str:
    """Return the id in an entry's fullUrl where that is an address on a server; a urn names nothing outside."""
    server, _, id = (full_url or "").rpartition(f"/{kind}/")
    return id if server and ID.fullmatch(id) else ""


def _elsewhere(earlier: Seen, wanted: Wanted) -> bool:
    """Say whether what came before is on another account, or another ChargeItem. Without an account it is nowhere."""
    other = wanted.kind == CHARGE_ITEM and earlier.key != wanted.key
    return other or earlier.lane not in (wanted.lane, wanted.alone)


_ELSEWHERE = {
    INVOICE: (
        "an Invoice with this id came before with another business identifier, or one of the two has none; "
        "send it as it was named first, or cancel that one and send a new Invoice"
    ),
    CHARGE_ITEM: (
        "this ChargeItem came before on another account or with another identifier, or one of the two has none; "
        "send it as it was named first, or abort it there before it is billed here"
    ),
}


def _other_account(earlier: Seen, wanted: Wanted) -> None:
    """Refuse what would put one Invoice or ChargeItem on a second account, and bill it twice.

    Without an account nothing was billed yet: a draft often gets its number only when it is issued.
    """
    if earlier.booked or earlier.state == Message.HELD:
        raise Refused(422, Issue("business-rule", _ELSEWHERE[wanted.kind], f"{wanted.where}.identifier"))
    if earlier.state in (Message.RECEIVED, Message.FETCHING):
        text = "its last version is still being worked; send it again in a moment"
        raise Refused(503, Issue("transient", text, wanted.where))


def _matches(if_match: str, earlier: Seen | None) -> bool:
    """Compare If-Match (RFC 9110 §13.1.1; weak, as FHIR has it) with the newest version."""
    tag = if_match.strip()
    return earlier is not None and (tag == "*" or tag.removeprefix("W/").strip('"') == str(earlier.message))


def _condition(kind: str, text: str, where: str) -> str:
    """Return the control key that If-None-Exist asks for (FHIR R4 §3.1.0.8.1). Raises Refused."""
    pairs = parse_qsl(text.rpartition("?")[2], keep_blank_values=True)
    system, bar, value = pairs[0][1].partition("|") if len(pairs) == 1 and pairs[0][0] == "identifier" else ("", "", "")
    if not bar or not value or "," in value or "\0" in system + value:
        text = "If-None-Exist takes identifier=system|value and nothing else"
        raise Refused(400, Issue("not-supported", text, where))
    return _key(kind, system, value)


def _key(kind: str, system: str, value: str) -> str:
    key = f"{kind}|{system}|{value}"
    return key if len(key) <= _LONG else keyring().search(key)
