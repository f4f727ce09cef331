"""The addresses that this process listens on, bound before anything else: a taken port is known at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import Settings
from chartpost.adapter.values import Address


@dataclass(frozen=True, slots=True)
class Doors:
    """Bound sockets. Whoever connects before `ready` waits in the backlog."""

    web: socket.socket
    internal: socket.socket
    mllp: Mapping[str, socket.socket]  #: by source

    @classmethod
    def open(cls, settings: Settings) -> Doors:
        """Bind every address of the configuration. Raises ConfigurationError naming all that cannot be had."""
        wanted = {"web": settings.web, "internal": settings.internal}
        wanted |= {f"sources.{name}.listen": source.listen for name, source in settings.mllp().items()}
        bound: dict[str, socket.socket] = {}
        problems: list[str] = []
        for key, address in wanted.items():
            try:
                bound[key] = _bind(address)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                problems.append(f"{key}: {address} cannot be opened: {reason}; choose another address")
        if problems:
            raise ConfigurationError(problems)
        return cls(
            web=bound["web"],
            internal=bound["internal"],
            mllp={name: bound[f"sources.{name}.listen"] for name in settings.mllp()},
        )


def _bind(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Named, because asyncio turns Nagle off only for sockets that say they are TCP.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((address.host, address.port))
    door.listen(512)
    door.setblocking(False)
    return door


def address_of(door: socket.socket) -> str:
    """Return the "host:port" of a bound socket."""
    host, port = door.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(door: socket.socket) -> str:
    """Return the http:// address of a bound socket."""
    return f"http://{address_of(door)}"
