"""HTTP calls from the sandbox to the product: webhooks, status callbacks, Invoices; to loopback addresses only."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_LONGEST = 4 * 1024 * 1024


class NotLoopback(ValueError):
    """The address is not on this machine; the sandbox neither listens nor calls there."""


def require_loopback(host: str) -> None:
    """Raise NotLoopback unless every address of `host` (a name or an address) is a loopback address."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise NotLoopback(f"{host} does not resolve") from error
    if not addresses or not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise NotLoopback(f"{host} is not a loopback address: the sandbox stays on this machine")


def split_address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT` (IPv6 in brackets). Raises ValueError, NotLoopback."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port is None or parts.path:
        raise ValueError(f"{text!r} is not HOST:PORT")
    require_loopback(parts.hostname)
    return parts.hostname, parts.port


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def _call(method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback("only http:// addresses on this machine are called")
    require_loopback(parts.hostname)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: */*", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()] + [f"Content-Length: {len(body)}", "", ""]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write("\r\n".join(lines).encode("ascii") + body)
        status, said = int((await reader.readline()).split()[1]), {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            said[name.lower()] = value.strip()
        return Answer(status, said, await _rest(reader, said.get("transfer-encoding", "").lower() == "chunked"))
    finally:
        writer.close()


async def _rest(reader: asyncio.StreamReader, chunked: bool) -> bytes:
    """Read what is left of an answer, and keep the first 4 MiB."""
    kept = bytearray()
    while chunked and len(kept) < _LONGEST and (size := int((await reader.readline()).split(b";")[0] or b"0", 16)):
        kept += (await reader.readexactly(size + 2))[:-2]
    while not chunked and (part := await reader.read(65536)):
        kept += part[: max(0, _LONGEST - len(kept))]
    return bytes(kept)


async def call(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None, timeout_s: float = 10.0
) -> Answer:
    """Call an address on this machine. Raises OSError, TimeoutError, and ValueError: no HTTP, or not allowed."""
    try:
        return await asyncio.wait_for(_call(method, url, body, headers or {}), timeout_s)
    except (IndexError, EOFError) as error:
        raise ValueError("the answer is no HTTP") from error


async def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float = 10.0) -> int:
    """POST and return the status; 0 when nobody answered within `timeout_s` seconds or the address is not allowed."""
    try:
        return (await call("POST", url, body, headers, timeout_s)).status
    except (OSError, TimeoutError, ValueError):
        return 0
