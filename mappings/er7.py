"""Read and write HL7 v2 text (ER7) by position, losing nothing. Knows delimiters and escapes, no meaning.

Fields are counted as the standard counts them (HL7 v2.5.1 §2.5): MSH-1 is the separator itself. Delimiters come from
MSH-1 and MSH-2 of every message, never from habit: VistA sends `MSH|~^\\&|`. Everything is split on demand.
"""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from chartpost.mappings import charset
from chartpost.mappings.escapes import STANDARD, Delimiters, escape, recode, unescape

__all__ = [
    "HEADERS", "NULL", "NULL_TEXT", "STANDARD", "Delimiters", "Er7Error", "Message", "Null", "Segment",
    "build", "compose", "decode", "escape", "line_starts", "parse", "part", "recode", "split_batch", "unescape",
]  # fmt: skip

HEADERS = frozenset({"MSH", "FHS", "BHS"})  #: segments whose field 1 is the field separator
MAX_SEGMENTS = 10_000


class Er7Error(ValueError):
    """The bytes are no HL7 v2 message. Says where (segment or byte offset), never what stood there."""


class Null(enum.Enum):
    """`""` on the wire: "delete what you have", which is not the same as an empty field ("no change")."""

    NULL = '""'

    def __bool__(self) -> bool:
        return False


NULL: Final = Null.NULL
NULL_TEXT: Final = '""'  #: as it stands on the wire


# ---------------------------------------------------------------------------------------------------------- reading


class Segment:
    """One line of a message: its text as it came, split into fields when first asked."""

    __slots__ = ("_fields", "delimiters", "end", "name", "occurrence", "ordinal", "text")

    def __init__(self, text: str, end: str, ordinal: int, delimiters: Delimiters) -> None:
        self.text = text
        self.end = end  #: its terminator as it came: CR, CRLF, LF, or "" for the last
        self.ordinal = ordinal  #: 1-based among all segments
        self.delimiters = delimiters
        self.name = text.partition(delimiters.field)[0]
        self.occurrence = 1  #: 1-based among the segments of its name
        self._fields: list[str] | None = None

    def field(self, number: int) -> str:
        """Return field `number` (1-based) as ER7 text, "" when the segment is shorter."""
        fields = self._fields
        if fields is None:
            separator = self.delimiters.field
            fields = self.text.split(separator)
            if self.name in HEADERS:
                fields.insert(1, separator)
            self._fields = fields
        return fields[number] if number < len(fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """Return the repetitions of a field as ER7 text; MSH-2 is one value, whatever it holds."""
        text = self.field(number)
        mark = self.delimiters.repetition
        if not mark or mark not in text or (number == 2 and self.name in HEADERS):
            return [text]
        return text.split(mark)


def part(text: str, delimiters: Delimiters, component: int = 1, subcomponent: int = 0) -> str:
    """Return a component (1-based) of a repetition as ER7 text, or a subcomponent of it; "" when absent.

    A primitive is its own first component and first subcomponent (HL7 v2.5.1 §2.6): FT1-11.1.1 of `100.00` is 100.00.
    """
    mark = delimiters.component
    if mark and mark in text:
        parts = text.split(mark, component)
        text = parts[component - 1] if component <= len(parts) else ""
    elif component > 1:
        return ""
    if not subcomponent:
        return text
    mark = delimiters.subcomponent
    if mark and mark in text:
        parts = text.split(mark, subcomponent)
        return parts[subcomponent - 1] if subcomponent <= len(parts) else ""
    return text if subcomponent == 1 else ""


class Message:
    """A parsed message. `encode()` gives back the very bytes."""

    __slots__ = ("_index", "codec", "delimiters", "lone_line_feeds", "prefix", "segments")

    def __init__(
        self, prefix: str, segments: list[Segment], delimiters: Delimiters, codec: str, lone_line_feeds: bool
    ) -> None:
        self.prefix = prefix  #: a byte order mark and blank lines before MSH
        self.segments = segments
        self.delimiters = delimiters
        self.codec = codec
        self.lone_line_feeds = lone_line_feeds  #: LF that stands in field data, because CR ends the segments
        self._index: dict[str, list[Segment]] = {}
        for segment in segments:
            same = self._index.setdefault(segment.name, [])
            same.append(segment)
            segment.occurrence = len(same)

    def all(self, name: str) -> list[Segment]:
        """Return the segments of a name in order."""
        return self._index.get(name, [])

    def segment(self, name: str, occurrence: int = 1) -> Segment | None:
        """Return the n-th (1-based) segment of a name."""
        same = self._index.get(name)
        return same[occurrence - 1] if same and occurrence <= len(same) else None

    def text(self, name: str, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return one value of the first segment of a name, unescaped; "" when empty, absent or null."""
        segment = self.segment(name)
        if segment is None:
            return ""
        if name in HEADERS and field <= 2:
            return segment.field(field)
        value = part(segment.repetitions(field)[0], self.delimiters, component, subcomponent)
        return "" if value == NULL_TEXT else unescape(value, self.delimiters, self.codec)

    def __str__(self) -> str:
        return self.prefix + "".join([segment.text + segment.end for segment in self.segments])

    def encode(self) -> bytes:
        """Return the message as bytes, equal to what was parsed. Raises Er7Error for text its charset cannot say."""
        try:
            return str(self).encode(self.codec)
        except UnicodeEncodeError as error:
            raise Er7Error(f"character {error.start} cannot be written as {self.codec}") from None


_CR = re.compile("(\r\n?)")
_LF = re.compile("(\n)")
_BLANK = "\ufeff \t\r\n"


def decode(raw: bytes, default: str = "utf-8") -> str:
    """Return the text of a message: byte order mark, else MSH-18 (table 0211), else strict UTF-8, else `default`.

    Raises Er7Error, and nothing else, when no charset fits.
    """
    return _decode(raw, default)[0]


def _decode(raw: bytes, default: str) -> tuple[str, str]:
    try:
        return charset.decode(raw, default)
    except UnicodeDecodeError as error:
        raise Er7Error(f"byte {error.start}: not {error.encoding}, and MSH-18 names no charset that fits") from None
    except LookupError:
        raise Er7Error(f"unknown charset {default!r}") from None


def parse(source: bytes | str, default_charset: str = "utf-8", max_segments: int = MAX_SEGMENTS) -> Message:
    """Read one message. CR ends a segment; LF only after a CR, or in a message without CR, else it is field data.

    Raises Er7Error, and nothing else: no MSH at the start, unusable MSH-1/MSH-2, unreadable charset, too many segments.
    """
    text, codec = _decode(source, default_charset) if isinstance(source, bytes) else (source, "utf-8")
    body = text.lstrip(_BLANK)
    prefix = text[: len(text) - len(body)]
    if not body.startswith("MSH"):
        raise Er7Error(f"character {len(prefix)}: a message begins with MSH")
    # CRs that only trail (some senders close an LF message with one) do not make CR the terminator.
    returns = "\r" in body.rstrip("\r\n")
    if body.count("\r" if returns else "\n") > max_segments:
        raise Er7Error(f"more than {max_segments} segments")
    pieces = (_CR if returns or "\n" not in body else _LF).split(body)
    delimiters = _delimiters(pieces[0])
    segments = [
        Segment(pieces[i], pieces[i + 1] if i + 1 < len(pieces) else "", i // 2 + 1, delimiters)
        for i in range(0, len(pieces), 2)
        if pieces[i] or i + 1 < len(pieces)
    ]
    lone = returns and "\n" in body and body.count("\n") > body.count("\r\n")
    return Message(prefix, segments, delimiters, codec, lone)


@lru_cache(maxsize=64)
def _read_delimiters(field: str, encoding: str) -> Delimiters:
    characters = field + encoding
    if not encoding or len(encoding) > 5 or len(set(characters)) < len(characters):
        raise Er7Error("MSH-2: one to five different encoding characters are needed")
    if any(char.isalnum() or ord(char) < 32 or char in " \"'.-+" for char in characters):
        raise Er7Error("MSH-1, MSH-2: a letter, digit, space or control character cannot be a delimiter")
    return Delimiters(field, *encoding, *[""] * (5 - len(encoding)))


def _delimiters(header: str) -> Delimiters:
    if len(header) < 5:
        raise Er7Error("MSH ends before MSH-2")
    return _read_delimiters(header[3], header[4:].partition(header[3])[0])


# ---------------------------------------------------------------------------------------------------------- batches

_WRAPPERS = (b"FHS", b"BHS", b"BTS", b"FTS")


def split_batch(raw: bytes) -> list[bytes]:
    """Return each message of a frame or file as it stands. FHS, BHS, BTS and FTS are all optional (HL7 v2.5.1 §2.10.3).

    Raises Er7Error when there is no message, or a segment stands outside of one: it would be lost.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [raw]  # UTF-16: a batch of it was never seen, and its bytes are not lines
    messages: list[bytes] = []
    begin = -1
    wrapped = False
    for start in line_starts(raw):
        name = raw[start : start + 6].removeprefix(codecs.BOM_UTF8).lstrip(b" \t")[:3]
        if name == b"MSH" or name in _WRAPPERS:
            if begin >= 0:
                messages.append(raw[begin:start])
            begin = start if name == b"MSH" else -1
            wrapped = wrapped or begin < 0
        elif begin < 0 and name[:1] not in (b"", b"\r", b"\n"):
            raise Er7Error(f"byte {start}: a segment outside of any message")
    if begin >= 0:
        messages.append(raw[begin:])
    if not messages:
        raise Er7Error("no MSH: there is no message here")
    return [raw] if len(messages) == 1 and not wrapped else messages


def line_starts(raw: bytes) -> list[int]:
    """Return where the segments of a frame or file begin: after a CR, or after an LF where no CR ends any."""
    pattern = rb"\r\n?" if b"\r" in raw.rstrip(b"\r\n") else rb"[\r\n]"
    return [0, *(match.end() for match in re.finditer(pattern, raw))]


# ---------------------------------------------------------------------------------------------------------- writing


def compose(parts: Mapping[tuple[int, int], str], delimiters: Delimiters = STANDARD) -> str:
    """Make a field's ER7 text from plain values keyed (component, subcomponent), both 1-based. Values are escaped."""
    components: dict[int, dict[int, str]] = {}
    for (component, subcomponent), value in parts.items():
        components.setdefault(component, {})[subcomponent] = escape(value, delimiters)
    texts = [
        _joined(components.get(number, {}), delimiters.subcomponent)
        for number in range(1, max(components, default=0) + 1)
    ]
    return delimiters.component.join(texts).rstrip(delimiters.component)


def _joined(values: Mapping[int, str], mark: str) -> str:
    return mark.join(values.get(number, "") for number in range(1, max(values, default=0) + 1)).rstrip(mark)


def build(segments: Iterable[tuple[str, Mapping[int, str]]], delimiters: Delimiters = STANDARD) -> str:
    """Write segments, each a name and its fields' ER7 text by number, CR after each. MSH-1 and MSH-2 are filled in.

    Raises ValueError when a text holds the field separator or a line end: that would be another field or segment.
    """
    lines = []
    for name, fields in segments:
        texts = dict(fields)
        if any(delimiters.field in text or "\r" in text or "\n" in text for text in texts.values()):
            raise ValueError(f"{name}: a field's text holds a separator")
        if name in HEADERS:
            texts[2] = delimiters.encoding
        numbers = range(2 if name in HEADERS else 1, max(texts, default=0) + 1)
        lines.append(delimiters.field.join([name, *(texts.get(number, "") for number in numbers)]) + "\r")
    return "".join(lines)
