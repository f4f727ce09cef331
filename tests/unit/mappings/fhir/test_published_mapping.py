"""The mapping that people may cite says what the maps do, with names of elements that the versions have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chartpost.mappings import postingmap
from chartpost.mappings.fhir.versions import elements, root
from chartpost.mappings.postingmap import FhirMap

PAGE = (Path(__file__).parents[4] / "docs/integration/mapping-dft-fhir.md").read_text("utf-8")


def column(section: str, head: str) -> str:
    """The cells below one head, of the first table of a section that has it."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    start = next(index for index, cells in enumerate(rows) if head in cells)
    place = rows[start].index(head)
    width = len(rows[start])
    return "\n".join(cells[place] for cells in rows[start + 2 :] if len(cells) == width)


def named(section: str, head: str) -> list[str]:
    return re.findall(r"`([^`]+)`", column(section, head))


COLUMNS = [
    ("Charges", "Invoice, R4 and R4B", "R4B", "Invoice"),
    ("Charges", "Invoice, R5", "R5", "Invoice"),
    ("Payments", "PaymentReconciliation, R4 and R4B", "R4B", "PaymentReconciliation"),
    ("Payments", "PaymentReconciliation, R5", "R5", "PaymentReconciliation"),
    ("PaymentNotice", "element", "R4B", "PaymentNotice"),
    ("PaymentNotice", "element", "R5", "PaymentNotice"),
]


@pytest.mark.parametrize(("section", "head", "version", "resource"), COLUMNS)
def test_every_element_that_is_named_is_one_of_the_version(
    section: str, head: str, version: str, resource: str
) -> None:
    paths = named(section, head)
    assert len(paths) > 5
    for path in paths:
        model = root(version, resource)
        for name in path.split("."):
            assert name in elements(model), f"{version} {resource} has no {path}"
            model = elements(model)[name].model


def summits(map: FhirMap) -> Iterator[str]:
    """What a map fills, as the page names it: one level, below detail and allocation two."""
    for row in map.rows:
        names = [name for name, _ in row.steps]
        yield ".".join(names[: 2 if names[0] in ("detail", "allocation") else 1])


@pytest.mark.parametrize(
    ("shipped", "section", "head"),
    [
        ("fhir-payment-reconciliation", *COLUMNS[2][:2]),
        ("fhir-payment-reconciliation-r5", *COLUMNS[3][:2]),
        ("fhir-payment-notice", *COLUMNS[4][:2]),
    ],
)
def test_what_the_shipped_maps_write_is_what_is_published(shipped: str, section: str, head: str) -> None:
    map = postingmap.load(shipped)
    assert isinstance(map, FhirMap)
    told = {re.sub(r"\.(value|currency)$", "", path) for path in named(section, head)}
    assert told == set(summits(map))


def test_the_fields_of_the_dft_are_those_that_are_published() -> None:
    map = postingmap.load("hl7v2-dft-payment")
    written = {row.place for row in map.rows if row.place not in ("EVN-1", "FT1-1")}  # constants of the form
    told = set(re.findall(r"\b[A-Z][A-Z0-9]{2}-[\d.]+", column("Payments", "DFT^P03")))
    assert written - told == set()
    assert {field for field in told if not field.startswith("MSH")} - written == set()
