"""This machine: the data directory with its keys, and the addresses to listen on. Changes nothing."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from pydantic import TypeAdapter, ValidationError

from chartpost.adapter import values
from chartpost.adapter.doctor.finding import Finding, State
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.keys import data_keys

#: Bytes of free disk below which an administrator wants to know.
LOW_DISK = 500 * 2**20


def data(folder: Path) -> Iterator[Finding]:
    """The data directory and the keys in it."""
    if not folder.exists():
        parent = next(one for one in folder.absolute().parents if one.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("data", State.OK, f"{folder} is made at the first start")
        else:
            yield Finding("data", State.PROBLEM, f"{folder}: {parent} cannot be written to", "choose another --data")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("data", State.PROBLEM, f"{folder} cannot be written to", "run as its owner, or change its owner")
        return
    if (free := shutil.disk_usage(folder).free) < LOW_DISK:
        text = f"{free // 2**20} MB are free for {folder}"
        yield Finding("data", State.WARNING, text, "make room: when nothing fits, nothing is acknowledged")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Finding("data", State.WARNING, f"{folder}: others may look into it", f"chmod 700 {folder}")
    if not any(folder.glob("*.key")) and not (folder / "chartpost.db").exists():
        yield Finding("data", State.OK, f"{folder} is empty; keys are made at the first start")
        return
    try:
        sealing = data_keys(folder, make=False).sealing
    except ConfigurationError as error:
        for problem in error.problems:
            text, _, fix = problem.partition("; ")
            yield Finding("data", State.PROBLEM, text, fix)
        return
    encrypted = "" if sealing else "; personal columns are not encrypted (no sealing.key)"
    yield Finding("data", State.OK, f"{folder} and its keys{encrypted}")


def port(what: str, value: Any, internal: Any, running: bool) -> Iterator[Finding]:
    """An address to listen on: can it be bound? `running`: `serve` holds this data directory, so it may have it."""
    address = _address(value)
    if address is None:
        yield Finding(what, State.SKIPPED, "no address; see the configuration's problems")
        return
    if address.port == 0:
        yield Finding(what, State.OK, "any free port")
        return
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(where)
    except OSError as error:
        yield _taken(what, address, internal, running, error)
        return
    if running and not what.startswith("ports.sandbox"):
        fix = "restart `serve`, or give the configuration that it runs with"
        yield Finding(what, State.WARNING, f"{address} is free, and chartpost runs on this data directory", fix)
        return
    yield Finding(what, State.OK, f"{address} is free")


def _taken(what: str, address: values.Address, internal: Any, running: bool, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE and running:
        return Finding(what, State.OK, f"{address}: chartpost is running and listens here")
    if error.errno == errno.EADDRINUSE:
        who = "chartpost, with another data directory" if _is_chartpost(internal) else "another program"
        fix = f"stop it or choose another address; `ss -ltnp 'sport = {address.port}'` shows which process it is"
        return Finding(what, State.PROBLEM, f"{address} is taken, it seems by {who}", fix)
    if error.errno == errno.EACCES:
        return Finding(what, State.PROBLEM, f"{address}: ports below 1024 are for root", "choose one above 1023")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        fix = "name one of its own (`ip address` lists them), or 0.0.0.0 for all"
        return Finding(what, State.PROBLEM, f"{address}: this machine has no such address", fix)
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return Finding(what, State.PROBLEM, f"{address} cannot be opened: {reason}", "choose another address")


def _is_chartpost(internal: Any) -> bool:
    """Ask the address that ours would have: a chartpost says so itself."""
    try:
        with urlopen(f"http://{internal}/", timeout=1) as answer:
            return b"Chartpost" in answer.read(4096)
    except (OSError, ValueError):
        return False


def _address(value: Any) -> values.Address | None:
    try:
        made: values.Address = TypeAdapter(values.Door).validate_python(value)
        return made
    except ValidationError:
        return None
