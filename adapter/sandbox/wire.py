"""The clinic's own HL7 v2 over MLLP: frames, a positional reader, escapes and acknowledgements. Small, and its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

START, END = b"\x0b", b"\x1c\x0d"
_LONGEST = 4 * 1024 * 1024

#: HL7 table 0357, the rows that the clinic uses
CONDITIONS = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "207": "Application internal error",
}


def frame(message: bytes) -> bytes:
    """Wrap a message for MLLP: 0B … 1C 0D."""
    return START + message + END


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Read the next framed message; None when the peer has closed. Bytes between frames are skipped.

    Raises ValueError when a frame exceeds 4 MiB.
    """
    try:
        await reader.readuntil(START)
        body = await reader.readuntil(END)
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"a frame of more than {_LONGEST} bytes") from error
    # A second 0B abandons what came before it.
    return body[: -len(END)].rpartition(START)[2]


async def exchange(host: str, port: int, message: bytes, timeout_s: float = 10.0) -> bytes | None:
    """Send one message on a connection of its own; return the answer, or None when the peer closed without one.

    Raises OSError (no connection) and TimeoutError (silence).
    """
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, limit=_LONGEST), timeout_s)
    try:
        writer.write(frame(message))
        await writer.drain()
        return await asyncio.wait_for(read_frame(reader), timeout_s)
    finally:
        writer.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


async def serve(handler: Handler, host: str, port: int) -> asyncio.Server:
    """Listen for MLLP connections. `handler(reader, writer)` works one connection."""
    return await asyncio.start_server(handler, host, port, limit=_LONGEST)


class Unreadable(ValueError):
    """No HL7 v2 message: it does not begin with MSH and its delimiters."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; field numbers as in the standard (MSH-1 is the separator)."""

    name: str
    fields: tuple[str, ...]
    delimiters: str  #: component, repetition, escape, subcomponent

    def field(self, number: int) -> str:
        """The whole field as it stands on the wire; "" when it is not there."""
        return self.fields[number] if number < len(self.fields) else ""

    def value(self, number: int, component: int = 1, sub: int = 1) -> str:
        """A component of the first repetition, unescaped; "" when absent or the HL7 null."""
        first = self.field(number).split(self.delimiters[1])[0]
        parts = first.split(self.delimiters[0])
        text = parts[component - 1] if component <= len(parts) else ""
        subs = text.split(self.delimiters[3])
        found = subs[sub - 1] if sub <= len(subs) else ""
        return "" if found == '""' else unescape(found, self.delimiters)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as its segments."""

    separator: str
    delimiters: str
    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        return self.segments[0]

    @property
    def control_id(self) -> str:
        return self.header.field(10)

    def first(self, name: str) -> Segment:
        """The first segment of a name; an empty one when there is none."""
        return next((s for s in self.segments if s.name == name), Segment(name, (), self.delimiters))

    def all(self, name: str) -> list[Segment]:
        return [s for s in self.segments if s.name == name]


def parse(raw: bytes) -> Message:
    """Read one message. Raises Unreadable."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line for line in re.split(r"\r\n?|\n", text) if line.strip()]
    if not lines or not lines[0].startswith("MSH") or len(lines[0]) < 8:
        raise Unreadable("the message does not begin with MSH")
    separator = lines[0][3]
    given = lines[0][4:].split(separator)[0]
    delimiters = (given + "^~\\&"[len(given) :])[:4]
    segments = []
    for line in lines:
        fields = line.split(separator)
        if fields[0] == "MSH":
            fields.insert(1, separator)
        segments.append(Segment(fields[0], tuple(fields), delimiters))
    return Message(separator, delimiters, tuple(segments))


def split(raw: bytes) -> list[bytes]:
    """Cut a file or a batch into its messages; wrappers (FHS, BHS, BTS, FTS) are left out."""
    starts = [match.start() for match in re.finditer(rb"(?:^|(?<=[\r\n]))MSH", raw)]
    parts = [raw[a:b] for a, b in zip(starts, [*starts[1:], len(raw)], strict=False)]
    return [re.split(rb"[\r\n](?=BTS|FTS|BHS)", part)[0] for part in parts]


def escape(text: str) -> str:
    """Make a value safe for the standard delimiters; a line end can never begin a segment."""
    table = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": "\\X0D\\", "\n": "\\X0A\\"}
    return "".join(table.get(character, character) for character in text)


def unescape(text: str, delimiters: str) -> str:
    mark = delimiters[2]
    if mark not in text:
        return text
    names = {"F": "|", "S": delimiters[0], "R": delimiters[1], "E": mark, "T": delimiters[3], ".br": " "}
    return re.sub(re.escape(mark) + r"([FSRET]|\.br)" + re.escape(mark), lambda m: names[m[1]], text)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with a message: a code of table 0357, where, and words for a person."""

    code: str
    segment: str
    field: int
    text: str


def acknowledge(of: Message, code: str, control_id: str, now: dt.datetime, wrong: Condition | None = None) -> bytes:
    """Write the ACK of a message: sender and receiver swapped, MSA-2 its MSH-10, ERR in the form of its version."""
    msh = of.header
    version = msh.value(12) or "2.3"
    event = msh.value(9, 2)
    separator, encoding = of.separator, msh.field(2) or "^~\\&"
    comp, sub = of.delimiters[0], of.delimiters[3]
    kind = comp.join(["ACK", event, "ACK"]) if event else "ACK"
    stamp = now.strftime("%Y%m%d%H%M%S+0000")
    header = ["MSH" + separator + encoding, msh.field(5), msh.field(6), msh.field(3), msh.field(4), stamp, "", kind]
    header += [control_id, msh.field(11) or "P", msh.field(12) or "2.3"]
    lines = [separator.join(header), separator.join(["MSA", code, of.control_id])]
    if wrong is not None:
        name = CONDITIONS[wrong.code]
        place = [wrong.segment, "1", str(wrong.field)]
        if version >= "2.5":
            err = ["ERR", "", comp.join(place), comp.join([wrong.code, name, "HL70357"]), "E", "", "", "", wrong.text]
        else:
            err = ["ERR", comp.join([*place, sub.join([wrong.code, name, "HL70357"])])]
        lines.append(separator.join(err))
    return ("\r".join(lines) + "\r").encode()
