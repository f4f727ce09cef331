"""The one place that knows how to reach PostgreSQL, RabbitMQ and Chromium; and what to say when they are not there."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

POSTGRES = ("127.0.0.1", 5432)
POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/{}"
RABBITMQ = ("127.0.0.1", 5672)


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
        try:
            yield POSTGRES_URL.format(name)
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
