"""The positional reader and writer: nothing is lost, and only Er7Error is ever raised."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7

MSH = "MSH|^~\\&|HIS|LAKE|PAY|PAY|20250314||DFT^P03|C1|P|2.5.1"
HEADS = ("MSH|^~\\&|", "PID|", "FT1|", "FHS|^~\\&", "BHS|^~\\&", "BTS|1", "FTS|1", "ZX1|", "MSH", "#", "8859/1")
VALUES = ('""', "\\F\\", "\\X41\\", "é", "日", "10.00", *"|^~\\&\r\n\ufeff \x0b\x1c")
PIECES = st.sampled_from([*HEADS, *VALUES])
MESSAGES = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)


@given(st.lists(PIECES | st.text(max_size=6), max_size=40).map(lambda parts: MSH + "\r" + "".join(parts)))
def test_what_is_written_is_what_was_read_byte_for_byte(text: str) -> None:
    raw = text.encode()
    assert er7.parse(raw).encode() == raw
    message = er7.parse(raw)
    for segment in message.segments:
        segment.field(3)  # splitting on demand must not disturb anything
    assert message.encode() == raw
    assert str(er7.parse(text)) == text


@given(st.binary(max_size=200).map(lambda tail: MSH.encode() + b"\r" + tail))
def test_bytes_in_any_single_byte_charset_come_back_too(raw: bytes) -> None:
    assert er7.parse(raw, default_charset="latin-1").encode() == raw


@given(st.binary(max_size=300) | MESSAGES.map(str.encode))
def test_nothing_but_er7_error_is_raised_for_any_bytes(raw: bytes) -> None:
    for work in (er7.decode, er7.parse, er7.split_batch):
        with contextlib.suppress(er7.Er7Error):
            work(raw)


@given(MESSAGES)
def test_nothing_but_er7_error_is_raised_for_any_text(text: str) -> None:
    try:
        message = er7.parse(text)
    except er7.Er7Error:
        return
    for segment in message.segments:
        for number in range(5):
            assert isinstance(segment.repetitions(number), list)


def test_msh_is_counted_as_the_standard_counts_it() -> None:
    message = er7.parse(MSH)
    assert message.text("MSH", 1) == "|"
    assert message.text("MSH", 2) == "^~\\&"
    assert message.text("MSH", 3) == "HIS"
    assert message.text("MSH", 9, 2) == "P03"
    assert message.text("MSH", 12) == "2.5.1"


def test_delimiters_come_from_the_message_and_not_from_habit() -> None:
    message = er7.parse("MSH|~^\\&|VISTA\rPID|1||A~B^C~D\r")
    segment = message.segment("PID")
    assert segment is not None
    assert segment.repetitions(3) == ["A~B", "C~D"]
    assert message.text("PID", 3, 2) == "B"


def test_a_short_msh_2_and_the_truncation_character_of_2_7_are_both_read() -> None:
    assert er7.parse("MSH|^~\r").delimiters == er7.Delimiters("|", "^", "~", "", "", "")
    assert er7.parse("MSH|^~\\&#|X\r").delimiters.truncation == "#"


@pytest.mark.parametrize(
    "text", ["", "MSH", "MSH|", "MSH||X", "MSH|^^\\&|", "MSH|^~\\&#!|", "MSHX^~", "PID|1", "MSH|ab|", "garbage"]
)
def test_what_has_no_usable_header_is_refused(text: str) -> None:
    with pytest.raises(er7.Er7Error):
        er7.parse(text)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_line_end_in_use_ends_segments(end: str) -> None:
    message = er7.parse(end.join([MSH, "PID|1", "FT1|1", "FT1|2"]) + end)
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "FT1", "FT1"]
    assert len(message.all("FT1")) == 2


def test_a_line_feed_is_data_where_carriage_returns_end_segments() -> None:
    message = er7.parse(MSH + "\rNTE|1||first\nsecond\rFT1|1\r")
    assert message.text("NTE", 3) == "first\nsecond"
    assert message.lone_line_feeds


def test_one_carriage_return_at_the_very_end_does_not_swallow_a_line_feed_message() -> None:
    assert len(er7.parse(MSH + "\nPID|1\nFT1|1\nFT1|2\r").all("FT1")) == 2


def test_null_is_not_empty() -> None:
    segment = er7.parse(MSH + '\rPID|""||x\r').segment("PID")
    assert segment is not None
    assert segment.field(1) == er7.NULL.value
    assert segment.field(2) == ""
    assert segment.field(99) == ""
    assert not er7.NULL


def test_a_primitive_is_its_own_first_component_and_subcomponent() -> None:
    assert er7.part("100.00", er7.STANDARD, 1, 1) == "100.00"
    assert er7.part("100.00&USD", er7.STANDARD, 1, 1) == "100.00"
    assert er7.part("100.00&USD", er7.STANDARD, 1, 2) == "USD"
    assert er7.part("100.00^USD", er7.STANDARD, 2, 1) == "USD"
    assert er7.part("100.00", er7.STANDARD, 2, 1) == ""


def test_more_segments_than_allowed_are_refused_before_they_cost_anything() -> None:
    with pytest.raises(er7.Er7Error, match="more than 3 segments"):
        er7.parse(MSH + "\r" + "FT1|1\r" * 9, max_segments=3)


def test_errors_name_a_place_and_never_what_stood_there() -> None:
    with pytest.raises(er7.Er7Error) as caught:
        er7.parse("PID|1||SECRET^NAME")
    assert "SECRET" not in str(caught.value)


def test_a_frame_with_several_messages_is_several_messages() -> None:
    one, two = (MSH + "\rFT1|1\r").encode(), (MSH + "\rFT1|2\r").encode()
    assert er7.split_batch(one) == [one]
    assert er7.split_batch(one + two) == [one, two]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_every_batch_wrapper_is_optional(end: bytes) -> None:
    one = MSH.encode() + end + b"FT1|1" + end
    for head in ((), (b"FHS|^~\\&",), (b"BHS|^~\\&",), (b"FHS|^~\\&", b"BHS|^~\\&")):
        for tail in ((), (b"BTS|2",), (b"FTS|1",), (b"BTS|2", b"FTS|1")):
            raw = b"".join(line + end for line in head) + one + one + b"".join(line + end for line in tail)
            assert er7.split_batch(raw) == [one, one]


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"FHS|^~\\&\rFTS|0\r", b"BTS|1\rFT1|1\r", b"FT1|1\rMSH|^~\\&|\r"])
def test_a_batch_that_would_lose_a_segment_or_holds_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(er7.Er7Error):
        er7.split_batch(raw)


def test_free_text_with_a_line_feed_cannot_start_a_message() -> None:
    raw = (MSH + "\rNTE|1||see\nMSH|^~\\&|FORGED\rFT1|1\r").encode()
    assert er7.split_batch(raw) == [raw]


def test_a_built_message_reads_back_value_by_value() -> None:
    hostile = "A|B^C&D~E\\F\rFT1|9"
    text = er7.build(
        [("MSH", {3: "US", 9: "DFT^P03"}), ("PID", {3: er7.compose({(1, 1): hostile, (4, 2): "LAKE"}), 5: "A^B"})]
    )
    message = er7.parse(text)
    assert [segment.name for segment in message.segments] == ["MSH", "PID"]
    assert message.text("MSH", 2) == "^~\\&"
    assert message.text("PID", 3) == hostile
    assert message.text("PID", 3, 4, 2) == "LAKE"


def test_building_refuses_a_text_that_would_be_another_field_or_segment() -> None:
    for text in ("a|b", "a\rFT1|1", "a\nb"):
        with pytest.raises(ValueError, match="separator"):
            er7.build([("PID", {3: text})])
