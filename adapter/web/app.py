"""The two web faces, put together: `web` may face the internet, `internal` must not.

Started by uvicorn with `access_log=False`: its lines would hold the paths, and a path holds a link's token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from chartpost.adapter import smart
from chartpost.adapter.flow.answering import bounced, incoming
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import record
from chartpost.adapter.web import fhir_outcome, pages
from chartpost.adapter.web.api.problem import Problem
from chartpost.adapter.web.bursts import Bursts
from chartpost.adapter.web.guard import Guard, security_headers
from chartpost.adapter.web.health import Health
from chartpost.adapter.web.help import HelpDoors, HelpPages
from chartpost.adapter.web.links import Links, words_for
from chartpost.adapter.web.patient import PatientDoors
from chartpost.adapter.web.pay import PayDoors, PayPages
from chartpost.adapter.web.visit import VisitDoors, VisitPages
from chartpost.adapter.web.webhooks import HookDoors, UnknownName, Webhooks


class Doors(PayDoors, HelpDoors, VisitDoors, HookDoors, Protocol):
    """All that the web face asks of the flow."""


def web_app(flow: Flow, *, public_url: str, card_page_origins: list[str]) -> Starlette:
    """Return the face for patients and providers.

    `public_url` is the address by which the world reaches it (with its path, if a proxy adds one), `card_page_origins`
    the origins ("https://checkout.stripe.com") of the hosted card pages that the pay button may lead to.
    """
    own = [str(one.pay_url) for one in flow.settings.facilities.values() if one.pay_url is not None]
    return web_face(FlowDoors(flow), public_url=public_url, card_page_origins=card_page_origins, more=own)


def web_face(
    doors: Doors, *, public_url: str, card_page_origins: list[str], more: Sequence[str] = (),
    bursts: Bursts | None = None,
) -> Starlette:  # fmt: skip
    """Return the face for patients and providers over whatever stands behind the doors.

    `more` are the addresses of facilities that have their own.
    """
    links = Links(
        doors, addresses=[public_url, *more], card_page_origins=card_page_origins,
        bursts=Bursts() if bursts is None else bursts,
    )  # fmt: skip
    hooks = Webhooks(doors, public_url=public_url)
    headers = security_headers(public_url, card_page_origins)
    return Starlette(
        routes=[
            *PayPages(doors, links).routes(),
            *HelpPages(doors, links).routes(),
            *VisitPages(doors, links).routes(),
            *hooks.routes(),
            Route("/.well-known/jwks.json", _our_keys),
        ],
        middleware=[Middleware(Guard, headers=headers, failed=_web_failed)],
        exception_handlers={HTTPException: _web_refused},
    )


def internal_app(
    select_one: Callable[[], object], more: Sequence[BaseRoute] = (), *, public_url: str = ""
) -> Starlette:
    """Return the face for the house: health, what this is, our public keys, and `more` (FHIR, figures).

    `select_one` asks the database for a 1 and raises when it gets none; `public_url` is the face's own address.
    """
    return Starlette(
        routes=[*Health(select_one).routes(), Route("/.well-known/jwks.json", _our_keys), *more],
        middleware=[Middleware(Guard, headers=security_headers(public_url, []), failed=_plainly_failed)],
    )


class FlowDoors(PatientDoors):
    """The flow's functions that the web face calls, bound to one flow."""

    def payment_event(self, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
        if provider not in self._flow.world.providers:
            raise UnknownName(provider)
        record.payment_event(self._flow, provider, body, headers)

    def notice_report(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        if notifier not in self._flow.world.notifiers:
            raise UnknownName(notifier)
        record.notice_report(self._flow, notifier, url, body, headers)

    def incoming(self, notifier: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, bytes]:
        if notifier not in self._flow.world.notifiers:
            raise UnknownName(notifier)
        return incoming.incoming(self._flow, notifier, url, body, headers)

    def bounce(self, notifier: str, mail: bytes, headers: Mapping[str, str]) -> None:
        if notifier not in self._flow.world.notifiers:
            raise UnknownName(notifier)
        bounced.brought(self._flow, notifier, mail, headers)


def _our_keys(request: Request) -> Response:
    """Answer with the public halves of the keys that we sign with (SMART Backend Services): anybody may have them."""
    return JSONResponse(smart.jwks(smart.keys()))


def _for_machines(request: Request) -> bool:
    return request.url.path.startswith("/hooks/")


def _web_failed(request: Request, status: int, code: str) -> Response:
    # Providers retry on 500; the difference is nothing to them.
    return (
        PlainTextResponse("failed", 500) if _for_machines(request) else pages.failed(status, code, words_for(request))
    )


def _plainly_failed(request: Request, status: int, code: str) -> Response:
    if fhir_outcome.is_fhir(request.url.path):
        return fhir_outcome.failed(status, code)
    if request.url.path.startswith("/api/"):
        return Problem(status, f"failed, see the log: {code}").answer()
    return PlainTextResponse(f"failed, see the log: {code}", status)


def _web_refused(request: Request, error: Exception) -> Response:
    """Answer what no route took: a kind page for an address that is not there, the bare status for the rest."""
    assert isinstance(error, HTTPException)  # Starlette's type for handlers is wider
    if error.status_code == 404 and not _for_machines(request):
        return pages.unknown(words_for(request))
    return PlainTextResponse(error.detail, error.status_code, headers=dict(error.headers or {}))
