"""Maps on maps: a site's file holds the differences, and its mistakes are told where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import MapError
from chartpost.mappings.model import Kind, Reading
from chartpost.mappings.read import read

MESSAGE = (
    "MSH|^~\\&|HIS|LAKE|CP|DOOR|20260504||DFT^P03|1|P|2.5.1\rPID|1||M-1||Sample^Silvia|||||||||||||A-1\r"
    "FT1|1|T-1||20260504||CG|99213|||2|50.00||||10.00\rFT1|2|T-2||20260504||XX|99214|||1|60.00\rZPR|1|SP|7.50\r"
)


def site(tmp_path: Path, text: str, name: str = "site.yaml") -> str:
    (tmp_path / name).write_text(text, "utf-8")
    return str(tmp_path / name)


def problems(path: str) -> list[str]:
    with pytest.raises(MapError) as caught:
        mapfile.parse(Path(path).read_text("utf-8"), path)
    return [problem.replace(f"{Path(path).parent}/", "", 1) for problem in caught.value.problems]


def reading(path: str, message: str = MESSAGE) -> Reading:
    map = mapfile.parse(Path(path).read_text("utf-8"), path)
    return read(er7.parse(message.encode()), map, currency="USD", region="US", timezone="America/Chicago")


def test_a_site_states_one_row_and_one_code_and_has_the_rest_of_the_shipped_map(tmp_path: Path) -> None:
    found = reading(
        site(
            tmp_path,
            "extends: hl7v2-dft\n"
            "charge:\n  - {target: amount, path: [ZPR-3, FT1-11], transform: money}\n"
            "tables:\n  kinds: {codes: {XX: copay, CG: ignore}}\n",
        )
    )
    assert [(line.kind, line.amount.minor) for line in found.charges] == [(Kind.COPAY, 750)]
    assert found.account == "A-1"
    assert found.patient.family == "Sample"


def test_a_row_replaces_the_bases_in_its_place_and_without_leaves_rows_out(tmp_path: Path) -> None:
    base = mapfile.load("hl7v2-dft")
    path = site(tmp_path, "extends: hl7v2-dft\nwithout: [unit_price]\ncharge:\n  - {target: kind, path: FT1-7}\n")
    mine = mapfile.load(path)
    assert [row.target for row in mine.charge] == [row.target for row in base.charge if row.target != "unit_price"]
    assert mine.charge[0].paths[0].located(er7.parse(MESSAGE.encode())) == "FT1[1]-7"


def test_maps_are_built_on_maps_on_maps(tmp_path: Path) -> None:
    site(tmp_path, "extends: hl7v2-dft\naccount: [PV1-19]\ntables: {kinds: {codes: {XX: copay}}}\n", "group.yaml")
    path = site(tmp_path, "extends: group.yaml\ntables: {kinds: {codes: {YY: credit}}}\n")
    codes = mapfile.load(path).tables["kinds"].codes
    assert (codes["XX"], codes["YY"], codes["CG"]) == ("copay", "credit", "charge")
    assert [one.text for one in mapfile.load(path).account] == ["PV1-19"]


def test_the_same_text_is_the_same_version_and_a_change_in_any_layer_is_another(tmp_path: Path) -> None:
    base = "extends: hl7v2-dft\ntables: {kinds: {file: codes.csv}}\n"
    codes = "code,meaning\nXX,copay\n"
    site(tmp_path, codes, "codes.csv")
    site(tmp_path, base, "group.yaml")
    path = site(tmp_path, "extends: group.yaml\n")

    def version() -> str:
        return mapfile.parse(Path(path).read_text(), path).version

    first = version()
    assert version() == first
    site(tmp_path, codes + "YY,credit\n", "codes.csv")
    second = version()
    site(tmp_path, base + "note: changed\n", "group.yaml")
    assert len({first, second, version()}) == 3
    assert mapfile.load(path).label == f"site@{version()}"
    assert [Path(file).name for file in mapfile.load(path).files] == ["site.yaml", "group.yaml", "codes.csv"]


def test_every_mistake_of_every_layer_is_told_in_its_own_file(tmp_path: Path) -> None:
    site(tmp_path, "extends: hl7v2-dft\ncharge:\n  - {target: amuont, path: FT1-11}\n", "group.yaml")
    path = site(
        tmp_path,
        "extends: group.yaml\nwithout: [colour]\nwhen:\n  charge: amuont > 5\n"
        "tables:\n  kinds: {codes: {ZZ: fee}}\nmessages: [dft]\n",
    )
    found = problems(path)
    assert [problem.split(": ")[0] for problem in found] == [
        "site.yaml:2:11", "site.yaml:4:3", "site.yaml:6:19", "site.yaml:7:12", "group.yaml:3:6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.yaml", "No such file"),
        ("../site.yaml", "only files in its own folder"),
        ("/etc/passwd", "only files in its own folder"),
        ("site.yaml", "built on this map itself"),
        ("[a, b]", "names one map"),
    ],
)
def test_what_cannot_be_built_on_is_refused(tmp_path: Path, name: str, said: str) -> None:
    found = problems(site(tmp_path, f"extends: {name}\n"))
    assert len(found) == 1
    assert found[0].startswith("site.yaml:1:1: ")
    assert said in found[0]


def test_two_maps_that_extend_each_other_are_told_and_not_read_for_ever(tmp_path: Path) -> None:
    site(tmp_path, "extends: site.yaml\n", "group.yaml")
    assert "built on this map itself" in problems(site(tmp_path, "extends: group.yaml\n"))[0]


def test_a_map_for_one_dialect_cannot_extend_one_for_the_other(tmp_path: Path) -> None:
    found = problems(site(tmp_path, "extends: fhir-invoice\ndialect: hl7v2\n"))
    assert "is for fhir" in found[0]


@pytest.mark.parametrize(
    ("unknown", "kinds"),
    [("pass", None), ("ignore", [Kind.CHARGE]), ("{value: credit}", [Kind.CHARGE, Kind.CREDIT]), ("hold", None)],
)
def test_an_unknown_code_does_what_its_table_says(tmp_path: Path, unknown: str, kinds: list[Kind] | None) -> None:
    path = site(tmp_path, f"extends: hl7v2-dft\ntables: {{kinds: {{unknown: {unknown}}}}}\n")
    if kinds is None:
        with pytest.raises(ValueError, match="XX"):
            reading(path)
    else:
        assert [line.kind for line in reading(path).charges] == kinds


def test_a_table_beside_the_map_is_read_and_its_mistakes_have_its_line(tmp_path: Path) -> None:
    text = "extends: hl7v2-dft\ntables:\n  kinds: {file: codes.csv}\n"
    site(tmp_path, "\ufeffcode;meaning;who\r\nXX;copay;Ada\r\n", "codes.csv")
    assert reading(site(tmp_path, text)).charges[1].kind is Kind.COPAY
    for csv, said in (
        ("XX,copay\n", "codes.csv line 1: the first line must name the columns"),
        ("code,meaning\nXX,\n", "codes.csv line 2: a code or its meaning is empty"),
        ("code,meaning\nXX,copay\nXX,charge\n", "codes.csv line 3: code 'XX' stands here a second time"),
        ("code,meaning\nXX,fee\n", "code XX means 'fee'"),
        ("", "codes.csv line 1: the file is empty"),
    ):
        site(tmp_path, csv, "codes.csv")
        found = problems(site(tmp_path, text))
        assert len(found) == 1
        assert said in found[0]
    assert "only files in its own folder" in problems(site(tmp_path, text.replace("codes.csv", "../codes.csv")))[0]


def test_conditions_leave_out_lines_and_messages_and_say_which_rule_it_was(tmp_path: Path) -> None:
    codes = "tables: {kinds: {codes: {XX: charge}}}\n"
    rows = "message: [{target: my.class, path: ZPR-2}]\n"
    lines = reading(site(tmp_path, f"extends: hl7v2-dft\n{codes}when: {{charge: amount < 6000}}\n"))
    assert [line.ordinal for line in lines.charges] == [1]
    assert lines.ignored == ("line 2: the map reads only what is `amount < 6000`",)
    skipped = reading(site(tmp_path, f"extends: hl7v2-dft\n{codes}{rows}when: {{message: my.class == 'IN'}}\n"))
    assert (skipped.charges, skipped.my["class"]) == ((), "SP")
    assert "my.class == 'IN'" in skipped.skipped
    stopped = reading(
        site(
            tmp_path,
            f"extends: hl7v2-dft\n{codes}{rows}"
            "stop: [{when: my.class == 'SP', cause: collections, text: sold to an agency}]\n",
        )
    )
    assert stopped.stops == (("collections", "sold to an agency"),)
    assert len(stopped.charges) == 2


def test_the_shipped_map_stops_at_a_death_and_at_a_confidential_visit() -> None:
    shipped = mapfile.load("hl7v2-dft")
    pid = MESSAGE.split("\r")[1]
    for changed, cause in (
        (MESSAGE.replace(pid, pid + "|" * 12 + "Y"), "deceased"),
        (MESSAGE.replace("FT1|1", "PV2|" + "|" * 21 + "Y\rFT1|1"), "confidential"),
    ):
        text = changed.replace("|XX|", "|CG|")
        found = read(er7.parse(text.encode()), shipped, currency="USD", region="US", timezone="UTC")
        assert [stop.cause for stop in found.stops] == [cause]


def test_a_condition_that_cannot_be_told_holds_the_message_and_says_what_is_empty(tmp_path: Path) -> None:
    codes = "tables: {kinds: {codes: {XX: charge}}}\n"
    with pytest.raises(ValueError, match="empty is insurance"):
        reading(site(tmp_path, f"extends: hl7v2-dft\n{codes}when: {{charge: amount > insurance}}\n"))


def test_a_row_may_be_for_some_versions_only_and_a_site_that_states_one_states_it_for_all(tmp_path: Path) -> None:
    old = MESSAGE.replace("|2.5.1", "|2.1").replace("|2|50.00|", "|50.00|2|").replace("|XX|", "|CG|")
    shipped = reading(site(tmp_path, "extends: hl7v2-dft\n"), old)
    assert shipped.charges[0].amount.minor == 5000
    unlike = "extends: hl7v2-dft\ncharge: [{target: amount, path: FT1-11, transform: money}]\n"
    assert reading(site(tmp_path, unlike), old).charges[0].amount.minor == 200
    found = problems(
        site(
            tmp_path,
            "extends: hl7v2-dft\ncharge:\n"
            "  - {target: code, path: FT1-7, until: '2.3'}\n"
            "  - {target: code, path: FT1-25, since: '2.3'}\n"
            "  - {target: reference, path: FT1-2, since: two}\n",
        )
    )
    assert [problem.split(": ")[0] for problem in found] == ["site.yaml:5:38"]


def test_two_rows_for_one_version_are_a_mistake(tmp_path: Path) -> None:
    found = problems(
        site(
            tmp_path,
            "extends: hl7v2-dft\ncharge:\n"
            "  - {target: code, path: FT1-7, until: '2.3'}\n"
            "  - {target: code, path: FT1-25, since: '2.3'}\n",
        )
    )
    assert found == ["site.yaml:4:6: target code has a row already: list its paths there"]


def test_a_map_that_reads_adt_must_know_patients_by_their_number(tmp_path: Path) -> None:
    found = problems(site(tmp_path, "extends: hl7v2-dft\nmessages: [DFT^P03, ADT^A08]\nwithout: [chart.PID-3]\n"))
    assert len(found) == 1
    assert found[0].startswith("site.yaml:2:1: an ADT names patients by PID-3")


@pytest.mark.parametrize("stated", ["2.5.1A", "V2.3", "2", "2.x", "2.3 "])
def test_a_version_that_is_none_is_read_as_a_new_one_so_that_no_quantity_is_taken_for_an_amount(
    tmp_path: Path, stated: str
) -> None:
    text = MESSAGE.replace("|2.5.1", f"|{stated}").replace("|XX|", "|CG|")
    usual = reading(site(tmp_path, "extends: hl7v2-dft\n"), MESSAGE.replace("|XX|", "|CG|"))
    found = reading(site(tmp_path, "extends: hl7v2-dft\n"), text)
    assert [line.amount for line in found.charges] == [line.amount for line in usual.charges]


def test_a_stop_that_a_site_states_itself_replaces_every_rule_of_that_cause_below_it(tmp_path: Path) -> None:
    rule = "{{when: my.class == '{}', cause: collections, text: {}}}"
    codes = "message: [{target: my.class, path: ZPR-2}]\ntables: {kinds: {codes: {XX: charge}}}\n"
    below = f"stop: [{rule.format('QQ', 'one')}, {rule.format('SP', 'two')}]\n"
    site(tmp_path, f"extends: hl7v2-dft\n{codes}{below}", "base.yaml")
    assert [stop.text for stop in reading(str(tmp_path / "base.yaml")).stops] == ["two"]
    own = f"extends: base.yaml\nstop: [{rule.format('ZZ', 'mine')}]\n"
    assert reading(site(tmp_path, own)).stops == ()


def test_an_amount_that_is_deleted_in_its_second_place_is_not_replaced_by_a_unit_price(tmp_path: Path) -> None:
    codes = "tables: {kinds: {codes: {XX: charge}}}\n"
    rows = "charge:\n  - {target: amount, path: [ZPR-9, FT1-11], transform: money}\n"
    text = f"extends: hl7v2-dft\n{rows}  - {{target: unit_price, path: FT1-22, transform: money}}\n{codes}"
    line = 'FT1|9|||20260504||CG|C9|||1|""|||||||||||50.00'
    with pytest.raises(ValueError, match="no amount"):
        reading(site(tmp_path, text), MESSAGE.rstrip("\r") + f"\r{line}\r")
