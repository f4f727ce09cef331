"""A host of which one address leads nowhere (IPv6, often) is reached by its next one, in time for its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from mailserver import MailServer
from scripted import says, scripted

from chartpost.adapter.httpcall import call
from chartpost.adapter.notifiers.smtp import SmtpNotifier
from chartpost.adapter.outbound import connect, in_words
from chartpost.adapter.ports import OutgoingText, Verdict
from chartpost.adapter.senders.mllp import MllpSender

HOST, NOWHERE = "twofold.example.org", "127.0.0.2"
ACK = b"\x0bMSH|^~\\&|HIS|LC|CHARTPOST||20260504||ACK^P03^ACK|A1|P|2.5\rMSA|AA|CP1\r\x1c\r"


@pytest.fixture
def twofold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Give the host two addresses: first one that answers no connection, then this machine."""
    real = socket.getaddrinfo
    with ExitStack() as stack:

        def make(port: int) -> None:
            door = stack.enter_context(socket.socket())
            door.bind((NOWHERE, port))
            door.listen(0)
            for _ in range(4):  # nobody accepts; once its queue is full, Linux drops who comes
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect((NOWHERE, port))

            def resolve(host: str, *rest: Any, **named: Any) -> Any:
                places = [NOWHERE, "127.0.0.1"] if host == HOST else [host]
                return [found for place in places for found in real(place, port, type=socket.SOCK_STREAM)]

            monkeypatch.setattr(socket, "getaddrinfo", resolve)

        yield make


def test_each_address_gets_its_share_of_the_time_and_the_last_error_is_told(twofold: Callable[[int], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        twofold(port)
        with connect(HOST, port, 0.4) as line:
            assert line.getpeername()[0] == "127.0.0.1"
            assert 0 < (line.gettimeout() or 0) <= 0.3
    with pytest.raises(ConnectionRefusedError):
        connect(HOST, port, 0.2)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "the name server does not answer"),
        (ConnectionRefusedError(111, "Connection refused"), "refused: nobody listens there"),
        (TimeoutError(), "no answer in time"),
        (OSError(113, "No route to host"), "no route to host"),
        (OSError("what a server wrote"), "OSError"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words_and_never_in_the_other_sides(error: OSError, words: str) -> None:
    assert in_words(error) == words


def test_a_posting_is_answered_over_mllp(twofold: Callable[[int], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            line, _ = door.accept()
            with line:
                line.recv(65536)
                line.sendall(ACK)

        threading.Thread(target=serve, daemon=True).start()
        twofold(door.getsockname()[1])
        sender = MllpSender(HOST, door.getsockname()[1], 0.6)
        assert sender.send(b"MSH|^~\\&|\r", "CP1").verdict is Verdict.ACCEPTED


def test_a_posting_is_answered_over_http(twofold: Callable[[int], None]) -> None:
    with scripted() as server:
        server.on("POST x", says(201))
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        twofold(port)
        assert call("POST", f"http://{HOST}:{port}/base/x", {}, b"{}", timeout=0.6, max_bytes=10).status == 201


def test_a_mail_goes_out(twofold: Callable[[int], None]) -> None:
    with closing(MailServer()) as server:
        twofold(server.port)
        text = OutgoingText(
            "payer@example.org", "Lakeside", "", "Lakeside", "", "Lakeside", "pay@lakeside.example.org", "", "N1"
        )
        SmtpNotifier(HOST, server.port, "none", timeout=1).send(text)
        assert len(server.mails) == 1
