"""What an answer says when something cannot be done: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

CONTENT_TYPE = "application/problem+json"


class Wrong(BaseModel):
    """One field that cannot be taken."""

    field: str  #: "amount", "items.0.quantity"
    problem: str


class ProblemDetails(BaseModel):
    """Why nothing was done."""

    title: str
    status: int
    detail: str = ""
    problems: list[Wrong] = []


class Problem(Exception):
    """Nothing was done; `detail` says why in a sentence without a person's data."""

    def __init__(
        self, status: int, detail: str, fix: str = "", *, problems: Sequence[Wrong] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.detail, self.fix = status, detail, fix
        self.problems, self.headers = list(problems), dict(headers or {})

    def answer(self) -> Response:
        said = f"{self.detail}; {self.fix}" if self.fix else self.detail
        title = HTTPStatus(self.status).phrase
        body = ProblemDetails(title=title, status=self.status, detail=said, problems=self.problems)
        return JSONResponse(body.model_dump(), self.status, self.headers, media_type=CONTENT_TYPE)
