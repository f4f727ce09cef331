"""What a sender of charges gets for an answer, made of what was judged and stored. Pure."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from chartpost.adapter.flow.door.receive_fhir import REST, Judgement, Version
from chartpost.adapter.flow.door.receive_invoice import ID, Done
from chartpost.adapter.flow.posting.reconciliations import instant
from chartpost.adapter.ledger.intake import Fate
from chartpost.mappings.fhir.outcome import Issue, note, outcome

#: What may stand as a uri or a code: strict out, whatever came in.
_WORD = re.compile(r"\S{1,1000}")


class Answer(NamedTuple):
    """Status, headers and the resource (None: no body)."""

    status: int
    headers: Mapping[str, str]
    resource: Any


def answered(
    judged: Judgement, fates: Sequence[Fate], *, base: str, now: dt.datetime, version: Version, wanted: str
) -> Answer:
    """Return the answer to a body. `base` is our own address, `wanted` the "return" of the Prefer header or ""."""
    if not judged.kind:
        return Answer(judged.status, {}, outcome(*judged.done[0].issues))
    if judged.kind in REST:
        entries = [{"response": _response(judged, done, fates, base, now)} for done in judged.done]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": f"{judged.kind}-response"}
        return Answer(200, {}, bundle | ({"entry": entries} if entries else {}))
    told = outcome(*_told(judged, fates))
    if judged.kind == "message":
        return Answer(200, {}, _message(judged.resource, told, base, now, version))
    if judged.kind != judged.takes:
        return Answer(202, {}, told)
    [done] = judged.done
    number = _number(done, fates)
    headers = {"location": _location(judged, done, number, base), "etag": f'W/"{number}"'}
    if wanted == "minimal":
        return Answer(done.status, headers, None)
    if wanted == "representation" and not done.message:
        return Answer(done.status, headers, _representation(judged.resource, done, number, now))
    return Answer(done.status, headers, told)


def _number(done: Done, fates: Sequence[Fate]) -> int:
    """Return the message that stands for an Invoice or a ChargeItem: the version that we tell."""
    return done.message or fates[done.row].id


def _location(judged: Judgement, done: Done, number: int, base: str) -> str:
    return f"{base}/{judged.takes}/{done.id}/_history/{number}"


def _response(judged: Judgement, done: Done, fates: Sequence[Fate], base: str, now: dt.datetime) -> dict[str, Any]:
    """The response of one entry (FHIR R4 §3.1.0.11.1)."""
    found: dict[str, Any] = {"status": f"{done.status} {HTTPStatus(done.status).phrase}"}
    if done.id:
        number = _number(done, fates)
        where = _location(judged, done, number, base)
        found |= {"location": where, "etag": f'W/"{number}"', "lastModified": instant(now)}
    return found | {"outcome": outcome(*done.issues)} if done.issues else found


def _told(judged: Judgement, fates: Sequence[Fate]) -> list[Issue]:
    """Say of each Invoice or ChargeItem where it is now; of the rest only how many there were."""
    told, kind = [], judged.takes
    for index, done in enumerate(judged.done):
        where = kind if judged.kind == kind else f"Bundle.entry[{index}]"
        if done.message:
            told.append(note(f"{kind}/{done.id} is here already, as message M{done.message}", where))
        elif done.id:
            told.append(note(f"{kind}/{done.id} is stored as message M{_number(done, fates)}", where))
    others = sum(not done.id for done in judged.done)
    if others:
        told.append(note(f"{others} other entries are kept with the Bundle, for its {kind}s"))
    if judged.kind != kind and others == len(judged.done):
        told.append(Issue("not-found", f"no {kind} was in it: nothing to bill", "Bundle.entry", "warning"))
    return told


def _representation(resource: dict[str, Any], done: Done, number: int, now: dt.datetime) -> dict[str, Any]:
    meta = resource.get("meta")
    meta = (meta if isinstance(meta, dict) else {}) | {"versionId": str(number), "lastUpdated": instant(now)}
    return resource | {"id": done.id, "meta": meta}


def _message(asked: Any, told: dict[str, Any], base: str, now: dt.datetime, version: Version) -> dict[str, Any]:
    """Return the message that answers a message (FHIR R4 §2.4.3): its MessageHeader says ok, the outcome says what."""
    entries = asked.get("entry")
    first = (
        entries[0].get("resource") if isinstance(entries, list) and entries and isinstance(entries[0], dict) else None
    )
    header = first if isinstance(first, dict) and first.get("resourceType") == "MessageHeader" else {}
    names = [text for text in (header.get("id"), asked.get("id")) if isinstance(text, str) and ID.fullmatch(text)]
    name = names[0] if names else "unnamed"
    details = f"urn:uuid:{uuid.uuid4()}"
    response: dict[str, Any] = {"code": "ok", "details": {"reference": details}}
    reply: dict[str, Any] = {"resourceType": "MessageHeader", **_event(header, version)}
    if version == "R5":
        reply |= {"source": {"endpointUrl": base}, "response": response | {"identifier": {"value": name}}}
    else:
        reply |= {"source": {"endpoint": base}, "response": response | {"identifier": name}}
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": instant(now),
        "entry": [
            {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": reply},
            {"fullUrl": details, "resource": told},
        ],
    }


def _event(header: Mapping[str, Any], version: Version) -> dict[str, Any]:
    """Echo what the message was about; it is required, so that a message without gets a word of ours."""
    canonical = "eventCanonical" if version == "R5" else "eventUri"
    if isinstance(uri := header.get(canonical), str) and _WORD.fullmatch(uri):
        return {canonical: uri}
    coding = header.get("eventCoding")
    if isinstance(coding, dict):
        kept = {name: coding[name] for name in ("system", "code") if isinstance(coding.get(name), str)}
        if "code" in kept and all(_WORD.fullmatch(text) for text in kept.values()):
            return {"eventCoding": kept}
    return {"eventCoding": {"system": "urn:chartpost:event", "code": "charges"}}
