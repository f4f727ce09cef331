"""Bytes ⇄ text for HL7 v2: what MSH-18 says (table 0211), and what the bytes say when MSH-18 says nothing."""

from __future__ import annotations

import codecs
import re

#: HL7 table 0211, and the spellings seen beside it, as Python codecs. "" means: said nothing that binds.
CODECS: dict[str, str] = {
    "ASCII": "",  # many senders say ASCII and send whatever they have
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    "ISO IR6": "",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
    "WINDOWS-1252": "cp1252",
    "CP1252": "cp1252",
}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_END = re.compile(rb"[\r\n]")


def declared(raw: bytes) -> str:
    """Return MSH-18's first repetition as it stands, "" when absent. Only for ASCII-compatible bytes."""
    start = raw.find(b"MSH")
    if start < 0 or len(raw) < start + 4:
        return ""
    end = _END.search(raw, start)
    fields = raw[start : end.start() if end else len(raw)].split(raw[start + 3 : start + 4], 18)
    if len(fields) < 18:
        return ""
    # The second encoding character separates repetitions; the first repetition is the default character set.
    first = fields[17].split(fields[1][1:2], 1)[0] if len(fields[1]) > 1 else fields[17]
    return first.decode("latin-1").strip()


def codec_named(name: str) -> str:
    """Return the Python codec of a table 0211 name, "" when the name is unknown or does not bind."""
    tidy = name.upper().replace("ISO-8859-", "8859/").replace("ISO8859-", "8859/").replace("8859-", "8859/")
    return CODECS.get(tidy, "")


def decode(raw: bytes, default: str = "utf-8") -> tuple[str, str]:
    """Return the text and the codec that gives back the same bytes. A byte order mark stays in the text.

    A mark decides; else MSH-18; else strict UTF-8; else `default`, the charset that the source is configured with.
    Bytes that contradict MSH-18 are read by the same fall-backs: engines convert bytes and forget the field.
    Raises UnicodeDecodeError when nothing fits, LookupError for an unknown `default`.
    """
    for mark, codec in _BOMS:
        if raw.startswith(mark):
            return raw.decode(codec), codec
    named = codec_named(declared(raw))
    if named.startswith(("utf-16", "utf-32")):
        named = ""  # MSH was read as single bytes, so these are not what they say
    for codec in (named, "utf-8"):
        if codec:
            try:
                return raw.decode(codec), codec
            except UnicodeDecodeError:
                pass
    return raw.decode(default), default
