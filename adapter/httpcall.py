"""One HTTP call, bounded in time and in size: what is certain after it, and nothing else.

Certificates are always verified (against the machine's own store), no redirect is followed, and one connection carries
one call: a late answer can never be taken for the answer to the next one.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chartpost.adapter.errors import Ambiguous, Transient
from chartpost.adapter.outbound import connect, in_words, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered. The body is cut, and `whole` False, where it was too long or ended too early."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  #: names in lower case
    body: bytes = field(repr=False)
    whole: bool = True


def call(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float, max_bytes: int
) -> Reply:
    """Make one request; `timeout` in seconds bounds the whole of it, however slowly the answer drips.

    Raises Transient when no connection came about, Ambiguous when the request may have arrived and no status came
    back. A status that did come back is the outcome, even if its body is lost on the way.
    """
    place, target = _place(url), urlsplit(url)._replace(scheme="", netloc="", fragment="").geturl() or "/"
    deadline = time.monotonic() + timeout
    try:
        connection = _connected(url, timeout)
    except (OSError, UnicodeError) as error:
        raise Transient(f"{place}: no connection ({in_words(error)})") from None
    with _until(deadline, connection) as late:
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
        except (OSError, HTTPException) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise Ambiguous(f"{place}: no answer within {timeout:g} s") from None
            raise Ambiguous(f"{place}: connection lost ({type(error).__name__}), no answer") from None
        data, whole = _body(answer, max_bytes)
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, data, whole and not late.is_set())


def secure(url: str, *, allow_insecure: bool = False) -> str:
    """Return an address as it is. Raises ValueError when it is none, or when secrets would go over it in the clear."""
    parts = urlsplit(url)
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # what should be the port is no number, or too high a one
        good = False
    if not good or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("is no web address; write it as in https://fhir.example.org/r4")
    if parts.scheme == "http" and not is_loopback(url) and not allow_insecure:
        raise ValueError("leads to another machine in the clear: it must start with https://")
    return url


def _connected(url: str, timeout: float) -> HTTPConnection:
    parts = urlsplit(url)
    host, secured = parts.hostname or "", parts.scheme == "https"
    connection = HTTPSConnection(host, parts.port, context=_trust()) if secured else HTTPConnection(host, parts.port)
    line = connect(host, connection.port, timeout)
    try:
        connection.sock = _trust().wrap_socket(line, server_hostname=host) if secured else line
    except OSError:
        line.close()
        raise
    return connection


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _until(deadline: float, connection: HTTPConnection) -> Iterator[threading.Event]:
    """Cut the connection when its time is over: a socket's own time-out begins again with every byte."""
    late, line = threading.Event(), connection.sock

    def cut() -> None:
        late.set()
        with suppress(OSError):
            # Not SSLSocket's own shutdown: after that one the reader would go on in the clear.
            socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        connection.close()
        line.close()  # http.client lets go of it where the answer says `Connection: close`


def _body(answer: HTTPResponse, max_bytes: int) -> tuple[bytes, bool]:
    """Return the body and whether it is all of it. http.client takes a head that breaks off for one without a body."""
    try:
        data = answer.read(max_bytes + 1)
    except (OSError, HTTPException):
        return b"", False
    ended = answer.chunked or answer.length == 0 or (answer.length is None and bool(data))
    return data[:max_bytes], ended and len(data) <= max_bytes


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
