"""HTML answers: own templates and styles, nothing from elsewhere, and headers that say so to the browser."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
#: Stripe's minor units per currency (they differ from ISO 4217 for some)
_NO_DECIMALS = {
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
}  # fmt: skip
_THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def money(minor: int, currency: str) -> str:
    """Write an amount of Stripe's minor units for a person: `$45.00`, `1,200.00 CHF`."""
    digits = 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2
    text = f"{minor / 10**digits:,.{digits}f}"
    return f"{_SIGNS[currency]}{text}" if currency in _SIGNS else f"{text} {currency.upper()}"


def clock(at: float) -> str:
    """Write a Unix time as hours, minutes and seconds, UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%H:%M:%S")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_ENVIRONMENT.filters.update(money=money, clock=clock)


def page(request: Request, template: str, status: int = 200, *, goes_to: str = "", **values: Any) -> Response:
    """Render a template. `goes_to` is a page elsewhere that a form of this one may end at, after its redirect."""
    origin = ""
    if goes_to:
        parts = urlsplit(goes_to)
        origin = f" {parts.scheme}://{parts.netloc}"
    html = _ENVIRONMENT.get_template(template).render(path=request.url.path, **values)
    headers = {
        # Browsers hold the target of the redirect after a form against form-action, too.
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{origin}",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, status, headers)
