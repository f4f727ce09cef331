"""Reading ADT: whose record, what is new of them, and which record takes another over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Problem, Reading
from chartpost.mappings.patients import identifiers
from chartpost.mappings.read import Unreadable, read

Adt = Callable[..., Reading]


@pytest.fixture(scope="module")
def shipped_adt() -> Map:
    return mapfile.load("hl7v2-dft-adt")


def adt(map: Map, event: str, *segments: str, delimiters: str = "|^~\\&") -> Reading:
    head = f"MSH{delimiters}|HIS|LAKE|PAY|PAY|20250314||ADT{delimiters[1]}{event}|C1|P|2.5.1"
    text = "".join(f"{segment}\r" for segment in (head, f"EVN|{event}|20250314", *segments))
    return read(er7.parse(text), map, currency="USD", region="US", timezone="America/Chicago")


def test_an_update_says_who_where_and_whose_account(shipped_adt: Map) -> None:
    pid = "PID|1||M1^^^LAKE^MR||MARLOWE^TESSA||||||||608-555-0142^PRN^CP|||||ACC7^^^LAKE^AN"
    found = adt(shipped_adt, "A08", pid, "PV1|1|O", "GT1|1||MARLOWE^ANN|||608-555-0143")
    assert (found.type, found.account, found.patient.name, found.merges) == ("ADT^A08", "ACC7", "TESSA MARLOWE", ())
    assert [contact.value for contact in found.patient.contacts] == ["+16085550142"]
    assert found.guarantor is not None
    assert found.guarantor.name == "ANN MARLOWE"
    assert (found.chart["PID-3"], found.deleted, found.charges) == ("M1^^^LAKE^MR", frozenset(), ())


@pytest.mark.parametrize(
    ("segments", "deleted"),
    [
        (['PID|||M1||""'], {"patient.name"}),
        (['PID|||M1||""^""'], {"patient.name"}),
        (['PID|||M1||MARLOWE^""'], set()),
        (['PID|||M1||||||||""'], set()),
        (['PID|||M1||||||||||""'], {"patient.contacts"}),
        (['PID|||M1||||||||||""|608-555-0142'], set()),
        (['PID|||M1||||||||||""|""'], {"patient.contacts"}),
        (["PID|||M1", 'GT1|1||""|||""'], {"guarantor.name", "guarantor.contacts"}),
        (["PID|||M1"], set()),
    ],
)
def test_two_quotes_delete_unless_a_value_stands_beside_them(
    shipped_adt: Map, segments: list[str], deleted: set[str]
) -> None:
    assert adt(shipped_adt, "A31", *segments).deleted == deleted


def test_each_pair_of_an_a40_is_read_by_itself_in_any_delimiters(shipped_adt: Map) -> None:
    found = adt(
        shipped_adt, "A40", "PID|||B1&&&LAKE&MR||ROE&RHEA", "PD1|", "MRG|A1&&&LAKE&MR~S9&&&USA&SS||OLD7",
        "PV1|1|O", "PID|||B2&&&LAKE&MR|||||||||||||||ACC9", "MRG|A2", delimiters="|&~\\^",
    )  # fmt: skip
    first, second = found.merges
    assert [(one.value, one.authority) for one in first.prior] == [("A1", "LAKE")]
    assert (first.patient.name, first.chart["PID-3"], first.prior_account) == ("RHEA ROE", "B1^^^LAKE^MR", "OLD7")
    assert [(one.value, one.authority) for one in second.prior] == [("A2", "LAKE")], "that of the record that stays"
    assert (second.patient.name, second.chart["PID-3"], second.account) == ("", "B2^^^LAKE^MR", "ACC9")


def test_a_prior_number_is_not_given_an_authority_that_is_in_doubt(shipped_adt: Map) -> None:
    found = adt(shipped_adt, "A40", "PID|||B1^^^LAKE^MR~E1^^^EMPI^PI", "MRG|A1")
    assert found.merges[0].prior[0].authority == ""


@pytest.mark.parametrize(
    ("segments", "places"),
    [
        ([], ["PID"]),
        (["PID|||B1"], ["MRG"]),
        (["PID|||B1", "MRG|"], ["MRG-1"]),
        (["PID|||B1", "MRG|0000"], ["MRG-1"]),
        (["PID|||", "MRG|A1"], ["PID-3"]),
        (["PID|||B1", "MRG|A1", "PID|||", 'MRG|""'], ["MRG[2]-1", "PID[2]-3"]),
    ],
)
def test_a_merge_that_does_not_say_who_takes_over_whom_is_unreadable_and_says_where(
    shipped_adt: Map, segments: list[str], places: list[str]
) -> None:
    with pytest.raises(Unreadable) as caught:
        adt(shipped_adt, "A40", *segments)
    assert [problem.path for problem in caught.value.problems] == places


def test_what_a_map_requires_of_charges_is_not_required_of_an_adt() -> None:
    rows = "  - {target: financial_class, path: PV1-20, required: true}\n"
    rows += "  - {target: chart.PV1-19, path: PV1-19, transform: verbatim, required: true}\n"
    map = mapfile.parse(f"extends: hl7v2-dft-adt\nmessage:\n{rows}")
    assert adt(map, "A31", "PID|||M1").chart == {"PID-3": "M1"}


def test_the_sites_own_values_and_stops_are_read_of_an_adt_too(shipped_adt: Map) -> None:
    found = adt(shipped_adt, "A08", "PID|||M1" + "|" * 27 + "Y")
    assert [stop.cause for stop in found.stops] == ["deceased"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("M1", [("M1", "")]),
        ("M1^^^LAKE^MR", [("M1", "LAKE")]),
        ("M1^5^M10^LAKE&1.2.3&ISO^MR", [("M1", "LAKE")]),
        ("M1^^^&1.2.3&ISO^PI", [("M1", "1.2.3")]),
        ("M1^^^LAKE^MR~E1^^^EMPI^PI~M1^^^LAKE^MR", [("M1", "LAKE"), ("E1", "EMPI")]),
        ("M1^^^LAKE^MR~123121234^^^USA^SS~D1^^^WI^DL~7^^^LAKE^AN", [("M1", "LAKE")]),
        ("0~000000000~999999999~Unknown~NONE~n/a", []),
        ("1", [("1", "")]),
        ("11", [("11", "")]),
        (r"M\S\1^^^LAKE", [("M^1", "LAKE")]),
        ('""', []),
        (" M1 ^^^ LAKE ", [("M1", "LAKE")]),
    ],
)
def test_only_numbers_of_a_record_say_who_somebody_is(text: str, numbers: list[tuple[str, str]]) -> None:
    assert [(one.value, one.authority) for one in identifiers(text)] == numbers


@given(st.text(max_size=60))
def test_whatever_stands_in_pid_3_is_read_without_a_failure_and_never_to_an_empty_number(text: str) -> None:
    assert all(one.value.strip() for one in identifiers(text))


@given(
    st.lists(
        st.sampled_from(["PID|||M1", 'PID|||""', "MRG|A1", "MRG", "GT1|1||X^Y", "PV1|1", "FT1|1", "Z"]), max_size=6
    )
)
@settings(deadline=None)
@pytest.mark.parametrize("event", ["A08", "A40", "A99"])
def test_any_order_of_segments_is_read_or_refused_with_a_reason(shipped_adt: Map, event: str, segments) -> None:
    map = replace(shipped_adt, messages=frozenset([f"ADT^{event}"]))
    problems: list[Problem] = []
    try:
        found = adt(map, event, *segments)
    except Unreadable as error:
        problems = error.problems
        found = None
    assert all(problem.path and problem.cause for problem in problems)
    assert (found is None) == bool(problems)
    if found is not None and event == "A40":
        assert found.merges
        assert all(merge.prior and merge.chart["PID-3"] for merge in found.merges)
