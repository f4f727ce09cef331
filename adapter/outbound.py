"""What every plugin that calls out must know: how to get there, did the call leave, and may it go to that address."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
import time
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, model_validator


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection, with what is left of `timeout` (seconds) for what follows. Raises OSError or UnicodeError.

    Every address of the host gets its share of the time: one that leads nowhere must not use up all of it.
    """
    deadline = time.monotonic() + timeout
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    places = [(str(place[0]), port) for *_, place in found]
    problem = OSError("no address")
    for position, place in enumerate(places):
        share = (deadline - time.monotonic()) / (len(places) - position)
        try:
            line = socket.create_connection(place, max(share, 0.001))
        except OSError as error:
            problem = error
        else:
            line.settimeout(max(deadline - time.monotonic(), 0.001))
            return line
    raise problem


def in_words(error: Exception) -> str:
    """Say why no connection came about, as a person would; nothing that the other side wrote."""
    match error:
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return "the name server does not answer"
        case socket.gaierror() | UnicodeError():
            return "no such host"
        case ConnectionRefusedError():
            return "refused: nobody listens there"
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {error.verify_message}"
        case OSError(errno=int(number)) if number in errno.errorcode and not isinstance(error, ssl.SSLError):
            return os.strerror(number).lower()
    return type(error).__name__


def never_sent(error: BaseException) -> bool:
    """Tell whether no connection came about (refused, no such host, connect time-out), so nothing was sent.

    Looks through the layers that `requests` and the SDKs wrap around urllib3's error.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    layer: object = error
    for _ in range(10):  # wrappers are four deep; a chain that closes on itself must still end
        if isinstance(layer, (ConnectTimeoutError, NewConnectionError)):
            return True
        if not isinstance(layer, BaseException):
            return False
        reason = getattr(layer, "reason", None)
        inner = layer.args[0] if layer.args else None
        layer = next((e for e in (reason, inner, layer.__cause__) if isinstance(e, BaseException)), None)
    return False


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine and nowhere else."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HttpOptions(BaseModel):
    """What the configuration may say of any service behind a `base_url`. Plugins inherit and add their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str
    base_url: str | None = None  #: None: the service itself
    allow_base_url: bool = False  #: let `base_url` lead to another machine (a proxy of the hospital's own)

    @model_validator(mode="after")
    def _stays_here(self) -> HttpOptions:
        if self.base_url is None:
            return self
        if urlsplit(self.base_url).scheme not in ("http", "https"):
            raise ValueError("base_url must begin with http:// or https://")
        if not is_loopback(self.base_url) and not self.allow_base_url:
            raise ValueError(
                "base_url leads to another machine, which would see every payment and number; "
                "remove it, or say allow_base_url: true if that is meant"
            )
        return self
