"""The internal face's plain pages: is the process alive, is it ready, and what is this."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chartpost.adapter import log
from chartpost.adapter.web.render import page
from chartpost.adapter.web.words import Words

_log = log.get(__name__)


class Health:
    """`select_one` asks the database for a 1 and raises when it gets none."""

    def __init__(self, select_one: Callable[[], object]) -> None:
        self._select_one = select_one

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        ]

    def alive(self, request: Request) -> Response:
        """Say that the process answers: nothing else is asked, so a broken database restarts nobody."""
        return PlainTextResponse("alive")

    def ready(self, request: Request) -> Response:
        """Say whether the database answers: 200, or 503."""
        if self._answers():
            return PlainTextResponse("ready")
        return PlainTextResponse("the database does not answer", 503)

    def home(self, request: Request) -> Response:
        """Say what this face is."""
        database = "yes" if self._answers() else "no"
        return page(
            "internal.html", Words("en_US"), title="Chartpost, inside", version=version("chartpost"), database=database
        )

    def _answers(self) -> bool:
        try:
            self._select_one()
        except Exception as error:  # whatever it was: not ready is the answer
            _log.warning("not ready", exc_info=error)
            return False
        return True
