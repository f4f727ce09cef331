"""The doors for providers: payment events and the status reports of messages.

Each answers only after the flow's commit. Whatever is not answered 2xx Stripe sends again for three days; Twilio
does not repeat a status report, and asks for nothing but a 2xx.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chartpost.adapter import log
from chartpost.adapter.errors import Permanent
from chartpost.adapter.web.body import whole_body

LIMIT = 1_000_000  #: bytes; Stripe's events stay under 256 KB

_log = log.get(__name__)


class UnknownName(LookupError):
    """No provider or notifier of this name is configured."""


class HookDoors(Protocol):
    """What the webhooks ask of the flow; all block, and return after the commit.

    All raise UnknownName, and Permanent for what is not authentic.
    """

    def payment_event(self, provider: str, body: bytes, headers: Mapping[str, str]) -> None: ...

    def notice_report(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> None: ...

    def incoming(
        self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[str, bytes]: ...  #: content type and body of the answer

    def bounce(self, notifier: str, mail: bytes, headers: Mapping[str, str]) -> None: ...


class Webhooks:
    """The webhook doors of one web face."""

    def __init__(self, doors: HookDoors, *, public_url: str) -> None:
        self._doors, self._public_url = doors, public_url.rstrip("/")

    def routes(self) -> list[Route]:
        return [
            Route("/hooks/{provider}", self.payment_event, methods=["POST"]),
            Route("/hooks/{notifier}/status", self.notice_report, methods=["POST"]),
            Route("/hooks/{notifier}/incoming", self.incoming, methods=["POST"]),
            Route("/hooks/{notifier}/bounce", self.bounce, methods=["POST"]),
        ]

    async def payment_event(self, request: Request) -> Response:
        """Hand a provider's event to the flow, its raw body untouched: the signature is over the bytes."""
        name, body = request.path_params["provider"], await whole_body(request, LIMIT)
        try:
            await run_in_threadpool(self._doors.payment_event, name, body, request.headers)
        except (UnknownName, Permanent) as error:
            return _refused(error, provider=name)
        return PlainTextResponse("ok")

    async def notice_report(self, request: Request) -> Response:
        """Hand a status report to the flow with the URL that the service signed: the public one, query and all."""
        name, body = request.path_params["notifier"], await whole_body(request, LIMIT)
        try:
            await run_in_threadpool(self._doors.notice_report, name, self._called(request), body, request.headers)
        except (UnknownName, Permanent) as error:
            return _refused(error, notifier=name)
        return Response(status_code=204)

    async def incoming(self, request: Request) -> Response:
        """Hand a text that a person wrote to the flow; answer as the service wants it."""
        name, body = request.path_params["notifier"], await whole_body(request, LIMIT)
        try:
            kind, said = await run_in_threadpool(
                self._doors.incoming, name, self._called(request), body, request.headers
            )
        except (UnknownName, Permanent) as error:
            return _refused(error, notifier=name)
        return Response(said, media_type=kind)

    def _called(self, request: Request) -> str:
        """Return the address that the service called: behind a proxy the request's own host and scheme are others."""
        path: str = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        query: str = request.scope["query_string"].decode("ascii", "replace")
        return self._public_url + path + (f"?{query}" if query else "")

    async def bounce(self, request: Request) -> Response:
        """Hand a mail that came back to the flow, as a mail server or a service has it."""
        name, mail = request.path_params["notifier"], await whole_body(request, LIMIT)
        try:
            await run_in_threadpool(self._doors.bounce, name, mail, request.headers)
        except (UnknownName, Permanent) as error:
            return _refused(error, notifier=name)
        return Response(status_code=204)


def _refused(error: UnknownName | Permanent, **who: str) -> Response:
    """Answer 404 for a name that nobody configured, else 400: it was not authentic."""
    if isinstance(error, UnknownName):
        return PlainTextResponse("unknown", 404)
    # Somebody else's noise, or our webhook secret is not the provider's: an administrator wants to know which.
    _log.warning("webhook refused: not authentic", **who)
    return PlainTextResponse("refused", 400)
