"""What a map may say and hardly means: told with its place, and never a reason to refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.mappings import layers, mapfile, postingmap
from chartpost.mappings.mapcheck import remarks
from chartpost.mappings.mapfile import MapError


def said(text: str, *versions: str) -> list[str]:
    return [str(one) for one in remarks(mapfile.parse(f"extends: hl7v2-dft\n{text}", "site.yaml"), versions)]


@pytest.mark.parametrize("name", layers.shipped())
def test_the_shipped_maps_are_without_remark(name: str) -> None:
    try:
        found = mapfile.load(name)
    except MapError:
        postingmap.load(name)  # a map of postings
        return
    assert [str(one) for one in remarks(found)] == []


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("charge:\n  - {target: amount, path: FT1-99}\n", "site.yaml:3: amount: FT1-99 is in no version of HL7 v2"),
        ("message:\n  - {target: my.x, path: QQQ-1}\n", "QQQ is a segment of no version"),
        ("charge:\n  - {target: code, path: [FT1-7, FT1-7]}\n", "code: the path FT1-7 stands twice"),
        ("charge:\n  - {target: code, path: FT1-7, required: true, default: X}\n", "`required` does nothing"),
        (
            "charge:\n  - {target: code, path: [FT1-7, FT1-25], transform: [strip, default X]}\n",
            "answers for the first path, so the others are never reached",
        ),
        ("without: [quantity]\n", "there is no row for quantity"),
        ("tables: {other: {codes: {A: B}}}\n", "table other: no row uses it"),
        ("tables: {kinds: {unknown: ignore}}\n", "table kinds: a code that nobody explained means ignore"),
        ("tables: {kinds: {unknown: pass}}\n", "table kinds: a code that nobody explained goes through as it is"),
        ("message:\n  - {target: my.ward, path: PV1-3}\n", "my.ward: no condition of the map names it"),
    ],
)
def test_what_looks_like_a_mistake_is_told(text: str, remark: str) -> None:
    assert any(remark in one for one in said(text))


def test_a_path_may_be_unknown_to_the_senders_version_only() -> None:
    assert said("") == []
    assert any("payment_reference: FT1-30 is not in 2.3; it is there from 2.5 on" in one for one in said("", "2.3"))
    assert not any("FT1-30" in one for one in said("", "2.3", "2.5.1"))


def test_segments_of_the_sites_own_are_never_unknown(tmp_path: Path) -> None:
    assert said("charge:\n  - {target: amount, path: [ZF1-3, FT1-11]}\n") == []
