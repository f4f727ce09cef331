"""The page of a link: what is owed, pay all or a part or by a plan, and the way back from the card page.

No script, no identity: the token in the path is all that a visitor has here, and all that a page tells is an amount
and a facility. GET changes nothing, since scanners and previews open every link of a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chartpost.adapter.flow.paying.pay import PayRefused, PayView
from chartpost.adapter.web import pages
from chartpost.adapter.web.amount import AmountError, read_amount
from chartpost.adapter.web.at import At
from chartpost.adapter.web.links import TOKEN, Form, Links, first

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: Seconds between the looks of the return page: half a minute in all, then it stops and offers a link.
LOOKS = (2, 2, 3, 5, 8, 10)
#: Pages below a link on which the language can be changed.
_BELOW = frozenset(["", "/help", "/details"])


class PayDoors(Protocol):
    """What these pages ask of the flow; every method blocks."""

    def look(self, token: str, language: str = "") -> PayView | None: ...

    def begin(self, token: str, amount: int | None, parts: Mapping[str, int] | None = None) -> str: ...

    def returned(
        self, token: str, session_id: str
    ) -> Literal["recorded", "received", "processing", "open", "closed", "unknown"]: ...

    def choose_plan(self, token: str, count: int) -> bool: ...

    def speak(self, token: str, language: str) -> None: ...


class PayPages:
    """The pages of one web face."""

    def __init__(self, doors: PayDoors, links: Links) -> None:
        self._doors, self._links = doors, links

    def routes(self) -> list[Route]:
        return [
            Route("/p/{token}", self.show, methods=["GET"]),
            Route("/p/{token}", self.pay, methods=["POST"]),
            Route("/p/{token}/back", self.back, methods=["GET"]),
            Route("/p/{token}/return", self.came_back, methods=["GET"]),
            Route("/p/{token}/plan", self.plan, methods=["POST"]),
            Route("/p/{token}/language", self.language, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Show what is owed now, or what became of the request."""
        return self._shown(request, back=False)

    def back(self, request: Request) -> Response:
        """Show the same to somebody who left the card page without paying."""
        return self._shown(request, back=True)

    def _shown(self, request: Request, *, back: bool) -> Response:
        view = self._links.view(request)
        if view is None:
            return self._links.lost(request)
        note = "pay.back" if back else ""
        return pages.request_page(view, self._links.at(request), note=note)

    async def pay(self, request: Request) -> Response:
        """Open the hosted card page for all that is owed, or for a part, and send the browser there (303)."""
        return await self._links.answer(request, self._pay)

    def _pay(self, request: Request, form: Form) -> Response:
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        if view.state != "open" or view.pending:
            return pages.request_page(view, at)
        typed = first(form, "amount") if first(form, "pay") == "part" and view.parts else None
        shown, is_due = first(form, "shown"), first(form, "pay") == "due"
        asked = view.due if is_due and view.due is not None else view.owed
        try:
            if typed is not None:
                amount: int | None = read_amount(typed, view.owed, view.locale, least=view.part_minimum).minor
            elif (shown or is_due) and shown != str(asked.minor):
                # Nobody is sent to pay another amount than the button said.
                return pages.request_page(view, at, status=409, note="pay.changed", bad=True)
            else:
                amount = asked.minor if shown else None
            url = self._doors.begin(request.path_params["token"], amount)
        except AmountError as error:
            return pages.request_page(view, at, status=422, error=error.reason, typed=typed or "")
        except PayRefused as refused:
            return self._refused(refused, view, at, typed)
        self._links.check_origin(url)
        return RedirectResponse(url, status_code=303)

    def _refused(self, refused: PayRefused, before: PayView, at: At, typed: str | None) -> Response:
        view = refused.view
        match refused.reason:
            case "amount" if typed is not None:
                return pages.request_page(view, at, status=422, error="amount", typed=typed)
            case "amount":
                note = "pay.changed" if view.owed.minor != before.owed.minor else "pay.not_online"
                return pages.request_page(view, at, status=409, note=note, bad=True)
            case "busy":
                return pages.request_page(view, at, status=409, note="pay.busy", bad=True, typed=typed or "")
            case "provider":
                return pages.request_page(view, at, status=503, note="pay.provider", bad=True, typed=typed or "")
            case _:
                return pages.request_page(view, at)

    async def plan(self, request: Request) -> Response:
        """Take one of the plans that the page offers, and show the page with it (303)."""
        return await self._links.answer(request, self._plan)

    def _plan(self, request: Request, form: Form) -> Response:
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        if view.state == "open" and not view.pending:
            if first(form, "shown") != str(view.owed.minor):
                return pages.request_page(view, at, status=409, note="pay.changed", bad=True)
            if not self._doors.choose_plan(request.path_params["token"], _small(first(form, "count"))):
                view = self._links.view(request) or view  # another tab may have been faster
                return pages.request_page(view, at, status=409, note="plan.gone", bad=True)
        return RedirectResponse(at(), status_code=303)

    async def language(self, request: Request) -> Response:
        """Remember the language, and go back to the page on which it was chosen (303)."""
        return await self._links.answer(request, self._language)

    def _language(self, request: Request, form: Form) -> Response:
        if self._links.view(request) is None:
            return self._links.lost(request)
        self._doors.speak(request.path_params["token"], first(form, "language"))
        below = first(form, "below")
        return RedirectResponse(self._links.at(request).here + (below if below in _BELOW else ""), status_code=303)

    def came_back(self, request: Request) -> Response:
        """Tell the truth about a card payment, whether its webhook or its payer was faster."""
        token, session = request.path_params["token"], request.query_params.get("s", "")
        looks = _small(request.query_params.get("n", ""))
        named = TOKEN.fullmatch(token) and _SESSION.fullmatch(session)
        # In this order: what is recorded between the two questions is in the answer to the second.
        outcome = self._doors.returned(token, session) if named else "unknown"
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        again = f"{at.here}/return?s={quote(session, safe='')}"
        waits = outcome in ("received", "processing") and looks < len(LOOKS)
        response = pages.return_page(view, outcome, at(), again, waits=waits)
        if waits:
            # The pauses grow and come to an end, and a link does the same by hand (WCAG 2.2 §2.2.1).
            response.headers["refresh"] = f"{LOOKS[looks]}; url={again}&n={looks + 1}"
        return response


def _small(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else 0
