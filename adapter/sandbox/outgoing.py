"""HTTP calls from the sandbox to the product: webhooks and status callbacks, to loopback addresses only."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit


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


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback("only http:// addresses on this machine are called")
    require_loopback(parts.hostname)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: */*", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()] + [f"Content-Length: {len(body)}", "", ""]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write("\r\n".join(lines).encode("ascii") + body)
        status = int((await reader.readline()).split()[1])
        while await reader.read(65536):
            pass  # let the receiver finish; what it says beyond the status does not matter here
    finally:
        writer.close()
    return status


async def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float = 10.0) -> int:
    """POST and return the status; 0 when nobody answered within `timeout_s` seconds or the address is not allowed."""
    try:
        return await asyncio.wait_for(_post(url, body, headers), timeout_s)
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0
