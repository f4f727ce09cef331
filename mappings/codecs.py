"""Kombu serializers for `application/hl7-v2` and `application/fhir+json`, found by every program beside chartpost.

Kombu loads the entry points that name them in the middle of its own import, and guards nothing. So this module imports
nothing that could fail, and never kombu itself; er7 and jsontext are loaded by the first message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chartpost.mappings import er7

HL7_TYPE = "application/hl7-v2"
FHIR_TYPE = "application/fhir+json"


class Hl7View:
    """A message as it came, and its fields by position: `bytes(view)` are the very bytes, `view["PID-3.1"]` a value.

    Iterating gives the segments. Nothing is copied, changed or interpreted, and `repr` shows no patient.
    """

    __slots__ = ("message", "raw")

    def __init__(self, source: bytes | str) -> None:
        """Read one message; a str is one whose bytes somebody decoded on the way. Raises ValueError when it is none.

        Bytes are read by MSH-18, else as UTF-8, else as Latin-1, which cannot fail.
        """
        from chartpost.mappings import er7

        self.message: er7.Message = er7.parse(source, default_charset="latin-1")
        self.raw = source if isinstance(source, bytes) else self.message.encode()

    def __getitem__(self, path: str) -> str:
        """Return the value at a path such as `FT1[2]-11.1.1`, unescaped; "" when empty, absent or null.

        Raises ValueError when the text is no path (docs/reference/map.md).
        """
        from chartpost.mappings.paths import compile_path

        found = compile_path(path).get(self.message)
        return found if isinstance(found, str) else ""

    def text(self, name: str, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return one value of the first segment of a name, unescaped; "" when empty, absent or null."""
        return self.message.text(name, field, component, subcomponent)

    @property
    def segments(self) -> list[er7.Segment]:
        """All segments in order, Z segments too."""
        return self.message.segments

    def __iter__(self) -> Iterator[er7.Segment]:
        return iter(self.message.segments)

    def __bytes__(self) -> bytes:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hl7View) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<Hl7View of {len(self.raw)} bytes, {len(self.message.segments)} segments>"


def decode_hl7(body: Any) -> Hl7View:
    """Return the view of a delivered body. Kombu turns what this raises into its DecodeError."""
    return Hl7View(body if isinstance(body, (bytes, str)) else bytes(body))


def encode_hl7(message: Hl7View | er7.Message | bytes | str) -> bytes:
    """Return the bytes of a message: those it came in, or a str in the character set of its MSH-18, else UTF-8.

    Raises TypeError or ValueError, which Kombu turns into its EncodeError.
    """
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    if isinstance(message, Hl7View):
        return message.raw
    from chartpost.mappings import charset, er7

    if isinstance(message, er7.Message):
        return message.encode()
    if not isinstance(message, str):
        raise TypeError(f"no HL7 message: {type(message).__name__}")
    codec = charset.codec_named(charset.declared(message.encode("utf-8", "replace"))) or "utf-8"
    try:
        return message.encode(codec)
    except UnicodeEncodeError as error:
        raise er7.Er7Error(f"character {error.start} cannot be written as {codec}") from None


def decode_fhir(body: Any) -> Any:
    """Return the resource of a delivered body: dicts and lists, and Decimals that keep `10.00` as it is."""
    from chartpost.mappings.fhir import jsontext

    return jsontext.decode(body.encode("utf-8") if isinstance(body, str) else bytes(body))


def encode_fhir(resource: Any) -> bytes:
    """Return a resource as JSON; a Decimal is written with exactly its digits."""
    from chartpost.mappings.fhir import jsontext

    return jsontext.encode(resource)


#: What the entry points name: encoder, decoder, content type, content encoding (kombu.serialization.register).
#: HL7 is binary, or a transport would decode Latin-1 by a label of its own.
hl7v2 = (encode_hl7, decode_hl7, HL7_TYPE, "binary")
fhir = (encode_fhir, decode_fhir, FHIR_TYPE, "utf-8")
