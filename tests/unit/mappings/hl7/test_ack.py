"""Acknowledgements, rule by rule."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7
from chartpost.mappings.hl7.ack import Problem, ack, answer, application_ack, application_wanted
from chartpost.mappings.hl7.header import NoHeader, peek, span_of_time

NOW = dt.datetime(2026, 3, 14, 9, 26, 53, tzinfo=dt.UTC)
WRONG_MODE = Problem("202", "MSH-11 is T; this source sends P", field=11)


def header(version: str = "2.5.1", accept: str = "", application: str = "", rest: str = ""):
    return peek(
        f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260314092600||DFT^P03^DFT_P03|0815|P|{version}|||"
        f"{accept}|{application}{rest}\rEVN|P03\r".encode()
    )


def lines(raw: bytes) -> list[str]:
    assert raw.endswith(b"\r")
    return raw.decode().removesuffix("\r").split("\r")


def test_sender_and_receiver_change_places_and_the_control_id_comes_back():
    msh, msa = lines(ack(header(), "AA", control_id="N1", now=NOW))
    assert msh == "MSH|^~\\&|CHARTPOST|DOOR|HIS|LAKESIDE|20260314092653+0000||ACK^P03^ACK|N1|P|2.5.1"
    assert msa == "MSA|AA|0815"


def test_an_empty_control_id_is_echoed_as_empty():
    empty = peek(b"MSH|^~\\&|HIS||||20260314||DFT^P03|\r")
    assert lines(ack(empty, "AA", control_id="N1", now=NOW))[1] == "MSA|AA|"


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("2.1", "ACK"),
        ("2.2", "ACK"),
        ("2.3", "ACK^P03"),
        ("2.3.1", "ACK^P03^ACK"),
        ("2.4", "ACK^P03^ACK"),
        ("2.8.2", "ACK^P03^ACK"),
        ("", "ACK^P03^ACK"),
        ("banana", "ACK^P03^ACK"),
    ],
)
def test_msh_9_grows_with_the_version(version, kind):
    assert lines(ack(header(version), "AA", control_id="N1", now=NOW))[0].split("|")[8] == kind


def test_without_an_event_the_answer_has_none():
    old = peek(b"MSH|^~\\&|HIS||||198803||DFT|7|P|2.1\r")
    assert old.type == "DFT"
    assert lines(ack(old, "AA", control_id="N1", now=NOW))[0].split("|")[8] == "ACK"


def test_the_answer_speaks_in_the_senders_delimiters():
    vista = peek(b"MSH|~^\\&|VISTA|STATION~500|US||20260314||DFT~P03|12|P|2.4\r")
    msh, msa, err = lines(ack(vista, "AR", WRONG_MODE, control_id="N1", now=NOW))
    assert vista.type == "DFT^P03"
    assert msh == "MSH|~^\\&|US||VISTA|STATION~500|20260314092653+0000||ACK~P03~ACK|N1|P|2.4"
    assert msa == "MSA|AR|12|MSH-11 is T; this source sends P"
    assert err == "ERR|MSH~1~11~202&Unsupported processing id&HL70357"


def test_the_answer_keeps_the_senders_character_set_and_bytes():
    latin = peek("MSH|^~\\&|KÖLN|PRAXIS|||20260314||DFT^P03|Ä1|P|2.5||||||8859/1\r".encode("latin-1"))
    raw = ack(latin, "AA", control_id="N1", now=NOW)
    assert raw.decode("latin-1").split("\r")[0].split("|")[4:6] == ["KÖLN", "PRAXIS"]
    assert raw.decode("latin-1").split("\r")[0].split("|")[17] == "8859/1"
    assert "MSA|AA|Ä1" in raw.decode("latin-1")


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4"])
def test_through_2_4_err_is_one_eld_field_and_msa_3_has_the_text(version):
    _, msa, err = lines(ack(header(version), "AR", WRONG_MODE, control_id="N1", now=NOW))
    assert msa == "MSA|AR|0815|MSH-11 is T; this source sends P"
    assert err == "ERR|MSH^1^11^202&Unsupported processing id&HL70357"


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.7", "2.8", "2.9", ""])
def test_from_2_5_err_has_location_code_severity_and_text_and_no_err_1(version):
    _, msa, err = lines(ack(header(version), "AR", WRONG_MODE, control_id="N1", now=NOW))
    assert msa == "MSA|AR|0815"
    assert err == ("ERR||MSH^1^11|202^Unsupported processing id^HL70357|E||||MSH-11 is T; this source sends P")


def test_an_error_of_the_segment_as_a_whole_names_no_field():
    whole = Problem("100", "no MSH")
    assert "ERR||MSH^1|100^" in ack(header(), "AE", whole, control_id="N1", now=NOW).decode()
    assert "ERR|MSH^1^^100&" in ack(header("2.3"), "AE", whole, control_id="N1", now=NOW).decode()


def test_our_words_never_break_the_senders_fields():
    text = Problem("200", "a|b^c~d\\e&f", field=9)
    err = lines(ack(header(), "AR", text, control_id="N1", now=NOW))[2]
    assert err.split("|")[8] == "a b c d e f"


def test_where_no_header_can_be_read_the_standard_one_answers():
    msh, msa, err = lines(ack(None, "AE", Problem("100", "no MSH"), control_id="N1", now=NOW))
    assert msh == "MSH|^~\\&|||||20260314092653+0000||ACK|N1|P|2.5.1"
    assert msa == "MSA|AE|"
    assert err.startswith("ERR||MSH^1|100^")
    assert answer(None, "AE") == "AE"


# ----------------------------------------------------------------------------------------- original and enhanced mode


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
def test_in_original_mode_the_one_answer_is_the_applications(code):
    assert answer(header(), code) == code
    assert not application_wanted(header())


@pytest.mark.parametrize(
    ("accept", "answers"),
    [
        ("AL", ["CA", "CE", "CR"]),
        ("NE", ["", "", ""]),
        ("ER", ["", "CE", "CR"]),
        ("SU", ["CA", "", ""]),
        ("al", ["CA", "CE", "CR"]),
        ("YES", ["CA", "CE", "CR"]),
    ],
)
@pytest.mark.parametrize("application", ["", "AL", "NE", "ER", "SU"])
def test_msh_15_asks_for_the_accept_acknowledgement(accept, answers, application):
    assert [answer(header("2.5", accept, application), code) for code in ("AA", "AE", "AR")] == answers


@pytest.mark.parametrize(
    ("application", "answers"),
    [("AL", ["AA", "AE", "AR"]), ("NE", ["", "", ""]), ("ER", ["", "AE", "AR"]), ("SU", ["AA", "", ""])],
)
def test_msh_16_alone_is_answered_on_the_same_connection(application, answers):
    alone = header("2.5", "", application)
    assert [answer(alone, code) for code in ("AA", "AE", "AR")] == answers
    assert not application_wanted(alone)


@pytest.mark.parametrize(
    ("application", "wanted"),
    [("AL", (True, True)), ("NE", (False, False)), ("ER", (False, True)), ("SU", (True, False)), ("", (False, False))],
)
def test_msh_16_beside_msh_15_asks_for_a_message_of_its_own(application, wanted):
    both = header("2.5", "AL", application)
    assert (application_wanted(both, "AA"), application_wanted(both, "AE")) == wanted


def test_the_application_acknowledgement_wants_no_answer_itself():
    both = header("2.5.1", "AL", "AL", "||UNICODE UTF-8")
    msh, msa = lines(application_ack(both, "AA", control_id="N2", now=NOW))
    assert msh.split("|")[14:18] == ["NE", "NE", "", "UNICODE UTF-8"]
    assert msa == "MSA|AA|0815"


# --------------------------------------------------------------------------------------------------------- the header


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"MSH",
        b"MSH|",
        b"MSH||A",
        b"MSH|^^~\\&|A",
        b"MSH|^~\\&#@|A",
        b"MSHA^~\\&A",
        b"PID|1\rMSH|^~\\&|A",
        b"hello",
        b"MSH\r|^~\\&",
    ],
)
def test_what_has_no_usable_msh_has_no_header(body):
    with pytest.raises(NoHeader):
        peek(body)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_the_header_ends_with_its_line_whatever_the_line_ends(end):
    found = peek(f"MSH|^~\\&|HIS|F|||20260314||DFT^P03|1|P|2.3{end}EVN|P03|x{end}PID|1{end}".encode())
    assert (found.version, found[13]) == ("2.3", b"")


def test_a_byte_order_mark_and_blank_lines_before_msh_are_passed_over():
    assert peek(b"\xef\xbb\xbf\r\n MSH|^~\\&|HIS|F|||20260314||DFT^P03|1|P|2.3\r").control_id == b"1"


def test_a_control_character_in_the_header_cannot_end_our_frame():
    found = peek(b"MSH|^~\\&|HIS|F|||20260314||DFT^P03|1\x1c|P|2.3\r")
    assert b"\x1c" not in ack(found, "AA", control_id="N1", now=NOW)


def test_the_span_of_msh_7_is_cut_out_and_nothing_else():
    body = b"MSH|^~\\&|HIS|F|A|B|20260314||DFT^P03|1|P|2.3\rPID|1\r"
    start, end = span_of_time(body)
    assert body[start:end] == b"20260314"
    for short in (b"MSH|^~\\&|HIS|F|A|B\rPID|1||3|4|5|6|7\r", b"hello", b"MSH", b"MSH|^~\\&\r"):
        assert span_of_time(short) == (0, 0)
    ends = b"MSH|^~\\&|HIS|F|A|B|2026\rPID|1||3|4|5|6|7\r"
    start, end = span_of_time(ends)
    assert ends[start:end] == b"2026"


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"MSH|^~\\&|" + rest))
def test_whatever_has_a_header_gets_an_answer_that_er7_can_read(body):
    try:
        found = peek(body)
    except NoHeader:
        return
    raw = ack(found, "AE", WRONG_MODE, control_id="N1", now=NOW)
    assert b"\x1c" not in raw
    assert b"\x0b" not in raw
    names = [segment.name for segment in er7.parse(raw, "latin-1").segments]
    assert names == ["MSH", "MSA", "ERR"]
    assert found[1].join([b"MSA", b"AE", found.control_id]) in raw
