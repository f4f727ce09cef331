"""MLLP frames survive whatever TCP does to them."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.framing import HEAD, Deframer, Oversize, frame

BODY = b"MSH|^~\\&|LAKE|LC|CHARTPOST||20240501||DFT^P03|M1|P|2.5\rPID|1\r"

# Bodies full of halves of markers: 1C and 0D in any order, only never the two together, and never 0B.
bodies = st.binary(max_size=40).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c\r", b"\x1c")) | st.lists(
    st.sampled_from([b"\x1c", b"A", b"\rB"]), max_size=8
).map(b"".join).map(lambda b: b.replace(b"\x1c\r", b"\x1c"))
stray = st.binary(max_size=6).map(lambda b: b.replace(b"\x0b", b"\n"))


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({c % (len(stream) + 1) for c in cuts}), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def test_a_frame_is_0b_body_1c_0d() -> None:
    assert frame(b"MSH|") == b"\x0bMSH|\x1c\r"


def test_one_read_with_one_frame_gives_its_body() -> None:
    assert Deframer(1000).feed(frame(BODY)) == [BODY]


@given(st.lists(st.tuples(stray, bodies), max_size=6), st.lists(st.integers(min_value=0), max_size=12))
def test_any_chunking_of_any_frames_yields_the_same_bodies(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(between + frame(body) for between, body in parts)
    deframer = Deframer(1000)
    found = [item for chunk in split(stream, cuts) for item in deframer.feed(chunk)]
    assert found == [body for _, body in parts]
    assert deframer.garbage == sum(len(between) for between, _ in parts)
    assert (deframer.abandoned, deframer.closed) == (0, False)


@given(
    st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"A", b"BCDEFGH"]), max_size=30),
    st.lists(st.integers(min_value=0), max_size=20),
)
def test_hostile_streams_mean_the_same_however_they_are_split(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole, parts = Deframer(9), Deframer(9)
    expected = whole.feed(stream)
    assert [item for chunk in split(stream, cuts) for item in parts.feed(chunk)] == expected
    assert parts.abandoned == whole.abandoned
    assert parts.closed == whole.closed
    assert parts.garbage == whole.garbage


def test_bytes_between_frames_are_skipped_and_counted() -> None:
    deframer = Deframer(1000)
    assert deframer.feed(b"\r\nhello" + frame(b"A") + b"\n" + frame(b"B") + b"zz") == [b"A", b"B"]
    assert deframer.garbage == 10


def test_a_second_start_before_the_end_abandons_the_first_frame() -> None:
    deframer = Deframer(1000)
    assert deframer.feed(b"\x0bMSH|half") == []
    assert deframer.feed(frame(b"MSH|whole")) == [b"MSH|whole"]
    assert deframer.abandoned == 1


def test_a_1c_without_0d_is_data() -> None:
    assert Deframer(1000).feed(b"\x0bA\x1cB\x1c\x1c\r") == [b"A\x1cB\x1c"]


def test_an_end_split_between_two_reads_still_ends_the_frame() -> None:
    deframer = Deframer(1000)
    assert deframer.feed(b"\x0bA\x1c") == []
    assert deframer.feed(b"\r" + frame(b"B")) == [b"A", b"B"]


def test_a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not() -> None:
    assert Deframer(4).feed(frame(b"ABCD")) == [b"ABCD"]
    assert Deframer(4).feed(frame(b"ABCDE")) == [Oversize(b"ABCD")]
    patient = Deframer(4)
    assert patient.feed(b"\x0bABCD\x1c") == []
    assert patient.feed(b"\r") == [b"ABCD"]


def test_an_oversize_frame_is_reported_before_its_end_with_its_head_and_then_nothing_is_read() -> None:
    deframer = Deframer(10_000)
    assert deframer.feed(frame(b"first") + b"\x0bMSH|") == [b"first"]
    found: list[bytes | Oversize] = []
    for _ in range(20):
        found += deframer.feed(b"x" * 1000)
    assert found == [Oversize((b"MSH|" + b"x" * HEAD)[:HEAD])]
    assert deframer.closed
    assert deframer.feed(frame(BODY)) == []


@pytest.mark.parametrize("chunk", [b"\x0b" * 65536, b"\x1c" * 65536, b"\r\x1c" * 32768])
def test_a_hostile_read_costs_no_more_than_a_large_one(chunk: bytes) -> None:
    deframer = Deframer(1 << 20)
    began = time.process_time()
    for _ in range(8):
        deframer.feed(b"\x0b" + chunk)
    assert time.process_time() - began < 2.0  # quadratic behaviour takes minutes


def test_a_megabyte_in_small_reads_arrives_whole() -> None:
    body = BODY * 16_000
    stream = frame(body)
    deframer = Deframer(1 << 20)
    found = [b for i in range(0, len(stream), 700) for b in deframer.feed(stream[i : i + 700])]
    assert found == [body]
