"""What the door makes of a frame, before anything is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.door import receive
from chartpost.adapter.flow.door.receive import Receiver, SourceRules
from chartpost.adapter.framing import Oversize
from chartpost.adapter.ledger.sealed import keyring
from chartpost.mappings import er7, mapfile
from chartpost.mappings.read import account_of

NOW = 1_800_000_000_000_000
MAP = mapfile.load("hl7v2-dft")
RULES = SourceRules(source="his", facility="lakeside", map=MAP, max_segments=50)
RECEIVER = Receiver(RULES)
MSH = "MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260314092600||DFT^P03^DFT_P03|0815|P|2.5.1"
PID = "PID|1||MR1^^^LAKESIDE^MR||SAMPLE^SILVIA|||||||||||||ACC-17^^^LAKESIDE^AN"
FT1 = "FT1|1|||20260314||CO|COPAY|||1|45.00&USD"


def body(*segments: str, end: str = "\r") -> bytes:
    return "".join(segment + end for segment in segments or (MSH, PID, FT1)).encode()


def only(raw: bytes, receiver: Receiver = RECEIVER) -> receive.Receipt:
    (receipt,) = receiver.receive(raw, NOW)
    return receipt


def test_a_charge_is_received_and_answered_aa_in_the_lane_of_its_account():
    row = only(body()).row
    assert (row.state, row.ack_code, row.reason) == ("received", "AA", "")
    assert (row.source, row.control_id, row.type, row.version) == ("his", "0815", "DFT^P03", "2.5.1")
    assert row.control_key == "HIS|LAKESIDE|0815"
    assert row.lane == keyring().search("his", "lakeside", "ACC-17")
    assert row.since == NOW - 7 * 86_400_000_000
    assert row.raw == body()


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends_do_not_change_whose_turn_it_is(end):
    row = only(body(end=end)).row
    assert (row.state, row.lane) == ("received", keyring().search("his", "lakeside", "ACC-17"))


def test_without_an_account_the_lane_is_that_of_no_account():
    row = only(body(MSH, "PID|1||MR1", FT1)).row
    assert (row.state, row.lane) == ("received", keyring().search("his", "lakeside", ""))


def test_a_byte_order_mark_and_foreign_delimiters_are_read():
    vista = "MSH~|^\\&~HIS~LAKESIDE~~~20260314~~DFT|P03~0815~P~2.4\rPID~1~~MR1~~~~~~~~~~~~~~~ACC-17|x\r"
    row = only(b"\xef\xbb\xbf" + vista.encode()).row
    assert (row.state, row.type) == ("received", "DFT^P03")
    assert row.lane == keyring().search("his", "lakeside", "ACC-17")


# -------------------------------------------------------------------------------------------------------- duplicates


def test_a_resend_with_a_new_msh_7_has_the_same_digest():
    again = body(MSH.replace("20260314092600", "20260314093000"), PID, FT1)
    assert only(again).row.digest == only(body()).row.digest


def test_any_other_change_changes_the_digest():
    for changed in (
        body(MSH, PID, FT1.replace("45", "46")),
        body(MSH.replace("DOOR", "DOOR2"), PID, FT1),
        body(end="\n"),
    ):
        assert only(changed).row.digest != only(body()).row.digest


def test_without_a_control_id_the_digest_is_the_key():
    first = only(body(MSH.replace("|0815|", "||"), PID, FT1)).row
    other = only(body(MSH.replace("|0815|", "||"), PID, FT1.replace("45", "46"))).row
    assert first.control_id == ""
    assert first.control_key != other.control_key


def test_an_endless_control_id_is_shortened_for_the_index():
    row = only(body(MSH.replace("0815", "9" * 5000), PID, FT1)).row
    assert len(row.control_key) <= 200
    assert len(row.control_id) == 200


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("field", "instead", "code", "place"),
    [
        ("DFT^P03^DFT_P03", "ADT^A01^ADT_A01", "200", 9),
        ("DFT^P03^DFT_P03", "DFT^P99^DFT_P99", "201", 9),
        ("DFT^P03^DFT_P03", "", "200", 9),
        ("|P|2.5.1", "|T|2.5.1", "202", 11),
        ("|P|2.5.1", "|D|2.5.1", "202", 11),
        ("|P|2.5.1", "||2.5.1", "202", 11),
        ("|P|2.5.1", "|P|3.7", "203", 12),
    ],
)
def test_what_this_source_may_not_send_is_kept_and_answered_ar(field, instead, code, place):
    receipt = only(body(MSH.replace(field, instead), PID, FT1))
    assert (receipt.row.state, receipt.row.ack_code) == ("ignored", "AR")
    assert receipt.problem is not None
    assert (receipt.problem.code, receipt.problem.field) == (code, place)
    assert receipt.row.reason == receipt.problem.text
    assert receipt.row.since is None, "a refused message may be sent again once it, or we, are put right"


def test_a_training_source_takes_training_messages_and_no_others():
    training = Receiver(SourceRules(source="his", facility="lakeside", map=MAP, processing_id="T"))
    assert only(body(MSH.replace("|P|", "|T|"), PID), training).row.ack_code == "AA"
    assert only(body(), training).row.ack_code == "AR"


@pytest.mark.parametrize("version", sorted(receive.VERSIONS))
def test_every_version_of_the_standard_is_read_and_so_is_none(version):
    assert only(body(MSH.replace("2.5.1", version), PID)).row.ack_code == "AA"


def test_the_version_may_name_its_country():
    assert only(body(MSH + "^USA", PID)).row.ack_code == "AA"


# --------------------------------------------------------------------------------------------------------- unreadable


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"PID|1\rMSH|^~\\&|HIS\r",
        b"MSH|",
        b"MSH||HIS|\r",
        b"FHS|^~\\&\rFTS|0\r",
        (MSH + "\r" + "FT1|1\r" * 60).encode(),
        (MSH + "\rPID|1||||").encode() + b"\xff\xfe\xc3\r",
    ],
    ids=["nothing", "words", "late", "short", "no-msh-2", "empty-batch", "too-many-segments", "no-utf-8"],
)
def test_what_cannot_be_read_is_kept_and_answered_ae(raw):
    receipt = only(raw)
    assert (receipt.row.state, receipt.row.ack_code, receipt.row.raw) == ("unreadable", "AE", raw)
    assert receipt.problem is not None
    assert receipt.row.reason == receipt.problem.text != ""


def test_bytes_that_are_no_utf_8_are_read_in_the_sources_character_set():
    latin = Receiver(SourceRules(source="his", facility="lakeside", map=MAP, charset="latin-1"))
    raw = body(MSH, PID.replace("SAMPLE", "MÜLLER")).decode().encode("latin-1")
    assert only(raw).row.state == "unreadable"
    assert only(raw, latin).row.state == "received"


def test_an_oversize_frame_is_answered_ae_from_its_head():
    receipt = RECEIVER.oversize(Oversize(body()), NOW)
    assert (receipt.row.state, receipt.row.ack_code, receipt.row.control_id) == ("unreadable", "AE", "0815")
    assert "larger than" in receipt.row.reason


def test_a_sender_in_enhanced_mode_is_answered_ca_or_ce_or_nothing():
    assert only(body(MSH + "|||AL|NE", PID)).row.ack_code == "CA"
    assert only(body(MSH.replace("|P|", "|T|") + "|||AL|NE", PID)).row.ack_code == "CR"
    assert only(body(MSH + "|||NE|NE", PID)).row.ack_code == ""


# ------------------------------------------------------------------------------------------------------------ batches


def test_a_batch_is_split_at_the_door_and_its_parent_kept():
    second = MSH.replace("0815", "0816")
    raw = body("FHS|^~\\&|HIS", "BHS|^~\\&|HIS", MSH, PID, FT1, second, PID, "BTS|2", "FTS|1")
    parent, one, two = (receipt.row for receipt in RECEIVER.receive(raw, NOW))
    assert (parent.state, parent.reason, parent.ack_code, parent.raw) == ("ignored", "batch of 2", "", raw)
    assert (one.control_id, one.back, one.state) == ("0815", 1, "received")
    assert (two.control_id, two.back, two.raw) == ("0816", 2, body(second, PID))


def test_a_batch_that_counts_wrongly_is_split_all_the_same_and_asks_for_a_person():
    whole = RECEIVER.receive(body("BHS|^~\\&|HIS", MSH, PID, FT1, "BTS|1"), NOW)
    assert whole[0].row.hold is None
    parent, one = (receipt.row for receipt in RECEIVER.receive(body("BHS|^~\\&|HIS", MSH, PID, FT1, "BTS|2"), NOW))
    assert parent.reason == "batch of 1; BTS-1 says 2 messages, and the batch has 1"
    assert (one.state, one.hold) == ("received", None)
    cause, text, fix = parent.hold
    assert cause == "batch_count"
    assert "BTS-1 says 2 messages" in text
    assert fix


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_two_messages_in_one_frame_are_two_messages(end):
    rows = [receipt.row for receipt in RECEIVER.receive(body(MSH, PID, MSH, PID, end=end), NOW)]
    assert [row.state for row in rows] == ["ignored", "received", "received"]


def test_a_batch_that_begins_with_a_bare_msh_is_known_by_its_trailer():
    rows = [receipt.row for receipt in RECEIVER.receive(body(MSH, PID, "BTS|1"), NOW)]
    assert [row.reason for row in rows] == ["batch of 1", ""]
    assert rows[1].raw == body(MSH, PID)


def test_the_letters_msh_in_a_text_split_nothing():
    assert only(body(MSH, PID, "NTE|1||see MSH-10")).row.state == "received"


def test_one_bad_message_of_a_batch_does_not_take_the_others_with_it():
    rows = [receipt.row for receipt in RECEIVER.receive(body(MSH, PID, "MSH|", MSH, PID), NOW)]
    assert [row.state for row in rows] == ["ignored", "received", "unreadable", "received"]


# ----------------------------------------------------------------------------------------------------------- the lane


@given(
    st.sampled_from(["PID", "PV1", "ZPI", "RAPID"]),
    st.text('AZ09-^~&\\"| é\n', max_size=12),
    st.text('AZ09-^~&\\"| é', max_size=12),
    st.sampled_from(["\r", "\n", "\r\n"]),
    st.booleans(),
)
def test_peeking_finds_the_very_account_that_the_map_reads(first, account, visit, end, last):
    segments = [MSH, f"{first}|1||MR1" + "|" * 15 + account, "PV1|1" + "|" * 18 + visit, "NTE|1||PID|x PV1|y"]
    raw = end.join(segments[:3] if last else segments).encode()
    try:
        expected = account_of(er7.parse(raw), MAP)
    except er7.Er7Error:
        return
    rows = [receipt.row for receipt in RECEIVER.receive(raw, NOW)]
    assert [row.lane for row in rows] == [keyring().search("his", "lakeside", expected)]


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: MSH.encode() + b"\r" + rest))
def test_whatever_is_received_as_readable_can_be_parsed(raw):
    for receipt in RECEIVER.receive(raw, NOW):
        if receipt.row.state == "received":
            er7.parse(receipt.row.raw, RULES.charset, RULES.max_segments)
