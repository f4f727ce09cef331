"""What a stored message says: HL7 text or FHIR JSON, read by its source's map. No database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import sealed
from chartpost.adapter.settings import FhirRules, Hl7Rules, Source
from chartpost.mappings import er7
from chartpost.mappings.fhir import bundle, jsontext
from chartpost.mappings.fhir.read import read as read_invoice
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Reading
from chartpost.mappings.read import read as read_dft


def fetched(stored: bytes | None) -> Sequence[dict[str, Any]]:
    """Return the resources in a message's column `fetched`; they lie in a list, one level deeper than they came."""
    found: list[dict[str, Any]] = jsontext.decode(stored, jsontext.MAX_DEPTH + 1) if stored else []
    return found


def account_key(flow: Flow, source: str, found: Reading) -> str:
    """Return the key of the account that a message of this source speaks of; it is also its lane."""
    number = f"{found.namespace}|{found.account}" if found.namespace else found.account
    return sealed.keyring().search(source, flow.source(source).facility, number)


def read(
    flow: Flow, row: Any, source: Source, fetched: Sequence[dict[str, Any]] = (), map: Map | None = None,
    explained: list[list[str]] | None = None,
) -> Reading:  # fmt: skip
    """Read one message (source, control_id, raw, edited), with what was fetched for it; as a person corrected it.

    By its source's map, or by another one to see what that makes of it; `explained` as for mappings.read. Raises
    Unreadable, Er7Error or FhirError.
    """
    facility = flow.facility(source.facility)
    map = map or flow.maps[row.source]
    text = row.raw if row.edited is None else row.edited
    where: dict[str, Any] = {
        "currency": facility.currency, "region": facility.region, "timezone": facility.timezone, "explained": explained,
    }  # fmt: skip
    if map.dialect == "fhir":
        depth = source.max_depth if isinstance(source, FhirRules) else 32
        resource, around = bundle.unpack(text, depth)
        return read_invoice(resource, map, id=row.control_id, around=[*around, *fetched], **where)
    charset = source.encoding if isinstance(source, Hl7Rules) else "utf-8"
    return read_dft(er7.parse(text, charset), map, **where)
