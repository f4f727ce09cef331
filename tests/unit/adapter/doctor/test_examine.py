"""`chartpost check` as a whole: everything is looked at, however wrong the rest."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chartpost.adapter.demo.child import DOORS, environment
from chartpost.adapter.doctor import examine
from chartpost.adapter.doctor.finding import Finding, State

SAMPLE = Path(__file__).parents[4] / "samples" / "config" / "embedded.yaml"


def check(*arguments, **environ):
    """Run the real command; return its exit code and what it printed."""
    command = [sys.executable, "-m", "chartpost.adapter.cli", "check", *map(str, arguments)]
    done = subprocess.run(command, env=environment(DOORS) | environ, capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def test_the_embedded_configuration_is_well_on_an_empty_machine(tmp_path):
    code, out = check("--data", tmp_path / "data", "--json")
    found = json.loads(out)
    assert (code, {row["state"] for row in found}) == (0, {"ok", "skipped"})
    names = [row["what"] for row in found]
    assert {"configuration", "data", "ports.web", "database", "broker", "providers.card", "clock"} <= set(names)
    assert set(found[0]) == {"what", "state", "text", "fix"}
    assert not (tmp_path / "data").exists(), "looked at, not made"


def test_one_problem_ends_with_1_and_people_see_what_to_do(tmp_path):
    code, out = check("--data", tmp_path, CHARTPOST_DATABASE="postgresql://nobody@127.0.0.1:1/none")
    assert code == 1
    assert "✗ database" in out
    assert "→ check address, user and password" in out
    assert out.splitlines()[-1] == "1 problem, no warnings"


def test_a_configuration_that_cannot_be_loaded_ends_with_2_and_the_rest_is_looked_at_all_the_same(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text(SAMPLE.read_text("utf-8").replace("share: copay", "share: some"), "utf-8")
    code, out = check("--config", config, "--data", tmp_path / "data", "--json")
    found = json.loads(out)
    wrong = [row for row in found if row["state"] == "problem"]
    assert (code, [row["what"] for row in wrong]) == (2, ["configuration"])
    assert f"{config}:" in wrong[0]["text"]
    assert "sources.his.share" in wrong[0]["text"]
    assert {"ports.sources.his.listen", "database", "destinations.chart"} <= {row["what"] for row in found}


def test_what_is_no_yaml_leaves_the_data_directory_to_look_at(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("web: [", "utf-8")
    report = examine.examine(config, tmp_path / "data", {})
    assert report.outcome is examine.Outcome.NO_CONFIGURATION
    assert [one.what for one in report.findings] == ["configuration", "data"]


def test_looks_run_at_once_keep_their_order_and_one_that_breaks_or_hangs_stops_no_other():
    hang, heard = threading.Event(), []

    def broken():
        raise KeyError("Canary")

    def slow():
        hang.wait(10)
        return []

    looks = {
        "first": slow,
        "second": broken,
        "third": lambda: [Finding("third", State.OK, "well")],
    }
    began = time.monotonic()
    found = examine.run(looks, heard.append, patience=0.5)
    hang.set()
    assert time.monotonic() - began < 5
    assert [(one.what, str(one.state)) for one in found] == [
        ("first", "problem"), ("second", "problem"), ("third", "ok"),
    ]  # fmt: skip
    assert "no end within 0.5 s" in found[0].text
    assert "KeyError" in found[1].text
    assert "Canary" not in found[1].text
    assert heard[-1] == ["first"]


@pytest.mark.parametrize("there", [False, True])
def test_serve_is_known_by_the_lock_that_it_holds(tmp_path, there):
    from chartpost.adapter.wiring import _only_one

    if not there:
        assert not examine.is_running(tmp_path)
        (tmp_path / "lock").touch()
        assert not examine.is_running(tmp_path)
    else:
        with _only_one(tmp_path):
            assert examine.is_running(tmp_path)
