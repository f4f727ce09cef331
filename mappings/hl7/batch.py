"""What the trailers of a batch say about it: how many messages and batches there should be (HL7 v2.5.1 §2.10.3)."""

from __future__ import annotations

from dataclasses import dataclass

from chartpost.mappings import er7


@dataclass(slots=True)
class _Count:
    messages: int = 0  #: since the last trailer
    all: int = 0
    batches: int = 0
    open: bool = False  #: a BHS, or a message, that no BTS has ended


def miscounts(raw: bytes) -> list[str]:
    """Return a sentence for each trailer whose count is not what stands before it; [] where all is well.

    BTS-1 counts the messages of a batch (§2.15.3), FTS-1 the batches of a file (§2.15.7); many write the number of
    messages there, so that is right, too. A trailer that is not there, is empty or says no number says nothing.
    """
    count, found = _Count(), list[str]()
    for start in er7.line_starts(raw):
        line = (raw[start : start + 64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t").splitlines() or [b""])[0]
        name = line[:3]
        if name == b"MSH":
            count.messages, count.all, count.open = count.messages + 1, count.all + 1, True
        elif name == b"BHS":
            _end(count)
            count.open = True
        elif name == b"BTS":
            if (said := _number(line)) is not None and said != count.messages:
                found.append(f"BTS-1 says {said} messages, and the batch has {count.messages}")
            count.open = True
            _end(count)
        elif name == b"FTS":
            _end(count)
            if (said := _number(line)) is not None and said not in (count.batches, count.all):
                found.append(f"FTS-1 says {said} batches, and the file has {count.batches} with {count.all} messages")
    return found


def _end(count: _Count) -> None:
    """End the batch that is open, if one is."""
    count.batches += count.open
    count.messages, count.open = 0, False


def _number(line: bytes) -> int | None:
    """Return field 1 of a trailer as a number, None where it is none."""
    value = line[4:].partition(line[3:4])[0].strip() if len(line) > 4 else b""
    return int(value) if value.isdigit() and len(value) <= 9 else None
