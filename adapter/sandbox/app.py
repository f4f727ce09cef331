"""All doors under one HTTP port, and the page that says what this is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from .checkout import Checkout
from .clinic import Clinic
from .fhir_auth import Tokens
from .gateway import Gateway
from .ids import Ids
from .inbox import Inbox
from .mailbox import Mailbox
from .pages import STATIC, page
from .stripe_api import StripeApi
from .stripe_control import StripeControl
from .stripe_state import StripeState
from .stripe_webhooks import Webhooks
from .sweeper import sweeping
from .twilio_api import TwilioApi
from .twilio_control import TwilioControl
from .twilio_state import TwilioState


@dataclass(frozen=True, slots=True)
class Keys:
    """What the product must be told to be let in, and to check what it is told."""

    stripe_key: str
    stripe_webhook_secret: str
    twilio_sid: str
    twilio_token: str
    fhir_token: str  #: opens the clinic's FHIR server
    invoice_token: str  #: with which the clinic sends Invoices
    gateway_secret: str  #: that both sides of the gateway sign with
    bounce_secret: str  #: with which mail that comes back is brought


@dataclass(frozen=True, slots=True)
class Partners:
    """Where the product is; what is not known is not called."""

    charges: tuple[str, int] | None = None  #: MLLP
    card_events: str = ""
    texts: str = ""  #: where texts that people type are told
    invoices: str = ""  #: the base of its FHIR face
    jwks: str = ""  #: the public keys of its SMART client
    bounces: str = ""  #: where mail that comes back is brought


@dataclass
class Sandbox:
    """The counterparts, and the application over them."""

    stripe: StripeState
    webhooks: Webhooks
    twilio: TwilioApi
    clinic: Clinic
    mailbox: Mailbox
    app: ASGIApp


def build(ids: Ids, keys: Keys, partners: Partners) -> Sandbox:
    """Put everything together. No network is touched yet."""
    webhooks = Webhooks(keys.stripe_webhook_secret, ids, partners.card_events)
    stripe = StripeState(ids, webhooks.send)
    stripe_api = StripeApi(stripe, keys.stripe_key)
    twilio = TwilioApi(TwilioState(ids), keys.twilio_sid, keys.twilio_token, inbound_url=partners.texts)
    tokens = Tokens(ids, keys.fhir_token, partners.jwks)
    clinic = Clinic(ids, partners.charges, tokens, partners.invoices, keys.invoice_token)
    mailbox = Mailbox()
    mailbox.server.bounces.url, mailbox.server.bounces.token = partners.bounces, keys.bounce_secret

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with sweeping(stripe):
            yield

    routes = [
        Route("/", _front),
        *StripeControl(stripe_api, webhooks).routes(),
        Mount("/stripe", routes=stripe_api.routes()),
        *TwilioControl(twilio).routes(),
        Mount("/twilio", routes=twilio.routes()),
        *Gateway(twilio.state, keys.gateway_secret).routes(),
        *Checkout(stripe).routes(),
        *Inbox(twilio).routes(),
        *mailbox.routes(),
        *clinic.routes(),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    return Sandbox(stripe, webhooks, twilio, clinic, mailbox, _with_cut(app))


async def _front(request: Request) -> Response:
    return page(request, "front.html")


def _with_cut(app: ASGIApp) -> ASGIApp:
    """Let handlers cut their connection: only the outermost `send` still belongs to uvicorn's own cycle."""

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        cut: Callable[[], None] = transport.abort if transport is not None else (lambda: None)
        scope["chartpost.cut"] = cut
        await app(scope, receive, send)

    return outer
