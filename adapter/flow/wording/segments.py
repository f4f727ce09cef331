"""How long an SMS is, exactly: its alphabet, and in how many segments it is sent (3GPP TS 23.038 and 23.040). Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: These are sent as an escape and a character, and never cut in two.
_EXTENSION = frozenset("\f^{}\\[~]|€")
#: What fits into one message alone, and into each of several that belong together: septets, or UTF-16 code units.
_ROOM = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


class Size(NamedTuple):
    """Of a text as it is sent."""

    encoding: Literal["GSM-7", "UCS-2"]
    length: int  #: septets of GSM-7, or code units of UCS-2
    segments: int


def measure(text: str) -> Size:
    """Return alphabet, length and segments of a text. One letter beyond GSM-7 makes all of it UCS-2."""
    if set(text) <= _BASIC | _EXTENSION:
        return _packed("GSM-7", [2 if sign in _EXTENSION else 1 for sign in text])
    return _packed("UCS-2", [2 if ord(sign) > 0xFFFF else 1 for sign in text])


def beyond_gsm(text: str) -> str:
    """Return the characters, each once, that make a text UCS-2."""
    return "".join(dict.fromkeys(sign for sign in text if sign not in _BASIC | _EXTENSION))


def _packed(encoding: Literal["GSM-7", "UCS-2"], sizes: list[int]) -> Size:
    alone, together = _ROOM[encoding]
    length = sum(sizes)
    if length <= alone:
        return Size(encoding, length, 1)
    segments, used = 1, 0
    for size in sizes:
        if used + size > together:  # a pair that does not fit goes to the next one whole
            segments, used = segments + 1, 0
        used += size
    return Size(encoding, length, segments)
