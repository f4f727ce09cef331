"""The mapping that people may cite says what the shipped maps do, with the names that the standards have."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from chartpost.mappings import layers, mapfile, postingmap

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "mapping-dft-fhir.md").read_text("utf-8")
POSTINGS = ("fhir-payment-reconciliation", "fhir-payment-reconciliation-r5", "fhir-payment-notice")


def rows(name: str) -> list[list[str]]:
    """The cells of one table of the page, without its head."""
    found = re.search(rf"<!-- table: {re.escape(name)} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found, f"no table {name}"
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def shipped(name: str) -> Any:
    return layers.read(name).top.data


def test_the_page_is_what_its_command_makes_of_the_shipped_maps() -> None:
    made = run_path(str(DOCS / "mapping.py"))["page"]()
    assert made == PAGE, "a shipped map or docs/mapping.yaml has changed: make mapping"


def test_every_field_that_the_dft_map_reads_is_published_with_its_noun() -> None:
    data = shipped("hl7v2-dft")
    segments = ("PID", "PV1", "PV2", "GT1", "IN1", "IN2", "FT1")
    told = {(cells[0], cells[10]) for segment in segments for cells in rows(segment)}
    for row in [{"target": "account", "path": data["account"]}, *data["message"], *data["charge"]]:
        for path in listed(row["path"]):
            field = path.partition(".")[0]
            assert any(field == name and f"`{row['target']}`" in noun for name, noun in told), (row["target"], path)


@pytest.mark.parametrize("name", ["fhir-invoice", "fhir-chargeitem"])
def test_every_path_that_a_map_of_fhir_reads_is_published_with_its_noun(name: str) -> None:
    data = shipped(name)
    told = {(cells[0].strip("`"), cells[4].strip("`")) for cells in rows(name)}
    wanted = {("account", path) for path in data["account"]}
    wanted |= {(row["target"], path) for row in [*data["message"], *data["charge"]] for path in listed(row["path"])}
    assert {(noun, path) for path, noun in told} == wanted


@pytest.mark.parametrize("name", POSTINGS)
def test_every_row_of_the_maps_for_postings_is_published_with_what_it_writes(name: str) -> None:
    data = shipped(name)
    told = rows(name)
    left = {(cells[0], cells[5]) for cells in told if cells[0] != "none"}
    own = {(row["target"], says(row)) for row in shipped("hl7v2-dft-payment")["rows"]}
    assert left == own
    for row in data["rows"]:
        path = data["writes"] + "." + re.sub(r"\[\d+\]", "", row["target"])
        parent, _, leaf = path.rpartition(".")
        assert any(
            (cells[6] == f"`{path}`" and (cells[5] == says(row) or cells[0] != "none"))
            or (cells[6].startswith(f"`{parent}.") and f"{leaf} = `{row.get('constant')}`" in cells[9])
            for cells in told
        ), path  # fmt: skip


def says(row: Any) -> str:
    return f"`{row['value']}`" if "value" in row else f"constant `{row['constant']}`"


def test_an_element_stands_beside_a_field_only_where_both_write_the_same() -> None:
    same = {"paid_date": "paid_at", "chart.PID-18": "owed_identifier", "chart.PV1-19": "owed_identifier"}
    for name in POSTINGS:
        data = shipped(name)
        writes: dict[str, set[str]] = {}
        for row in data["rows"]:
            element = f"`{data['writes']}." + re.sub(r"\[\d+\]", "", row["target"]) + "`"
            writes.setdefault(element, set()).add(same.get(row.get("value", ""), row.get("value", "")))
        for cells in rows(name):
            if cells[0] != "none" and cells[6] != "none":
                value = cells[5].strip("`")
                assert same.get(value, value) in writes[cells[6]], cells


def test_all_of_ft1_is_published() -> None:
    assert {cells[0] for cells in rows("FT1")} == {f"FT1-{number}" for number in range(1, 32)}


@pytest.mark.parametrize("name", ["hl7v2-dft", "fhir-invoice", "fhir-chargeitem"])
def test_the_maps_that_are_published_load(name: str) -> None:
    assert mapfile.load(name).name == name
    assert all(postingmap.load(one).kinds for one in POSTINGS)
