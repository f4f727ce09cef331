"""What a visitor sees after showing who they are: the details, all accounts of a payer at once, receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chartpost.adapter.flow.answering.identify import VISIT, Answered, Ways
from chartpost.adapter.flow.paying.details import Details
from chartpost.adapter.flow.paying.pay import PayRefused
from chartpost.adapter.flow.paying.view import PayView
from chartpost.adapter.web import pages, visit_pages
from chartpost.adapter.web.at import At
from chartpost.adapter.web.links import Form, Links, first, words_for
from chartpost.adapter.web.visit_pages import read_family

COOKIE = "visit"


class VisitDoors(Protocol):
    """What these pages ask of the flow; every method blocks."""

    def ways(self, token: str) -> Ways: ...

    def by_birth_date(self, token: str, answer: dt.date) -> Answered: ...

    def send_code(self, token: str) -> Literal["sent", "often", "nowhere"]: ...

    def by_code(self, token: str, answer: str) -> Answered: ...

    def details(self, token: str, cookie: str, language: str = "") -> Details | None: ...

    def begin(self, token: str, amount: int | None, parts: Mapping[str, int] | None = None) -> str: ...


class VisitPages:
    """The pages of one web face."""

    def __init__(self, doors: VisitDoors, links: Links) -> None:
        self._doors, self._links = doors, links

    def routes(self) -> list[Route]:
        return [
            Route("/p/{token}/details", self.show, methods=["GET"]),
            Route("/p/{token}/details", self.answer, methods=["POST"]),
            Route("/p/{token}/family", self.pay, methods=["POST"]),
            Route("/p/{token}/receipt/{payment}", self.receipt, methods=["GET"]),
        ]

    def show(self, request: Request) -> Response:
        """Show the details, or ask who is there."""
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        found = self._details(request)
        return visit_pages.details_page(found, at) if found is not None else self._ask(request, view, at)

    def receipt(self, request: Request) -> Response:
        """Show one payment, to be printed; or ask who is there."""
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        found = self._details(request)
        if found is None:
            return self._ask(request, view, at)
        paid = next((one for one in found.payments if one.id == request.path_params["payment"]), None)
        return visit_pages.receipt_page(found, paid, at) if paid is not None else pages.unknown(words_for(request))

    # ---------------------------------------------------------------------------------------------------- who is it

    async def answer(self, request: Request) -> Response:
        """Take a date of birth or a code, or send a code."""
        return await self._links.answer(request, self._answer)

    def _answer(self, request: Request, form: Form) -> Response:
        view, at, token = self._links.view(request), self._links.at(request), request.path_params["token"]
        if view is None:
            return self._links.lost(request)
        match first(form, "by"):
            case "birth_date":
                typed = {name: first(form, name).strip() for name in ("year", "month", "day")}
                date = visit_pages.read_date(typed)
                if date is None:
                    return self._ask(request, view, at, 422, born="no_date", typed=typed)
                answered = self._doors.by_birth_date(token, date)
                if answered.outcome != "good":
                    return self._ask(request, view, at, 422, born="wrong" if answered.outcome == "wrong" else "")
            case "code":
                answered = self._doors.by_code(token, first(form, "code"))
                if answered.outcome == "wrong":
                    return self._ask(request, view, at, 422, code="code_wrong")
                if answered.outcome != "good":
                    return self._ask(request, view, at, 422, note="late")
            case "send":
                came = self._doors.send_code(token)
                return self._ask(request, view, at, 429 if came == "often" else 200, note=came)
            case _:
                return self._ask(request, view, at)
        response = RedirectResponse(at("/details"), status_code=303)
        response.set_cookie(
            COOKIE, answered.cookie, max_age=int(VISIT.total_seconds()), path=at.here, secure=self._links.secure,
            httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    def _ask(
        self, request: Request, view: PayView, at: At, status: int = 200, *, born: str = "", code: str = "",
        note: str = "", typed: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        if view.state == "not_me":
            return pages.closed_page(view, at)
        ways = self._doors.ways(request.path_params["token"])
        return visit_pages.identity_page(view, at, ways, status, born=born, code=code, note=note, typed=typed)

    # --------------------------------------------------------------------------------------------- several accounts

    async def pay(self, request: Request) -> Response:
        """Open one card page for what was chosen of several accounts (303)."""
        return await self._links.answer(request, self._pay)

    def _pay(self, request: Request, form: Form) -> Response:
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        found = self._details(request)
        if found is None:
            return self._ask(request, view, at)
        chosen = read_family(found, form)
        if chosen.error or chosen.errors:
            changed = chosen.error == "family.changed"
            return visit_pages.details_page(found, at, 409 if changed else 422, chosen)
        try:
            url = self._doors.begin(request.path_params["token"], None, chosen.parts)
        except PayRefused as refused:
            if refused.reason == "not_open":
                return pages.request_page(refused.view, at)
            found = self._details(request) or found
            told = {"busy": "pay.busy", "provider": "pay.provider", "amount": "family.small"}.get(
                refused.reason, "family.changed"
            )
            status = {"provider": 503, "amount": 422}.get(refused.reason, 409)
            return visit_pages.details_page(found, at, status, replace(chosen, error=told))
        self._links.check_origin(url)
        return RedirectResponse(url, status_code=303)

    def _details(self, request: Request) -> Details | None:
        cookie = request.cookies.get(COOKIE, "")
        language = request.query_params.get("lang", "")
        return self._doors.details(request.path_params["token"], cookie, language) if cookie else None
