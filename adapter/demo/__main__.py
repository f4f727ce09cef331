"""`make demo`: run the main job on the samples and tell it as a person would.

Starts `chartpost serve` on the embedded configuration, on free ports and a data directory of its own; then a clinic
sends everything in samples/hl7 and samples/fhir, patients pay what they are asked for, and each message must reach the
state that its .expected.json says.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from chartpost.adapter.demo.browser import Browser
from chartpost.adapter.demo.child import Failed, Running, start, stop
from chartpost.adapter.demo.samples import Sample
from chartpost.adapter.demo.tell import Demo
from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.store import Store, sqlite_url


def keep(console: Console, running: Running, demo: Demo) -> None:
    """Leave one request unpaid and everything running, until Ctrl-C."""
    sandbox = running.doors["sandbox"]
    Browser().open(f"{sandbox}/clinic/visit/L-20481", {})
    console.print("\n[bold]your turn[/]  one more visit was charged, and nobody has paid it yet")
    for what, path in (
        ("the phones", "/inbox"),
        ("the charts", "/clinic"),
        ("this visit's chart", "/clinic/chart/L-20481"),
    ):
        console.print(f"  {what:<20} [cyan]{sandbox}{path}[/]")
    console.print("  Tap the link on the phone, pay with 4242 4242 4242 4242, watch the chart. Ctrl-C ends it.")
    try:
        running.process.wait()
    except KeyboardInterrupt:
        console.print("\nstopping")


def main() -> int:
    """Run the demo; 0 only if every message reached the state that its sample expects."""
    parser = argparse.ArgumentParser("chartpost.adapter.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, for a person to pay")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    samples = Sample.all()
    if not samples:
        print("the demo needs samples/ and so a checkout, not an installed package", file=sys.stderr)
        return 1
    began = time.monotonic()
    # Told to stop, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="chartpost-demo-") as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        console.print("[bold]chartpost demo[/]  [dim]starting chartpost serve and its sandbox on free ports[/]")
        try:
            running = start(data)
        except Failed as error:
            print(error, file=sys.stderr)
            return 1
        console.print(f"  ready in {time.monotonic() - began:.1f} s: {' '.join(map('='.join, running.doors.items()))}")
        wrong, summary = _tell(console, running, data, samples, options.keep)
        if wrong:
            _show_log(console, data)
    console.print(f"\n[dim]{time.monotonic() - began:.1f} s[/]")
    for line in wrong:
        console.print(f"[red]✗ {escape(line)}[/]")
    print(summary, flush=True)
    return 1 if wrong else 0


def _show_log(console: Console, data: Path) -> None:
    """Show what `serve` warned of, for whoever must find out why something went wrong."""
    lines = [line for line in (data / "serve.log").read_text("utf-8").splitlines() if '"level": "info"' not in line]
    console.print("\n[bold]what serve warned of[/]")
    for line in lines[-15:]:
        console.print(f"  [dim]{escape(line)}[/]")


def _tell(console: Console, running: Running, data: Path, samples: list[Sample], stay: bool) -> tuple[list[str], str]:
    keys = data_keys(data, make=False)
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(sqlite_url(data), readonly=True)
    demo = Demo(console, store, running.doors["sandbox"])
    try:
        for sample in samples:
            demo.run(sample)
        summary = demo.end()
        if stay:
            keep(console, running, demo)
    finally:
        store.close()
        try:
            stop(running)
        except Failed as error:
            demo.wrong.append(str(error))
    return demo.wrong, summary


if __name__ == "__main__":
    sys.exit(main())
