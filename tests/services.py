"""The one place that knows how to reach the services that tests need; and what to say when they are not there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRES = ("127.0.0.1", 5432)
POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/{}"
RABBITMQ = ("127.0.0.1", 5672)
FHIR_PEER = Path(__file__).parent / "peers" / "fhir"


def missing(reason: str) -> None:
    """Skip by name; or fail, where somebody promised that every service is there."""
    if os.environ.get("CHARTPOST_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(name: str, address: tuple[str, int]) -> None:
    """Go on only if something listens at `address`."""
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError as error:
        missing(f"{name} does not answer on {address[0]}:{address[1]} ({type(error).__name__})")


def require_chromium() -> str:
    """Return the path of Debian's Chromium."""
    path = shutil.which("chromium") or ""
    if not path:
        missing("Chromium is not installed")
    return path


@contextmanager
def fhir_peer() -> Iterator[str]:
    """Start a FHIR R4 server that nobody here wrote, and yield its address: /fhir and /plain below it are bases."""
    node = shutil.which("node")
    if node is None:
        missing("Node.js is not installed")
    if not (FHIR_PEER / "node_modules").is_dir():
        missing("the FHIR server is not installed: `npm ci` in tests/peers/fhir")
    command = [str(node), "server.mjs"]
    with subprocess.Popen(command, cwd=FHIR_PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        finally:
            process.stdin.close()  # then it ends


@contextmanager
def postgres_database() -> Iterator[str]:
    """Make an empty database of its own, yield its URL, and drop it."""
    require("PostgreSQL", POSTGRES)
    import psycopg

    name = f"chartpost_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(POSTGRES_URL.format("postgres"), autocommit=True)
    except psycopg.OperationalError as error:
        missing(f"PostgreSQL refuses user postgres ({type(error).__name__})")
        raise
    with server:
        server.execute(f"CREATE DATABASE {name}")
        # What the tests kill is our process, never the server: they need not wait for its disk.
        server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            yield POSTGRES_URL.format(name)
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def rabbitmq_vhost() -> Iterator[str]:
    """Make a virtual host of its own, yield its URL, and delete it with all that is in it."""
    require("RabbitMQ", RABBITMQ)
    name = f"chartpost-{uuid.uuid4().hex[:8]}"
    if not (rabbitmqctl("add_vhost", name) and rabbitmqctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")):
        missing("rabbitmqctl cannot make a virtual host")
    try:
        yield "amqp://guest:guest@{}:{}/{}".format(*RABBITMQ, name)
    finally:
        rabbitmqctl("delete_vhost", name)


def rabbitmqctl(*words: str) -> bool:
    """Run rabbitmqctl, and say whether it did what it was told."""
    tool = shutil.which("rabbitmqctl")
    if tool is None:
        return False
    return subprocess.run([tool, *words], capture_output=True, timeout=60, check=False).returncode == 0
