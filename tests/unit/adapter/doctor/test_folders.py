"""What `chartpost check` sees of the folders that sources read and destinations write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chartpost.adapter.doctor import examine, folders
from chartpost.adapter.doctor.finding import State

SAMPLE = Path(__file__).parents[4] / "samples" / "config" / "embedded.yaml"


def look(path: Path, **options: str) -> list[tuple[str, str]]:
    return [(str(one.state), one.text) for one in folders.source("sources.drop.path", {"path": str(path), **options})]


def test_a_folder_that_can_be_used_is_well_and_nothing_is_made_in_it(tmp_path: Path) -> None:
    assert look(tmp_path) == [("ok", f"{tmp_path} can be read and written")]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_or_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert look(tmp_path / "none") == [("problem", f"{tmp_path / 'none'} is not there")]
    assert look(tmp_path / "file") == [("problem", f"{tmp_path / 'file'} is no folder")]


def test_done_and_failed_must_be_folders_on_the_same_disk_or_such_as_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert look(tmp_path, done="file") == [("problem", f"{tmp_path / 'file'} is no folder")]
    assert look(tmp_path, failed="a/b") == [("problem", f"{tmp_path / 'a'} is not there")]
    other = Path("/dev/shm")
    if other.is_dir() and other.stat().st_dev != tmp_path.stat().st_dev:
        assert look(tmp_path, done=str(other)) == [("problem", f"{other} is on another disk than {tmp_path}")]


def test_files_that_nobody_took_are_counted_without_their_names(tmp_path: Path) -> None:
    failed = tmp_path / "failed"
    failed.mkdir()
    for name in ("Halloran.hl7", "Halloran.hl7.error.txt", "other.hl7"):
        (failed / name).write_text("")
    assert look(tmp_path) == [("warning", f"2 files lie in {failed}")]


def test_files_that_no_look_will_ever_take_are_counted_without_their_names(tmp_path: Path) -> None:
    for name in ("Halloran.HL7", "Doyle.txt", "ours.hl7", "half.hl7.part", ".hidden"):
        (tmp_path / name).write_text("MSH")
    assert look(tmp_path, pattern="*.hl7") == [
        ("warning", f"2 files lie in {tmp_path} whose names do not fit *.hl7: they are never taken")
    ]
    assert look(tmp_path, pattern="*.[hH][lL]7")[0][1].startswith("1 file lies in")
    assert look(tmp_path) == [("ok", f"{tmp_path} can be read and written")]


@pytest.mark.parametrize("there", [True, False])
def test_check_looks_at_the_folders_of_a_configuration_wherever_it_is_called(tmp_path: Path, there: bool) -> None:
    for name in ("in", "out") if there else ():
        (tmp_path / name).mkdir()
    more = "\n  drop: {type: directory, path: in, map: hl7v2-dft, facility: lakeside, share: copay}"
    text = SAMPLE.read_text("utf-8").replace("\nsources:", f"\nsources:{more}")
    text = text.replace(
        "\ndestinations:", "\ndestinations:\n  files: {type: directory, path: out, map: hl7v2-dft-payment}"
    )
    (tmp_path / "site.yaml").write_text(text, "utf-8")
    report = examine.examine(tmp_path / "site.yaml", tmp_path / "data", {})
    found = {one.what: one for one in report.findings}
    assert found["configuration"].state is State.OK, found["configuration"].text
    states = [found[name].state for name in ("sources.drop.path", "destinations.files")]
    assert states == [State.OK if there else State.PROBLEM] * 2
    assert str(tmp_path / "in") in found["sources.drop.path"].text
    json.dumps([one.text for one in report.findings])
