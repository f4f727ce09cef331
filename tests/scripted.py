"""A real HTTP server that answers what a test says, badly if need be, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Writes the answer to one request, or does not.
Script = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """Answers "POST Invoice" (the path below the base) by the next of its scripts; the last one goes on for ever."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.scripts: dict[str, list[Script]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.removeprefix("/base").lstrip("/")
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(Asked(self.command, path, headers, body))
                scripts = outer.scripts.get(f"{self.command} {path.partition('?')[0]}", [says(404)])
                script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
                with suppress(OSError):
                    script(self.connection)
                self.close_connection = True

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/base"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def on(self, request: str, *scripts: Script) -> None:
        self.scripts[request] = list(scripts)

    def calls(self, method: str = "") -> list[Asked]:
        return [asked for asked in self.asked if method in ("", asked.method)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def scripted(context: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    server = Scripted(context)
    try:
        yield server
    finally:
        server.close()


def says(status: int, body: Any = b"", **headers: str) -> Script:
    """Answer properly: a status, headers (`if_match` is If-Match) and a body, JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} As Scripted", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode()
    return lambda line: line.sendall(head + data)


def raw(data: bytes) -> Script:
    """Write just these bytes, then close."""
    return lambda line: line.sendall(data)


def silent(line: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    line.recv(1)


def dripping(start: bytes) -> Script:
    """Begin an answer, then add a byte to it every 20 ms for as long as anybody listens."""

    def drip(line: socket.socket) -> None:
        line.sendall(start)
        while True:
            line.sendall(b"x")
            time.sleep(0.02)

    return drip
