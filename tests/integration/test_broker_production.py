"""docs/integration/production.md on this machine: its commands are run, its service starts on what they made.

What installs packages and starts services is left out; databases, users and folders get names of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import kombu
import pytest
import services
from amqp.exceptions import AccessRefused
from workbench import dft, line

from chartpost.adapter import settings
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher
from chartpost.queues.topology import Topology

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/integration/production.md").read_text("utf-8")
SECRETS = ("ehr_token", "stripe_key", "stripe_webhook", "twilio_token")


def lines(heading: str) -> list[str]:
    """The commands below a heading."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    blocks = re.findall(r"^```sh\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def unit() -> str:
    [found] = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


def secrets(folder: Path) -> None:
    """Put the keys of services that do not exist where the configuration looks for them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SECRETS:
        key = {"stripe_key": "sk_test_of_nobody", "stripe_webhook": "whsec_of_nobody"}.get(name, "0" * 32)
        (folder / name).write_text(key + "\n")


@dataclass
class Machine:
    """The machine of the page, in a folder."""

    folder: Path
    tag: str

    @property
    def name(self) -> str:
        return f"chartpost-{self.tag}"

    @property
    def database(self) -> str:
        return f"chartpost_{self.tag}"

    def here(self, command: str) -> str:
        """A command of the page with the names and folders of this machine."""
        command = command.removeprefix("runuser -u postgres -- ")
        command = re.sub(r"(createuser|--owner|template0|custom) chartpost\b", rf"\1 {self.database}", command)
        command = re.sub(r"(add_vhost|add_user|-p) (chartpost|engine|feed)\b(?!/)", rf"\1 \2-{self.tag}", command)
        command = re.sub(r"(-p \S+) (chartpost|engine|feed)\b", rf"\1 \2-{self.tag}", command)
        command = command.replace("//chartpost:", f"//{self.name}:").replace("127.0.0.1/chartpost", self.broker)
        command = re.sub(r" -[go] chartpost\b", "", command).replace("chgrp chartpost", "chgrp $(id -g)")
        return re.sub(r"(?<![\w.])/(root|etc|var)/", rf"{self.folder}/\1/", command)

    @property
    def broker(self) -> str:
        return f"{services.RABBITMQ[0]}:{services.RABBITMQ[1]}/{self.name}"

    def run(self, *commands: str) -> None:
        host, port = services.POSTGRES
        script = "\n".join(["set -eu", *map(self.here, commands)])
        env = os.environ | {"PGHOST": host, "PGPORT": str(port), "PGUSER": "postgres"}
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stderr}"

    def url(self, user: str) -> str:
        password = (self.folder / "root" / f"{user}.rabbitmq").read_text().strip()
        return f"amqp://{user}-{self.tag}:{password}@{self.broker}"

    def undo(self) -> None:
        services.rabbitmqctl("delete_vhost", self.name)
        for user in ("chartpost", "engine", "feed"):
            services.rabbitmqctl("delete_user", f"{user}-{self.tag}")
        self.run(f"dropdb --if-exists --force {self.database}", f"dropuser --if-exists {self.database}")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    services.require("PostgreSQL", services.POSTGRES)
    services.require("RabbitMQ", services.RABBITMQ)
    for tool in ("rabbitmqctl", "createuser", "pg_dump", "openssl"):
        if shutil.which(tool) is None:
            services.missing(f"{tool} is not installed")
    for folder in ("root", "var/lib", "var/backups", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    made = Machine(tmp_path, uuid4().hex[:8])
    try:
        yield made
    finally:
        made.undo()


def test_the_sample_loads_and_takes_every_secret_from_a_file(tmp_path: Path) -> None:
    shutil.copy(ROOT / "samples/config/production.yaml", tmp_path / "site.yaml")
    secrets(tmp_path / "secrets")
    loaded = settings.load(tmp_path / "site.yaml", {})
    assert (loaded.database.split(":")[0], loaded.broker.split(":")[0]) == ("postgresql", "amqp")
    assert {source.type for source in loaded.sources.values()} == {"mllp", "fhir"}
    assert {part.type for part in loaded.destinations.values()} == {"broker"}
    assert "secret: " not in (tmp_path / "site.yaml").read_text()


def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        services.missing("systemd-analyze is not installed")
    text = unit().replace("/opt/chartpost/.venv/bin/chartpost", sys.executable).replace("User=chartpost", "User=root")
    path = tmp_path / "chartpost.service"
    path.write_text(text)
    done = subprocess.run([str(tool), "verify", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert [told for told in done.stderr.splitlines() if "chartpost.service" in told] == []


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_the_commands_of_the_page_make_a_machine_on_which_the_service_runs(machine: Machine) -> None:
    for heading in ("2 · PostgreSQL", "3 · RabbitMQ", "5 · Configuration and secrets"):
        machine.run(*lines(heading))
    etc = machine.folder / "etc/chartpost"
    written = (etc / "secrets/ehr_token").read_text()
    secrets(etc / "secrets")
    (etc / "secrets/ehr_token").write_text(written)

    with serving(machine) as (process, ready):
        internal = re.findall(r"internal=(\S+)", ready)[0]
        with urllib.request.urlopen(f"{internal}/readyz", timeout=10) as answer:
            assert answer.status == 200
        assert acknowledged(re.findall(r"mllp=(\S+)", ready)[0]) == "AA"
        assert asked(machine) == "AA"
        rights(machine)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    # Postings still to come would wait in the ledger; what the page says to keep is there.
    machine.run(*lines("Backup"), f"pg_restore --list {machine.folder}/var/backups/chartpost.dump | grep -q errand")
    assert {path.name for path in (machine.folder / "root").glob("*.key")} == {"link.key", "searching.key"}


@contextmanager
def serving(machine: Machine) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start what the unit starts, with its environment; yield it with its ready line."""
    [command] = re.findall(r"^ExecStart=(.+)$", unit(), re.MULTILINE)
    words = [machine.here(word) for word in command.split()[1:]]
    program = Path(sys.executable).with_name("chartpost")
    told = dict(row.split("=", 1) for row in (machine.folder / "etc/chartpost/environment").read_text().splitlines())
    host, port = services.POSTGRES
    env = os.environ | told | {
        "CHARTPOST_DATABASE": f"postgresql://{machine.database}@{host}:{port}/{machine.database}",
        "CHARTPOST_WEB": "127.0.0.1:0", "CHARTPOST_INTERNAL": "127.0.0.1:0",
        "CHARTPOST_SOURCES__HIS__LISTEN": "127.0.0.1:0",
        "CHARTPOST_SOURCES__FEED": "{type: broker, facility: lakeside, map: hl7v2-dft, share: all}",
        "CHARTPOST_PROVIDERS__CARD__BASE_URL": "http://127.0.0.1:1",
        "CHARTPOST_NOTIFIERS__SMS__BASE_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    log = machine.folder / "log"
    with (
        log.open("w") as err,
        subprocess.Popen([program, *words], env=env, stdout=subprocess.PIPE, stderr=err, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("ready"), log.read_text()
            yield process, ready
        finally:
            process.kill()


def acknowledged(address: str) -> str:
    """Send one charge and return MSA-1 of its acknowledgement."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as door:
        door.sendall(b"\x0b" + dft(line("CO", "45.00")) + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += door.recv(65536)
    return answer.split(b"\rMSA|")[1][:2].decode()


def asked(machine: Machine) -> str:
    """Publish one charge as the user `feed`, and return MSA-1 of what comes back."""
    deadline = time.monotonic() + 40
    with kombu.Connection(machine.url("feed")) as connection, connection.SimpleQueue("answers") as answers:
        while True:
            connection.Producer().publish(
                dft(line("CO", "45.00")), serializer="hl7v2", exchange="chartpost", routing_key="charge.feed",
                reply_to="answers",
            )  # fmt: skip
            try:
                answer = answers.get(timeout=4)
            except answers.Empty:  # `serve` is ready without its broker: the queue may be declared a moment later
                assert time.monotonic() < deadline, "nothing is answered"
                continue
            answer.ack()
            return str(answer.decode()["MSA-1"])


def rights(machine: Machine) -> None:
    """Each user may do what it is there for, and nothing else."""
    names = Declared(charges=("feed",), postings=(("engine", "hl7v2"),), receipts=("engine",))
    for user, may, may_not, reads in (
        ("engine", names.receipt("engine"), names.posting("engine", "hl7v2"), names.posting("engine", "hl7v2")),
        ("feed", names.charge("feed"), names.receipt("engine"), "answers"),
    ):
        publisher = Publisher(machine.url(user), names)
        publisher.publish(Envelope(may, b"hello", "text/plain"))
        with pytest.raises(NotPublished):
            publisher.publish(Envelope(may_not, b"hello", "text/plain"))
        publisher.close()
        with kombu.Connection(machine.url(user)) as connection:
            connection.channel().basic_get(reads)
            with pytest.raises(AccessRefused):
                connection.channel().basic_get(names.receipt("engine"))


class Declared(Topology):
    """Queues that somebody else declared: strangers have no right to."""

    def declare(self, connection: kombu.Connection) -> None: ...
