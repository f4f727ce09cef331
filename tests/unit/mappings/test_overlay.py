"""A posting map that extends another holds only what differs, and each mistake is shown where it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings import er7, layers, postingmap
from chartpost.mappings.model import Posting
from chartpost.mappings.overlay import Overlay
from chartpost.mappings.postingmap import Hl7Map
from chartpost.mappings.write import write
from chartpost.mappings.yamltext import MapError

BASE = "extends: hl7v2-dft-payment\n"


def dft(text: str) -> Hl7Map:
    made = postingmap.parse(BASE + text, "site.yaml")
    assert isinstance(made, Hl7Map)
    return made


def places(map: Hl7Map) -> list[str]:
    return [row.place for row in map.rows]


def problems(text: str, file: str = "site.yaml") -> list[str]:
    with pytest.raises(MapError) as caught:
        postingmap.parse(text, file)
    return caught.value.problems


def test_nothing_but_extends_is_the_base_itself(posting: Posting, outbound: Hl7Map) -> None:
    assert write(posting, dft("")) == write(posting, outbound)


def test_a_row_replaces_those_of_its_target_at_their_place(posting: Posting, outbound: Hl7Map) -> None:
    map = dft("rows:\n  - {target: FT1.4, value: paid_date}\n  - {target: ZPY-1, constant: CHARTPOST}\n")
    assert places(map) == [*places(outbound), "ZPY-1"]
    assert er7.parse(write(posting, map)).text("FT1", 4) == "20250314"


def test_a_target_with_a_row_for_each_kind_replaces_one_that_has_one_for_all(outbound: Hl7Map) -> None:
    rows = (
        "rows:\n  - {target: FT1-7, value: code, kinds: [payment]}\n  - {target: FT1-7, constant: R, kinds: [refund]}\n"
    )
    found = places(dft(rows))
    at = places(outbound).index("FT1-7")
    assert found[at : at + 2] == ["FT1-7", "FT1-7"]
    assert len(found) == len(places(outbound)) + 1


def test_without_takes_rows_away(posting: Posting) -> None:
    map = dft("without: [FT1-5, PV1-2, PV1-19]\n")
    message = er7.parse(write(posting, map))
    assert message.text("FT1", 5) == ""
    assert message.segment("PV1") is None


def test_kinds_and_codes_are_added_and_the_rest_is_replaced() -> None:
    map = dft('version: "2.4"\nkinds: {refund: {type: PY, sign: negative}}\nmedia: {codes: {card: KRED, cash: BAR}}\n')
    assert set(map.kinds) == {"payment", "refund"}
    assert map.version == "2.4"
    assert (map.media.codes["card"], map.media.codes["card/visa"], map.media.codes["cash"]) == ("KRED", "VISA", "BAR")
    assert map.media.unknown == "hold"


def test_a_map_may_extend_one_that_lies_beside_it(tmp_path: Path, posting: Posting) -> None:
    (tmp_path / "group.yaml").write_text(BASE + 'version: "2.4"\nkinds: {payment: {type: P, sign: positive}}\n')
    (tmp_path / "site.yaml").write_text("extends: group.yaml\nkinds: {payment: {type: PY, sign: negative}}\n")
    map = postingmap.load(str(tmp_path / "site.yaml"))
    assert (map.name, map.version) == ("site", "2.4")
    assert [Path(name).name for name in map.files] == ["site.yaml", "group.yaml"]
    assert er7.parse(write(posting, map)).text("FT1", 11) == "-45.00"


def test_another_text_of_the_base_is_another_edition(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("extends: group.yaml\n")
    editions = set()
    for version in ("2.4", "2.8"):
        (tmp_path / "group.yaml").write_text(BASE + f'version: "{version}"\n')
        editions.add(postingmap.parse("extends: group.yaml\n", str(tmp_path / "site.yaml")).edition)
    assert len(editions) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("without: [FT1-99]\n", "site.yaml:2:11: no row of what this map extends has the target 'FT1-99'"),
        ("rows:\n  - {target: FT1-4, value: nonsense}\n", "site.yaml:3:21: unknown value 'nonsense'"),
        ("rows:\n  - {target: FT1-4, valeu: paid_at}\n", "site.yaml:3:21: `valeu` is not known here"),
        ("rows:\n  - {target: FT1.11.1, value: account}\n", "site.yaml:3:5: FT1-11.1 has a row already"),
        ("kinds: {gift: {type: X, sign: positive}}\n", "site.yaml:2:9: "),
        ("kinds: {payment: {type: X}}\n", "site.yaml:2:9: `sign` is missing"),
        ('version: "9"\n', "site.yaml:2:1: version '9' is not one of"),
        ("media: {unknown: ignore}\n", "site.yaml:2:9: "),
        ("rows: none\n", "site.yaml:2:1: `rows`: "),
        ("without: FT1-5\n", "site.yaml:2:1: `without`: "),
    ],
)
def test_a_mistake_is_shown_where_it_was_written(text: str, problem: str) -> None:
    assert any(one.startswith(problem) for one in problems(BASE + text)), problems(BASE + text)


def test_a_mistake_in_the_base_is_shown_in_the_base(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(BASE + "rows:\n  - {target: ZPY-1, value: nonsense}\n")
    (problem,) = problems("extends: group.yaml\nkinds: {}\n", str(tmp_path / "site.yaml"))
    assert problem.startswith(f"{tmp_path / 'group.yaml'}:3:21: unknown value 'nonsense'")


TARGETS = [row["target"] for row in layers.read("hl7v2-dft-payment").top.data["rows"]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(TARGETS), unique=True), st.lists(st.sampled_from(TARGETS), unique=True))
def test_whatever_is_taken_away_and_written_anew_each_target_has_its_rows_once(gone: list[str], new: list[str]) -> None:
    rows = [{"target": target, "constant": "x"} for target in new]
    text = BASE + f"without: {[*gone]}\nrows: {rows}\n"
    merged = [row["target"] for row in Overlay(layers.layers(text, "site.yaml")).data["rows"]]
    assert sorted(merged) == sorted({*TARGETS} - {*gone} | {*new})
    assert [target for target in merged if target in TARGETS and target not in gone] == [
        target for target in TARGETS if target not in gone
    ]
