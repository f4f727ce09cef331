"""The header of an HL7 v2 message, peeked from its bytes: all that routing and acknowledging need.

The fields stay in the sender's bytes, so that an acknowledgement can echo them unchanged.
"""

from __future__ import annotations

from functools import lru_cache

#: Control characters have no business in a header, and a stray 1C before a CR would end the frame of our answer.
#: ESC stays: the ISO 2022 character sets are made of it.
_CONTROLS = bytes(code for code in range(0x20) if code != 0x1B)

_USUAL = b"^~\\&"
_LEADING = b"\xef\xbb\xbf\r\n \t"  # a byte order mark and blank lines before MSH are seen in files sent as they are
_WIDTH = 18  # MSH-18 is the last field that is asked for
_EMPTY = [b""] * _WIDTH
_LONG = 1000  # bytes of a header that is worth remembering


class NoHeader(ValueError):
    """There is no MSH segment to go by, or its delimiters cannot be used. The text says which, and shows nothing."""


class Sender:
    """All of an MSH that a sender's messages share, worked out once: everything but MSH-7 and MSH-10.

    The texts are for columns, reasons and comparing: bytes that are no UTF-8 show as escapes.
    """

    __slots__ = (
        "accept",
        "application",
        "component",
        "fields",
        "name",
        "processing_id",
        "subcomponent",
        "type",
        "version",
    )

    def __init__(self, fields: list[bytes]) -> None:
        """Take the fields, the separator itself in place of "MSH"."""
        fields = fields + _EMPTY[len(fields) :]
        self.fields = fields
        self.component = component = fields[1][0:1]
        self.subcomponent = fields[1][3:4]
        self.name = f"{text(fields[2])}|{text(fields[3])}"  #: MSH-3 and MSH-4
        parts = fields[8].split(component)
        self.type = text(b"^".join(parts[:2]).rstrip(b"^"))
        self.processing_id = text(fields[10].partition(component)[0])
        self.version = text(fields[11].partition(component)[0])
        self.accept = _condition(fields[14])  #: MSH-15
        self.application = _condition(fields[15])  #: MSH-16


class Header:
    """The MSH segment. `header[n]` is MSH-n in the sender's bytes: 1 to 18 without 7, b"" where it ends earlier."""

    __slots__ = ("control_id", "sender")

    def __init__(self, sender: Sender, control_id: bytes) -> None:
        self.sender = sender
        self.control_id = control_id  #: MSH-10, which may be empty

    def __getitem__(self, number: int) -> bytes:
        return self.control_id if number == 10 else self.sender.fields[number - 1]

    @property
    def type(self) -> str:
        """MSH-9 as "DFT^P03", whatever the delimiters; "DFT" where there is no event (HL7 v2.1)."""
        return self.sender.type

    @property
    def processing_id(self) -> str:
        """MSH-11.1: P production, T training, D debugging."""
        return self.sender.processing_id

    @property
    def version(self) -> str:
        """MSH-12.1: "2.5.1"."""
        return self.sender.version


def text(value: bytes) -> str:
    """Return bytes of a header as text, whatever they are."""
    return value.decode("utf-8", "backslashreplace")


def peek(body: bytes) -> Header:
    """Return the header of a message (HL7 v2.5.1 §2.15.9). Raises NoHeader."""
    if not body.startswith(b"MSH"):
        body = body.lstrip(_LEADING)
        if not body.startswith(b"MSH"):
            raise NoHeader("the message does not begin with an MSH segment")
    line = body[: _line_end(body, 0)].translate(None, _CONTROLS)
    separator = line[3:4]
    fields = line.split(separator) if _usable(separator) else []
    if len(fields) < 2:
        raise NoHeader("MSH-1, the field separator, is missing or cannot be used")
    encoding = fields[1]
    if encoding != _USUAL and not (
        1 <= len(encoding) <= 5
        and len(set(encoding + separator)) == len(encoding) + 1
        and all(_usable(encoding[i : i + 1]) for i in range(len(encoding)))
    ):
        raise NoHeader("MSH-2, the encoding characters, are missing or cannot be used")
    control_id = b""
    if len(fields) > 6:
        fields[6] = b""
    if len(fields) > 9:
        control_id, fields[9] = fields[9], b""
    shared = separator.join(fields)
    return Header(_remembered(shared) if len(shared) < _LONG else _sender(shared), control_id)


def _sender(line: bytes) -> Sender:
    separator = line[3:4]
    fields = line.split(separator)
    fields[0] = separator
    return Sender(fields)


_remembered = lru_cache(maxsize=1024)(_sender)


def _condition(value: bytes) -> str:
    """Read HL7 table 0155. What is not in it is answered: a sender that waits is worse off than one that does not."""
    if not value or value == b'""':
        return ""
    word = value.decode("ascii", "replace").upper()
    return word if word in ("NE", "ER", "SU") else "AL"


def span_of_time(body: bytes) -> tuple[int, int]:
    """Return where the value of MSH-7 begins and ends, for comparing messages without it; (0, 0) where it is not."""
    start = 0 if body.startswith(b"MSH") else body.find(b"MSH")
    separator = body[start + 3 : start + 4]
    if start < 0 or not separator:
        return 0, 0
    before = body[start : _line_end(body, start)].split(separator, 7)
    if len(before) < 7:
        return 0, 0
    begin = start + sum(map(len, before[:6])) + 6
    return begin, begin + len(before[6])


def _line_end(body: bytes, start: int) -> int:
    """Return where the segment ends. LF ends it only in a message that has no CR, or has them at its very end only."""
    end = body.find(b"\r", start)
    if end < 0 or (body.find(b"\n", start, end) >= 0 and not body[end:].strip(b"\r\n")):
        feed = body.find(b"\n", start)
        return feed if feed >= 0 else len(body)
    return end


def _usable(character: bytes) -> bool:
    """Say whether a byte may be a delimiter: printable ASCII that no word, number or HL7 null is made of."""
    return len(character) == 1 and 0x20 < character[0] < 0x7F and not (character.isalnum() or character in b"\"'.-+")
