"""What docs/mapping-dft-fhir.md says of taking back is what the flow does, by HL7 v2 and by FHIR alike."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chartpost.adapter import goldens
from chartpost.adapter.trial import take, throwaway
from chartpost.mappings import layers, mapfile

PAGE = (Path(__file__).parents[1] / "docs/mapping-dft-fhir.md").read_text("utf-8")
#: A site's own words for what the standard has none.
SITE = "extends: hl7v2-dft\ntables:\n  kinds:\n    codes: {VD: void, RP: replacement}\n"


def dft(number: int, *lines: str) -> bytes:
    head = f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|LAKESIDE|20260504||DFT^P03^DFT_P03|TB{number}|P|2.5.1"
    who = "PID|1||M7^^^LAKESIDE^MR||Varga^Ines||19800101|F|||||^PRN^CP^^1^608^5550117|||||K-7^^^LAKESIDE^AN"
    return "\r".join([head, who, *lines, ""]).encode()


def line(kind: str, amount: str, reference: str = "A1", quantity: int = 1) -> str:
    return f"FT1|1|{reference}||20260504||{kind}|99213^Visit^L|||{quantity}|{amount}&USD"


def invoice(version: int, status: str, total: str) -> bytes:
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Varga", "given": ["Ines"]}]}
    patient |= {"telecom": [{"system": "phone", "value": "(608) 555-0117", "use": "mobile"}]}
    body: dict[str, Any] = {"resourceType": "Invoice", "id": "inv-7", "meta": {"versionId": str(version)}}
    body |= {"contained": [patient], "subject": {"reference": "#p"}, "status": status}
    body |= {"totalGross": {"value": "TOTAL", "currency": "USD"}}
    return json.dumps(body).replace('"TOTAL"', total).encode()


def balance(map: mapfile.Map, bodies: Sequence[bytes]) -> int:
    """What is owed in minor units after messages, one after the other; nothing may be held."""
    owed = 0
    terms = goldens.terms(map, "all")
    with throwaway(terms.settings, {terms.source: map}) as flow:
        for body in bodies:
            for found in take(flow, terms.source, "story", body):
                assert found.state in ("translated", "ignored"), (found.state, found.reason)
                owed += sum(amount.minor for _, amount in found.entries)
    return owed


def first(*more: bytes) -> list[bytes]:
    """The visit of 95.00 is charged; then comes more."""
    return [dft(1, line("CG", "95.00")), *more]


def stated(*more: tuple[str, str]) -> list[bytes]:
    told = [("issued", "95.00"), *more]
    return [invoice(number, status, total) for number, (status, total) in enumerate(told, 1)]


#: What happens → ways to say it by DFT, ways to say it by Invoice, what is owed then.
STORIES: dict[str, tuple[list[list[bytes]], list[list[bytes]], int]] = {
    "charged": ([first()], [stated()], 9500),
    "more is charged": ([first(dft(2, line("CG", "30.00", "A2")))], [stated(("issued", "125.00"))], 12500),
    "negative line": (
        [
            first(dft(2, line("CD", "20.00", "A2"))),
            first(dft(2, line("CG", "-20.00", "A2"))),
            first(dft(2, line("CG", "20.00", "A2", -1))),
            first(dft(2, line("CD", "-20.00", "A2", -1))),
        ],
        [stated(("issued", "75.00"))],
        7500,
    ),
    "opposite line": (
        [[dft(1, line("CG", "95.00"), line("CG", "30.00", "A2")), dft(2, line("CG", "-30.00", "A2"))]],
        [[invoice(1, "issued", "125.00"), invoice(2, "issued", "95.00")]],
        9500,
    ),
    "void": (
        [[dft(1, line("CG", "95.00"), line("CG", "30.00", "A2")), dft(2, line("VD", "1.00", "A2"))]],
        [[invoice(1, "issued", "125.00"), invoice(2, "issued", "95.00")]],
        9500,
    ),
    "replacement": ([first(dft(2, line("RP", "80.00")))], [stated(("issued", "80.00"))], 8000),
    "all of it taken back": (
        [first(dft(2, line("CG", "-95.00")))],
        [stated(("cancelled", "95.00")), stated(("entered-in-error", "95.00"))],
        0,
    ),
    "paid elsewhere": ([first(dft(2, line("PY", "95.00", "A2")))], [stated(("balanced", "95.00"))], 0),
    "not ready": ([[]], [[invoice(1, "draft", "95.00")]], 0),
}


def published() -> list[str]:
    told = PAGE.split("\n## What is taken back\n")[1].split("\nPayments:")[0]
    return [found[1] for found in re.finditer(r"^\| ([^|]+) \|", told, re.MULTILINE)][2:]


def test_every_way_that_is_published_is_tried() -> None:
    assert published() == list(STORIES)


@pytest.mark.parametrize("what", STORIES)
def test_both_standards_come_to_the_balance_that_is_published(what: str, tmp_path: Path) -> None:
    by_dft, by_invoice, owed = STORIES[what]
    (tmp_path / "site.yaml").write_text(SITE)
    site = mapfile.compile_map(layers.read(str(tmp_path / "site.yaml")))
    assert [balance(site, story) for story in by_dft] == [owed] * len(by_dft)
    assert [balance(mapfile.load("fhir-invoice"), story) for story in by_invoice] == [owed] * len(by_invoice)
