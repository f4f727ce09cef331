"""The counts of a batch's trailers, against what is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7
from chartpost.mappings.hl7.batch import miscounts

HEAD = "^~\\&|HIS|LAKESIDE"


def batch(*names: str, end: str = "\r") -> bytes:
    """Return lines: "MSH" becomes a message of two segments, other headers get their delimiters."""
    lines = {"MSH": f"MSH|{HEAD}{end}FT1|1", "FHS": f"FHS|{HEAD}", "BHS": f"BHS|{HEAD}"}
    return "".join(lines.get(name, name) + end for name in names).encode()


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(
    "names",
    [
        ("MSH", "MSH"),
        ("BHS", "MSH", "MSH", "BTS|2"),
        ("BHS", "MSH", "MSH", "BTS|2|all|100"),
        ("BHS", "MSH", "BTS|", "FTS"),
        ("BHS", "MSH", "BTS|two", "FTS|1"),
        ("FHS", "BHS", "MSH", "BTS|1", "BHS", "MSH", "MSH", "BTS|2", "FTS|2"),
        ("FHS", "BHS", "MSH", "BHS", "MSH", "FTS|2"),
        ("FHS", "BHS", "BTS|0", "BHS", "MSH", "BTS|1", "FTS|2"),
        ("FHS", "MSH", "MSH", "FTS|1"),
    ],
    ids=" ".join,
)
def test_a_count_that_agrees_or_is_not_said_is_well(names, end):
    assert miscounts(batch(*names, end=end)) == []


def test_many_systems_count_the_messages_in_fts_and_that_is_well():
    assert miscounts(batch("FHS", "BHS", "MSH", "MSH", "MSH", "BTS|3", "FTS|3")) == []


def test_messages_that_are_missing_are_told_with_both_numbers():
    [said] = miscounts(batch("FHS", "BHS", "MSH", "MSH", "BTS|3", "FTS|1"))
    assert said == "BTS-1 says 3 messages, and the batch has 2"


def test_a_batch_that_is_missing_from_its_file_is_told():
    [said] = miscounts(batch("FHS", "BHS", "MSH", "MSH", "BTS|2", "FTS|4"))
    assert said == "FTS-1 says 4 batches, and the file has 1 with 2 messages"


def test_the_trailer_may_have_delimiters_of_its_own():
    assert miscounts(b"BHS~^\\&\rMSH|^~\\&|\rBTS~7~\r") != []
    assert miscounts(b"BHS~^\\&\rMSH|^~\\&|\rBTS~1~\r") == []


def test_what_looks_like_a_trailer_inside_a_field_counts_nothing():
    assert miscounts(b"BHS|^~\\&\rMSH|^~\\&|\rNTE|1||line\nBTS|9\rBTS|1\r") == []


@given(st.lists(st.sampled_from(["FHS", "BHS", "MSH", "BTS|1", "BTS|2", "FTS|1", "PID|1"]), max_size=12), st.binary())
def test_whatever_comes_is_counted_without_an_error(names, rest):
    for raw in (batch(*names), batch(*names) + rest, rest):
        assert all(" says " in said for said in miscounts(raw))


@given(st.lists(st.integers(0, 4), max_size=5), st.sampled_from(["\r", "\n", "\r\n"]))
def test_a_file_written_by_the_standard_counts_right_and_one_message_less_is_noticed(sizes, end):
    names = [name for size in sizes for name in ("BHS", *["MSH"] * size, f"BTS|{size}")]
    whole = batch("FHS", *names, f"FTS|{len(sizes)}", end=end)
    assert miscounts(whole) == []
    if any(sizes):
        message = batch("MSH", end=end)
        cut = whole.replace(message, b"", 1)
        assert len(er7.line_starts(cut)) < len(er7.line_starts(whole))
        assert any(said.startswith("BTS-1") for said in miscounts(cut))
