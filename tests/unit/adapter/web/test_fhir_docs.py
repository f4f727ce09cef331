"""docs/integration/fhir-in.md says what the face does."""

from __future__ import annotations

import re
from pathlib import Path

from chartpost.adapter.flow.door.receive_fhir import BUNDLES, MOST_INVOICES, REST
from chartpost.adapter.web.fhir_search import COUNT, MOST, PREFIXES
from chartpost.adapter.web.fhir_table import INTERACTIONS, PARAMETERS
from chartpost.adapter.web.openapi import document

TEXT = (Path(__file__).parents[4] / "docs/integration/fhir-in.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the rows of the table under a heading."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_what_is_offered_is_the_table_that_is_routed() -> None:
    told = [
        (method, "" if path == "the base itself" else path, does) for method, path, does in table("What is offered")
    ]
    assert told == [(one.method, one.path, one.does) for one in INTERACTIONS]


def test_every_status_is_explained() -> None:
    operations = [one for path, item in document("")["paths"].items() if "/fhir/" in path for one in item.values()]
    statuses = {status for operation in operations for status in operation["responses"]} | {"405"}
    assert [row[0] for row in table("What an answer means")] == sorted(
        statuses, key=lambda one: (one > "202", one != "201", one)
    )


def test_every_bundle_stands_there_with_what_becomes_of_it() -> None:
    rows = {kind: (taken, answered) for kind, taken, answered in table("Bundles")}
    assert set(rows) == set(BUNDLES)
    assert {kind for kind, (taken, _) in rows.items() if taken != "all or nothing"} == {"batch"}
    assert {kind for kind, (_, answered) in rows.items() if answered.startswith("200")} == {*REST, "message"}
    assert f"{MOST_INVOICES:,} Invoices" in TEXT


def test_every_parameter_of_a_search_stands_there() -> None:
    rows = {name: finds for name, finds, *_ in table("Payments to read")}
    assert list(rows) == [one.name for one in PARAMETERS]
    assert ", ".join(PREFIXES) in rows["_lastUpdated"]
    assert f"is {COUNT} unless" in TEXT
    assert f"at most {MOST}." in TEXT
