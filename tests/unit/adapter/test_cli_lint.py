"""`chartpost lint`: files in, findings out, and an exit code that a script can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from workbench import dft, line

from chartpost.adapter.cli import app

SAMPLES = Path(__file__).parents[3] / "samples"
GOOD = (SAMPLES / "hl7/01_two_charges.hl7").read_bytes()
BAD = dft(line("CG", "4O.00"), name="Quenneville^Odette")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["lint", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: bytes, name: str = "message.hl7") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_a_clean_message_ends_with_0_and_says_so(file):
    result = run(file(GOOD))
    assert result.exit_code == 0
    assert "nothing found" in result.output


def test_notes_alone_end_with_0(file):
    result = run(SAMPLES / "hl7/05_unknown_code.hl7")
    assert result.exit_code == 0
    assert 'code "ZB" is none that table 0017 suggests' in result.output


def test_findings_end_with_1_and_say_where_what_and_what_to_do_without_a_value(file):
    result = run(file(BAD))
    assert result.exit_code == 1
    assert "FT1-11.1.1  type: not a valid NM" in result.output
    assert "→ ask the sender to correct it" in result.output
    assert "Quenneville" not in result.output
    assert "4O.00" not in result.output


def test_json_has_one_object_for_each_finding(file):
    path = file(BAD)
    rows = json.loads(run(path, "--json").output)
    assert {row["file"] for row in rows} == {str(path)}
    [wrong] = [row for row in rows if row["rule"] == "type"]
    assert wrong == {
        "file": str(path), "message": 1, "severity": "error", "place": "FT1-11.1.1", "rule": "type",
        "text": wrong["text"], "fix": "ask the sender to correct it", "section": "HL7 v2.5.1 §2.A",
    }  # fmt: skip


def test_what_cannot_be_read_ends_with_2_and_the_other_files_are_judged(file, tmp_path):
    result = run(file(b"no message\r", "no.hl7"), file(BAD), tmp_path / "missing.hl7", "--json")
    assert result.exit_code == 2
    rows = json.loads(result.stdout)
    assert [Path(row["file"]).name for row in rows if row["rule"] == "unreadable"] == ["no.hl7", "missing.hl7"]
    assert [row for row in rows if row["rule"] == "type"]


def test_each_message_of_a_batch_is_judged_and_its_count_is_compared(file):
    batch = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + GOOD + BAD + b"BTS|3\rFTS|1\r"
    rows = json.loads(run(file(batch), "--json").output)
    assert [(row["message"], row["place"]) for row in rows if row["rule"] == "count"] == [(1, "batch")]
    assert {row["message"] for row in rows if row["rule"] != "count"} == {2}


def test_a_version_can_be_said(file):
    early = file(GOOD.replace(b"|2.5.1|", b"|2.3|"))
    assert run(early).exit_code == 1, "2.3 has no MSH-9.3"
    assert run(early, "--version", "2.5.1").exit_code == 0
    assert run(early, "--version", "7").exit_code == 2


def test_a_fhir_resource_is_judged_by_r4_or_by_the_version_that_is_said(file):
    invoice = SAMPLES / "fhir/01_issued.json"
    assert run(invoice).exit_code == 0
    assert run(invoice, "--version", "R5").exit_code == 0
    wrong = file(invoice.read_bytes().replace(b'"issued"', b'"posted"'), "invoice.json")
    result = run(wrong)
    assert result.exit_code == 1
    assert "status" in result.output


def test_one_message_of_a_batch_that_cannot_be_read_is_told_by_its_number_and_the_others_are_judged(file):
    result = run(file(b"BHS|^~\\&\r" + GOOD + b"MSH|bad\r" + BAD + b"BTS|3\r"), "--json")
    assert result.exit_code == 2
    rows = json.loads(result.output)
    assert [row["message"] for row in rows if row["rule"] == "unreadable"] == [2]
    assert 3 in {row["message"] for row in rows if row["rule"] == "type"}


def test_every_row_of_json_has_the_same_keys(file, tmp_path):
    rows = json.loads(run(tmp_path / "missing.hl7", file(BAD), "--json").stdout)
    assert len({tuple(row) for row in rows}) == 1
