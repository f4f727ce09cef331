"""Each sample reaches the state that stands beside it: the same door and the same flow as in `serve`."""

from __future__ import annotations

import json
from pathlib import Path

from chartpost.adapter.ledger import tables

SAMPLES = Path(__file__).parents[1] / "samples" / "hl7"


def samples() -> list[Path]:
    return sorted(SAMPLES.glob("*.hl7"))


def test_every_sample_has_its_expectation_and_says_why():
    found = {path: json.loads(path.with_suffix(".expected.json").read_text("utf-8")) for path in samples()}
    assert len(found) >= 10
    assert all(expected["why"] for expected in found.values())
    assert {path.name for path in SAMPLES.glob("*.expected.json")} == {f"{path.stem}.expected.json" for path in found}


def test_the_samples_in_their_order_end_as_expected(bench):
    """One ledger for all: some repeat or change what came before."""
    wrong = []
    asked: dict[int, int] = {}
    for path in samples():
        expected = json.loads(path.with_suffix(".expected.json").read_text("utf-8"))
        row = bench.take(path.read_bytes(), source="copay")
        holds = [hold.cause for hold in bench.rows(tables.hold, object=f"message:{row.id}")]
        open_now = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        moved = [amount for number, amount in open_now.items() if asked.get(number) != amount]
        asked = open_now
        seen = {
            "ack": row.ack_code,
            "state": row.state,
            "hold": holds[0] if holds else None,
            "asked": moved[0] if moved else None,
        }
        if expected["asked"]:
            bench.pay(expected["pay"] or expected["asked"])
            seen["paid"] = bench.request().state == "paid"
            asked = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        wrong += [f"{path.stem}: {name} is {seen[name]!r}" for name in seen if seen[name] != expected[name]]
    assert wrong == []
