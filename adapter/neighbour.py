"""The sandbox as `serve` starts it: a process of its own that ends when this one does, however this one ends."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from chartpost.adapter.doors import Doors, address_of, url_of
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.log import get
from chartpost.adapter.settings import Settings

log = get(__name__)


class Neighbour:
    """The other side, told where our doors are. Ended by leaving the context."""

    def __init__(self, settings: Settings, doors: Doors) -> None:
        """Start it; `ready` waits for it."""
        assert settings.sandbox is not None
        provider = next((name for name, part in settings.providers.items() if part.type == "stripe"), "card")
        notifier = next((name for name, part in settings.notifiers.items() if part.type == "twilio"), "sms")
        command = [
            *(sys.executable, "-m", "chartpost.adapter.sandbox", "--with-parent"),
            *("--http", settings.sandbox.http, "--mllp", settings.sandbox.mllp, "--smtp", settings.sandbox.smtp),
            *("--stripe-webhook", f"{url_of(doors.web)}/hooks/{provider}"),
            *("--twilio-incoming", f"{url_of(doors.web)}/hooks/{notifier}/incoming"),
            *("--jwks-url", f"{url_of(doors.internal)}/.well-known/jwks.json"),
        ]
        for door in list(doors.mllp.values())[:1]:
            command += ["--send-to", address_of(door)]
        for source in list(settings.fhir())[:1]:
            command += ["--send-invoices-to", f"{url_of(doors.internal)}/fhir/{source}"]
        for name in [name for name, part in settings.notifiers.items() if part.type == "smtp"][:1]:
            command += ["--bounces", f"{url_of(doors.web)}/hooks/{name}/bounce"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603

    def ready(self) -> dict[str, str]:
        """Wait until its doors are open; return their addresses and its keys. Raises ConfigurationError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConfigurationError(["sandbox: it did not start; its own words stand above"])
        said: dict[str, str] = json.loads(line)
        log.info("sandbox.started", pid=self._process.pid, address=said["http"])
        print(f"sandbox http={said['http']} mllp={said['mllp']}", flush=True)
        return said

    def __enter__(self) -> Neighbour:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
            return
        self._process.kill()
        self._process.wait()
