"""What a stored message says: HL7 text or FHIR JSON, read by its source's map. No database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.settings import FhirRules, Hl7Rules, Source
from chartpost.mappings import er7
from chartpost.mappings.fhir import bundle, jsontext
from chartpost.mappings.fhir.read import read as read_invoice
from chartpost.mappings.model import Reading
from chartpost.mappings.read import read as read_dft


def fetched(stored: bytes | None) -> Sequence[dict[str, Any]]:
    """Return the resources in a message's column `fetched`; they lie in a list, one level deeper than they came."""
    found: list[dict[str, Any]] = jsontext.decode(stored, jsontext.MAX_DEPTH + 1) if stored else []
    return found


def read(flow: Flow, row: Any, source: Source, fetched: Sequence[dict[str, Any]] = ()) -> Reading:
    """Read one message (source, control_id, raw), with what was fetched for it.

    Raises Unreadable, Er7Error or FhirError.
    """
    facility = flow.facility(source.facility)
    map = flow.maps[row.source]
    where = {"currency": facility.currency, "region": facility.region, "timezone": facility.timezone}
    if map.dialect == "fhir":
        depth = source.max_depth if isinstance(source, FhirRules) else 32
        resource, around = bundle.unpack(row.raw, depth)
        return read_invoice(resource, map, id=row.control_id, around=[*around, *fetched], **where)
    charset = source.encoding if isinstance(source, Hl7Rules) else "utf-8"
    return read_dft(er7.parse(row.raw, charset), map, **where)
