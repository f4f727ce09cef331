"""The Stripe REST API, as much of it as a hosted card page needs: served under `/stripe`, so that
`StripeClient(key, base_addresses={"api": http + "/stripe"})` speaks to it unchanged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import stripe_errors as errors
from . import stripe_objects as objects
from .faults import Faults, drop
from .forms import FormError, Tree, listing, pairs, tree
from .stripe_errors import StripeError
from .stripe_lists import created_within, cut
from .stripe_objects import Object
from .stripe_params import read
from .stripe_state import StripeState

#: which field of which object may be expanded, and where the whole object is
_EXPANDABLE = {
    ("checkout.session", "payment_intent"): "intents",
    ("payment_intent", "latest_charge"): "charges",
    ("charge", "payment_intent"): "intents",
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What an idempotency key remembers; `status` 0 while the first request is still being worked."""

    request: tuple[str, str]
    status: int = 0
    body: bytes = b""
    request_id: str = ""


@dataclass
class StripeApi:
    """The endpoints over one state. `requests` logs what was asked, without the key of the account."""

    state: StripeState
    key: str
    faults: Faults = field(default_factory=lambda: Faults({"drop", "500", "slow"}))
    requests: list[Object] = field(default_factory=list)
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Callable[[Request, Tree], Object]]] = [
            ("POST", "/v1/checkout/sessions", self._create),
            ("GET", "/v1/checkout/sessions", self._sessions),
            ("GET", "/v1/checkout/sessions/{id}", lambda r, t: self.state.session(r.path_params["id"])),
            ("POST", "/v1/checkout/sessions/{id}/expire", lambda r, t: self.state.expire_session(r.path_params["id"])),
            ("GET", "/v1/checkout/sessions/{id}/line_items", self._line_items),
            (
                "GET",
                "/v1/payment_intents/{id}",
                lambda r, t: _found(self.state.intents, r, "payment_intent", "intent"),
            ),
            ("GET", "/v1/charges/{id}", lambda r, t: _found(self.state.charges, r, "charge", "id")),
            ("GET", "/v1/events", self._events),
            ("GET", "/v1/events/{id}", lambda r, t: _found(self.state.events, r, "event", "id")),
        ]
        routes = [Route(path, self._endpoint(work), methods=[method]) for method, path, work in table]
        return [*routes, Route("/v1/{rest:path}", self._endpoint(_unrecognised), methods=["GET", "POST", "DELETE"])]

    # -------------------------------------------------------------------------------------------- around each call

    def _endpoint(self, work: Callable[[Request, Tree], Object]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            request_id = self.state.ids.stripe("req", 14)
            key = request.headers.get("idempotency-key", "")
            body = await request.body()
            query = request.url.query.encode() if request.method != "POST" else body
            entry: Object = {
                "id": request_id,
                "method": request.method,
                "path": request.url.path.removeprefix("/stripe"),
                "query": request.url.query,
                "params": {},
                "idempotency_key": key or None,
                "replayed": False,
                "status": 0,
                "at": time.time(),
            }
            self.requests.append(entry)
            response: Response | None
            try:
                self._authorise(request)
                items = pairs(query)
                entry["params"] = dict(items)
                if key and request.method == "POST":
                    response = self._replay(key, (request.url.path, repr(items)))
                else:
                    response = None
                if response is not None:
                    entry["replayed"] = True
                else:
                    response = await self._work(request, work, tree(items), key, request_id, repr(items))
            except FormError as error:
                response = _answer(400, StripeError(str(error)).body)
            except StripeError as error:
                response = _answer(error.status, error.body)
            entry["status"] = response.status_code
            response.headers.setdefault("Request-Id", request_id)
            response.headers["Stripe-Version"] = request.headers.get("stripe-version", objects.API_VERSION)
            if key:
                response.headers["Idempotency-Key"] = key
            return response

        return endpoint

    def _authorise(self, request: Request) -> None:
        """Take the key as Bearer, or as the user name of Basic, as Stripe does. Raises StripeError (401)."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                value = ""
        if value.strip() != self.key:
            raise errors.unauthorised(value.strip())

    def _replay(self, key: str, request: tuple[str, str]) -> Response | None:
        if len(key) > 255:
            raise StripeError("Idempotency keys can have up to 255 characters.", type="idempotency_error")
        if (kept := self._kept.get(key)) is None:
            return None
        if kept.request != request:
            raise errors.key_reused(key)
        if not kept.status:
            raise errors.key_in_use(key)
        headers = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id, "Request-Id": kept.request_id}
        return Response(kept.body, kept.status, headers, media_type="application/json")

    async def _work(
        self,
        request: Request,
        work: Callable[[Request, Tree], Object],
        params: Tree,
        key: str,
        request_id: str,
        fingerprint: str,
    ) -> Response:
        fault = self.faults.take() if work == self._create else None
        if fault is not None and fault.answer == "500":
            # Something in front of the API failed: no work was done, and the key was never seen.
            return _answer(500, StripeError("An error occurred.", status=500, type="api_error").body)
        keep = key if request.method == "POST" else ""
        path = request.url.path
        if keep:
            self._kept[keep] = _Kept((path, fingerprint))
        try:
            if fault is not None and fault.answer == "slow":
                await asyncio.sleep(fault.seconds)
            self.state.request = {"id": request_id, "idempotency_key": key or None}
            try:
                made = self._render(work(request, params), params)
            finally:
                self.state.request = {"id": None, "idempotency_key": None}
        except BaseException:
            # Stripe does not keep a request that failed validation: the same key may be used again.
            self._kept.pop(keep, None)
            raise
        response = _answer(200, made)
        if keep:
            response.headers["Original-Request"] = request_id
            self._kept[keep] = _Kept((path, fingerprint), 200, bytes(response.body), request_id)
        if fault is not None and fault.answer == "drop":
            return await drop(request)
        return response

    def _render(self, found: Object, params: Tree) -> Object:
        shown = copy.deepcopy(found)
        for path in listing(params.get("expand")):
            names = str(path).split(".")
            targets: Iterable[Object] = [shown]
            if shown["object"] == "list" and names[0] == "data":
                targets, names = shown["data"], names[1:]
            for target in targets:
                self._expand(target, names, str(path))
        return shown

    def _expand(self, target: Object, names: list[str], path: str) -> None:
        for name in names:
            if (target["object"], name) == ("checkout.session", "line_items"):
                target[name] = objects.page(
                    f"/v1/checkout/sessions/{target['id']}/line_items", self.state.lines[target["id"]], False
                )
                return
            where = _EXPANDABLE.get((target["object"], name))
            if where is None:
                raise StripeError(f"This property cannot be expanded ({path}).", param="expand")
            value = target[name]
            if value is None:
                return
            if isinstance(value, str):
                target[name] = copy.deepcopy(getattr(self.state, where)[value])
            target = target[name]

    # ------------------------------------------------------------------------------------------------- the endpoints

    def _create(self, request: Request, params: Tree) -> Object:
        return self.state.create_session(read(params, self.state.now()))

    def _sessions(self, request: Request, params: Tree) -> Object:
        self.state.sweep()
        found = reversed(self.state.sessions.values())
        chosen = [
            session
            for session in found
            if all(
                session[name] == params[name]
                for name in ("payment_intent", "status", "customer", "customer_details")
                if name in params
            )
            and created_within(session, params)
        ]
        return cut("/v1/checkout/sessions", chosen, params, "checkout.session")

    def _line_items(self, request: Request, params: Tree) -> Object:
        id = self.state.session(request.path_params["id"])["id"]
        return cut(f"/v1/checkout/sessions/{id}/line_items", self.state.lines[id], params, "item")

    def _events(self, request: Request, params: Tree) -> Object:
        self.state.sweep()
        types = {str(type) for type in listing(params.get("types"))}
        if isinstance(one := params.get("type"), str):
            types.add(one)
        chosen = [
            event
            for event in reversed(self.state.events.values())
            if (not types or event["type"] in types) and created_within(event, params)
        ]
        return cut("/v1/events", chosen, params, "event")


def _found(where: dict[str, Object], request: Request, kind: str, param: str) -> Object:
    id = request.path_params["id"]
    if id not in where:
        raise errors.no_such(kind, id, param)
    return where[id]


def _unrecognised(request: Request, params: Tree) -> Object:
    path = request.url.path.removeprefix("/stripe")
    raise StripeError(f"Unrecognized request URL ({request.method}: {path}).", status=404)


def _answer(status: int, body: Object) -> Response:
    return Response(json.dumps(body, indent=2).encode(), status, media_type="application/json")
