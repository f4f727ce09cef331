"""Acknowledgements of HL7 v2 (v2.5.1 §2.9): which code goes out now, and the bytes of it. Pure.

Original mode, MSH-15 and MSH-16 both empty: one answer, AA, AE or AR. Enhanced mode, either valued: MSH-15 asks for
CA, CE or CR at once, MSH-16 for an application acknowledgement, a separate message later. An MSH-15 left empty means
in practice that the sender has no accept level and waits for the application's word on the same connection.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

from chartpost.mappings.hl7.header import Header, Sender

#: HL7 table 0357, message error condition codes, as far as a door can tell.
CONDITIONS = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "207": "Application internal error",
}

_ACCEPT = {"AA": "CA", "AE": "CE", "AR": "CR"}
#: Where there is no header to answer to: the delimiters and the version that every receiver reads.
_STANDARD = Header(Sender([b"|", b"^~\\&", *[b""] * 8, b"P", b"2.5.1"]), b"")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, for the ERR segment. `text` is ASCII and shows no person's value."""

    code: str  #: HL7 table 0357
    text: str
    segment: str = "MSH"
    field: int = 0  #: 0: the segment as a whole


def answer(header: Header | None, code: str) -> str:
    """Return what is answered at once to a message judged AA, AE or AR: that, CA, CE or CR, or "" for silence."""
    if header is None:
        return code
    accept, application = header.sender.accept, header.sender.application
    if accept:
        return _ACCEPT[code] if _asked(accept, code) else ""
    # Only MSH-16 valued: the application's word is awaited right here.
    return code if not application or _asked(application, code) else ""


def application_wanted(header: Header, code: str = "AA") -> bool:
    """Say whether an application acknowledgement `code` is asked for as a message of its own, later."""
    accept, application = header.sender.accept, header.sender.application
    return bool(accept) and bool(application) and _asked(application, code)


def ack(
    header: Header | None, code: str, problem: Problem | None = None, *, control_id: str, now: dt.datetime
) -> bytes:
    """Return the acknowledgement that goes back on the same connection, without its frame.

    `code` goes into MSA-1 as it is; `control_id` is our new MSH-10; `now` is aware. Sender and receiver change places,
    MSH-11 and MSH-12 come back, MSA-2 echoes MSH-10 even when it is empty, in the sender's delimiters and character
    set. `problem` becomes ERR: one ELD field through v2.4, ERR-2, 3, 4 and 8 from v2.5.
    """
    return _render(header or _STANDARD, code, problem, control_id, now, b"")


def application_ack(
    header: Header, code: str, problem: Problem | None = None, *, control_id: str, now: dt.datetime
) -> bytes:
    """Return the application acknowledgement of enhanced mode: a message of its own that wants no answer itself."""
    return _render(header, code, problem, control_id, now, b"NE")


def _asked(condition: str, code: str) -> bool:
    return condition == "AL" or condition == ("SU" if code == "AA" else "ER")


def _render(
    header: Header, code: str, problem: Problem | None, control_id: str, now: dt.datetime, mode: bytes
) -> bytes:
    begin, middle, end = _frame(header.sender, mode)
    msa3, err = _error(header, problem) if problem is not None else (b"", b"")
    separator = header[1]
    return b"".join(
        (
            *(begin, _stamp(now.replace(microsecond=0)), middle, control_id.encode(), end, b"\rMSA", separator),
            *(code.encode(), separator, header.control_id, msa3, b"\r", err),
        )
    )


@lru_cache(maxsize=1024)
def _frame(sender: Sender, mode: bytes) -> tuple[bytes, bytes, bytes]:
    """Return our MSH before MSH-7, between it and MSH-10, and after."""
    separator, encoding, application, facility, to_application, to_facility = sender.fields[:6]
    kind, processing_id, version, charset = (sender.fields[number - 1] for number in (9, 11, 12, 18))
    begin = [b"MSH", encoding, to_application, to_facility, application, facility, b""]
    middle = [b"", b"", _type(sender.component, kind, _level(sender.version)), b""]
    end = [b"", processing_id, version]
    if mode or charset:
        end += [b"", b"", mode, mode, b"", charset]
    return separator.join(begin), separator.join(middle), separator.join(end).rstrip(separator)


@lru_cache(maxsize=4)
def _stamp(now: dt.datetime) -> bytes:
    return now.strftime("%Y%m%d%H%M%S%z").encode()


@lru_cache(maxsize=64)
def _level(version: str) -> tuple[int, ...]:
    """Read MSH-12.1 as something to compare; what cannot be read counts as recent."""
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        return (99,)


def _type(component: bytes, kind: bytes, level: tuple[int, ...]) -> bytes:
    """MSH-9: the event came in v2.3, the structure in v2.3.1."""
    event = (*kind.split(component), b"")[1]
    if not event or level < (2, 3):
        return b"ACK"
    return component.join([b"ACK", event] if level < (2, 3, 1) else [b"ACK", event, b"ACK"])


def _error(header: Header, problem: Problem) -> tuple[bytes, bytes]:
    """Return MSA-3 with its separator, withdrawn from v2.5 on in favour of ERR-8, and the ERR segment."""
    component, subcomponent, separator = header.sender.component, header.sender.subcomponent, header[1]
    number = str(problem.field).encode() if problem.field else b""
    place = [problem.segment.encode(), b"1", number]
    coded = [problem.code.encode(), CONDITIONS.get(problem.code, "Error").encode(), b"HL70357"]
    # Our own words in the sender's delimiters: where they clash, a space does.
    clash = separator + header[2]
    words = problem.text.encode("ascii", "replace").translate(bytes.maketrans(clash, b" " * len(clash)))
    if _level(header.version) < (2, 5):
        eld = subcomponent.join(coded) if subcomponent else coded[0]
        return separator + words, separator.join([b"ERR", component.join([*place, eld])]) + b"\r"
    location = component.join(place if number else place[:2])
    fields = [b"ERR", b"", location, component.join(coded), b"E", b"", b"", b"", words]
    return b"", separator.join(fields) + b"\r"
