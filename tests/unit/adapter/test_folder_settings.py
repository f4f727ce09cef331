"""What a configuration may say of folders, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import DirectorySource, Settings, load

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"
DROP = "type: directory, map: hl7v2-dft, facility: lakeside, share: copay"


def loaded(tmp_path: Path, sources: str, destinations: str = "") -> Settings:
    text = SAMPLE.read_text("utf-8").replace("\nsources:", f"\nsources:\n{sources}")
    text = text.replace("\ndestinations:", f"\ndestinations:\n{destinations}")
    path = tmp_path / "site.yaml"
    path.write_text(text, "utf-8")
    return load(path, {})


def problems(tmp_path: Path, sources: str, destinations: str = "") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, sources, destinations)
    return [problem.partition(": ")[2] for problem in caught.value.problems]


def test_a_folder_is_relative_to_the_configuration(tmp_path: Path) -> None:
    out = "  files: {type: directory, path: /srv/out, map: hl7v2-dft-payment}"
    found = loaded(tmp_path, f"  drop: {{{DROP}, path: charges/in}}", out)
    assert list(found.directories()) == ["drop"]
    source = found.sources["drop"]
    assert isinstance(source, DirectorySource)
    assert source.path == str(tmp_path / "charges" / "in")
    assert found.destinations["files"].options["path"] == "/srv/out"


def test_the_map_must_be_named_because_files_may_hold_either_kind(tmp_path: Path) -> None:
    sources = "  drop: {type: directory, path: in, facility: lakeside, share: copay}"
    assert any("sources.drop.map" in problem for problem in problems(tmp_path, sources))
    for map in ("hl7v2-dft", "fhir-invoice"):
        found = loaded(tmp_path, f"  drop: {{type: directory, path: in, map: {map}, facility: lakeside, share: all}}")
        assert found.sources["drop"].map == map


@pytest.mark.parametrize(
    ("second", "out", "key"),
    [
        ("path: in", "", "sources.two.path: is the folder of sources.one.path"),
        ("path: in/done", "", "sources.two.path: is the folder of sources.one.done"),
        ("path: two, failed: ../in", "", "sources.two.failed: is the folder of sources.one.path"),
        ("path: two, done: .", "", "sources.two.done: is the folder of sources.two.path"),
        ("path: two, done: x, failed: x", "", "sources.two.failed: is the folder of sources.two.done"),
        ("path: two", "./in/", "destinations.files.path: is the folder of sources.one.path"),
    ],
)
def test_a_folder_has_one_purpose_or_postings_would_be_read_as_charges(
    tmp_path: Path, second: str, out: str, key: str
) -> None:
    sources = f"  one: {{{DROP}, path: in}}\n  two: {{{DROP}, {second}}}"
    files = f"  files: {{type: directory, path: {out}, map: hl7v2-dft-payment}}" if out else ""
    [problem] = problems(tmp_path, sources, files)
    assert problem.startswith(key)


@pytest.mark.parametrize(
    ("second", "batch", "told"), [("lake-side", "day", True), ("south", "day", False), ("lake-side", "none", False)]
)
def test_facilities_whose_batches_would_have_one_name_are_told_before_their_totals_are_one(
    tmp_path: Path, second: str, batch: str, told: bool
) -> None:
    text = SAMPLE.read_text("utf-8").replace("\n  chart:", f"\n  chart:\n    batch: {batch}", 1)
    path = tmp_path / "site.yaml"
    other = f"{second}: {{name: Two, message_name: Two, timezone: UTC, region: US, currency: USD, provider: card}}"
    two = f"two: {{{DROP}, path: in, destinations: [chart]}}".replace("lakeside", second)
    text = text.replace("\nfacilities:", f"\nfacilities:\n  {other}").replace("\nsources:", f"\nsources:\n  {two}")
    path.write_text(text, "utf-8")
    if not told:
        load(path, {})
        return
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    [problem] = caught.value.problems
    assert "destinations.chart.batch: the batches of lake-side and lakeside would both be called LADE" in problem
