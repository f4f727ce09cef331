"""The patient's pages: what is owed, pay, and the way back from the card page.

No cookie, no script, no identity: the token in the path is all that a visitor has, and all that a page tells is an
amount and a facility. GET changes nothing, since scanners and previews open every link of a message.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chartpost.adapter import log
from chartpost.adapter.flow.paying.pay import PayRefused, PayView
from chartpost.adapter.web import pages
from chartpost.adapter.web.amount import AmountError, read_amount
from chartpost.adapter.web.body import whole_body
from chartpost.adapter.web.bursts import Bursts

_FORM_LIMIT = 4096  #: bytes: two short fields
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: Seconds between the looks of the return page: half a minute in all, then it stops and offers a link.
LOOKS = (2, 2, 3, 5, 8, 10)

_log = log.get(__name__)


class PayDoors(Protocol):
    """What these pages ask of the flow; every method blocks."""

    def look(self, token: str) -> PayView | None: ...

    def begin(self, token: str, amount: int | None) -> str: ...

    def returned(
        self, token: str, session_id: str
    ) -> Literal["recorded", "received", "processing", "open", "closed", "unknown"]: ...


class PayPages:
    """The pages of one web face. `base` is the path of the public address, without a slash at its end."""

    def __init__(self, doors: PayDoors, *, public_url: str, card_page_origins: list[str], bursts: Bursts) -> None:
        public = urlsplit(public_url)
        self._doors, self._bursts = doors, bursts
        self._base, self._public_host = public.path.rstrip("/"), public.netloc
        self._origins = frozenset(card_page_origins)

    def routes(self) -> list[Route]:
        return [
            Route("/p/{token}", self.show, methods=["GET"]),
            Route("/p/{token}", self.pay, methods=["POST"]),
            Route("/p/{token}/back", self.back, methods=["GET"]),
            Route("/p/{token}/return", self.came_back, methods=["GET"]),
        ]

    def show(self, request: Request) -> Response:
        """Show what is owed now, or what became of the request."""
        return self._shown(request, back=False)

    def back(self, request: Request) -> Response:
        """Show the same to somebody who left the card page without paying."""
        return self._shown(request, back=True)

    def _shown(self, request: Request, *, back: bool) -> Response:
        view = self._look(request)
        if view is None:
            return self._no_such_link(request)
        note = "pay.back" if back else ""
        return pages.request_page(view, self._here(request), note=note)

    async def pay(self, request: Request) -> Response:
        """Open the hosted card page for all that is owed, or for a part, and send the browser there (303)."""
        if not from_our_pages(request, self._public_host):
            return pages.refused()
        form = _form(await whole_body(request, _FORM_LIMIT))
        return await run_in_threadpool(self._pay, request, form)

    def _pay(self, request: Request, form: dict[str, str]) -> Response:
        view, here = self._look(request), self._here(request)
        if view is None:
            return self._no_such_link(request)
        if view.state != "open" or view.pending:
            return pages.request_page(view, here)
        typed = form.get("amount", "") if form.get("pay") == "part" else None
        shown = form.get("shown", "")
        try:
            if typed is not None:
                amount: int | None = read_amount(typed, view.owed, view.locale).minor
            elif shown and shown != str(view.owed.minor):
                # Nobody is sent to pay another amount than the button said.
                return pages.request_page(view, here, status=409, note="pay.changed", bad=True)
            else:
                amount = view.owed.minor if shown else None
            url = self._doors.begin(request.path_params["token"], amount)
        except AmountError as error:
            return pages.request_page(view, here, status=422, error=error.reason, typed=typed or "")
        except PayRefused as refused:
            return self._refused(refused, view, here, typed)
        self._check_origin(url)
        return RedirectResponse(url, status_code=303)

    def _refused(self, refused: PayRefused, before: PayView, here: str, typed: str | None) -> Response:
        view = refused.view
        match refused.reason:
            case "amount" if typed is not None:
                return pages.request_page(view, here, status=422, error="amount", typed=typed)
            case "amount":
                note = "pay.changed" if view.owed.minor != before.owed.minor else "pay.not_online"
                return pages.request_page(view, here, status=409, note=note, bad=True)
            case "busy":
                return pages.request_page(view, here, status=409, note="pay.busy", bad=True, typed=typed or "")
            case "provider":
                return pages.request_page(view, here, status=503, note="pay.provider", bad=True, typed=typed or "")
            case _:
                return pages.request_page(view, here)

    def came_back(self, request: Request) -> Response:
        """Tell the truth about a card payment, whether its webhook or its payer was faster."""
        token, session = request.path_params["token"], request.query_params.get("s", "")
        looks = _small(request.query_params.get("n", ""))
        named = _TOKEN.fullmatch(token) and _SESSION.fullmatch(session)
        # In this order: what is recorded between the two questions is in the answer to the second.
        outcome = self._doors.returned(token, session) if named else "unknown"
        view = self._look(request)
        if view is None:
            return self._no_such_link(request)
        again = f"{self._here(request)}/return?s={quote(session, safe='')}"
        waits = outcome in ("received", "processing") and looks < len(LOOKS)
        response = pages.return_page(view, outcome, self._here(request), again, waits=waits)
        if waits:
            # The pauses grow and come to an end, and a link does the same by hand (WCAG 2.2 §2.2.1).
            response.headers["refresh"] = f"{LOOKS[looks]}; url={again}&n={looks + 1}"
        return response

    def _look(self, request: Request) -> PayView | None:
        token = request.path_params["token"]
        return self._doors.look(token) if _TOKEN.fullmatch(token) else None

    def _here(self, request: Request) -> str:
        return f"{self._base}/p/{request.path_params['token']}"

    def _no_such_link(self, request: Request) -> Response:
        if self._bursts.too_many(request.client.host if request.client else ""):
            return pages.burst()
        return pages.unknown()

    def _check_origin(self, url: str) -> None:
        """Say so in the log when our own policy will stop the browser at the redirect (CSP form-action)."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" not in self._origins:
            _log.error("browsers will refuse this card page: its origin is not in our policy", host=parts.netloc)


def from_our_pages(request: Request, public_host: str) -> bool:
    """Tell whether a POST may have come from our own page (Fetch Metadata; older browsers: Origin).

    Browsers send `Origin: null` with our own forms, because our pages say `no-referrer` (Fetch §3.2): null alone
    proves nothing. A program that sends neither header has the token, and no browser to be tricked.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc in (public_host, request.headers.get("host"))


def _form(body: bytes) -> dict[str, str]:
    """Return the first value of each field of a form. Raises HTTPException 400 for too many fields."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[0] for name, values in fields.items()}


def _small(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else 0
