"""Corrections by path: exactly what was said changes, and every difference is told with its place."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chartpost.mappings import edits, er7
from chartpost.mappings.edits import Difference
from chartpost.mappings.paths import compile_path

TEXT = (
    "MSH|^~\\&|HIS|LAKESIDE|||20260309||DFT^P03|LK1|P|2.5.1\r"
    "PID|1||M1^^^LAKESIDE^MR||Sample^Silvia||19800101|F|||||^PRN^CP^^1^608^5550101~^NET^Internet^s@example.org\r"
    "FT1|1|T1||20260309||CG|A^First||||10.00&USD\r"
    "FT1|2|T2||20260309||ZB|B^Second||||20.00&USD\r"
)
MESSAGE = er7.parse(TEXT.encode())


def put(path: str, value: str, message: er7.Message = MESSAGE) -> er7.Message:
    return edits.put(message, compile_path(path), value)


def changed(path: str, value: str) -> list[Difference]:
    return list(edits.differences(MESSAGE, put(path, value)))


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        ("FT1[2]-6", "CG", ("FT1[2]-6", "ZB", "CG")),
        ("FT1-11", "12.00&EUR", ("FT1[1]-11", "10.00&USD", "12.00&EUR")),
        ("FT1-11.1.2", "EUR", ("FT1[1]-11", "10.00&USD", "10.00&EUR")),
        ("FT1-7.2", "A & B", ("FT1[1]-7", "A^First", "A^A \\T\\ B")),
        ("PID-5.2", '""', ("PID-5", "Sample^Silvia", 'Sample^""')),
        ("PID-18", "K-1^^^LAKESIDE^AN", ("PID-18", "", "K-1^^^LAKESIDE^AN")),
        ("PID-5.4.2", "x", ("PID-5", "Sample^Silvia", "Sample^Silvia^^&x")),
        ("MSH-11", "T", ("MSH-11", "P", "T")),
    ],
)
def test_what_is_set_is_the_only_difference(path, value, difference):
    assert changed(path, value) == [difference]


def test_a_repetition_is_chosen_by_number_or_by_what_it_holds():
    first = "^PRN^CP^^1^608^5550101"
    (one,) = changed("PID-13[3=Internet].4", "other@example.org")
    assert one.after == f"{first}~^NET^Internet^other@example.org"
    (two,) = changed("PID-13[3]", "^PRN^PH")
    assert two.after == f"{first}~^NET^Internet^s@example.org~^PRN^PH"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("FT1[3]-6", "CG", "no such segment"),
        ("MSH-2", "^~\\&", "delimiters"),
        ("FT1-6", "C|G", "separator"),
        ("PID-13[1]", "a~b", "separator"),
        ("FT1-6", "CG\rFT1", "line break"),
        ("PID-13[3=Fax].4", "x", "no repetition"),
    ],
)
def test_what_cannot_be_set_is_refused_without_the_value(path, value, why):
    with pytest.raises(ValueError, match=why) as refused:
        put(path, value)
    assert path in str(refused.value)
    assert value not in str(refused.value).removeprefix(path)


def test_a_character_that_the_message_cannot_say_is_refused():
    latin = er7.parse(TEXT.replace("Silvia", "Sílvia").encode("latin-1"), "latin-1")
    assert put("PID-5.1", "Añil", latin).text("PID", 5) == "Añil"
    with pytest.raises(ValueError, match="latin-1") as refused:
        put("PID-5.1", "Łódź", latin)
    assert "Łódź" not in str(refused.value)
    assert "u0141" not in str(refused.value)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends_and_all_other_bytes_stay(end):
    raw = TEXT.replace("\r", end).encode()
    assert put("FT1[2]-6", "CG", er7.parse(raw)).encode() == raw.replace(b"|ZB|", b"|CG|")


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=20)


@given(value=PLAIN, place=st.sampled_from(["PID-5.1", "FT1[2]-7.2", "PID-13[2].4", "FT1-11.1.2", "PID-40.3"]))
def test_a_component_reads_back_as_it_was_written(value, place):
    assume(value != er7.NULL_TEXT)
    path = compile_path(place)
    made = put(place, value)
    assert path.get(made) == value
    assert er7.parse(made.encode()).encode() == made.encode()


def test_segments_that_only_one_text_has_are_told_as_a_whole():
    longer = er7.parse((TEXT + "FT1|3|T3\rZPR|1\r").encode())
    assert list(edits.differences(MESSAGE, longer)) == [("FT1[3]", "", "FT1|3|T3"), ("ZPR", "", "ZPR|1")]
    assert [one.path for one in edits.differences(longer, MESSAGE)] == ["FT1[3]", "ZPR"]


def test_json_is_compared_element_by_element():
    before = {"status": "issued", "totalGross": {"value": 10, "currency": "USD"}, "note": [{"text": "a"}]}
    after = {"status": "issued", "totalGross": {"value": 12, "currency": "USD"}, "note": [{"text": "a"}, {"text": "b"}]}
    assert list(edits.json_differences(before, after, "Invoice")) == [
        ("Invoice.totalGross.value", "10", "12"), ("Invoice.note[1]", "", "{'text': 'b'}"),
    ]  # fmt: skip
    assert list(edits.json_differences(before, before, "Invoice")) == []
