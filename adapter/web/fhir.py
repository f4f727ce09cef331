"""The FHIR face: charges in, payments to read. Every answer is JSON, and is given only after the commit.

What a body means is judged in flow/receive_fhir.py, in a thread; here are addresses, headers and the order of things:
who is it, is there such an address, what kind of content, how much of it.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chartpost.adapter import log
from chartpost.adapter.errors import CannotStore
from chartpost.adapter.flow.door.found import turn
from chartpost.adapter.flow.door.notified import Subscriptions
from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.flow.door.receive_fhir import NOTIFICATION, FhirReceiver, too_long
from chartpost.adapter.flow.door.receive_invoice import ID, Asked, Refused
from chartpost.adapter.flow.posting.reconciliations import Reconciliations, UnknownPage
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Fate
from chartpost.adapter.ledger.store import Clock, utc_now
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.web.body import whole_body
from chartpost.adapter.web.fhir_answers import answered
from chartpost.adapter.web.fhir_capability import capability
from chartpost.adapter.web.fhir_notified import heard
from chartpost.adapter.web.fhir_outcome import fhir, said
from chartpost.adapter.web.fhir_search import searchset, understood
from chartpost.adapter.web.fhir_table import KEPT, VERSIONS, Interaction, fits, offered
from chartpost.mappings.fhir.outcome import Issue, note

#: Content types of FHIR's JSON, old names among them; no content type at all is taken for it.
_JSON = ("", "application/fhir+json", "application/json", "application/json+fhir", "text/json")
_TAKEN = ("*/*", "application/*", *_JSON[1:])
#: An address of a resource, taken or not.
_RESOURCE = re.compile(r"[A-Z][A-Za-z]{1,40}(/[A-Za-z0-9.-]{1,64})?", re.ASCII)
_FORM, _FORM_LIMIT = "application/x-www-form-urlencoded", 65_536
_PREFERENCE = re.compile(r'\b(return|handling)\s*=\s*"?(\w+)')

_log = log.get(__name__)


@dataclass(frozen=True)
class FhirDoor:
    """One source of type fhir: who may call, how it is judged, what may be read."""

    receiver: FhirReceiver
    reconciliations: Reconciliations
    tokens: tuple[str, ...] = field(repr=False)  #: the token, and the one before it while senders change over
    subscriptions: Subscriptions
    #: One body at a time: what is known of an Invoice must not change between the look and the commit.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep out other bodies, and errands that find Invoices of this source meanwhile."""
        async with self.turn:
            others = turn(self.receiver.rules.source)
            # Not by a thread that waits for it: one whose request is cancelled would keep it for ever.
            while not others.acquire(blocking=False):
                await asyncio.sleep(0.002)
            try:
                yield
            finally:
                others.release()


class _Call(NamedTuple):
    """A request that found its door."""

    request: Request
    door: FhirDoor
    base: str
    id: str = ""


class _Stored:
    """Waits at the committer for one request."""

    def __init__(self) -> None:
        self.fates: asyncio.Future[list[Fate]] = asyncio.get_running_loop().create_future()

    def stored(self, receipts: list[Receipt], fates: list[Fate]) -> None:
        self.fates.set_result(fates)

    def not_stored(self) -> None:
        if not self.fates.done():
            self.fates.set_exception(CannotStore("not stored"))

    def resume(self) -> None: ...


class FhirFace:
    """The FHIR addresses of the internal face: `/fhir/<source>/…`, and `/fhir/…` where there is one source only."""

    def __init__(
        self, doors: Mapping[str, FhirDoor], committer: Committer, *, public_url: str, clock: Clock = utc_now
    ) -> None:
        """`public_url` is the address of the internal face as its clients reach it. Belongs to one event loop."""
        self._doors, self._committer, self._clock = doors, committer, clock
        self._url = public_url.rstrip("/")
        self._since = clock()

    def routes(self) -> list[Route]:
        return [Route("/fhir", self), Route("/fhir/{rest:path}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, so that every method comes here: what is not offered is answered in FHIR, too."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        found = self._found(str(request.path_params.get("rest", "")))
        if found is None:
            return said(404, Issue("not-found", "no FHIR source is served at this address"))
        call, path = _Call(request, *found[:2]), found[2]
        table = offered(call.door.receiver.rules.kind)
        here = {one.method: (one, hole) for one in table if (hole := fits(one.path, path)) is not None}
        method = "GET" if request.method == "HEAD" else request.method
        kept = KEPT if not here and method in ("POST", "PUT") and _RESOURCE.fullmatch(path) else None
        one, hole = here.get(method, (kept, {}))
        if (one is None or one.handler != "metadata") and not _authentic(request, call.door):
            _log.warning("fhir refused: not authentic", source=call.door.receiver.rules.source, status=401)
            issue = Issue("login", "send Authorization: Bearer with the token of this source")
            return said(401, issue, headers={"www-authenticate": 'Bearer realm="chartpost"'})
        if one is None:
            return _not_offered(here)
        if not _readable(request):
            return said(406, Issue("not-supported", "answers are application/fhir+json"))
        try:
            return await self._handle(one, call._replace(id=hole.get("id", "")))
        except Refused as refused:
            return said(refused.status, *refused.issues)
        except HTTPException as error:  # whole_body's; the limit is the one of the request at hand
            limit = _FORM_LIMIT if one.handler == "search" else call.door.receiver.rules.max_bytes
            return said(error.status_code, too_long(limit))

    def _found(self, rest: str) -> tuple[FhirDoor, str, str] | None:
        """Return the door, its base and the path under it."""
        name, _, path = rest.strip("/").partition("/")
        if name not in self._doors:
            if len(self._doors) != 1:
                return None
            [name], path = self._doors, rest.strip("/")
        # An endpoint with a slash at its end, and what a server adds to it with another one.
        return self._doors[name], f"{self._url}/fhir/{name}", path.strip("/")

    async def _handle(self, interaction: Interaction, call: _Call) -> Response:
        match interaction.handler:
            case "metadata":
                rules = call.door.receiver.rules
                return fhir(capability(rules.version, call.base, self._since, rules.kind))
            case "create":
                condition = call.request.headers.get("if-none-exist", "")
                return await self._take(call, Asked("create", if_none_exist=condition))
            case "update":
                version = call.request.headers.get("if-match", "")
                return await self._take(call, Asked("update", call.id, if_match=version))
            case "consent":
                return await self._take(call, Asked("consent", call.id))
            case "bundle" | "message" | "other" as kind:
                return await self._take(call, Asked(kind))
            case "search":
                return await self._search(call)
            case "read":
                return await self._read(call)

    async def _take(self, call: _Call, asked: Asked) -> Response:
        """Judge a body, store what is to be stored, and answer once it is durable."""
        receiver = call.door.receiver
        body = await whole_body(call.request, receiver.rules.max_bytes)
        if not body and asked.interaction == "bundle" and await run_in_threadpool(call.door.subscriptions.empty):
            return said(200, note(f"the {receiver.rules.kind}s of this source are looked for now"))
        _check_content(call.request, VERSIONS[receiver.rules.version][1])
        async with call.door.alone():
            now = self._clock()
            judged = await run_in_threadpool(receiver.judge, body, micros(now), asked)
            if judged.kind == NOTIFICATION:
                return await run_in_threadpool(heard, call.door.subscriptions, judged.resource, body, micros(now))
            fates: list[Fate] = []
            if judged.receipts:
                waiting = _Stored()
                self._committer.put(waiting, judged.receipts)
                fates = await waiting.fates
        wanted = _preferences(call.request).get("return", "")
        answer = answered(judged, fates, base=call.base, now=now, version=receiver.rules.version, wanted=wanted)
        if answer.resource is None:
            return Response(None, answer.status, answer.headers)
        return fhir(answer.resource, answer.status, answer.headers)

    async def _search(self, call: _Call) -> Response:
        request = call.request
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        if request.method == "POST":
            if _content_type(request)[0] != _FORM:
                raise Refused(415, Issue("not-supported", f"a search is sent as {_FORM}"))
            form = await whole_body(request, _FORM_LIMIT)
            pairs += parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True)
        query = understood(pairs, strict=_preferences(request).get("handling") == "strict")
        search, handing_out = call.door.reconciliations.search, request.method != "HEAD"
        try:
            page = await run_in_threadpool(search, query.search, handing_out=handing_out)
        except UnknownPage:
            raise Refused(400, Issue("invalid", "this page is not one that was linked", "_cursor")) from None
        return fhir(searchset(page, query, call.base, self._clock()))

    async def _read(self, call: _Call) -> Response:
        read, handing_out = call.door.reconciliations.read, call.request.method != "HEAD"
        found = await run_in_threadpool(read, call.id, handing_out=handing_out) if ID.fullmatch(call.id) else None
        if found is None:
            return said(404, Issue("not-found", "there is no such payment for this source"))
        headers = {"etag": f'W/"{found.version}"', "last-modified": format_datetime(found.updated, usegmt=True)}
        return fhir(found.resource, 200, headers)


def _not_offered(methods: Collection[str]) -> Response:
    """Answer for an address that takes only these methods, or none."""
    if not methods:
        return said(404, Issue("not-supported", "there is no such address; GET metadata tells what there is"))
    allowed = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
    return said(405, Issue("not-supported", f"taken here: {allowed}"), headers={"allow": allowed})


def _authentic(request: Request, door: FhirDoor) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip().encode("latin-1", "replace")
    # All of them, always: the time that it takes tells nothing.
    matches = [hmac.compare_digest(given, known.encode()) for known in door.tokens if known]
    return scheme.lower() == "bearer" and any(matches)


def _readable(request: Request) -> bool:
    """Say whether the client takes JSON; `_format` wins over Accept (FHIR R4 §3.1.0.1.11)."""
    form = dict(parse_qsl(request.url.query)).get("_format", "")
    accepted = request.headers.get("accept", "") or "*/*"
    wanted = [form] if form else accepted.split(",")
    return any(_kind(one) in (*_TAKEN, "json") for one in wanted)


def _check_content(request: Request, versions: tuple[str, ...]) -> None:
    """Refuse what is not JSON, not UTF-8, packed, or of another version of FHIR than the source's."""
    kind, parameters = _content_type(request)
    if kind not in _JSON:
        raise Refused(415, Issue("not-supported", "send application/fhir+json; XML is not taken"))
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise Refused(415, Issue("not-supported", "FHIR is UTF-8"))
    if not parameters.get("fhirversion", versions[0]).startswith(versions):
        raise Refused(415, Issue("not-supported", f"fhirVersion of this source: {', '.join(versions)}"))
    # A few packed kilobytes may be gigabytes: the limit is on what is sent.
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, Issue("not-supported", "send the body as it is, without Content-Encoding"))


def _content_type(request: Request) -> tuple[str, dict[str, str]]:
    kind, *parameters = request.headers.get("content-type", "").split(";")
    pairs = (text.partition("=") for text in parameters)
    return _kind(kind), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _preferences(request: Request) -> dict[str, str]:
    return dict(_PREFERENCE.findall(", ".join(request.headers.getlist("prefer"))))
