"""Messages out of files, whatever is in them: HL7 v2 alone, in batches, or framed for MLLP; Invoices alone, in Bundles,
or one a line. What cannot be read is told, and the rest is read all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chartpost.mappings import er7
from chartpost.mappings.fhir import bundle, jsontext, ndjson

__all__ = ["Specimen", "Specimens", "Trouble", "collect", "take"]

#: What MLLP puts around a message (start, end), and captures of a line often keep.
_FRAME = bytes.maketrans(b"\x0b\x1c", b"\r\r")
#: Bytes of one file that are looked at.
_LARGEST = 64_000_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that could not be read."""

    file: str
    text: str  #: where and why; never what stood there


@dataclass(frozen=True, slots=True)
class Specimen:
    """One message or one Invoice."""

    file: str
    number: int  #: 1-based in its file
    message: er7.Message | None = None
    resource: dict[str, Any] | None = None
    around: tuple[dict[str, Any], ...] = ()  #: entries of its Bundle that it needs


@dataclass(slots=True)
class Specimens:
    """All that was found."""

    files: int = 0
    items: list[Specimen] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def messages(self) -> list[er7.Message]:
        return [one.message for one in self.items if one.message is not None]

    @property
    def invoices(self) -> list[Specimen]:
        return [one for one in self.items if (one.resource or {}).get("resourceType") == "Invoice"]


def collect(files: Iterable[tuple[str, bytes]]) -> Specimens:
    """Return what stands in files, each a name and its bytes. Never raises."""
    found = Specimens()
    for name, raw in files:
        take(found, name, raw)
    return found


def take(found: Specimens, file: str, raw: bytes) -> None:
    """Add what stands in one file. Never raises."""
    found.files += 1
    try:
        if len(raw) > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        head = raw[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
        if head[:1] in (b"{", b"["):
            _resources(found, file, raw)
        else:
            _messages(found, file, raw)
    except ValueError as error:
        found.troubles.append(Trouble(file, str(error)))


def _messages(found: Specimens, file: str, raw: bytes) -> None:
    if raw[:2] not in (b"\xff\xfe", b"\xfe\xff") and (b"\x0b" in raw or b"\x1c" in raw):
        raw = raw.translate(_FRAME).lstrip(b"\r\n")
    for number, body in enumerate(er7.split_batch(raw), 1):
        try:
            found.items.append(Specimen(file, number, message=er7.parse(body, default_charset="latin-1")))
        except er7.Er7Error as error:
            found.troubles.append(Trouble(file, f"message {number}: {error}"))


def _resources(found: Specimens, file: str, raw: bytes) -> None:
    body = jsontext.decode(ndjson.as_bundle(raw))
    if isinstance(body, list):
        body = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in body]}
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise ValueError("JSON, and no FHIR resource: it has no resourceType")
    if body["resourceType"] != "Bundle":
        found.items.append(Specimen(file, 1, resource=body))
        return
    number = 0
    for part in bundle.parts(body):
        if part.resource is not None:
            number += 1
            found.items.append(Specimen(file, number, resource=part.resource, around=part.around))
