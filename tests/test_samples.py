"""Each sample reaches the state that stands beside it: the same door and the same flow as in `serve`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chartpost.adapter.ledger import tables

SAMPLES = Path(__file__).parents[1] / "samples"


def samples(folder: str) -> list[Path]:
    return sorted(path for path in (SAMPLES / folder).iterdir() if not path.name.endswith(".expected.json"))


def expected(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_suffix(".expected.json").read_text("utf-8")))


@pytest.mark.parametrize("folder", ["hl7", "fhir"])
def test_every_sample_has_its_expectation_and_says_why(folder):
    assert len(samples(folder)) >= 9
    assert all(expected(path)["why"] for path in samples(folder))
    told = {f"{path.stem}.expected.json" for path in samples(folder)}
    assert {path.name for path in (SAMPLES / folder).glob("*.expected.json")} == told


@pytest.mark.parametrize(("folder", "source"), [("hl7", "copay"), ("fhir", "fhir_all")])
def test_the_samples_in_their_order_end_as_expected(bench, folder, source):
    """One ledger for all: some repeat or change what came before."""
    wrong = []
    asked: dict[int, int] = {}
    for path in samples(folder):
        wanted = expected(path)
        row = bench.take(path.read_bytes(), source=source)
        holds = [hold.cause for hold in bench.rows(tables.hold, object=f"message:{row.id}")]
        open_now = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        moved = [amount for number, amount in open_now.items() if asked.get(number) != amount]
        asked = open_now
        seen = {
            "ack": row.ack_code if folder == "hl7" else str(bench.status),
            "state": row.state,
            "hold": holds[0] if holds else None,
            "asked": moved[0] if moved else None,
        }
        if wanted["posted"] and wanted["asked"]:
            bench.pay(wanted["pay"] or wanted["asked"])
            seen["paid"] = bench.request().state == "paid"
            asked = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        wrong += [f"{path.stem}: {name} is {seen[name]!r}" for name in seen if seen[name] != wanted[name]]
    assert wrong == []
