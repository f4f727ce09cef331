"""A posting leaves once, and only an answer to that very message counts."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hl7.mllp import start_hl7_server
from pydantic import ValidationError

from chartpost.adapter.errors import Ambiguous, Transient
from chartpost.adapter.framing import Deframer, frame
from chartpost.adapter.ports import Verdict
from chartpost.adapter.senders.mllp import MAX_FOREIGN, MllpSender, Options, from_settings, parse_answer

POSTING = (
    b"MSH|^~\\&|CHARTPOST||HIS|LC|20240501120000||DFT^P03^DFT_P03|CP1|P|2.5\r"
    b"EVN||20240501120000\rPID|||123^^^LC^MR||Example^Ada\rFT1|1|AB12CD34EF56||20240501|20240501|PY|VISA|||1|125.00\r"
)
Script = Callable[[socket.socket], None]


def ack(code: str, control_id: str = "CP1", rest: str = "", mark: str = "|") -> bytes:
    text = f"MSH|^~\\&|HIS|LC|CHARTPOST||20240501120001||ACK^P03^ACK|A1|P|2.5\rMSA|{code}|{control_id}\r{rest}"
    return text.replace("|", mark).encode()


@pytest.fixture
def destination() -> Iterator[Callable[[Script], MllpSender]]:
    """A raw socket that does what a script says, once the whole message is in."""
    doors: list[socket.socket] = []

    def start(script: Script, timeout: float = 5.0) -> MllpSender:
        door = socket.create_server(("127.0.0.1", 0))
        doors.append(door)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = door.accept()
                    with line, suppress(OSError):
                        deframer = Deframer(100_000)
                        while not deframer.feed(line.recv(65536)):
                            pass
                        script(line)

        threading.Thread(target=serve, daemon=True).start()
        return MllpSender("127.0.0.1", door.getsockname()[1], timeout)

    yield start
    for door in doors:
        door.close()


def says(*frames: bytes) -> Script:
    return lambda line: line.sendall(b"".join(frames))


def silent(line: socket.socket) -> None:
    line.recv(1)  # until the other side gives up


def test_a_message_reaches_an_independent_mllp_server_and_its_own_ack_comes_back() -> None:
    received: list[str] = []
    ready: threading.Event = threading.Event()
    port = 0
    loop = asyncio.new_event_loop()

    async def chart(reader, writer) -> None:
        message = await reader.readmessage()
        received.append(str(message))
        writer.writemessage(message.create_ack())
        await writer.drain()
        writer.close()

    async def serve() -> None:
        nonlocal port
        server = await start_hl7_server(chart, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        answer = MllpSender("127.0.0.1", port, 5).send(POSTING, "CP1")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
    assert (answer.verdict, answer.code, answer.text) == (Verdict.ACCEPTED, "AA", "")
    assert received[0].encode() == POSTING.rstrip(b"\r") or received[0].encode() == POSTING


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("AA", Verdict.ACCEPTED),
        ("CA", Verdict.RECEIVED),
        ("AE", Verdict.REFUSED),
        ("AR", Verdict.REFUSED),
        ("CE", Verdict.REFUSED),
        ("CR", Verdict.REFUSED),
    ],
)
def test_each_acknowledgement_code_has_one_verdict(destination, code: str, verdict: Verdict) -> None:
    answer = destination(says(frame(ack(code)))).send(POSTING, "CP1")
    assert (answer.verdict, answer.code, answer.raw) == (verdict, code, ack(code))


def test_answers_to_other_messages_and_noise_are_passed_over(destination) -> None:
    noise = [frame(ack("AE", "CP0")), b"\r\n", frame(b"hello"), frame(b"MSH|^~\\&|no MSA\r"), frame(ack("AA"))]
    assert destination(says(*noise)).send(POSTING, "CP1").verdict is Verdict.ACCEPTED


def test_an_answer_in_pieces_is_read_whole(destination) -> None:
    def dribble(line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(ack("AA")):
            line.sendall(bytes([byte]))

    assert destination(dribble).send(POSTING, "CP1").verdict is Verdict.ACCEPTED


def test_the_delimiters_of_the_answer_are_its_own() -> None:
    answer = parse_answer(b"MSH#^~\\&#HIS#LC#CHARTPOST##20240501##ACK#A1#P#2.5\rMSA#AA#CP1\r", "CP1")
    assert answer is not None
    assert answer.verdict is Verdict.ACCEPTED


def test_a_refused_connection_is_transient() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Transient, match=f"127.0.0.1:{port}"):
        MllpSender("127.0.0.1", port, 2).send(POSTING, "CP1")


def test_an_unknown_host_is_transient() -> None:
    with pytest.raises(Transient):
        MllpSender("chart.invalid", 2575, 2).send(POSTING, "CP1")


def test_silence_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous, match="no answer within"):
        destination(silent, timeout=0.2).send(POSTING, "CP1")


def test_a_connection_closed_without_an_answer_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous, match="without an answer"):
        destination(lambda line: None).send(POSTING, "CP1")


def test_half_an_answer_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous):
        destination(says(frame(ack("AA"))[:-1])).send(POSTING, "CP1")


def test_a_reset_after_sending_is_ambiguous(destination) -> None:
    def reset(line: socket.socket) -> None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with pytest.raises(Ambiguous):
        destination(reset).send(POSTING, "CP1")


def test_a_destination_that_only_ever_answers_others_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous, match="none to CP1"):
        destination(says(*[frame(ack("AA", "CP0"))] * MAX_FOREIGN)).send(POSTING, "CP1")


def test_an_endless_answer_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous, match="more than"):
        destination(says(b"\x0bMSH", b"x" * 1_200_000)).send(POSTING, "CP1")


def test_a_matching_answer_without_a_known_code_is_ambiguous(destination) -> None:
    with pytest.raises(Ambiguous, match="MSA-1"):
        destination(says(frame(ack("OK")))).send(POSTING, "CP1")


def test_a_late_answer_is_never_credited_to_the_next_message(destination) -> None:
    late = threading.Event()
    connections: list[int] = []

    def answer(line: socket.socket) -> None:
        connections.append(1)
        if len(connections) == 1:
            late.wait(5)
            line.sendall(frame(ack("AA", "CP1")))
        else:
            line.sendall(frame(ack("AE", "CP2")))

    sender = destination(answer, timeout=0.3)
    with pytest.raises(Ambiguous):
        sender.send(POSTING, "CP1")
    late.set()
    assert sender.send(POSTING.replace(b"CP1", b"CP2"), "CP2").verdict is Verdict.REFUSED
    assert len(connections) == 2


def test_a_refusal_says_where_and_which_rule_but_no_word_of_the_destination(destination) -> None:
    err = "ERR||PID^1^3^1^1~FT1^2^7|101^Ada Example is missing^HL70357|E||||Ada Example, born 1990\r"
    answer = destination(says(frame(ack("AE", "CP1|Ada Example unknown", err)))).send(POSTING, "CP1")
    assert answer.text == "PID-3.1 101 required field missing; FT1[2]-7 101 required field missing"
    assert b"Ada Example" in answer.raw


def test_a_refusal_of_version_2_4_is_read_from_err_1(destination) -> None:
    answer = destination(says(frame(ack("AE", rest="ERR|FT1^1^7^103&bad code for Ada&HL70357\r")))).send(POSTING, "CP1")
    assert answer.text == "FT1-7 103 table value not found"


@pytest.mark.parametrize("rest", ["", "ERR||Ada^Example^Smith|Ada|E\r", "ERR|\r"])
def test_a_refusal_without_a_readable_reason_shows_its_code_only(destination, rest: str) -> None:
    assert destination(says(frame(ack("AR", rest=rest)))).send(POSTING, "CP1").text == ""


def test_a_long_list_of_errors_is_cut() -> None:
    rest = "".join(f"ERR||FT1^{n}^7|103|E\r" for n in range(1, 90))
    answer = parse_answer(ack("AE", rest=rest), "CP1")
    assert answer is not None
    assert len(answer.text) == 200


def test_options_make_a_sender_and_refuse_an_address_that_is_none(destination) -> None:
    options = Options(type="mllp", address="127.0.0.1:2575", map="hl7v2-dft-payment")
    assert isinstance(from_settings(options), MllpSender)
    for address in ("127.0.0.1", ":2575", "host:0", "host:x"):
        with pytest.raises(ValidationError, match="host:port"):
            Options(type="mllp", address=address, map="hl7v2-dft-payment")
