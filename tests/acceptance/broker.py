"""A RabbitMQ of one test's own: a virtual host, or, where none can be made, the default one behind a lock."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import services

from chartpost.adapter.flow import ERRANDS, TRANSLATE
from chartpost.queues.publisher import connect
from chartpost.queues.topology import Topology

URL = "amqp://guest:guest@{}:{}/{}"


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Yield the URL of a broker without queues that nobody else uses. Skips, or fails, when there is none."""
    host, port = services.RABBITMQ
    services.require("RabbitMQ", services.RABBITMQ)
    name = f"chartpost-{uuid4().hex[:8]}"
    if _ctl("add_vhost", name) and _ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*"):
        try:
            yield URL.format(host, port, name)
        finally:
            _ctl("delete_vhost", name)
        return
    url = URL.format(host, port, "/")
    with (Path(tempfile.gettempdir()) / "chartpost-rabbitmq.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        empty(url)
        yield url
        empty(url)


def empty(url: str) -> None:
    """Delete the product's queues: the next ledger numbers its errands from 1 again."""
    kinds = (TRANSLATE, *(kind for kind in ERRANDS if kind != "deliver"))
    with connect(url) as connection, connection.channel() as channel:
        for name in Topology("chartpost", kinds, (("chart", "hl7v2"), ("fhir", "fhir"))).names:
            channel.queue_delete(name)


def _ctl(*words: str) -> bool:
    tool = shutil.which("rabbitmqctl")
    if tool is None:
        return False
    return subprocess.run([tool, *words], capture_output=True, timeout=60, check=False).returncode == 0
