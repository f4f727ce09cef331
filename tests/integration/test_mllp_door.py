"""The MLLP door on real sockets and a real database: every frame ends in an ACK or a closed connection."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import services
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection

from chartpost.adapter.flow.door.receive import SourceRules
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.intake_sql import Postgresql
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.listeners.mllp import MllpListener
from chartpost.mappings import mapfile

PID = "PID|1||MR1^^^LAKESIDE^MR||SAMPLE^SILVIA|||||||||||||ACC17^^^LAKESIDE^AN\r"


def dft(control_id: str = "1", amount: str = "45.00", mode: str = "P", rest: str = "", time: str = "2026") -> bytes:
    msh = f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|{time}||DFT^P03^DFT_P03|{control_id}|{mode}|2.5.1{rest}\r"
    return f"{msh}{PID}FT1|1|||20260314||CO|COPAY|||1|{amount}&USD\r".encode()


def frame(body: bytes) -> bytes:
    return b"\x0b" + body + b"\x1c\r"


class Peer:
    """A sender with a plain socket."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.buffer = b""

    def send(self, raw: bytes) -> Peer:
        self.socket.sendall(raw)
        return self

    def ack(self) -> list[str]:
        """Return the segments of the next ACK."""
        while b"\x1c\r" not in self.buffer:
            data = self.socket.recv(65536)
            assert data, "closed without an ACK"
            self.buffer += data
        raw, _, self.buffer = self.buffer.partition(b"\x1c\r")
        assert raw.startswith(b"\x0b")
        return raw[1:].decode("latin-1").removesuffix("\r").split("\r")

    def answer(self) -> tuple[str, str]:
        """Return MSA-1 and MSA-2 of the next ACK."""
        msa = self.ack()[1].split("|")
        return msa[1], msa[2]

    def closed(self) -> bool:
        """Wait until the other side closes; say whether it did so without a word."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Door:
    """A listener in a loop of its own, in a thread of its own."""

    def __init__(self, store: Store, **options: object) -> None:
        self.store = store
        self.woken = 0
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(self._start(**options))

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _start(self, half_frame_seconds: float = 60.0, max_connections: int = 512, **rules: object) -> None:
        self.committer = Committer(Intake(self.store), self._wake)
        source = SourceRules(source="his", facility="lakeside", map=mapfile.load("hl7v2-dft"), **rules)
        self.listener = MllpListener(
            source,
            self.committer,
            Gate(),
            half_frame_seconds=half_frame_seconds,
            max_connections=max_connections,
        )
        await self.listener.start("127.0.0.1:0")
        self.address = self.listener.address

    def _wake(self) -> None:
        self.woken += 1

    def peer(self) -> Peer:
        return Peer(self.address)

    def rows(self, columns: str, table: str = "message") -> list[tuple]:
        with self.store.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY id")]

    def close(self) -> None:
        self.run(self.listener.stop())
        self.committer.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    """A PostgreSQL database of this run's own."""
    with services.postgres_database() as url:
        store = Store.open(url)
        yield store
        store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request, tmp_path) -> Iterator[Store]:
    if request.param == "sqlite":
        store = Store.open(f"sqlite:///{tmp_path}/chartpost.db")
        yield store
        store.close()
        return
    store = request.getfixturevalue("server")
    with store.write() as tx:
        tx.connection.exec_driver_sql("TRUNCATE message, hold RESTART IDENTITY CASCADE")
    yield store


@pytest.fixture
def door(store) -> Iterator[Callable[..., Door]]:
    doors: list[Door] = []

    def make(**options: object) -> Door:
        doors.append(Door(store, **options))
        return doors[-1]

    yield make
    for one in doors:
        one.close()


# ---------------------------------------------------------------------------------------------- frames and connections


def test_a_charge_is_stored_before_it_is_acknowledged_and_the_translator_is_woken(door):
    his = door()
    msh, msa = his.peer().send(frame(dft("0815"))).ack()
    assert msh.startswith("MSH|^~\\&|CHARTPOST|DOOR|HIS|LAKESIDE|")
    assert msa == "MSA|AA|0815"
    assert his.rows("control_id, state, ack_code") == [("0815", "received", "AA")]
    assert his.woken == 1


def test_frames_come_byte_by_byte_glued_together_and_with_garbage_between(door):
    his = door()
    peer = his.peer()
    for byte in frame(dft("1")):
        peer.send(bytes([byte]))
    assert peer.answer() == ("AA", "1")
    peer.send(frame(dft("2")) + b"\r\nnoise" + frame(dft("3")) + frame(dft("4"))[:40])
    assert [peer.answer(), peer.answer()] == [("AA", "2"), ("AA", "3")]
    peer.send(frame(dft("4"))[40:])
    assert peer.answer() == ("AA", "4")


def test_a_frame_given_up_in_the_middle_is_forgotten_and_its_resend_stored(door):
    his = door()
    peer = his.peer().send(b"\x0b" + dft("1")[:60]).send(frame(dft("1")))
    assert peer.answer() == ("AA", "1")
    assert len(his.rows("id")) == 1


def test_a_frame_begun_and_never_ended_times_out(door):
    his = door(half_frame_seconds=0.2)
    patient, stalled = his.peer(), his.peer().send(frame(dft("1")) + b"\x0bMSH|")
    assert stalled.answer() == ("AA", "1")
    assert stalled.closed()
    assert his.listener.timed_out == 1
    assert patient.send(frame(dft("2"))).answer() == ("AA", "2"), "an idle connection is not a stalled one"


def test_an_oversize_frame_is_answered_ae_and_the_connection_closed(door):
    his = door(max_bytes=2000)
    peer = his.peer().send(frame(dft("1")) + frame(dft("2") + b"NTE|1||" + b"x" * 5000) + frame(dft("3")))
    assert peer.answer() == ("AA", "1")
    _, msa, err = peer.ack()
    assert msa == "MSA|AE|2"
    assert "larger than 2000 bytes" in err
    assert peer.closed()
    assert his.rows("control_id, state") == [("1", "received"), ("2", "unreadable")]


def test_beyond_the_cap_a_connection_is_refused_and_the_others_go_on(door):
    his = door(max_connections=2)
    first, second = his.peer().send(frame(dft("1"))), his.peer().send(frame(dft("2")))
    assert (first.answer(), second.answer()) == (("AA", "1"), ("AA", "2"))
    assert his.peer().closed()
    assert first.send(frame(dft("3"))).answer() == ("AA", "3")


def test_sixty_connections_at_once_each_get_their_own_answers(door):
    his = door()
    peers = [his.peer() for _ in range(60)]
    for turn in range(5):
        for number, peer in enumerate(peers):
            peer.send(frame(dft(f"{number}-{turn}")))
        for number, peer in enumerate(peers):
            assert peer.answer() == ("AA", f"{number}-{turn}")
    assert len(his.rows("id")) == 300
    assert his.committer.commits <= 300


def test_a_sender_that_pipelines_without_reading_is_slowed_not_dropped(door):
    his = door()
    peer = his.peer()
    burst = b"".join(frame(dft(str(number), rest="|" * 500)) for number in range(2000))
    sender = threading.Thread(target=peer.send, args=(burst,))
    sender.start()
    answers = [peer.answer() for _ in range(2000)]
    sender.join(10)
    assert answers == [("AA", str(number)) for number in range(2000)]


def test_a_sender_that_shuts_its_side_down_first_still_gets_its_answer(door):
    peer = door().peer().send(frame(dft("1")))
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.answer() == ("AA", "1")
    assert peer.closed()


# --------------------------------------------------------------------------------------------------- what is answered


def test_a_duplicate_gets_the_same_code_with_a_new_time_and_control_id(door):
    his = door()
    peer = his.peer()
    first = peer.send(frame(dft("1", time="20260314"))).ack()
    again = peer.send(frame(dft("1", time="20260315"))).ack()
    assert first[1] == again[1] == "MSA|AA|1"
    assert first[0].split("|")[9] != again[0].split("|")[9]
    assert [state for (state,) in his.rows("state")] == ["received", "duplicate"]


def test_a_changed_duplicate_is_answered_aa_and_held(door):
    his = door()
    peer = his.peer().send(frame(dft("1")) + frame(dft("1", amount="46.00")))
    assert [peer.answer(), peer.answer()] == [("AA", "1")] * 2
    assert [state for (state,) in his.rows("state")] == ["received", "held"]
    assert his.rows("object, cause, state", "hold") == [("message:2", "changed_duplicate", "open")]


def test_five_hundred_copies_at_once_are_one_message(door):
    his = door()
    peers = [his.peer() for _ in range(10)]
    for peer in peers:
        peer.send(frame(dft("1")) * 50)
    for peer in peers:
        assert [peer.answer() for _ in range(50)] == [("AA", "1")] * 50
    states = [state for (state,) in his.rows("state")]
    assert (states.count("received"), states.count("duplicate")) == (1, 499)


def test_a_training_message_is_refused_kept_and_never_billed(door):
    his = door()
    _, msa, err = his.peer().send(frame(dft("1", mode="T"))).ack()
    assert msa == "MSA|AR|1"
    assert err.startswith("ERR||MSH^1^11|202^")
    assert his.rows("state") == [("ignored",)]
    assert his.woken == 0


def test_words_in_a_frame_are_answered_ae(door):
    his = door()
    assert his.peer().send(frame(b"hello")).answer() == ("AE", "")
    assert his.rows("state") == [("unreadable",)]


def test_a_batch_gets_one_ack_for_each_of_its_messages(door):
    his = door()
    peer = his.peer().send(frame(b"BHS|^~\\&|HIS\r" + dft("1") + dft("2") + b"BTS|2\r"))
    assert [peer.answer(), peer.answer()] == [("AA", "1"), ("AA", "2")]
    assert his.rows("parent_id, reason") == [(None, "batch of 2"), (1, ""), (1, "")]


def test_enhanced_mode_is_answered_ca_and_silence_where_silence_was_asked_for(door):
    his = door()
    peer = his.peer().send(frame(dft("1", rest="|||NE|NE")) + frame(dft("2", rest="|||AL|AL")))
    assert peer.answer() == ("CA", "2")
    assert his.rows("ack_code, state") == [("", "received"), ("CA", "received")]


# ------------------------------------------------------------------------------------------- when it cannot be stored


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_on_a_full_disk_nobody_is_acknowledged_and_connections_close(door, store):
    his = door()
    assert his.peer().send(frame(dft("1"))).answer() == ("AA", "1")

    async def fill() -> None:
        cursor = his.committer._intake._connection.cursor()
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")

    his.run(fill())
    big = dft("2") + b"NTE|1||" + b"x" * 50_000 + b"\r"
    assert his.peer().send(frame(big)).closed()
    assert his.committer.failures == 1
    assert his.peer().send(frame(big)).answer() == ("AA", "2"), "once there is room, the resend is stored"
    assert [control_id for (control_id,) in his.rows("control_id")] == ["1", "2"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_database_without_its_table_acknowledges_nobody(door, store):
    his = door()
    with store.write() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    assert his.peer().send(frame(dft("1")) * 3).closed()


@pytest.mark.parametrize("store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_database_server_that_cuts_the_line_acknowledges_nobody_until_it_is_back(door, store):
    his = door()
    assert his.peer().send(frame(dft("1"))).answer() == ("AA", "1")
    with store.read() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert his.peer().send(frame(dft("2"))).closed()
    assert his.peer().send(frame(dft("2"))).answer() == ("AA", "2")


@pytest.mark.parametrize("store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_batch_of_any_size_takes_few_locks_and_still_nobody_stores_beside_it(store):
    """A server has some thousands of locks for all of its users: a file of 20,000 messages must not need one each."""

    def begin(numbers: Iterable[int], connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        cursor = connection.connection.cursor()
        Postgresql().begin(cursor, {("drop", str(number)) for number in numbers})

    with store.engine.connect() as large, store.engine.connect() as small, store.engine.connect() as other:
        begin(range(20_000), large)
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        assert large.exec_driver_sql(locks).scalar_one() < 10
        with pytest.raises(LockNotAvailable):
            begin([7], small)
        small.rollback()
        large.rollback()
        begin([7], small)
        begin([8], other)
        other.rollback()
        with pytest.raises(LockNotAvailable):
            begin([7], other)
        other.rollback()
        with pytest.raises(LockNotAvailable):
            begin(range(20_000), large)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_read_only_database_acknowledges_nobody(tmp_path, store):
    readonly = Store.open(f"sqlite:///{tmp_path}/chartpost.db", readonly=True)
    his = Door(readonly)
    try:
        assert his.peer().send(frame(dft("1"))).closed()
        assert his.rows("id") == []
    finally:
        his.close()
        readonly.close()


def test_at_shutdown_what_is_stored_is_acknowledged_and_everything_is_closed(door, store):
    his = door()
    idle, half = his.peer(), his.peer().send(b"\x0bMSH|^~")
    assert idle.send(frame(dft("1"))).answer() == ("AA", "1")
    his.run(his.listener.stop())
    assert idle.closed()
    assert half.closed()
    with pytest.raises(ConnectionRefusedError):
        his.peer()
    assert his.rows("control_id") == [("1",)]


# ------------------------------------------------------------------------------------------------- anything whatever


_PIECES = st.sampled_from(
    [
        b"\x0b",
        b"\x1c\r",
        b"\x1c",
        b"\r",
        b"\n",
        b"MSH|^~\\&|",
        b"|",
        b"FHS|^~\\&\r",
        b"DFT^P03",
        dft("7"),
        frame(dft("8")),
    ]
)


@pytest.fixture(scope="module")
def fuzzed_door(tmp_path_factory) -> Iterator[Door]:
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/chartpost.db")
    his = Door(store, max_bytes=3000)
    yield his
    his.close()
    store.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_PIECES | st.binary(max_size=40), max_size=12).map(b"".join))
def test_fuzzed_frames_end_in_an_ack_or_a_closed_connection(fuzzed_door, raw):
    peer = fuzzed_door.peer().send(frame(raw.replace(b"\x0b", b"").replace(b"\x1c", b"") or b"x")).send(raw)
    assert peer.ack()[1].startswith("MSA")
    peer.socket.shutdown(socket.SHUT_WR)
    rest = b""
    while data := peer.socket.recv(65536):
        rest += data
    assert rest == b"" or rest.endswith(b"\x1c\r")
    assert fuzzed_door.peer().send(frame(dft("alive"))).answer() == ("AA", "alive")


# --------------------------------------------------------------------------------------------------- a foreign sender


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_mllp_send_of_python_hl7_is_answered(door, tmp_path):
    his = door()
    (tmp_path / "two.hl7").write_bytes((dft("1") + dft("2")).replace(b"\r", b"\n"))
    host, _, port = his.address.rpartition(":")
    program = Path(sys.executable).with_name("mllp_send")
    done = subprocess.run(
        [program, "--loose", "--file", str(tmp_path / "two.hl7"), "--port", port, host],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count("MSA|AA|1"), done.stdout.count("MSA|AA|2")) == (1, 1)


def test_the_gate_knows_a_sender_with_a_queue(door):
    his = door()
    peer = his.peer()
    marks = 0
    for number in range(50):
        assert peer.send(frame(dft(str(number)))).answer()[0] == "AA"
        marks += his.listener.gate.busy
    deadline = time.monotonic() + 5
    while his.listener.gate.busy and time.monotonic() < deadline:
        pass
    assert marks > 0
    assert not his.listener.gate.busy
