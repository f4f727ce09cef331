"""Door 1, the part that means something: what a frame is, whose turn it is in, and what will be answered. No I/O.

A message that can be read and is of the right kind is stored and answered AA, whatever its business problems: those
go to the work list, and never block an ordered feed. AE is for what cannot be read, AR for the wrong type, version or
processing id (HL7 v2.5.1 §2.9.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from chartpost.adapter.framing import Oversize
from chartpost.adapter.ledger.intake import DAY, Row
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.states import Message
from chartpost.mappings import er7
from chartpost.mappings.hl7.ack import Problem, answer
from chartpost.mappings.hl7.batch import miscounts
from chartpost.mappings.hl7.header import Header, NoHeader, peek, span_of_time, text
from chartpost.mappings.mapfile import Map
from chartpost.mappings.paths import AnyPath, Path
from chartpost.mappings.read import account_of

#: MSH-12 that we read. Empty is common, and tells nothing against the message.
VERSIONS = frozenset(
    ["", "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2", "2.9"]
)

_LONG = 200  # characters of a header field that we keep and index; a database refuses to index much more


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What one source may send, and how it is read."""

    source: str
    facility: str
    map: Map
    processing_id: str = "P"  #: MSH-11
    charset: str = "utf-8"  #: of messages that name none in MSH-18
    dedupe_days: int = 7
    max_bytes: int = 1_048_576
    max_segments: int = 2_000
    versions: frozenset[str] = VERSIONS
    live: Callable[[], Map] | None = None  #: returns the map in force, where that may change while we run


class Receipt(NamedTuple):
    """One message, judged: the row to store, and what its acknowledgement is made of."""

    row: Row
    header: Header | None  #: None where there is none to answer to
    problem: Problem | None = None


class _Reads:
    """What a door needs of a map."""

    def __init__(self, map: Map) -> None:
        self.map = map
        self.types = frozenset(map.messages)
        self.events = {name.partition("^")[0] for name in self.types}
        self.plain = _plain(map.account)


class Receiver:
    """Judges what one source sends."""

    def __init__(self, rules: SourceRules) -> None:
        self.rules = rules
        self._live = rules.live or (lambda: rules.map)
        self._known = _Reads(rules.map)

    def _reads(self) -> _Reads:
        """Return what the map in force reads: one and the same for a whole message, whatever changes meanwhile."""
        map, known = self._live(), self._known
        if map is not known.map:
            self._known = known = _Reads(map)
        return known

    def receive(self, body: bytes, now: int) -> list[Receipt]:
        """Return the message in a frame; or the batch, answered by nothing itself, and then each message in it.

        `now` is in microseconds since 1970.
        """
        if body.startswith(b"MSH") and body.find(b"MSH", 3) < 0 and _last_name(body) not in (b"BTS", b"FTS"):
            return [self._message(body, now)]
        try:
            messages = er7.split_batch(body)
        except er7.Er7Error as error:
            return [self._unreadable(body, now, Problem("100", str(error)))]
        if len(messages) == 1 and messages[0] == body:
            return [self._message(body, now)]
        wrong = miscounts(body)
        reason = "; ".join([f"batch of {len(messages)}", *wrong])
        wrapper = self._row(body, now, None, b"", "", "", Message.IGNORED, reason)
        if wrong:
            wrapper = wrapper._replace(hold=_miscounted(wrong))
        return [
            Receipt(wrapper, None),
            *(self._message(message, now, back) for back, message in enumerate(messages, start=1)),
        ]

    def oversize(self, frame: Oversize, now: int) -> Receipt:
        """Judge a frame over the limit from its head, which is all that was kept."""
        limit = self.rules.max_bytes
        return self._unreadable(frame.head, now, Problem("207", f"the message is larger than {limit} bytes"))

    def _message(self, body: bytes, now: int, back: int = 0) -> Receipt:
        try:
            header = peek(body)
            message = self._checked(body)
        except (NoHeader, er7.Er7Error) as error:
            return self._unreadable(body, now, Problem("100", str(error)), back)
        start, end = span_of_time(body)
        digest = keyring().digest(body[:start], body[end:])
        reads = self._reads()
        problem = self._refusal(header, reads)
        if problem is not None:
            code = answer(header, "AR")
            row = self._row(body, now, header, digest, "", code, Message.IGNORED, problem.text, back)
            return Receipt(row, header, problem)
        lane = keyring().search(self.rules.source, self.rules.facility, self._account(body, message, reads))
        code = answer(header, "AA")
        return Receipt(self._row(body, now, header, digest, lane, code, Message.RECEIVED, "", back), header)

    def _checked(self, body: bytes) -> er7.Message | None:
        """Make sure that er7 will read it. None: plainly so, without having parsed. Raises Er7Error."""
        limit = self.rules.max_segments
        if (
            body.startswith(b"MSH|^~\\&|")
            and body.isascii()
            and body.find(b"\x1b") < 0  # ISO 2022: other characters in ASCII's clothes
            and body.count(b"\r") < limit
            and body.count(b"\n") < limit
        ):
            return None
        return er7.parse(body, self.rules.charset, limit)

    def _account(self, body: bytes, message: er7.Message | None, reads: _Reads) -> str:
        """Return the account number, "" for none: from the bytes where they are plain, else as the map reads."""
        if message is None and reads.plain is not None:
            found = _peek(body, reads.plain)
            if found is not None:
                return found
        message = message or er7.parse(body, self.rules.charset, self.rules.max_segments)
        return account_of(message, reads.map)

    def _refusal(self, header: Header, reads: _Reads) -> Problem | None:
        """Return why a readable message is answered AR, or None."""
        if (kind := header.type) not in reads.types:
            known = kind.partition("^")[0] in reads.events
            wanted = ", ".join(sorted(reads.types))
            return Problem("201" if known else "200", f"MSH-9 is {_shown(kind)}; taken here: {wanted}", field=9)
        if (mode := header.processing_id) != self.rules.processing_id:
            return Problem("202", f"MSH-11 is {_shown(mode)}; this source sends {self.rules.processing_id}", field=11)
        if (version := header.version) not in self.rules.versions:
            return Problem("203", f"MSH-12 is {_shown(version)}; read here: 2.1 to 2.9", field=12)
        return None

    def _unreadable(self, body: bytes, now: int, problem: Problem, back: int = 0) -> Receipt:
        try:
            header = peek(body)
        except NoHeader:
            header = None
        code = answer(header, "AE")
        digest = keyring().digest(body)
        row = self._row(body, now, header, digest, "", code, Message.UNREADABLE, problem.text, back)
        return Receipt(row, header, problem)

    def _row(
        self,
        body: bytes,
        now: int,
        header: Header | None,
        digest: bytes,
        lane: str,
        code: str,
        state: Message,
        reason: str,
        back: int = 0,
    ) -> Row:
        control_id = kind = version = key = ""
        if header is not None:
            control_id, kind, version = text(header.control_id), header.type, header.version
            key = f"{header.sender.name}|{control_id or '#' + digest.hex()}"
            if len(key) > _LONG:
                key = keyring().search(key)
        since = now - self.rules.dedupe_days * DAY if state is Message.RECEIVED else None
        # By position: naming fourteen fields costs as much as finding them.
        return Row(
            *(self.rules.source, key, control_id[:_LONG], kind[:_LONG], version[:_LONG], lane, now, body, digest),
            *(code, state.value, reason, since, back),
        )


def _miscounted(wrong: list[str]) -> tuple[str, str, str]:
    text = f"the batch is not whole, or counts wrongly: {'; '.join(wrong)}. What is in it is worked all the same"
    fix = (
        "ask the sending system whether messages are missing, and have it send the batch again if so: what came "
        "before is recognised. Then dismiss this"
    )
    return "batch_count", text, fix


def _shown(value: str) -> str:
    """A header value as it may stand in a reason: short, and visible when empty."""
    return value[:40] if value else "empty"


def _last_name(body: bytes) -> bytes:
    """Return the name of the last segment: a batch that begins with a bare MSH shows itself by its trailer."""
    tail = body.rstrip(b"\r\n")
    at = max(tail.rfind(b"\r"), tail.rfind(b"\n")) + 1
    return tail[at : at + 3]


def _plain(paths: tuple[AnyPath, ...]) -> tuple[tuple[bytes, int], ...] | None:
    """Return the account paths as (b"PID|", 18), or None when one of them needs more than first components."""
    fields = [path for path in paths if isinstance(path, Path)]
    if len(fields) < len(paths) or any(
        path.occurrence > 1
        or path.repetition > 1
        or path.key is not None
        or path.component > 1
        or path.subcomponent > 1
        or path.name in er7.HEADERS
        for path in fields
    ):
        return None
    return tuple((path.name.encode() + b"|", path.field) for path in fields)


def _peek(body: bytes, plain: tuple[tuple[bytes, int], ...]) -> str | None:
    """Return the first value of the paths in a message with the usual delimiters; None where it takes a parser."""
    end = b"\n" if body.find(b"\r", 0, -2) < 0 else b"\r"
    for name, field in plain:
        at = body.find(name)
        if at < 0:
            continue
        if body[at - 1 : at] != end and body[at - 2 : at] != b"\r\n":
            return None
        stop = body.find(end, at)
        fields = body[at : stop if stop >= 0 else len(body)].split(b"|", field + 1)
        if len(fields) <= field or not fields[field]:
            continue
        value = fields[field].partition(b"~")[0].partition(b"^")[0].partition(b"&")[0]
        return value.decode("ascii") if value.replace(b"-", b"").isalnum() else None
    return ""
