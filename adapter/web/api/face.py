"""The API of the internal face: /api/…, for the desk and for programs. Each address is a row of operations.py.

The order of things: who is it, may they, what do they bring, do it. What cannot be done is told as problem details
(RFC 9457), and nothing of it is logged: bodies name people.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.web.api.access import caller
from chartpost.adapter.web.api.operations import OPERATIONS
from chartpost.adapter.web.api.problem import Problem, Wrong
from chartpost.adapter.web.api.table import Call, Operation
from chartpost.adapter.web.body import whole_body
from chartpost.adapter.web.bursts import Bursts

_LIMIT = 262_144  #: bytes of a body


class ApiFace:
    """The addresses below /api of one internal face."""

    def __init__(self, flow: Flow, bursts: Bursts | None = None) -> None:
        self._flow, self._bursts = flow, Bursts() if bursts is None else bursts

    def routes(self) -> list[Mount]:
        by_path: dict[str, dict[str, Operation]] = {}
        for one in sorted(OPERATIONS, key=lambda one: one.path.count("{")):  # a word before what could be any
            by_path.setdefault(one.path, {})[one.method] = one
        routes = [Route(path, _Address(self, methods)) for path, methods in by_path.items()]
        below = Mount("/api", app=Router(routes, default=_nothing))
        below.path_regex = re.compile(r"^/api/(?P<path>.*)$", re.DOTALL)  # a line break is no way past our answers
        return [below]

    async def answer(self, request: Request, one: Operation) -> Response:
        """Do what one operation does, or say why not."""
        try:
            who = caller(self._flow.settings.users, request.headers.get("authorization", ""))
            who.must(one.scope)
            body = _read(one.body, _json(await whole_body(request, _LIMIT), request)) if one.body else None
            _no_nul(request)
            query = _read(one.query, dict(request.query_params)) if one.query else None
            call = Call(self._flow, who, request.path_params, body, query)
            found = await run_in_threadpool(one.work, call)
        except No as no:
            return Problem(409, str(no)).answer()
        except Problem as problem:
            if problem.status == 401 and self._bursts.too_many(request.client.host if request.client else ""):
                return Problem(429, "too many wrong tokens", headers={"retry-after": "60"}).answer()
            return problem.answer()
        except HTTPException as error:
            return Problem(error.status_code, f"the body is larger than {_LIMIT} bytes").answer()
        return JSONResponse(found.model_dump(mode="json"), one.status)


class _Address:
    """One path, with an operation a method."""

    def __init__(self, face: ApiFace, methods: dict[str, Operation]) -> None:
        self._face, self._methods = face, methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        one = self._methods.get("GET" if request.method == "HEAD" else request.method)
        if one is None:
            allowed = {"allow": ", ".join(sorted(self._methods))}
            response = Problem(405, f"{request.method} is not for this address", headers=allowed).answer()
        else:
            response = await self._face.answer(request, one)
        await response(scope, receive, send)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    answer = Problem(404, "there is nothing at this address", "/openapi.json lists what there is").answer()
    await answer(scope, receive, send)


def _no_nul(request: Request) -> None:
    """Refuse what stands in an address and cannot be in the ledger: PostgreSQL keeps no NUL in a text."""
    if any("\x00" in value for value in request.path_params.values()):
        raise Problem(404, "there is nothing at this address")
    if any("\x00" in value for value in request.query_params.values()):
        raise Problem(422, "a character that is no text (U+0000) cannot be looked for")


def _json(body: bytes, request: Request) -> Any:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "only application/json is taken")
    if b"\\u0000" in body:  # the one way in which JSON writes it, and PostgreSQL keeps none
        raise Problem(422, "a character that is no text (U+0000) cannot be taken")
    try:
        # No amount is ever a float.
        return json.loads(body or b"{}", parse_float=Decimal)
    except ValueError:  # also no UTF-8
        raise Problem(400, "the body is no JSON") from None
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None


def _read(model: type[BaseModel], values: Any) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = [Wrong(field=".".join(map(str, one["loc"])), problem=one["msg"]) for one in error.errors()]
        raise Problem(422, "some of it cannot be taken", problems=wrong) from None
