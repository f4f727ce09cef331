"""A real `serve`, and a map file that a person edits beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from chartpost.adapter import status
from chartpost.adapter.demo import tour
from chartpost.adapter.demo.child import DOORS, environment, start, stop
from chartpost.adapter.ledger.store import Store, sqlite_url
from chartpost.adapter.views import LISTS

SAMPLE = Path(__file__).parents[2] / "samples" / "hl7" / "05_unknown_code.hl7"
PATIENCE = 60.0


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


def test_a_map_is_mended_while_serve_runs_and_a_broken_edit_changes_nothing(tmp_path):
    data, site = tmp_path / "data", tmp_path / "site.yaml"
    data.mkdir(mode=0o700)
    site.write_text("extends: hl7v2-dft\n")
    doors = tour._free(DOORS) | {"SOURCES__HIS__MAP": str(site)}

    def run(*words: str) -> Any:
        command = [sys.executable, "-m", "chartpost.adapter.cli", *words, "--data", str(data), "--json"]
        done = subprocess.run(command, env=environment(doors), capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def rows(noun: str) -> list[Any]:
        with store.read() as connection:
            return list(LISTS[noun].rows(connection))

    def in_force() -> Any:
        with store.read() as connection:
            (told,) = [row for row in status.maps(connection) if row["place"] == "his"]
        return told

    running = start(data, doors)
    store = Store.open(sqlite_url(data), readonly=True)
    try:
        first = in_force()["map"]
        urlopen(Request(f"{running.doors['sandbox']}/clinic/send?name=live", SAMPLE.read_bytes())).close()
        (held,) = until(lambda: rows("holds"))
        assert held["cause"] == "unreadable_line"

        site.write_text("extends: hl7v2-dft\ntables: {kinds: {unknown: {value: copay}}}\n")
        until(lambda: in_force()["map"] != first)
        run("holds", "retry", "--like", held["id"])
        (message,) = until(lambda: [row for row in rows("messages") if row["state"] == "translated"])
        assert (message["id"], message["state"]) == (held["object"], "translated")
        assert message["map"] == in_force()["map"]

        site.write_text("extends: hl7v2-dft\nmessages: [\n")
        until(lambda: in_force()["refused"])
        (refused,) = [row for row in run("status")["maps"] if row["place"] == "his"]
        assert refused["map"] == message["map"], "the old one goes on"
        assert "site.yaml:" in refused["refused"]
        assert [hold["cause"] for hold in rows("holds") if hold["state"] == "open"] == ["map_refused"]
    finally:
        store.close()
        stop(running)
