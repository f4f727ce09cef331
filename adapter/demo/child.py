"""`chartpost serve` as a child process on free ports, for whoever wants to try it from outside: the demo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 20.0  #: seconds that anything may take before it is given up


class Failed(Exception):
    """Something did not come, or came otherwise than expected."""


@dataclass(slots=True)
class Running:
    """`chartpost serve`, started by us, and where its doors are."""

    process: subprocess.Popen[str]
    doors: dict[str, str] = field(default_factory=dict)  #: web, internal, mllp, sandbox


#: The embedded configuration's addresses, as variables; port 0 is any free one.
DOORS = dict.fromkeys(
    ("WEB", "INTERNAL", "SOURCES__HIS__LISTEN", "SANDBOX__HTTP", "SANDBOX__MLLP", "SANDBOX__SMTP"), "127.0.0.1:0"
)


def environment(doors: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child on these addresses, without settings of the caller's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHARTPOST_")}
    return kept | {f"CHARTPOST_{door}": address for door, address in doors.items()}


def start(data: Path, doors: Mapping[str, str] = DOORS) -> Running:
    """Start `serve` and wait until every door is open. Raises Failed with the end of its log."""
    environ = environment(doors)
    command = [sys.executable, "-m", "chartpost.adapter.cli", "serve", "--data", str(data)]
    with (data / "serve.log").open("w") as log:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    running = Running(process)
    for line in process.stdout or ():
        word, *parts = line.split()
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        if word == "sandbox":
            running.doors["sandbox"] = named["http"]
        elif word == "ready":
            running.doors.update(named)
            return running
    process.wait()
    end = "".join((data / "serve.log").read_text("utf-8").splitlines(keepends=True)[-12:])
    raise Failed(f"chartpost serve did not start (exit {process.returncode}):\n{end}")


def stop(running: Running) -> None:
    """End it as an administrator does. Raises Failed unless it drains and exits 0."""
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
    try:
        code = running.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        running.process.kill()
        raise Failed("chartpost serve did not stop on SIGTERM") from None
    if code != 0:
        raise Failed(f"chartpost serve ended with {code}")
