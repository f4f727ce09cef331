"""Measure the intake: `make bench`. Floor, peer and product in the same run, on this machine; the ratio is the figure.

    intake.py [--rounds N] [--door-only]

Each round drives the floor and then the product; medians of the rounds are shown. Rates are ACKs a second; times are
milliseconds from the last byte sent to the ACK. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 3
#: connections → messages a round, enough for half a second at the floor's speed
LOADS = {1: 3_000, 8: 10_000, 32: 10_000}
DRAIN_SECONDS = 40
SUSTAINED = 300  #: messages a second, with translation keeping up

CONFIG = """
web: 127.0.0.1:0
internal: 127.0.0.1:0
facilities:
  lakeside:
    name: Lakeside Clinic
    message_name: Lakeside
    timezone: America/Chicago
    region: US
    currency: USD
    provider: card
sources:
  his: {type: mllp, listen: "127.0.0.1:0", facility: lakeside, map: hl7v2-dft, share: copay,
    guard: {older_than_days: none, requests_an_hour: none}}
providers:
  card: {type: stripe, base_url: "http://127.0.0.1:9", secret_key: sk_test_1, webhook_secret: whsec_1}
"""


@contextmanager
def running(command: list[str], seconds: float = 30) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Start a server; yield it, its MLLP address and how many seconds it took to say that it is ready."""
    began = time.perf_counter()
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"^ready .*?mllp=(\S+)", line):
                yield process, found[1], time.perf_counter() - began
                break
        else:
            errors.seek(0)
            raise RuntimeError((errors.read().strip().splitlines() or ["it said nothing"])[-1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        errors.close()


def drive(address: str, connections: int, messages: int, *, warm_up: int = 0, rate: float = 0) -> dict:
    """Run the sender in a process of its own and return its figures."""
    command = [sys.executable, str(HERE / "load.py"), address, "-c", str(connections), "-n", str(messages)]
    command += ["-w", str(warm_up), "-r", str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    if figures["errors"] or not set(figures["codes"]) <= {"AA", "CA"}:
        print(f"  ! answers {figures['codes']}, errors {figures['errors']}", file=sys.stderr)
    return figures


def median(rounds: list[dict]) -> dict:
    """Return the medians of the rounds; of the longest waits, the longest."""
    if not rounds:
        return {}
    middle = {key: statistics.median(one[key] for one in rounds) for key in ("rate", "p50", "p99")}
    return middle | {"max": max(one["max"] for one in rounds)}


def plural(connections: int) -> str:
    """Return "8 connections"."""
    return f"{connections:>2} connection" + ("s" if connections > 1 else "")


def show(what: str, figures: dict, floor: float = 0) -> None:
    """Print one line of the table."""
    ratio = f"{figures['rate'] / floor:6.0%}" if floor else " " * 6
    times = f"{figures['p50']:>8.2f} {figures['p99']:>8.2f} {figures['max']:>8.1f}"
    print(f"{what:<50}{figures['rate']:>9,.0f}/s {ratio} {times}", flush=True)


def resident(process: subprocess.Popen[str]) -> str:
    """Return a process's resident memory, where /proc tells it."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return "unknown here"
    kilobytes = int(re.findall(r"VmRSS:\s+(\d+)", status)[0])
    return f"{kilobytes / 1024:.0f} MB"


def waiting(database: sqlite3.Connection) -> int:
    """Return how many messages are not translated yet."""
    return int(database.execute("SELECT count(*) FROM message WHERE state = 'received'").fetchone()[0])


def doors(rounds: int, folder: Path) -> dict[int, float]:
    """Measure floor, peer and the door alone; return the floor's rates."""
    floors: dict[int, float] = {}
    (folder / "floor").mkdir()
    (folder / "door").mkdir()
    with (
        running([sys.executable, str(HERE / "floor.py"), str(folder / "floor")]) as (_, floor, _),
        running([sys.executable, str(HERE / "door.py"), str(folder / "door")]) as (_, door, _),
        running([sys.executable, str(HERE / "peer.py")]) as (_, peer, _),
    ):
        for connections, messages in LOADS.items():
            least, ours = [], []
            for _ in range(rounds):
                least.append(drive(floor, connections, messages, warm_up=300))
                ours.append(drive(door, connections, messages, warm_up=300))
            floors[connections] = median(least)["rate"]
            show(f"{plural(connections):<15}floor: insert, commit, ACK", median(least))
            show(f"{'':<15}peer: python-hl7, stores nothing", drive(peer, connections, 600), floors[connections])
            show(f"{'':<15}ours: the door alone", median(ours), floors[connections])
    return floors


def service(folder: Path, floors: dict[int, float]) -> None:
    """Measure `chartpost serve`: bursts with translation pending, a steady feed, draining, memory and start."""
    config, data = folder / "chartpost.yaml", folder / "data"
    config.write_text(CONFIG)
    command = [str(Path(sys.executable).with_name("chartpost")), "serve", "--config", str(config), "--data", str(data)]
    with running(command) as (process, address, seconds):
        time.sleep(1.5)
        idle = resident(process)
        database = sqlite3.connect(f"file:{data}/chartpost.db?mode=ro", uri=True, timeout=30)
        for connections, messages in LOADS.items():
            figures = drive(address, connections, messages)
            pending, began = waiting(database), time.perf_counter()
            show(f"{plural(connections):<15}serve: a burst, translation pending", figures, floors[connections])
            while waiting(database) and time.perf_counter() - began < DRAIN_SECONDS:
                time.sleep(0.1)
            took = time.perf_counter() - began
            done = pending - (left := waiting(database))
            print(f"{'':<15}then {done:,} translated in {took:.1f} s ({done / took:,.0f}/s), {left:,} left", flush=True)
        figures = drive(address, 8, SUSTAINED * 8, rate=SUSTAINED)
        behind = waiting(database)
        show(f" 8 connections serve: {SUSTAINED}/s for 8 s, translating", figures)
        print(f"{'':<15}{behind:,} messages behind at its end", flush=True)
        print(f"serve: ready after {seconds:.2f} s, {idle} resident when idle, {resident(process)} after the load")
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--door-only", action="store_true", help="leave out `chartpost serve`")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, the sender's included; load before: {os.getloadavg()[0]:.1f}")
    print(f"{'':<50}{'ACKs':>11} {'floor':>6} {'p50':>8} {'p99':>8} {'max ms':>8}")
    with tempfile.TemporaryDirectory(prefix="chartpost-bench-") as name:
        floors = doors(given.rounds, Path(name))
        if not given.door_only:
            try:
                service(Path(name), floors)
            except RuntimeError as error:
                print(f"serve: not measured: {error}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
