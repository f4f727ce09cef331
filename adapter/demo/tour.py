"""`chartpost tour`: one message from the charge to the chart, with the real commands and one sentence to each.

Starts `serve` on the embedded configuration, on free ports and a ledger that is removed afterwards. The clinic and the
patient are the sandbox's; everything else is what an administrator would type.
"""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel

from chartpost.adapter.demo.browser import Browser
from chartpost.adapter.demo.child import DOORS, Failed, Running, environment, start, stop
from chartpost.adapter.demo.tell import CARD, Demo
from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.store import Store, sqlite_url

#: The visit that the sandbox's clinic charges: nobody has paid for it yet.
VISIT = "L-20481"


class Enough(Exception):
    """The person at the terminal wants no more."""


def walk(*, wait: bool) -> int:
    """Walk through it; with `wait`, Enter goes on. Return the exit code: 0, 1 when something failed, 2: no terminal."""
    if wait and not sys.stdin.isatty():
        print("the tour waits for Enter, and there is no terminal; run `chartpost tour --yes`", file=sys.stderr)
        return 2
    console = Console(highlight=False, soft_wrap=True)
    # Told to stop, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="chartpost-tour-") as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        doors = _free(DOORS)
        console.print("[bold]chartpost tour[/]  one message, from the charge to the chart; nothing here is real")
        try:
            running = start(data, doors)
            guide = _Guide(console, data, doors, running, wait=wait)
            try:
                with suppress(Enough, KeyboardInterrupt):
                    guide.lead()
            finally:
                guide.store.close()
                stop(running)
        except (Failed, LookupError, OSError) as error:
            console.print(f"[red]✗ {escape(str(error))}[/]")
            return 1
    console.print("\n[dim]serve was stopped and its ledger removed; your own files were not touched[/]")
    return 0


def _free(doors: Mapping[str, str]) -> dict[str, str]:
    """Choose a free port for every door, so that `chartpost status` can be told of them."""
    sockets = {door: socket.create_server(("127.0.0.1", 0)) for door in doors}
    try:
        return {door: f"127.0.0.1:{one.getsockname()[1]}" for door, one in sockets.items()}
    finally:
        for one in sockets.values():
            one.close()


class _Guide:
    """Leads through the steps, and lets each come to its end before it is shown."""

    def __init__(self, console: Console, data: Path, doors: Mapping[str, str], running: Running, *, wait: bool) -> None:
        keys = data_keys(data, make=False)
        sealed.use(sealed.Keyring(keys.searching, keys.sealing))
        self.console = console
        self.data = data
        self.environ = environment(doors)
        self.running = running
        self.store = Store.open(sqlite_url(data), readonly=True)
        self.look = Demo(console, self.store, running.doors["sandbox"])
        self.wait = wait
        self.steps = 0

    def lead(self) -> None:
        sandbox = self.running.doors["sandbox"]
        self.step("start", "Every role in one process; the embedded sample brings a sandbox to play with.")
        self.console.print(f"[cyan]$ chartpost serve --data {self.data} &[/]")
        self.console.print(f"ready {' '.join(map('='.join, self.running.doors.items()))}")

        self.step("a charge comes in", f"The clinic of the sandbox charges a visit and sends it; see {sandbox}/clinic.")
        Browser().open(f"{sandbox}/clinic/visit/{VISIT}", {})
        self.until("messages", "translated")
        self.command("messages")

        self.step("why", "Every line says whether it counts, and by which rule: the patient's share is never guessed.")
        self.command("trace", "M1")

        self.step("a request", "What the patient owes is asked for once; the request follows the balance by itself.")
        self.command("requests")

        self.step("a text", "One neutral message with a link: who asks, nothing of whom, for what or how much.")
        self.until("notices", "delivered")
        self.command("notices")
        link = self.text()

        self.step("a payment", "The patient taps the link, presses pay, and types a test card on the provider's page.")
        person = Browser()
        page = person.press(person.open(link), ("pay", "all"))
        person.press(page, ("method", "card"), **CARD)
        self.until("payments", "")
        self.command("payments")

        self.step("the chart knows", "Paid and posted are two questions: only the chart's own AA makes it accepted.")
        self.until("postings", "accepted")
        self.command("postings")
        [chart] = [found for account, found in self.look.charts().items() if account == VISIT]
        self.console.print(f"in the clinic's chart: paid {chart['paid']}, still owed {chart['balance']}")

        self.step("how it goes", "One screen for every morning; --watch keeps it fresh, --json is for machines.")
        self.command("status")

        self.step("what waits for a person", "Nothing does, this time. What would: an unknown code, a refused posting.")
        self.command("holds")
        self.console.print("\nNext: `chartpost check` looks at your own configuration; `chartpost serve` starts it.")

    def step(self, title: str, why: str) -> None:
        """Announce a step, once the person has read the last one."""
        if self.wait and self.steps:
            try:
                answer = self.console.input("\n[dim]Enter goes on, q ends [/]")
            except (EOFError, KeyboardInterrupt):
                raise Enough from None
            if answer.strip().lower().startswith("q"):
                raise Enough
        self.steps += 1
        self.console.print(f"\n[bold]{self.steps} · {title}[/]  {escape(why)}")

    def command(self, *words: str) -> None:
        """Run a command of ours as a person would, on the same terminal. Raises Failed unless it ends with 0."""
        shown = shlex.join(["chartpost", *words, "--data", str(self.data)])
        self.console.print(f"[cyan]$ {escape(shown)}[/]")
        sys.stdout.flush()
        line = [sys.executable, "-m", "chartpost.adapter.cli", *words, "--data", str(self.data)]
        code = subprocess.run(line, env=self.environ, check=False).returncode  # noqa: S603
        if code != 0:
            raise Failed(f"{shown} ended with {code}")

    def until(self, noun: str, state: str) -> None:
        """Wait until a row of this list is in this state ("": is there)."""

        def there() -> bool | None:
            return any(row.get("state", "") in (state, "") for row in self.look.rows(noun)) or None

        self.look.await_(f"{noun} {state}".strip(), there)

    def text(self) -> str:
        """Show the text message as the phone does; return its link."""
        [sms] = [one for phone in self.look.fetch("/inbox.json")["phones"] for one in phone["messages"]]
        bubble = Panel(sms["body"], title=sms["to"], title_align="left", width=74, border_style="cyan")
        self.console.print(Padding(bubble, (0, 0, 0, 2)), soft_wrap=False)
        return str(sms["links"][0])
