"""A clinic's world on free ports: the sandbox as one process, `chartpost serve` as another, and what both show outside.

The house keeps its addresses when it is killed and started again, as a real one does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.request import Request, urlopen

from sqlalchemy.exc import SQLAlchemyError

from chartpost.adapter import views
from chartpost.adapter.ledger.store import Store, sqlite_url

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
PATIENCE = 30.0  #: seconds that anything may take before a test gives up on it
#: What the product and the sandbox must agree on.
KEYS = {
    "stripe-key": "sk_test_acceptance0000000000000000",
    "stripe-webhook-secret": "whsec_acceptance00000000000000000",
    "twilio-sid": "AC" + "5e" * 16,
    "twilio-token": "7a" * 16,
    "fhir-token": "6f" * 16,
    "invoice-token": "5d" * 16,
}

FHIR_TOKEN = KEYS["fhir-token"]

CONFIGURATION = """\
web: {web}
internal: {internal}
database: {database}
broker: {broker}
facilities:
  lakeside:
    {{name: Lakeside Clinic, message_name: Lakeside, timezone: America/Chicago, region: US, currency: USD, quiet: none,
      provider: card, notifiers: [sms, mail], contact: (608) 555-0100,
      mail: {{sender: Lakeside Billing, address: pay@lakeside.example.org, reply_to: billing@lakeside.example.org}}}}
sources:
  his:
    {{type: mllp, listen: "{mllp}", facility: lakeside, share: copay, consent: on_file, destinations: [chart],
      guard: {{older_than_days: none, requests_an_hour: none}}}}
  ehr:
    {{type: fhir, token: "{invoice-token}", facility: lakeside, share: all, consent: on_file, fetch: fhir,
      destinations: [fhir], guard: {{older_than_days: none, requests_an_hour: none}}}}
destinations:
  chart: {{type: mllp, address: "{clinic}", map: hl7v2-dft-payment, resend: never, timeout_seconds: 5}}
  fhir:
    {{type: fhir, base_url: "{http}/fhir", token: "{fhir-token}", map: fhir-payment-reconciliation,
      timeout_seconds: 5, settle_invoice: true}}
providers:
  card:
    {{type: stripe, secret_key: {stripe-key}, webhook_secret: {stripe-webhook-secret}, base_url: "{http}/stripe"}}
notifiers:
  sms:
    {{type: twilio, account_sid: {twilio-sid}, auth_token: {twilio-token}, sender: "+16085550100",
      base_url: "{http}/twilio"}}
  mail: {{type: smtp, address: "{smtp}", security: none}}
"""

T = TypeVar("T")
Row = dict[str, Any]


class Process(Protocol):
    """What a subprocess.Popen and a killer.Child have in common."""

    pid: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


#: Starts a program with these arguments, its output appended to the file.
Launch = Callable[[list[str], Path], Process]


def command(*program: str) -> Launch:
    """Start a program as an administrator does, without the CHARTPOST_… variables of whoever runs the tests."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHARTPOST_")}

    def launch(argv: list[str], out: Path) -> Process:
        with out.open("ab") as log:
            return subprocess.Popen([sys.executable, *program, *argv], env=environ, stdout=log, stderr=log)

    return launch


CHARTPOST = command("-m", "chartpost.adapter.cli")
SANDBOX = command("-m", "chartpost.adapter.sandbox")


class Late(AssertionError):
    """Something did not come in time."""


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Look until there is something to see, and return it. Raises Late."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise Late(f"{what} did not come within {patience:.0f} s")
        time.sleep(0.05)
    return seen


class Ports:
    """Addresses that stay ours while nobody listens on them: bound and held, so that no connection gets their ports."""

    def __init__(self, stack: ExitStack, *names: str) -> None:
        self.addresses: dict[str, str] = {}
        for name in names:
            held = stack.enter_context(socket.socket())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # whoever listens later says so too
            held.bind(("127.0.0.1", 0))
            self.addresses[name] = f"127.0.0.1:{held.getsockname()[1]}"


@dataclass
class Sandbox:
    """The other side, running."""

    doors: dict[str, str]  #: http, mllp, smtp

    def get(self, path: str) -> Any:
        with urlopen(self.doors["http"] + path, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: bytes = b"") -> Any:
        request = Request(self.doors["http"] + path, body, {"Content-Type": "application/octet-stream"})
        with urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def texts(self) -> list[Row]:
        """Return the SMS that arrived on phones."""
        return [sms for phone in self.get("/inbox.json")["phones"] for sms in phone["messages"]]

    def mails(self) -> list[Row]:
        """Return the e-mails that arrived."""
        return list(self.get("/mailbox.json")["mails"])

    def chart(self, account: str) -> Row:
        return dict(self.get(f"/clinic/chart/{account}.json"))

    def invoice(self, id: str) -> Row:
        """Return an Invoice as the clinic has it."""
        request = Request(f"{self.doors['http']}/fhir/Invoice/{id}", headers={"Authorization": f"Bearer {FHIR_TOKEN}"})
        with urlopen(request, timeout=PATIENCE) as answer:
            return dict(json.loads(answer.read()))

    def paid(self) -> list[Row]:
        """Return the card sessions that were paid."""
        events = self.get("/_control/stripe/events")
        return [event["data"]["object"] for event in events if event["type"] == "checkout.session.completed"]


@dataclass
class House:
    """`chartpost serve` with one data directory and one configuration; may be dead, and started again."""

    folder: Path
    sandbox: Sandbox
    addresses: dict[str, str]
    database: str = "sqlite"
    broker: str = "memory://"
    launch: Launch = CHARTPOST
    configuration: str = CONFIGURATION
    process: Process | None = None
    starts: int = 0
    ends: list[int | None] = field(default_factory=list)  #: exit codes, −9 for SIGKILL
    _store: Store | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "site.yaml"

    @property
    def out(self) -> Path:
        return self.folder / "serve.out"

    @property
    def web(self) -> str:
        return f"http://{self.addresses['web']}"

    def start(self, launch: Launch | None = None) -> None:
        """Start it and wait until every door is open, or it is dead."""
        self.config.write_text(
            self.configuration.format(
                database=self.database,
                broker=self.broker,
                http=self.sandbox.doors["http"],
                clinic=self.sandbox.doors["mllp"],
                smtp=self.sandbox.doors["smtp"],
                **self.addresses,
                **KEYS,
            )
        )
        before = self._ready()
        argv = ["serve", "--config", str(self.config), "--data", str(self.data)]
        self.process = process = (launch or self.launch)(argv, self.out)
        self.starts += 1
        until("the ready line", lambda: self._ready() > before or process.poll() is not None)

    def _ready(self) -> int:
        """Count the ready lines of all starts."""
        shown = self.out.read_text("utf-8") if self.out.exists() else ""
        return sum(line.startswith("ready web=") for line in shown.splitlines())

    def revive(self) -> None:
        """Start it again, plainly, if it died."""
        while self.process is None or self.process.poll() is not None:
            if self.process is not None:
                self.ends.append(self.process.poll())
                assert self.ends[-1] == -9, f"it ended by itself: {self.ends[-1]}\n{self.out.read_text()[-3000:]}"
            assert self.starts < 5, "it dies again and again"
            self.start()

    def stop(self) -> int | None:
        """End it as an administrator does; return the exit code."""
        if self._store is not None:
            self._store.close()
            self._store = None
        process, self.process = self.process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(15)
        finally:
            if process.poll() is None:
                process.kill()

    @property
    def store(self) -> Store:
        """The ledger, to look at."""
        if self._store is None:
            url = sqlite_url(self.data) if self.database == "sqlite" else self.database
            self._store = Store.open(url, readonly=True)
        return self._store

    def rows(self, noun: str) -> list[Row]:
        """Return what `chartpost NOUN --json` prints; [] while there is no ledger."""
        if self.database == "sqlite" and not (self.data / "chartpost.db").exists():
            return []
        try:
            with self.store.read() as connection:
                return list(views.LISTS[noun].rows(connection))
        except SQLAlchemyError:
            return []

    def one(self, noun: str, **wanted: object) -> Row | None:
        """Return the first row with these values."""
        found = (row for row in self.rows(noun) if all(row[name] == value for name, value in wanted.items()))
        return next(found, None)

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something to see, starting the house again whenever it died. Raises Late."""

        def alive() -> T | None:
            self.revive()
            return look()

        try:
            return until(what, alive)
        except Late as late:
            nouns = ("messages", "requests", "notices", "payments", "postings", "holds", "errands")
            shown = "\n".join(f"{noun}: {json.dumps(row)}" for noun in nouns for row in self.rows(noun))
            raise Late(f"{late}\n{shown}\n{self.out.read_text()[-3000:]}") from None


@contextmanager
def running(folder: Path, *, product: Launch = CHARTPOST, sandbox: Launch = SANDBOX, **more: Any) -> Iterator[House]:
    """Yield a house that is not started yet, beside a sandbox that is; end both."""
    with ExitStack() as stack:
        ports = Ports(stack, "web", "internal", "mllp")
        out = folder / "sandbox.out"
        options = [word for name, value in KEYS.items() for word in (f"--{name}", value)]
        hook = f"http://{ports.addresses['web']}/hooks/card"
        invoices = f"http://{ports.addresses['internal']}/fhir/ehr"
        more_options = ["--stripe-webhook", hook, "--send-to", ports.addresses["mllp"], "--send-invoices-to", invoices]
        process = sandbox([*options, *more_options], out)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        line = until("the sandbox", lambda: out.exists() and out.read_text().partition("\n")[0])
        house = House(folder, Sandbox(json.loads(str(line))), ports.addresses, launch=product, **more)
        stack.callback(house.stop)
        yield house
