"""A map of FHIR: the same language, its own paths and targets, every mistake with its line; the reference says so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chartpost.mappings import mapfile
from chartpost.mappings.dialect import HL7V2
from chartpost.mappings.fhir.dialect import FHIR
from chartpost.mappings.fhir.fhirpath import VARIABLES
from chartpost.mappings.mapfile import MapError

GOOD = """\
dialect: fhir
messages: [Invoice]
account: [Invoice.identifier]
message:
  - {target: status, path: Invoice.status}
charge:
  - {target: amount, path: Invoice.totalGross}
"""
REFERENCE = (Path(__file__).parents[4] / "docs/reference/map.md").read_text("utf-8")


def problems(text: str) -> list[str]:
    with pytest.raises(MapError) as caught:
        mapfile.parse(text, "site.yaml")
    return caught.value.problems


def test_a_small_map_is_enough_and_the_shipped_one_loads() -> None:
    assert mapfile.parse(GOOD, "maps/site.yaml").dialect == "fhir"
    assert mapfile.load("fhir-invoice").messages == {"Invoice"}
    assert mapfile.load("hl7v2-dft").dialect == "hl7v2"


def test_every_mistake_is_reported_with_its_line_in_one_go() -> None:
    text = """\
dialect: fhir
messages: [Invoice, DFT^P03]
account: [PID-18, "%account.identifier"]
message:
  - {target: patient.family, path: Invoice.(}
  - {target: patient.given, path: "%payer.name", transform: shout}
  - {target: chart.Invoice.status, path: Invoice.status}
  - {target: chart.PID-3, path: "%patient.identifier", transform: xpn, default: x}
charge:
  - {target: kind, path: Invoice.type}
  - {target: copay, path: Invoice.totalNet, transform: cx}
"""
    found = problems(text)
    assert [int(problem.split(":")[1]) for problem in found] == [2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert "'DFT^P03' is not Invoice" in found[0]
    assert "no row has the target status" in found[3]
    assert "chart.Invoice.id and the like" in found[6]
    assert "no row has the target amount" in found[8]


def test_the_transforms_of_one_dialect_are_unknown_in_the_other() -> None:
    hl7 = mapfile.read_file("hl7v2-dft")[0].replace("path: PID-3,  transform: verbatim", "path: PID-3, transform: cx")
    assert "unknown transform 'cx'" in problems(hl7)[0]


def test_an_unknown_dialect_is_one() -> None:
    assert problems(GOOD.replace("dialect: fhir", "dialect: xml"))[0].startswith("site.yaml:1:1: `dialect`")


def test_fhirpath_is_loaded_only_by_who_has_a_map_of_fhir() -> None:
    code = (
        "import sys; from chartpost.mappings import mapfile, read; mapfile.load('hl7v2-dft');"
        "assert not any(name.startswith(('fhirpathpy', 'antlr4')) for name in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def section() -> str:
    found = re.search(r"^## FHIR$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def table(head: str) -> dict[str, str]:
    """The rows under a head: each name of the first column with its second column."""
    found = re.search(rf"^\| {head} \|.*\n\|[- |]+\n((?:\|.*\n)+)", section(), re.MULTILINE)
    assert found is not None, head
    rows = [line.strip("|").split("|") for line in found[1].splitlines()]
    return {name.split()[0]: cells[1].strip() for cells in rows for name in re.findall(r"`([^`]+)`", cells[0])}


def test_the_targets_that_fhir_has_of_its_own_stand_in_the_reference_with_their_kind() -> None:
    said = table("target")
    shapes = {**FHIR.message, **FHIR.charge}
    assert said.keys() >= shapes.keys() - {*mapfile.MESSAGE_TARGETS, *mapfile.CHARGE_TARGETS}
    for target, kind in said.items():
        assert kind == ("verbatim" if FHIR.chart.fullmatch(target) else shapes[target]), target
    assert sum(bool(FHIR.chart.fullmatch(target)) for target in said) == 5


def test_the_transforms_that_read_elements_stand_in_the_reference_with_what_they_give() -> None:
    assert table("transform") == {name: one.gives for name, one in FHIR.transforms.items() if one.cell}
    assert {name for name, one in FHIR.transforms.items() if not one.cell} <= HL7V2.transforms.keys()


def test_every_variable_stands_in_the_reference() -> None:
    assert table("variable").keys() == {f"%{name}" for name in VARIABLES}


def test_what_hl7_has_and_fhir_has_not_is_said() -> None:
    for target in mapfile.CHARGE_TARGETS.keys() - FHIR.charge.keys():
        assert f"`{target}`" in section(), target
