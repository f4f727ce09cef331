"""What holds for every answer of a face: headers that protect the visitor, and kind words when we fail."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from sqlalchemy import exc
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chartpost.adapter import log
from chartpost.adapter.errors import CannotStore, Transient
from chartpost.adapter.web.render import CSS_HASH

_log = log.get(__name__)

#: What says that the database (or a thing as needed) is away for now, and not that we have a bug.
_AWAY = (Transient, CannotStore, exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

#: Makes the answer for a failure from the request, its status (500 or 503) and a code that finds it in the log.
Failed = Callable[[Request, int, str], Response]


def security_headers(public_url: str, form_targets: list[str]) -> Mapping[str, str]:
    """Return the headers of every answer. `form_targets` are the origins a form may lead to, besides our own.

    Browsers hold the redirect after a form against `form-action`, too: the card page must be named, or the button does
    nothing (CSP level 3 §6.4.1).
    """
    policy = [
        "default-src 'none'",
        f"style-src '{CSS_HASH}'",
        "img-src data:",
        " ".join(["form-action 'self'", *form_targets]),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    headers = {
        "content-security-policy": "; ".join(policy),
        "referrer-policy": "no-referrer",  # the path is the key to the page
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "x-robots-tag": "noindex, nofollow",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if urlsplit(public_url).scheme == "https":
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


class Guard:
    """ASGI middleware: adds the headers, and turns an exception into an answer that leaks nothing.

    The log gets the error without the path and the query, which may hold a link's token.
    """

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str], failed: Failed) -> None:
        self._app, self._headers, self._failed = app, headers, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            status, code = 503 if isinstance(error, _AWAY) else 500, secrets.token_hex(4)
            _log.error("web request failed", status=status, code=code, method=scope["method"], exc_info=error)
            if started:
                return  # the server sees that the answer broke off, and closes the connection
            await self._failed(Request(scope), status, code)(scope, receive, guarded)
