"""Two readings of one message: equal where they mean the same, and told apart where they do not."""

from __future__ import annotations

from chartpost.mappings import er7, mapfile
from chartpost.mappings.compare import Difference, Made, differences
from chartpost.mappings.read import Unreadable, read

MESSAGE = (
    "MSH|^~\\&|HIS|LAKE|CP|DOOR|20260504||DFT^P03|1|P|2.5.1\rPID|1||M-1||Sample^Silvia|||||||||||||A-1\r"
    "FT1|1|T-1||20260504||CG|99213|||2|50.00||||10.00\r"
)


def by(text: str) -> Made:
    map = mapfile.parse(f"extends: hl7v2-dft\n{text}", "site.yaml")
    try:
        return read(er7.parse(MESSAGE.encode()), map, currency="USD", region="US", timezone="UTC")
    except Unreadable as error:
        return error


def test_a_map_that_means_the_same_by_other_paths_makes_no_difference() -> None:
    assert differences(by(""), by("charge:\n  - {target: amount, path: [ZZZ-1, FT1-11.1.1], transform: money}\n")) == []


def test_each_value_that_differs_is_told_with_both() -> None:
    assert differences(by(""), by("tables: {kinds: {codes: {CG: copay}}}\nwithout: [service_date]\n")) == [
        Difference("charges[1].kind", "charge", "copay"),
        Difference("charges[1].service_date", "2026-05-04", ""),
    ]


def test_a_line_that_one_of_them_leaves_out_is_told_value_by_value() -> None:
    found = {one.target: one.after for one in differences(by(""), by("tables: {kinds: {codes: {CG: ignore}}}\n"))}
    assert found["charges[1].amount"] == ""
    assert "leaves this type out" in found["ignored 1"]


def test_what_one_of_them_cannot_read_is_told_with_every_reason() -> None:
    found = differences(by(""), by("charge:\n  - {target: amount, path: ZZZ-1, transform: money, required: true}\n"))
    assert found[-1].target == "problem 1"
    assert found[-1].after.startswith("ZZZ-1")
    both = by("charge:\n  - {target: kind, path: FT1-7, transform: table kinds}\n")
    assert differences(both, both) == []
