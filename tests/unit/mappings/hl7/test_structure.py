"""What the standard says of a place, in every version that a message may claim."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings.hl7 import structure
from chartpost.mappings.hl7.structure import VERSIONS, exists, max_length, name_of, table_of, type_of, unknown_path
from chartpost.mappings.paths import compile_path


@pytest.mark.parametrize(
    ("path", "version", "name"),
    [
        ("FT1-11", "2.5.1", "Transaction Amount - Extended"),
        ("FT1-11.1", "2.5.1", "Price"),
        ("FT1-11.1.2", "2.5.1", "Denomination"),
        ("FT1-10", "2.1", "Transaction Amount - Extended"),  # 2.1 has the amount before the quantity
        ("FT1-1", "2.5.1", "Set ID - FT1"),
        ("FT1-31", "2.5.1", "Transaction Reference Key"),
        ("PID-5.1", "2.5.1", "Family Name"),
        ("PID-5.1.1", "2.5.1", "Surname"),
        ("PID-5.1", "2.1", "Family Name"),
        ("PID-5.4", "2.5.1", "Suffix (e.g. Jr or III)"),
        ("PID-6", "2.5.1", "Mother's Maiden Name"),
        ("PID-7", "2.5.1", "Date/Time of Birth"),
        ("PID-13[2].1", "2.3", "Telephone Number"),
        ("PID-13.1", "2.6", "Telephone Number"),  # which the library has lost
        ("FT1-8", "2.6", "Transaction Description"),  # this, too
        ("PID-40", "2.9", "Patient Telecommunication Information"),
    ],
)
def test_a_place_has_the_name_that_the_standard_prints(path: str, version: str, name: str) -> None:
    assert name_of(path, version) == name
    assert name_of(compile_path(path), version) == name


def test_type_length_and_table_are_those_of_the_version() -> None:
    assert [type_of("FT1-4", version) for version in ("2.2", "2.3", "2.5")] == ["DT", "TS", "DR"]
    assert [max_length("FT1-2", version) for version in VERSIONS] == [12] * len(VERSIONS)
    assert [max_length("FT1-11", version) for version in ("2.1", "2.3", "2.5.1", "2.7")] == [4, 12, 12, None]
    assert max_length("MSH-10", "2.5.1") == 20
    assert max_length("MSH-10", "2.8") == 199
    assert max_length("PV2-4", "2.5.1") is None
    assert table_of("FT1-6", "2.5.1") == "0017"
    assert table_of("FT1-2", "2.5.1") is None
    assert structure.is_user_defined("0017")
    assert not structure.is_user_defined("0155")
    assert structure.codes_of("0017", "2.5.1") == {"AJ", "CD", "CG", "CO", "PY"}


def test_what_a_version_does_not_have_yet_or_any_more_does_not_exist() -> None:
    assert [exists("FT1", 30, 0, version) for version in ("2.4", "2.5", "2.9")] == [False, True, True]
    assert [exists("PID", 2, 0, version) for version in ("2.6", "2.7")] == [True, False]
    assert exists("FT1", 11, 6, "2.5.1")
    assert exists("FT1", 11, 7, "2.5.1") is False
    assert exists("FT1", 2, 1, "2.5.1"), "a value is the first component of itself"
    assert exists("FT1", 2, 2, "2.5.1") is False
    assert exists("OBX", 5, 7, "2.5.1"), "anything may stand in OBX-5"


def test_nobody_knows_z_segments() -> None:
    assert exists("ZPR", 4, 0, "2.5.1") is None
    assert name_of("ZPR-4", "2.5.1") is None
    assert type_of("ZPR-4", "2.5.1") is None
    assert unknown_path(compile_path("ZPR-4"), ["2.5.1"]) is None


@pytest.mark.parametrize(
    ("version", "stands_for"),
    [("2.5.1", "2.5.1"), ("2.7.1", "2.7"), ("2.9", "2.8.2"), ("2.9.1", "2.8.2"), ("2.0", ""), ("3.0", ""), ("", "")],
)
def test_a_version_without_definitions_is_judged_by_the_next_older_one(version: str, stands_for: str) -> None:
    assert structure.nearest(version) == stands_for


@pytest.mark.parametrize(
    ("path", "versions", "said"),
    [
        ("FT1-30", ["2.3"], "FT1-30 is not in 2.3; it is there from 2.5 on"),
        ("PID-2", ["2.8"], "PID-2 is not in 2.8; it is there from 2.1 to 2.6"),
        ("PID-13[3=Internet].14", ["2.5.1"], "PID-13.14 is not in 2.5.1; it is there from 2.6 on"),
        ("FT1[2]-99", ["2.5.1"], "FT1-99 is in no version of HL7 v2: FT1 ends with field 43"),
        ("FT1-11.1.7", ["2.5.1"], "FT1-11.1.7 is in no version of HL7 v2: FT1-11 has no such part"),
        ("FT9-1", ["2.5.1"], "FT9 is a segment of no version of HL7 v2; segments of your own begin with Z"),
        ("FT1-30", ["2.3", "2.5"], None),
        ("FT1-30", ["2.3.1"], "FT1-30 is not in 2.3.1; it is there from 2.5 on"),
        ("FT1-30", [], None),
    ],
)
def test_a_path_that_no_version_has_is_explained(path: str, versions: list[str], said: str | None) -> None:
    assert unknown_path(compile_path(path), versions) == said


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["MSH", "PID", "FT1", "GT1", "OBX", "QRD", "DG1", "ZAB", "XYZ", "ANYHL7SEGMENT"[:3]]),
    st.integers(1, 60),
    st.integers(0, 30),
    st.integers(0, 9),
    st.sampled_from([*VERSIONS, "2.9", "", "x"]),
)
def test_every_place_of_every_version_has_an_answer(
    segment: str, field: int, component: int, subcomponent: int, version: str
) -> None:
    path = (
        f"{segment}-{field}" + f".{component}" * bool(component) + f".{subcomponent}" * bool(component * subcomponent)
    )
    found = structure.place_of(path, version)
    there = exists(segment, field, component, version)
    if found is None:
        assert not there or subcomponent
    else:
        assert found.name
        assert found.datatype
        assert there is not None
    unknown = unknown_path(compile_path(path), [version])
    assert unknown is None or (found is None or found.withdrawn)
