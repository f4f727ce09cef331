"""Newline-delimited JSON, as bulk exports write it (FHIR Bulk Data 2.0 §6.1): one resource a line.

Read as one Bundle of type collection, so that what holds for Bundles holds here: all of it is taken or nothing, what
refers to one another is found, and no Invoice is billed on two accounts.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


def as_bundle(body: bytes) -> bytes:
    """Return a text of several lines, each an object, as a Bundle; `Bundle.entry[3]` is the fourth of them.

    Any other text is returned as it is, whatever it is.
    """
    lines = [line for line in (line.strip() for line in body.removeprefix(_BOM).splitlines()) if line]
    # JSON that is spread over lines for people to read ends no line with a brace that its first line opened.
    if len(lines) < 2 or not (lines[0].startswith(b"{") and lines[0].endswith(b"}")):
        return body
    entries = b'},\n{"resource":'.join(lines)
    return b'{"resourceType":"Bundle","type":"collection","entry":[\n{"resource":' + entries + b"}\n]}"
