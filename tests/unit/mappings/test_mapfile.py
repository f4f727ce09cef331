"""The map file: read aloud by an administrator, and wrong with a line number, all mistakes at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import mapfile, postingmap
from chartpost.mappings.mapfile import MapError

GOOD = """\
messages: [DFT^P03]
account: [PID-18]
message:
  - {target: patient.family, path: PID-5.1}
charge:
  - {target: kind, path: FT1-6, transform: table kinds}
  - {target: amount, path: FT1-11}
tables:
  kinds:
    codes: {CG: charge, NO: credit, 01: copay, 1: payment}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(MapError) as caught:
        mapfile.parse(text, "site.yaml")
    return caught.value.problems


def test_a_small_map_is_enough() -> None:
    loaded = mapfile.parse(GOOD, "maps/site.yaml")
    assert loaded.name == "site"
    assert loaded.messages == {"DFT^P03"}


def test_codes_stay_what_they_look_like() -> None:
    codes = mapfile.parse(GOOD).tables["kinds"].codes
    assert codes == {"CG": "charge", "NO": "credit", "01": "copay", "1": "payment"}


def test_every_mistake_is_reported_with_its_line_in_one_go() -> None:
    text = """\
messages: [DFT^P03, DFT-P03]
account: [PID-]
message:
  - {target: patient.famly, path: PID-5.1}
  - {target: patient.given, path: pid5, transform: shout}
  - {target: chart.PID-3, path: PID-3, default: x}
charge:
  - {target: kind, path: FT1-6, transform: table nowhere}
  - {target: kind, path: FT1-7}
  - {target: amount, path: FT1-11, transform: strip}
  - {target: quantity, path: FT1-10, transform: number, default: many}
  - {target: service_date, path: FT1-4, transform: [date, upper]}
  - {target: code, path: FT1-7, transform: upper loudly}
tables:
  kinds: {codes: {CG: fee}}
"""
    found = problems(text)
    assert [int(problem.split(":")[1]) for problem in found] == [1, 2, 4, 5, 5, 6, 8, 9, 10, 11, 12, 12, 13]
    assert all(problem.startswith("site.yaml:") for problem in found)
    assert "unknown target 'patient.famly'" in found[2]
    assert "known here: patient.family" in found[2]


def test_a_table_may_only_mean_kinds_that_exist() -> None:
    assert problems(GOOD.replace("NO: credit", "NO: kredit")) == [
        "site.yaml:10:25: code NO means 'kredit', but a kind is one of adjustment, charge, copay, credit, ignore, "
        "patient_payment, payment, replacement, void"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "site.yaml:1:1: `messages` is missing"),
        ("a: [", "site.yaml:1:5: not YAML"),
        (GOOD + "extents: x\n", "site.yaml:11:1: `extents` is not known here"),
        (GOOD.replace("path: FT1-11", "paht: FT1-11"), "site.yaml:7:22: `paht` is not known here"),
        (GOOD + "account: [PID-2]\n", "site.yaml:11:1: `account` stands here a second time"),
        (
            GOOD.replace("    codes", "    unknown: charge\n    codes"),
            "site.yaml:10:5: `unknown`: write hold, ignore, pass, or {value: X}",
        ),
        (GOOD.replace("  - {target: amount, path: FT1-11}\n", ""), "site.yaml:5:1: no row has the target amount"),
        ("x: &a [*a]", "nested too deeply"),
    ],
)
def test_each_kind_of_mistake_has_words(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))


@given(st.text(max_size=60) | st.lists(st.sampled_from(GOOD.splitlines(True)), max_size=12).map("".join))
def test_any_text_is_a_map_or_a_map_error(text: str) -> None:
    with contextlib.suppress(MapError):
        mapfile.parse(text)


def test_shipped_maps_load_by_name_and_site_maps_by_path(tmp_path: Path) -> None:
    assert mapfile.load("hl7v2-dft").name == "hl7v2-dft"
    assert postingmap.load("hl7v2-dft-payment").version == "2.5.1"
    (tmp_path / "site.yaml").write_text(GOOD)
    assert mapfile.load(str(tmp_path / "site.yaml")).name == "site"
    with pytest.raises(MapError, match="no shipped map of this name"):
        mapfile.load("hl7v2-dft-paymnt")
    with pytest.raises(MapError, match="no shipped map"):
        mapfile.load("../secrets")


def test_a_posting_map_is_checked_the_same_way() -> None:
    text = """\
writes: DFT^P03
version: "2.9"
kinds: {payment: {type: PY, sign: plus}, gift: {type: PY, sign: positive}}
media: {codes: {card: CARD}}
rows: []
"""
    with pytest.raises(MapError) as caught:
        postingmap.parse(text, "out.yaml")
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["3", "3"]
    text = """\
writes: DFT^P03
version: "2.9"
kinds: {payment: {type: PY, sign: positive}}
media: {codes: {card: CARD}}
rows:
  - {target: FT1-2, value: posting_idd}
  - {target: FT1-3}
  - {target: MSH-3, constant: ME}
  - {target: PID-3.1, value: chart.PID-3}
  - {target: FT1-30, value: account, since: "9"}
"""
    with pytest.raises(MapError) as caught:
        postingmap.parse(text, "out.yaml")
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "6", "7", "8", "9", "10"]


def test_a_row_that_a_whole_chart_field_would_hide_is_told() -> None:
    """PID-3 is given back whole: what another row puts into PID-3.4 would never be sent."""
    with pytest.raises(MapError, match=r"3:5: PID-3\.4 has a row already"):
        postingmap.parse("extends: hl7v2-dft-payment\nrows:\n  - {target: PID-3.4, constant: LAKE}\n", "out.yaml")
