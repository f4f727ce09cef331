"""Promises of `chartpost map profile`: it counts what is filled, and shows nothing of anybody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from chartpost.adapter.cli import app
from chartpost.mappings.profile import Profile, make
from chartpost.mappings.specimens import collect
from chartpost.mappings.valuekinds import kind_of, shape

from .sites import Habit, before, folder, line, put

#: What belongs to one person, and may stand nowhere in what is printed.
CANARIES = {
    "family": "Zwicknagel", "given": "Ottokar", "number": "M77003", "mobile": "(608)555-0177", "account": "K990017",
    "mail": "ottokar@example.org", "street": "Wagtail Lane", "birthday": "19510417", "insurer": "POL-443-91",
}  # fmt: skip


def person(one: Any) -> None:
    """One of the patients is he whom nobody may see; also where no standard would look for him."""
    if one.at != 3:
        return
    c = CANARIES
    one.segments["PID"].update({
        3: f"{c['number']}^^^HILL^MR", 5: f"{c['family']}^{c['given']}", 7: c["birthday"], 11: f"{c['street']} 9^^Hill",
        13: f"{c['mobile']}^^^{c['mail']}", 18: c["account"],
    })  # fmt: skip
    one.segments["GT1"] = {3: f"{c['family']}^{c['given']}", 6: c["mobile"]}
    one.before.append(f"IN1|1|{c['insurer']}|||||||||||||{c['family']}^{c['given']}|||||||||||||||||||{c['insurer']}")
    one.before.append(f"ZZZ|{c['family']}|{c['mobile']}|{c['mail']}|{c['family'].upper()}|{c['street']}")
    one.before.append(f"NTE|1||{c['family']} called from {c['mobile']}")
    one.lines[0].ft1.update({6: c["family"].upper(), 8: f"for {c['given']}", 2: c["account"]})


@pytest.fixture
def site(tmp_path):
    def write(*habits: Habit, **more: Any) -> str:
        place = tmp_path / "messages"
        place.mkdir()
        for name, body in folder(*habits, **more):
            (place / name).write_bytes(body)
        return str(place)

    return write


def profiled(*habits: Habit, **more: Any) -> Profile:
    return make(collect(folder(*habits, **more)))


def test_every_filled_place_is_counted_and_named_by_the_standard():
    found = {place.path: place for place in profiled(put("PV1", 46, "12.00")).places}
    assert (found["PID-5.1"].filled, found["PID-5.1"].of, found["PID-5.1"].messages) == (12, 12, 12)
    assert found["PID-5.1"].name == "Family Name"
    assert found["FT1-11"].kind == "amount"
    assert found["FT1-4"].kind == "date"
    assert found["FT1-6"].codes == {"CG": found["FT1-6"].filled}
    assert found["PID-13"].kind == "phone"
    assert found["PID-3.1"].shapes.most_common(1)[0][0] == "A9999"
    assert found["PV1-46"].filled == 12


def test_codes_of_a_site_are_shown_when_they_come_with_several_patients():
    found = {place.path: place for place in profiled(before(lambda one: f"ZPC|{'IN' if one.at % 2 else 'OUT'}")).places}
    assert found["ZPC-1"].codes == {"IN": 6, "OUT": 6}


def test_codes_that_come_with_few_patients_are_not_shown_nor_are_treatments():
    found = {place.path: place for place in profiled(before(lambda one: "ZPC|IN"), count=2).places}
    assert found["ZPC-1"].codes == {}
    assert found["FT1-7.1"].codes == {}


@pytest.mark.parametrize("command", ["profile", "new"])
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("count", [3, 9])
def test_nothing_of_a_person_is_printed(site, command: str, options: tuple[str, ...], count: int):
    where = site(person, before(lambda one: f"ZPX|{one.family}^{one.given}|{one.family}"), count=count)
    said = CliRunner().invoke(app, ["map", command, where, *options])
    assert said.exit_code in (0, 1)
    everybody = {*CANARIES.values(), CANARIES["family"].upper()}
    for body in folder(person, count=count):
        fields = body[1].decode().split("\r")[2].split("|")
        everybody |= {*fields[5].split("^"), fields[3].split("^")[0], fields[7], fields[18]}
    shown = [value for value in everybody if value in said.output or value.casefold() in said.output.casefold()]
    assert shown == [], said.output


def test_examples_are_shown_to_who_asks_for_them(site):
    said = CliRunner().invoke(app, ["map", "profile", site(person), "--reveal", "--json"])
    assert CANARIES["family"] in said.output


def test_a_folder_of_fhir_is_profiled_by_element(tmp_path):
    patient = {"resourceType": "Patient", "name": [{"family": CANARIES["family"]}], "active": True}
    invoice = {"resourceType": "Invoice", "status": "issued", "totalGross": {"value": 12.5, "currency": "EUR"},
               "extension": [{"url": "https://ehr.example.org/part", "valueMoney": {"value": 5}}]}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(patient) + "\n" + json.dumps(invoice))
    said = CliRunner().invoke(app, ["map", "profile", str(tmp_path), "--json"])
    head, *places = json.loads(said.stdout)
    assert head["types"] == {"Patient": 1, "Invoice": 1}
    found = {place["path"]: place for place in places}
    assert found["Invoice.totalGross.value"]["kind"] == "amount"
    assert found["Invoice.status"]["codes"] == {"issued": 1}
    assert "Invoice.extension(https://ehr.example.org/part).valueMoney.value" in found
    assert CANARIES["family"] not in said.output


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_counted(site, tmp_path):
    where = site()
    (tmp_path / "messages" / "odd.hl7").write_bytes(b"no message at all")
    (tmp_path / "messages" / "odd.json").write_bytes(b'{"resourceType": ')
    said = CliRunner().invoke(app, ["map", "profile", where])
    assert said.exit_code == 1
    assert "12 messages in 14 files" in said.output
    assert "odd.hl7: " in said.output
    assert "odd.json: line 1" in said.output


def test_a_map_that_is_there_is_not_overwritten_without_force(site, tmp_path):
    where, out = site(line(6, "ZB")), tmp_path / "site.yaml"
    out.write_text("mine")
    said = CliRunner().invoke(app, ["map", "new", where, "--out", str(out)])
    assert said.exit_code != 0
    assert out.read_text() == "mine"
    said = CliRunner().invoke(app, ["map", "new", where, "--out", str(out), "--force"])
    assert said.exit_code == 0
    assert "extends: hl7v2-dft" in out.read_text()
    assert '12 × FT1-6: code "ZB" is not in table kinds' in said.output


def beginning(text: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=80).map(lambda tail: text + tail)


BODIES = st.one_of(st.binary(max_size=200), beginning(b"MSH|^~\\&|"), beginning(b'{"resourceType":"Invoice","id":"'))


@given(st.lists(BODIES, max_size=4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_whatever_lies_in_the_folder_is_profiled_or_told(bodies: list[bytes], reveal: bool):
    found = collect((str(at), body) for at, body in enumerate(bodies))
    made = make(found, reveal=reveal)
    assert made.messages + len(made.troubles) >= len(bodies)
    json.dumps([place.row() for place in made.places])


@given(st.text(min_size=1, max_size=40))
def test_a_shape_keeps_no_letter_and_no_digit(text: str):
    assert set(shape(text)) & set("bcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ012345678") == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12.50", "amount"), ("-5,00", "amount"), ("3", "integer"), ("20260504", "date"), ("05/04/2026", "date"),
        ("20260504120000-0500", "time stamp"), ("(608)555-0101", "phone"), ("6085550101", "phone"), ("CG", "code"),
        ("p@example.org", "e-mail"), ("A-4711", "identifier"), ("1.2.840.113883", "identifier"), ("Halloran", "name"),
        ("seen at home, 3 times", "text"),
    ],
)  # fmt: skip
def test_values_are_told_apart_by_how_they_are_written(text: str, kind: str):
    assert kind_of(text) == kind
