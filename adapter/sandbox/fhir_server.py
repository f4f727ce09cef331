"""The clinic's FHIR server at `/fhir`: R4, JSON, exact decimals, versions, and an OperationOutcome for every mistake.

It offers what `fhir_capability.py` says. A PaymentReconciliation is a payment on the chart of the Invoice it names;
of an Invoice a partner may change nothing but the status; who makes a Subscription is told when Invoices change.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import Faults, drop
from .fhir_auth import Denied, Tokens, allows
from .fhir_capability import LETTERS, OFFERED, smart, statement
from .fhir_charts import FhirCharts
from .fhir_http import base_of, body_of, headers_of, of_type, preferred, reply
from .fhir_json import Issue, Refused, Resource, decode, encode
from .fhir_rules import problems
from .fhir_search import search
from .fhir_store import Version, identifiers
from .fhir_subscriptions import Subscriptions
from .forms import FormError, fields

_READ = {"vread": "GET", "read": "GET", "search-type": "GET", "update": "PUT", "create": "POST"}
_LATE = {"silence", "close", "late"}  #: applied; only the answer is lost, or late

Note = Callable[[str, str, str], None]


class FhirServer:
    """The endpoints over the store of the charts.

    `note(name, id, answer)` writes what came into the clinic's interface log, `told` what its subscriptions send.
    """

    def __init__(self, charts: FhirCharts, tokens: Tokens, note: Note, told: Note) -> None:
        self.store, self.charts, self.tokens, self.note = charts.store, charts, tokens, note
        self.subscriptions = Subscriptions(charts.store, told)
        self.faults = Faults({"400", "412", "422", "500", "503"} | _LATE)
        self.conditional = True
        self.received: list[dict[str, Any]] = []

    def routes(self) -> list[Route]:
        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [
            Route("/metadata", self._told(self.metadata)),
            Route("/.well-known/smart-configuration", self.configuration),
            Route("/auth/token", self.token, methods=["POST"]),
            Route("/{type}", self._told(self.whole_type), methods=every),
            Route("/{type}/{id}", self._told(self.one), methods=every),
            Route("/{type}/{id}/_history/{version:int}", self._told(self.one), methods=every),
            Route("/{rest:path}", self._told(self.nothing), methods=every),
        ]

    def _told(self, work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await work(request)
            except Refused as refused:
                return reply(refused.status, refused.outcome, refused.headers)

        return endpoint

    # ----------------------------------------------------------------------------------------------- open to everybody

    async def metadata(self, request: Request) -> Response:
        return reply(200, statement(base_of(request), self.conditional))

    async def configuration(self, request: Request) -> Response:
        return JSONResponse(smart(base_of(request)))

    async def token(self, request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        try:
            form = fields(await request.body())
            given = await self.tokens.issue(form, f"{base_of(request)}/auth/token", time.time())
        except FormError:
            return JSONResponse(Denied("invalid_request", "the body is no form").body, 400, headers)
        except Denied as denied:
            return JSONResponse(denied.body, 400, headers)
        return JSONResponse(given, 200, headers)

    # ------------------------------------------------------------------------------------------------- with a token

    async def nothing(self, request: Request) -> Response:
        raise Refused(404, Issue("not-supported", "there is no such address here"))

    async def whole_type(self, request: Request) -> Response:
        if self._enter(request, "search-type", "create") == "create":
            return await self.create(request)
        return self.search(request)

    async def one(self, request: Request) -> Response:
        number = request.path_params.get("version")
        how = self._enter(request, "vread") if number else self._enter(request, "read", "update")
        type, id = request.path_params["type"], request.path_params["id"]
        if how == "update":
            return await self.update(request, type, id)
        found = self.store.get(type, id, number)
        if found is None:
            raise Refused(404, Issue("not-found", f"no such {type} here"))
        return reply(200, found.resource, headers_of(found))

    def search(self, request: Request) -> Response:
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "_format"]
        return reply(200, search(self.store, request.path_params["type"], asked, base_of(request)))

    def _found(self, type: str, asked: list[tuple[str, str]]) -> list[Version]:
        if any(name != "identifier" for name, _ in asked):
            raise Refused(400, Issue("not-supported", "the only parameter of a condition is identifier"))
        return self.store.find(type, *(token for _, token in asked))

    async def create(self, request: Request) -> Response:
        raw = await body_of(request)
        type = request.path_params["type"]
        entry = {"type": type, "at": dt.datetime.now(dt.UTC).isoformat(), "answer": "", "applied": False}
        entry |= {
            "identifier": "",
            "id": "",
            "if_none_exist": request.headers.get("if-none-exist", ""),
            "raw": raw.decode(errors="replace"),
        }
        self.received.append(entry)
        fault = self.faults.take()
        try:
            if fault is not None and fault.answer not in _LATE:
                raise Refused(int(fault.answer), Issue("processing", "refused on purpose"))
            answer = self._create(request, type, raw, entry)
        except Refused as refused:
            answer = reply(refused.status, refused.outcome, refused.headers)
        entry["answer"] = str(answer.status_code)
        how = fault.answer if fault else ""
        if fault is not None and how in _LATE:
            entry["answer"] = how
        self.note(type, entry["identifier"], entry["answer"])
        match how:
            case "close":
                return await drop(request)
            case "silence":
                while not await request.is_disconnected():
                    await asyncio.sleep(0.02)
            case "late" if fault is not None:
                await asyncio.sleep(fault.seconds)
        return answer

    def _create(self, request: Request, type: str, raw: bytes, entry: dict[str, Any]) -> Response:
        resource = of_type(decode(raw), type)
        entry["identifier"] = next((value for _, value in identifiers(resource)), "")
        if wrong := problems(resource):
            raise Refused(400, *wrong)
        query = request.headers.get("if-none-exist")
        # Who does not offer conditional create may well not look at the header.
        if self.conditional and query is not None:
            asked = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
            if not asked:
                raise Refused(412, Issue("invalid", "If-None-Exist names nothing to look for"))
            known = self._found(type, asked)
            if len(known) > 1:
                raise Refused(412, Issue("multiple-matches", "several resources match If-None-Exist"))
            if known:
                entry["id"] = known[0].resource["id"]
                return reply(200, preferred(request, known[0]), headers_of(known[0], base_of(request)))
        made = self._post(resource, base_of(request))
        entry |= {"id": made.resource["id"], "applied": True}
        return reply(201, preferred(request, made), headers_of(made, base_of(request)))

    def _post(self, resource: Resource, base: str) -> Version:
        if resource["resourceType"] == "PaymentNotice":
            payment = resource["payment"].get("reference", "").removeprefix(f"{base}/").partition("/_history/")[0]
            if self.store.get("PaymentReconciliation", payment.removeprefix("PaymentReconciliation/")) is None:
                raise Refused(422, Issue("not-found", "no such payment here", "PaymentNotice.payment"))
            return self.store.put(resource)
        if resource["resourceType"] == "Subscription":
            return self.subscriptions.create(resource, base)
        if resource["resourceType"] == "Consent":
            self.charts.inform(resource, base)
            return self.store.put(resource)
        parts = self.charts.allocations(resource, base)
        made = self.store.put(resource)
        self.charts.post(made.resource, parts, made.at)
        return made

    async def update(self, request: Request, type: str, id: str) -> Response:
        resource = of_type(decode(await body_of(request)), type)
        known = self.store.get(type, id)
        if known is None:
            raise Refused(404, Issue("not-found", f"no such {type} here, and none is made by an update"))
        if resource.get("id") != id:
            raise Refused(400, Issue("invalid", "the id is not that of the address", f"{type}.id"))
        if (match := request.headers.get("if-match")) is not None and match != known.etag:
            raise Refused(412, Issue("conflict", "it has changed since; read it again"))
        if _rest(resource) != _rest(known.resource):
            raise Refused(422, Issue("business-rule", "nothing but the status may be changed by a partner", type))
        if any(one.get("status") not in ("issued", "balanced") for one in (resource, known.resource)):
            raise Refused(422, Issue("business-rule", "a partner may settle an Invoice, no more", f"{type}.status"))
        made = self.store.put(resource, id)
        self.note(type, id, "200")
        return reply(200, preferred(request, made), headers_of(made, base_of(request)))

    def _enter(self, request: Request, *possible: str) -> str:
        """Return the one of `possible` interactions that is asked for and allowed. Raises Refused."""
        scope = self.tokens.scope(request.headers.get("authorization", ""), time.time())
        if scope is None:
            raise Refused(401, Issue("login", "a bearer token is needed"), headers={"WWW-Authenticate": "Bearer"})
        type, method = request.path_params["type"], "GET" if request.method == "HEAD" else request.method
        if type not in OFFERED:
            raise Refused(404, Issue("not-supported", "this server has no such resource type"))
        here = [how for how in possible if how in OFFERED[type]]
        how = next((how for how in here if _READ[how] == method), None)
        if how is None:
            allow = ", ".join(sorted({_READ[how] for how in here}))
            raise Refused(
                405, Issue("not-supported", f"{type} takes {allow or 'nothing'} here"), headers={"Allow": allow}
            )
        if not allows(scope, type, LETTERS[how]):
            text = "the token's scope does not cover this"
            raise Refused(
                403, Issue("forbidden", text), headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
            )
        return how


def _rest(invoice: Resource) -> bytes:
    """What must stay as it is, to the last digit: all but the status, and what the server itself writes."""
    return encode(_ordered({name: value for name, value in invoice.items() if name not in ("meta", "status", "text")}))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
