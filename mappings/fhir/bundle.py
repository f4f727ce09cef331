"""Take a Bundle apart, and put an Invoice or a ChargeItem together again with the resources that it needs.

A part keeps its fullUrl and its request as they were: what a transaction's entry asks for is the door's to judge. A
packed Invoice is a Bundle again, so that what is stored is FHIR that anybody can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.billed import BILLED
from chartpost.mappings.fhir.jsontext import MAX_DEPTH, FhirError
from chartpost.mappings.fhir.references import Around, Resource, base_of, entry, needed, objects, text

__all__ = ["Part", "pack", "parts", "unpack"]


class Part(NamedTuple):
    """One entry of a Bundle."""

    ordinal: int  #: 1-based
    resource: Resource | None  #: None where the entry has none: a deletion, a notification without payload
    full_url: str
    method: str  #: of `request`, as are the next two; "" where it says nothing
    url: str
    if_none_exist: str
    around: tuple[Resource, ...] = ()  #: of an Invoice or a ChargeItem: the entries {fullUrl, resource} that it needs


def parts(bundle: Any) -> list[Part]:
    """Return every entry of a Bundle of any type, in order. Raises FhirError for what is no Bundle of entries."""
    entries = _entries(bundle)
    around = Around(entries)
    return [_part(number, item, around) for number, item in enumerate(entries, 1)]


def _entries(bundle: Any) -> list[Resource]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise FhirError("resourceType: this is no Bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise FhirError("Bundle.entry is no list")
    for index, item in enumerate(entries):
        if not isinstance(item, dict):
            raise FhirError(f"Bundle.entry[{index}] is no object")
        if not isinstance(item.get("resource"), dict | None):
            raise FhirError(f"Bundle.entry[{index}].resource is no object")
    return entries


def _part(ordinal: int, item: Resource, around: Around) -> Part:
    resource = item.get("resource")
    request = (objects(item.get("request")) or [{}])[0]
    full_url = text(item.get("fullUrl"))
    says = resource is not None and text(resource.get("resourceType")) in BILLED
    return Part(
        ordinal=ordinal,
        resource=resource,
        full_url=full_url,
        method=text(request.get("method")),
        url=text(request.get("url")),
        if_none_exist=text(request.get("ifNoneExist")),
        around=tuple(needed(around, resource, base_of(full_url))) if resource is not None and says else (),
    )


def pack(invoice: Resource, around: Sequence[Resource] = ()) -> bytes:
    """Return a collection Bundle: the Invoice or ChargeItem first, then those around it (entries or bare resources)."""
    pairs = [entry(item) for item in around]
    others = [{"fullUrl": url, "resource": resource} if url else {"resource": resource} for url, resource in pairs]
    return jsontext.encode({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": invoice}, *others]})


def unpack(body: bytes, max_depth: int = MAX_DEPTH) -> tuple[Resource, list[Resource]]:
    """Return what is billed and the entries around it, from a packed Bundle or a resource alone. Raises FhirError."""
    found = jsontext.decode(body, max_depth)
    if not isinstance(found, dict):
        raise FhirError("this is no resource: no object")
    if found.get("resourceType") != "Bundle":
        return found, []
    entries = _entries(found)
    if not entries or not entries[0].get("resource"):
        raise FhirError("Bundle.entry[0]: an Invoice is expected there")
    return entries[0]["resource"], [item for item in entries[1:] if item.get("resource")]
