"""The hosted card page: plain forms, works without JavaScript, on a phone first.

Form fields of `POST /checkout/c/pay/<id>`: `card_number`, `expiry` (MM / YY), `cvc`, `name`, `email`,
`method` = card | bank_debit. A payment ends with 303 to the session's success_url.
"""

from __future__ import annotations

import datetime as dt

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .cards import CARDS, CardProblem, read
from .forms import FormError, fields
from .pages import page
from .stripe_errors import StripeError
from .stripe_objects import Object
from .stripe_state import Payer, StripeState


class Checkout:
    """Shows and works the hosted pages of a state."""

    def __init__(self, state: StripeState) -> None:
        self.state = state

    def routes(self) -> list[Route]:
        return [
            Route("/checkout/c/pay/{id}", self.show, methods=["GET"]),
            Route("/checkout/c/pay/{id}", self.pay, methods=["POST"]),
            Route("/checkout/c/pay/{id}/second-step", self.ask, methods=["GET"]),
            Route("/checkout/c/pay/{id}/second-step", self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return page(request, "checkout_over.html", 404, state="unknown", back=None)
        return self._over(request, session) or self._form(request, session)

    async def pay(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return page(request, "checkout_over.html", 404, state="unknown", back=None)
        if (over := self._over(request, session)) is not None:
            return over
        try:
            typed = fields(await request.body())
        except FormError:
            return self._form(request, session, problem="The form could not be read. Try again.")
        payer = Payer(typed.get("name") or None, typed.get("email") or None)
        if typed.get("method") == "bank_debit" and "us_bank_account" in session["payment_method_types"]:
            self.state.debit(session, payer)
            return RedirectResponse(session["success_url"], 303)
        try:
            today = dt.datetime.now(dt.UTC).date()
            card, month, year = read(typed.get("card_number", ""), typed.get("expiry", ""), typed.get("cvc", ""), today)
        except CardProblem as problem:
            return self._form(request, session, problem=str(problem), typed=typed)
        match self.state.pay(session, card, month, year, payer):
            case "paid":
                return RedirectResponse(session["success_url"], 303)
            case "second_step":
                return RedirectResponse(f"{request.url.path}/second-step", 303)
        return self._form(request, session, problem=card.message, typed=typed)

    async def ask(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return page(request, "checkout_over.html", 404, state="unknown", back=None)
        if (over := self._over(request, session)) is not None:
            return over
        return page(request, "second_step.html", session=session, goes_to=session["success_url"])

    async def decide(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return page(request, "checkout_over.html", 404, state="unknown", back=None)
        if (over := self._over(request, session)) is not None:
            return over
        answer = fields(await request.body()).get("answer")
        if self.state.second_step(session, confirmed=answer == "complete"):
            return RedirectResponse(session["success_url"], 303)
        return self._form(request, session, problem="Your bank did not confirm the payment. Try another card.")

    def _session(self, request: Request) -> Object | None:
        try:
            return self.state.session(request.path_params["id"])
        except StripeError:
            return None

    def _over(self, request: Request, session: Object) -> Response | None:
        if session["status"] == "open":
            return None
        back = session["success_url"] if session["status"] == "complete" else session["cancel_url"]
        return page(request, "checkout_over.html", state=session["status"], back=back)

    def _form(
        self, request: Request, session: Object, problem: str = "", typed: dict[str, str] | None = None
    ) -> Response:
        typed = typed or {}
        return page(
            request,
            "checkout.html",
            402 if problem else 200,
            goes_to=session["success_url"],
            session=session,
            lines=self.state.lines[session["id"]],
            problem=problem,
            # The number and the security code are never sent back to the browser.
            typed={name: typed.get(name, "") for name in ("expiry", "name", "email")},
            cards=list(CARDS.values()),
        )
