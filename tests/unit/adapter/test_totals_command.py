"""`chartpost totals`, and the option that gives postings a batch, as an administrator meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from chartpost.adapter import checks, cli, settings
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.ledger import sealed

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `chartpost totals` on the story's ledger; return its exit code, standard output and standard error."""
    keys = sealed.keyring()

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chartpost", "totals", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    yield call
    sealed.use(keys)


def changed(tmp_path: Path, before: str, after: str) -> Path:
    text = SAMPLE.read_text("utf-8")
    assert before in text
    path = tmp_path / "site.yaml"
    path.write_text(text.replace(before, after, 1))
    return path


def test_a_day_is_added_up_for_people_and_for_machines(run, ledger):
    code, out, _ = run("--data", ledger, "--day", "2026-03-09")
    heads, row = out.splitlines()
    assert code == 0
    assert heads.split() == ["destination", "batch", "currency", "all", "accepted", "waiting", "refused", "unknown"]
    assert row.split() == ["chart", "USD", "1:", "45.00", "1:", "45.00"]
    code, out, _ = run("--data", ledger, "--day", "2026-03-09", "--json")
    (told,) = json.loads(out)
    assert (code, told["destination"], told["batch"], told["currency"]) == (0, "chart", "", "USD")
    assert told["all"] == told["refused"] == {"postings": 1, "amount": "45.00", "amount_minor": 4500}
    assert told["accepted"] == {"postings": 0, "amount": "0.00", "amount_minor": 0}


def test_a_day_without_postings_has_no_rows_and_no_day_is_a_mistake(run, ledger):
    assert run("--data", ledger, "--day", "2026-03-08", "--json")[:2] == (0, "[]\n")
    assert run("--data", ledger, "--json")[:2] == (0, "[]\n")
    code, _, err = run("--data", ledger, "--day", "yesterday")
    assert code == 2
    assert "yesterday" in err


def test_a_destination_of_any_type_may_ask_for_batches(tmp_path):
    loaded = settings.load(
        changed(tmp_path, "    type: mllp\n    address:", "    type: mllp\n    batch: day\n    address:"), {}
    )
    (place,) = [one for one in loaded.destinations.values() if one.type == "mllp"]
    assert place.batch == "day"
    assert "batch" not in place.options
    resolved = loaded.resolve_sandbox(checks.SUPPOSED)
    assert (resolved.destinations["chart"].batch, resolved.destinations["fhir"].batch) == ("day", "none")


def test_a_batch_is_by_day_or_there_is_none(tmp_path):
    site = changed(tmp_path, "    type: mllp\n    address:", "    type: mllp\n    batch: weekly\n    address:")
    with pytest.raises(ConfigurationError, match="batch"):
        settings.load(site, {})


def test_a_map_for_files_cannot_travel_over_mllp(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        settings.load(changed(tmp_path, "map: hl7v2-dft-payment", "map: flat-lockbox"), {})
    (problem,) = caught.value.problems
    assert "flat-lockbox is a map for flat files, and type: mllp carries HL7 v2" in problem
