"""Carry a posting to its destination over MLLP, and read what the destination says of it.

One connection a message. Some engines answer late; on a connection of its own a late answer can never be taken for
the answer to the next message.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveFloat

from chartpost.adapter.errors import Ambiguous, Transient
from chartpost.adapter.framing import Deframer, Oversize, frame
from chartpost.adapter.outbound import connect, in_words
from chartpost.adapter.ports import Answer, Verdict
from chartpost.mappings.hl7 import answer

#: The largest acknowledgement that is read, in bytes.
MAX_ANSWER = 1_048_576
#: How many frames that answer something else are read before the wait is given up.
MAX_FOREIGN = 100

VERDICTS = {code: Verdict(word) for code, word in answer.MEANS.items()}


class MllpSender:
    """A destination that speaks HL7 v2 over MLLP (ports.Sender)."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        """Send to host:port; `timeout` in seconds bounds the whole exchange, connecting included."""
        self._address = (host, port)
        self._timeout = timeout

    def send(self, body: bytes, control_id: str) -> Answer:
        """Send one message and return the answer whose MSA-2 is `control_id`; other answers are passed over.

        Raises Transient when not a byte left, Ambiguous when the destination may have the message and did not say.
        """
        deadline = time.monotonic() + self._timeout
        with self._connected() as connection:
            self._write(connection, frame(body), deadline)
            for found in self._answers(connection, deadline):
                if (parsed := parse_answer(found, control_id)) is not None:
                    return parsed
        raise Ambiguous(f"{self._place}: {MAX_FOREIGN} answers, none to {control_id}")

    def push(self, body: bytes) -> None:
        """Send one message that wants no answer: an application acknowledgement. Raises as `send` does."""
        deadline = time.monotonic() + self._timeout
        with self._connected() as connection:
            self._write(connection, frame(body), deadline)

    def check(self) -> list[str]:
        """Say whether the destination accepts connections (ports.Checkable). Sends nothing."""
        try:
            self._connected().close()
        except Transient as error:
            return [f"{error}; check address, network and the engine's listener"]
        return []

    def _connected(self) -> socket.socket:
        try:
            return connect(*self._address, self._timeout)
        except (OSError, UnicodeError) as error:
            raise Transient(f"{self._place}: no connection ({in_words(error)})") from error

    def _write(self, connection: socket.socket, data: bytes, deadline: float) -> None:
        sent = 0
        try:
            while sent < len(data):
                connection.settimeout(_remaining(deadline))
                sent += connection.send(data[sent:])
        except OSError as error:
            problem = f"{self._place}: connection lost while sending ({type(error).__name__})"
            raise (Ambiguous if sent else Transient)(problem) from error

    def _answers(self, connection: socket.socket, deadline: float) -> Iterator[bytes]:
        deframer = Deframer(MAX_ANSWER)
        count = 0
        while count < MAX_FOREIGN:
            try:
                connection.settimeout(_remaining(deadline))
                data = connection.recv(65536)
            except TimeoutError:
                raise Ambiguous(f"{self._place}: no answer within {self._timeout:g} s") from None
            except OSError as error:
                raise Ambiguous(f"{self._place}: connection lost ({type(error).__name__}), no answer") from error
            if not data:
                raise Ambiguous(f"{self._place}: closed the connection without an answer")
            for found in deframer.feed(data):
                if isinstance(found, Oversize):
                    raise Ambiguous(f"{self._place}: an answer of more than {MAX_ANSWER} bytes")
                count += 1
                yield found

    @property
    def _place(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"


def parse_answer(body: bytes, control_id: str) -> Answer | None:
    """Read an acknowledgement (HL7 v2.5.1 §2.14.8); None when it answers another message, or is none.

    Raises Ambiguous when it is ours but MSA-1 is no code of table 0008.
    """
    told = answer.read(body)
    if told is None or told.control_id != control_id:
        return None
    verdict = VERDICTS.get(told.code)
    if verdict is None:
        raise Ambiguous(f"the answer to {control_id} has an MSA-1 that is no acknowledgement code")
    return Answer(verdict, told.code, told.reason, body)


def _remaining(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("must be host:port")
    return address


class Options(BaseModel):
    """A destination of `type: mllp` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    address: Annotated[str, AfterValidator(_host_and_port)]  #: "host:port" of the chart or the engine before it
    map: str  #: the map that renders postings for this destination
    #: After silence a person decides, or the same message goes again: only where MSH-10 duplicates are dropped.
    resend: Literal["never", "same_control_id"] = "never"
    timeout_seconds: PositiveFloat = 10
    sending_application: str = ""  #: MSH-3
    sending_facility: str = ""  #: MSH-4
    receiving_application: str = ""  #: MSH-5
    receiving_facility: str = ""  #: MSH-6


def from_settings(options: Options) -> MllpSender:
    """Make the sender of one configured destination."""
    host, _, port = options.address.rpartition(":")
    return MllpSender(host.strip("[]"), int(port), options.timeout_seconds)
