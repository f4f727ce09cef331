"""Hold a received FHIR resource against its version, by the check that ours have to pass before they leave.

A Bundle is judged as such, and each resource in it by itself: fhir.resources looks at those only coarsely.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.versions import check
from chartpost.mappings.finding import Finding, Severity

_FIX = "ask the sender to correct it; what is read leniently may still count"
#: Ours are held to more than FHIR asks: an amount has its currency, and exactly its decimals.
_OURS: dict[str, Severity] = {"must have": "note", "not an ISO 4217": "warning"}


def lint(body: bytes, version: str) -> list[Finding]:
    """Return what a resource says otherwise than its version of FHIR ("R4", "R4B", "R5"), each thing once.

    Raises FhirError, and nothing else, when the bytes are no FHIR resource.
    """
    value = jsontext.decode(body)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise jsontext.FhirError("resourceType: this is no FHIR resource")
    return list(dict.fromkeys(_findings(value, body, "", version)))


def _findings(value: dict[str, Any], body: bytes, path: str, version: str) -> Iterator[Finding]:
    kind = value["resourceType"]
    for problem in check(body, kind, version):
        place, _, text = problem.partition(": ")
        severity: Severity = next((mild for start, mild in _OURS.items() if text.startswith(start)), "error")
        yield Finding(severity, f"{path}{place}", "fhir", text or "cannot be read", _FIX)
    entries = value.get("entry") if kind == "Bundle" else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("resourceType"), str) and not path:
            yield from _findings(inner, jsontext.encode(inner), f"{path}entry[{index}].resource.", version)
