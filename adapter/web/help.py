"""What a payer may say instead of paying, and the way to a new link."""

from __future__ import annotations

from typing import Protocol, get_args

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chartpost.adapter.flow.answering.choices import Choice
from chartpost.adapter.flow.paying.view import PayView
from chartpost.adapter.web import pages
from chartpost.adapter.web.at import At
from chartpost.adapter.web.links import Form, Links, first
from chartpost.adapter.web.render import note, page
from chartpost.adapter.web.words import Words

#: In the order in which they are offered.
_CHOICES: tuple[Choice, ...] = ("already_paid", "question", "cannot_afford", "not_me", "stop")
assert set(_CHOICES) == set(get_args(Choice))


class HelpDoors(Protocol):
    """What these pages ask of the flow; every method blocks."""

    def say(self, token: str, choice: Choice, words: str, to: int | None) -> bool: ...

    def told(self, token: str) -> list[str]: ...

    def renew(self, token: str) -> bool: ...


class HelpPages:
    """The pages of one web face."""

    def __init__(self, doors: HelpDoors, links: Links) -> None:
        self._doors, self._links = doors, links

    def routes(self) -> list[Route]:
        return [
            Route("/p/{token}/help", self.show, methods=["GET"]),
            Route("/p/{token}/help", self.said, methods=["POST"]),
            Route("/p/{token}/renew", self.renew, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Show what can be said."""
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        if view.state not in ("open", "expired"):
            return pages.closed_page(view, at)
        return self._page(request, view, at)

    async def said(self, request: Request) -> Response:
        """Write down what was said, and thank for it."""
        return await self._links.answer(request, self._said)

    def _said(self, request: Request, form: Form) -> Response:
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        if view.state not in ("open", "expired"):
            return pages.closed_page(view, at)
        choice = next((one for one in _CHOICES if one == first(form, "choice")), None)
        words, to = first(form, "words").strip(), first(form, "to")
        if choice is None or (choice == "question" and not words):
            error = "help.choose" if choice is None else "help.ask"
            return self._page(request, view, at, 422, error=error, chosen=choice or "", words=words)
        which = int(to) if to.isascii() and to.isdigit() and len(to) < 4 else None
        if not self._doors.say(request.path_params["token"], choice, words, which):
            return self._page(request, view, at, 429, error="help.often", chosen=choice, words=words)
        view = self._links.view(request) or view
        if view.state not in ("open", "expired"):
            return pages.closed_page(view, at)
        say = Words(view.locale)
        texts = [say(f"said.{choice}", facility=view.facility)]
        if choice == "cannot_afford" and view.offers:
            texts.append(say("said.plan"))
        return note(
            say, 200, "done", say("said.title"), texts, facility=view.facility, contact=view.contact,
            more=(at(), say("to_pay")),
        )  # fmt: skip

    def _page(
        self, request: Request, view: PayView, at: At, status: int = 200, *, error: str = "", chosen: str = "",
        words: str = "",
    ) -> Response:  # fmt: skip
        say, told = Words(view.locale), self._doors.told(request.path_params["token"])
        return page(
            "help.html", say, status, title=say("help.title"), facility=view.facility, contact=view.contact, at=at,
            below="/help", languages=view.languages, choices=_CHOICES, told=told, chosen=chosen, words=words,
            error=say(error, facility=view.facility) if error else "",
        )  # fmt: skip

    async def renew(self, request: Request) -> Response:
        """Have a new link sent to where the first one went, never shown here."""
        return await self._links.answer(request, self._renew)

    def _renew(self, request: Request, form: Form) -> Response:
        view, at = self._links.view(request), self._links.at(request)
        if view is None:
            return self._links.lost(request)
        if not self._doors.renew(request.path_params["token"]):
            return RedirectResponse(at(), status_code=303)
        say = Words(view.locale)
        texts = [say("renewed.text", facility=view.facility)]
        return note(say, 200, "done", say("renewed.title"), texts, facility=view.facility, contact=view.contact)
