"""The operator's commands beside a running `serve`: they read, decide and look, and it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from chartpost.adapter.demo import tour
from chartpost.adapter.demo.child import DOORS, environment, start, stop

SAMPLES = Path(__file__).parents[2] / "samples" / "hl7"
CHARTPOST = Path(sys.executable).with_name("chartpost")


@dataclass
class House:
    """A running `serve`, and a person at its machine."""

    data: Path
    doors: dict[str, str]
    sandbox: str

    def run(self, *words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "chartpost.adapter.cli", *words, "--data", str(self.data)]
        done = subprocess.run(command, env=environment(self.doors), capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json")[1])

    def until(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 15
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not come"
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("operator") / "data"
    data.mkdir(mode=0o700)
    doors = tour._free(DOORS)
    running = start(data, doors)
    yield House(data, doors, running.doors["sandbox"])
    stop(running)


def test_a_hold_is_retried_and_dismissed_while_serve_runs_and_serve_acts_on_it(house):
    body = (SAMPLES / "05_unknown_code.hl7").read_bytes()
    urlopen(Request(f"{house.sandbox}/clinic/send?name=operator", body)).close()
    (first,) = house.until(lambda: house.json("holds", "--flat"))
    assert first["cause"] == "unreadable_line"
    code, out, _ = house.run("holds", "retry", first["id"], "--by", "anna")
    assert (code, "the message is read again" in out) == (0, True)
    (second,) = house.until(lambda: [row for row in house.json("holds", "--flat") if row["id"] != first["id"]])
    assert (second["object"], second["state"]) == (first["object"], "open"), "nothing was mended, so it waits again"
    assert house.run("holds", "dismiss", second["id"], "--why", "billed by hand")[0] == 0
    (message,) = [row for row in house.json("messages") if row["id"] == first["object"]]
    assert (message["state"], message["reason"]) == ("ignored", "dismissed: billed by hand")
    assert house.json("holds") == []
    assert {row["state"] for row in house.json("holds", "--all")} == {"done"}


def test_the_status_sees_the_open_doors_and_what_came(house):
    shown = json.loads(house.run("status", "--json")[1])
    assert {row["door"]: row["accepts"] for row in shown["doors"] if row["accepts"] is not None} == {
        "web": True, "internal": True, "sources.his.listen": True,
    }  # fmt: skip
    code, out, err = house.run("status")
    assert (code, err) == (0, "")
    assert "open requests" in out


def test_the_status_can_be_watched(house):
    command = [sys.executable, "-m", "chartpost.adapter.cli", "status", "--watch", "0.2", "--json"]
    with subprocess.Popen(
        [*command, "--data", str(house.data)], env=environment(house.doors), stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
        watching.terminate()
    assert first["at"] < second["at"]


def test_a_check_beside_a_running_serve_knows_that_the_ports_are_its_own(house):
    code, out, _ = house.run("check", "--json")
    ports = {row["what"]: row for row in json.loads(out) if row["what"].startswith("ports.")}
    assert code == 0, out
    assert "chartpost is running" in ports["ports.web"]["text"]
    assert {row["state"] for row in ports.values()} == {"ok"}


def test_the_tour_walks_from_the_charge_to_the_chart_with_the_real_commands():
    command = [sys.executable, "-m", "chartpost.adapter.cli", "tour", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("messages", "trace M1", "requests", "notices", "payments", "postings", "status", "holds"):
        assert f"$ chartpost {shown} --data" in done.stdout
    assert "chart: accepted" in done.stdout
    assert "still owed 0.00" in done.stdout
    folder = done.stdout.split("--data ")[1].split()[0]
    assert not Path(folder).exists(), "it cleans up after itself"


def test_the_tour_does_not_wait_for_a_terminal_that_is_not_there():
    command = [sys.executable, "-m", "chartpost.adapter.cli", "tour"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, "--yes" in done.stderr) == (2, True)


@pytest.mark.parametrize(("words", "wanted"), [("chartpost ho", "holds"), ("chartpost holds dis", "dismiss")])
def test_the_shell_can_complete_our_commands(words, wanted):
    environ = os.environ | {
        "_CHARTPOST_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
    }  # fmt: skip
    done = subprocess.run([CHARTPOST], env=environ, capture_output=True, text=True, check=False)
    assert wanted in done.stdout.split()
