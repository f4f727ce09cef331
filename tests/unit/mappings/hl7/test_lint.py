"""What arrives is held against the standard: every rule, by a message that breaks it and by one that does not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import dft, line

from chartpost.mappings import er7
from chartpost.mappings.hl7.lint import lint

SAMPLES = Path(__file__).parents[4] / "samples/hl7"
PV1 = "PV1|1|O"


def good(version: str = "2.5.1", *lines: str) -> bytes:
    """A DFT with all that 2.5.1 requires."""
    body = dft(*(lines or [line("CG", "120.00&USD"), line("CO", "20.00&USD")]), version=version, pv1=PV1)
    if version == "2.3":  # which has no MSH-9.3
        body = body.replace(b"^DFT_P03|", b"|")
    return body.replace(b"\rPID|", b"\rEVN|P03|20260504100000\rPID|")


def found(raw: bytes, version: str = "") -> list[str]:
    return [f"{one.severity} {one.place} {one.rule}" for one in lint(raw, version)]


def changed(old: bytes, new: bytes, version: str = "2.5.1") -> list[str]:
    """What is found once something is changed in a good message."""
    raw = good(version)
    assert raw.count(old) >= 1, "the message has what is to be changed"
    return found(raw.replace(old, new, 1))


@pytest.mark.parametrize("version", ["2.3", "2.4", "2.5", "2.5.1"])
def test_nothing_is_found_in_a_message_that_conforms(version: str) -> None:
    assert found(good(version)) == []


@pytest.mark.parametrize("name", ["01_two_charges", "02_guarantor_of_a_minor", "03_line_feeds", "04_vista_delimiters"])
def test_line_ends_and_delimiters_are_not_judged(name: str) -> None:
    assert found((SAMPLES / f"{name}.hl7").read_bytes()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"\rEVN|P03|20260504100000", b"", "error EVN missing"),
        (b"\rPID|1", b"\rZID|1", "error PID missing"),
        (b"|20260504||CG|", b"|||CG|", "error FT1[1]-4 missing"),
        (b"|2.5.1\r", b"|\r", "error MSH-12 version"),
        (b"|2.5.1\r", b"|banana\r", "error MSH-12 version"),
        (b"\rFT1|1|", b"\rFT1|1|P7K2M9Q4R8T1X", "warning FT1[1]-2 length"),
        (b"120.00", b"120,00", "error FT1[1]-11.1.1 type"),
        (b"|20260504||CG|", b"|2026-05-04||CG|", "error FT1[1]-4.1.1 type"),
        (b"|19800101|", b"|19801301|", "error PID-7.1 type"),
        (b"120.00&USD", b"1.00&USD^XX", "warning FT1[1]-11.2 table"),
        (b"|CG|", b"|QZ|", "note FT1[1]-6 table"),
        (b"|CG|", b"|CG^Ch|", "warning FT1[1]-6 component"),
        (b"120.00&USD", b"1&USD^^^^^^x", "warning FT1[1]-11.7 component"),
        (b"\rFT1|1||", b"\rFT1|1|a~b|", "warning FT1[1]-2 repeats"),
        (b"\rFT1|1|", b"\rMSA|AA|1\rFT1|1|", "warning MSA segment"),
        (b"\rFT1|1|", b"\rUAC|AA|1\rFT1|1|", "warning UAC segment"),
        (b"\rFT1|1|", b"\rMs. Q of Quay Street|1\rFT1|1|", "error segment 5 segment"),
        (b"\rPV1|1|O", b"\rEVN|P03|20260504\rPV1|1|O", "warning EVN[2] order"),
        (b"DFT^P03^DFT_P03", b"DFT^P03^DFT_P99", "warning MSH-9.3 structure"),
        (b"DFT^P03^DFT_P03", b"QQQ^Q01", "warning MSH-9 structure"),
    ],
)
def test_every_rule_finds_what_breaks_it_and_nothing_else(old: bytes, new: bytes, said: str) -> None:
    assert changed(old, new) == [said]


def test_a_segment_before_its_place_is_out_of_order_once() -> None:
    raw = good()
    event = b"EVN|P03|20260504100000\r"
    moved = raw.replace(event, b"") + event
    assert found(moved) == ["error EVN missing", "warning EVN order"]


def test_what_a_version_has_no_more_is_told() -> None:
    assert "warning PID-13.1 withdrawn" in found(good().replace(b"^PRN^CP^^1^608^5550101", b"6085550101"), "2.8")
    assert "warning PID-4 withdrawn" in found(good().replace(b"^MR||", b"^MR|X1|"), "2.8")


def test_a_field_that_a_version_does_not_have_yet_is_told() -> None:
    paid = good("2.3", line("PY", "20.00", payment_ref="pi_1"))
    assert found(paid) == ["warning FT1-30 field"]
    assert found(paid, "2.5") == []


def test_groups_repeat_and_p11_has_its_own_order() -> None:
    p11 = good().replace(b"DFT^P03^DFT_P03", b"DFT^P11^DFT_P11").replace(b"\rEVN|P03", b"\rEVN|P11")
    for body in (good(), p11):
        twice = b"\r".join([body.rstrip(b"\r"), b"IN1|1|A^^|B", b"IN2|1", b"IN1|2|A^^|B", b""])
        wrong = found(twice)
        assert not [one for one in wrong if "IN1[2] " in one or " order" in one or "segment" in one], wrong


def test_an_event_that_shares_a_structure_is_judged_by_it() -> None:
    adt = (
        b"MSH|^~\\&|A|B|C|D|20260504100000||ADT^A08|1|P|2.5.1\rEVN|A08|20260504100000\rPID|1||7^^^L^MR||Sample^Silvia\r"
    )
    assert found(adt + b"PV1|1|O\r") == []
    assert found(adt) == ["error PV1 missing"]


def test_latin_1_without_a_name_is_one_finding_and_the_rest_is_judged() -> None:
    assert changed(b"Sample^Silvia", "Sölve^Silvia".encode("latin-1")) == ["warning MSH-18 charset"]


def test_a_version_that_is_not_known_is_judged_by_the_nearest() -> None:
    assert [one for one in found(good("2.7.1")) if "MSH-12" in one] == ["note MSH-12 version"]


def test_null_and_empty_parts_are_no_values() -> None:
    assert changed(b"|CG|", b'|""|') == []
    assert changed(b"\rFT1|1|", b"\r\rFT1|1|") == []


@pytest.mark.parametrize("broken", ["QUENNEVILLE", "6085550188", "silvia@example.org", "LEE"])
def test_no_value_of_a_person_is_ever_shown(broken: str) -> None:
    """Columns shift: a name may stand anywhere, even where a code, a version or a segment should."""
    raw = good()
    fields = raw.decode().split("|")
    for place in range(2, len(fields)):
        if fields[place].startswith(("^~", "DFT")) or "\r" in fields[place]:
            continue
        text = "|".join([*fields[:place], broken, *fields[place + 1 :]])
        for one in lint(text.encode()):
            spot = one.place.replace("[1]", "").replace("[2]", "")
            if spot.startswith(("MSH", "EVN")) or spot == "FT1-6":
                continue  # codes of these are shown, and are four characters at most
            assert broken not in f"{one.place} {one.text} {one.fix}"
    line_of_text = raw.replace(b"\rFT1|1|", f"\r{broken}|1\rFT1|1|".encode())
    assert not [one for one in lint(line_of_text) if broken in f"{one.place} {one.text} {one.fix}"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_findings_or_our_own_error(noise: bytes) -> None:
    for raw in (noise, b"MSH|^~\\&|" + noise, good() + noise, good()[:-40] + noise):
        with suppress(er7.Er7Error):
            for one in lint(raw):
                assert one.text
                assert one.rule


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*good().decode().split("\r")[:-1], "ROL|1", "IN1|1", "IN2|1", "ZAB|1"]), max_size=14))
def test_segments_in_any_order_come_to_an_end(lines: list[str]) -> None:
    raw = "\r".join([good().decode().split("\r")[0], *lines]).encode()
    assert len(list(lint(raw))) < 200
