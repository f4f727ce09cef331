"""MLLP frames without any I/O: bytes in, bodies out (HL7 Minimal Lower Layer Protocol, `0B … 1C 0D`).

One TCP read is not one message. Frames come split anywhere, several in a read, and with stray bytes between
them; a sender that gives up in the middle starts again with a new 0B. The listener and the sender both read
through here.
"""

from __future__ import annotations

from dataclasses import dataclass

START = b"\x0b"
END = b"\x1c\r"

#: How much of an oversize frame is kept, in bytes: MSH and more, enough to answer AE with its control id.
HEAD = 4096


def frame(body: bytes) -> bytes:
    """Wrap one message for the wire."""
    return START + body + END


@dataclass(frozen=True, slots=True)
class Oversize:
    """Stands for a frame over the limit. Answer AE from `head`, then close the connection."""

    head: bytes  #: the first 4 KB of the frame, or less where the limit is lower


class Deframer:
    """Cut one connection's byte stream into bodies, whatever the pieces in which it arrives."""

    __slots__ = ("_buffer", "_inside", "_max_size", "abandoned", "closed", "garbage")

    def __init__(self, max_size: int) -> None:
        """Accept bodies of at most `max_size` bytes."""
        self._max_size = max_size
        self._buffer = bytearray()  # the body so far of a frame that has begun
        self._inside = False
        self.garbage = 0  #: bytes that stood outside any frame
        self.abandoned = 0  #: frames given up by a second 0B before their end
        self.closed = False  #: a frame was oversize: nothing after it is read

    def feed(self, data: bytes) -> list[bytes | Oversize]:
        """Take what one read returned; return the bodies it completed, in order. Raises nothing.

        A frame over the limit yields one `Oversize` as the last item ever, and sets `closed`. A 1C that no 0D
        follows is data.
        """
        if not self._inside and data.startswith(START):
            # Nearly every read of a sender that waits for its ACK is exactly one frame.
            # One-byte searches: 1C never stands in ordinary text, while every segment ends with 0D.
            end = len(data) - 2
            if (
                data.find(b"\x1c") == end > 0
                and data.endswith(b"\r")
                and data.find(START, 1) < 0
                and end <= self._max_size + 1
                and not self.closed
            ):
                return [data[1:end]]
        if self.closed:
            return []
        if self._inside:
            split_end = self._buffer.endswith(b"\x1c") and data.startswith(b"\r")
            if not split_end and END not in data and START not in data:
                self._buffer += data
                return self._unfinished([])
            scan = max(len(self._buffer) - 1, 0)  # a 1C at the very end may be half of an end
            data = bytes(self._buffer) + data
            self._buffer.clear()
            return self._cut(data, scan)
        return self._cut(data, 0)

    def _cut(self, data: bytes, scan: int) -> list[bytes | Oversize]:
        """Cut `data`; an open frame's body begins at its first byte, and no marker stands before `scan`."""
        found: list[bytes | Oversize] = []
        begin = 0
        end = data.find(END, scan)
        while True:
            if not self._inside:
                start = data.find(START, begin)
                if start < 0:
                    self.garbage += len(data) - begin
                    return found
                self.garbage += start - begin
                begin = scan = start + 1
                self._inside = True
            if 0 <= end < scan:  # looked up anew only when passed: a run of 0B stays linear
                end = data.find(END, scan)
            again = data.find(START, scan, end if end >= 0 else len(data))
            stop = again if again >= 0 else end
            if stop < 0:
                self._buffer += data[begin:]
                return self._unfinished(found)
            if stop - begin > self._max_size:
                return self._close(found, data[begin:stop])
            if again >= 0:
                self.abandoned += 1
                begin = scan = again + 1
            else:
                found.append(data[begin:end])
                begin = end + 2
                self._inside = False

    def _unfinished(self, found: list[bytes | Oversize]) -> list[bytes | Oversize]:
        size = len(self._buffer) - self._buffer.endswith(b"\x1c")  # that 1C may yet be the end
        return self._close(found, self._buffer) if size > self._max_size else found

    def _close(self, found: list[bytes | Oversize], body: bytes | bytearray) -> list[bytes | Oversize]:
        found.append(Oversize(bytes(body[: min(HEAD, self._max_size)])))
        self.closed = True
        self._buffer.clear()
        return found
