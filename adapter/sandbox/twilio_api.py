"""The Twilio REST API for messages, under `/twilio/2010-04-01/Accounts/<sid>/`, with signed status callbacks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import Faults, drop
from .forms import FormError, fields
from .outgoing import call
from .twilio_state import Sms, TwilioError, TwilioState


def sign(url: str, form: dict[str, str], token: str) -> str:
    """Return `X-Twilio-Signature`: HMAC-SHA1 over the exact URL and the sorted parameters, name then value."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


@dataclass
class TwilioApi:
    """The endpoints over one state."""

    state: TwilioState
    account: str
    token: str
    faults: Faults = field(default_factory=lambda: Faults({"drop", "500", "slow"}))
    mode: str = "normal"
    inbound_url: str = ""
    status: str = "active"  #: of the account: active, suspended or closed
    type: str = "Full"  #: or Trial
    step_s: float = 0.05  #: pause between two states of a message
    requests: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account}/Messages"
        return [
            Route("/2010-04-01/Accounts/{account}.json", self.account_itself, methods=["GET"]),
            Route(f"{base}.json", self.create, methods=["POST"]),
            Route(f"{base}.json", self.listed, methods=["GET"]),
            Route(f"{base}/{{sid}}.json", self.one, methods=["GET"]),
            Route("/v2/PhoneNumbers/{number}", self.lookup, methods=["GET"]),
            Route("/{rest:path}", self.nothing, methods=["GET", "POST", "DELETE"]),
        ]

    # ------------------------------------------------------------------------------------------------- the endpoints

    async def create(self, request: Request) -> Response:
        entry = {"method": "POST", "path": request.url.path, "params": {}, "status": 0, "at": time.time()}
        self.requests.append(entry)
        fault = self.faults.take()
        try:
            self._authorise(request)
            entry["params"] = form = fields(await request.body())
            if fault is not None and fault.answer == "500":
                raise TwilioError(20500, "Internal Server Error", 500)
            if fault is not None and fault.answer == "slow":
                await asyncio.sleep(fault.seconds)
            made = self.state.create(form)
        except FormError:
            return JSONResponse(TwilioError(20001, "Unable to parse the request body").body, 400)
        except TwilioError as error:
            entry["status"] = error.status
            return JSONResponse(error.body, error.status)
        entry["status"] = 201
        answer = JSONResponse(made.json(self.account), 201)
        self._background(self._road(made))
        if fault is not None and fault.answer == "drop":
            return await drop(request)
        return answer

    async def account_itself(self, request: Request) -> Response:
        try:
            self._authorise(request)
        except TwilioError as error:
            return JSONResponse(error.body, error.status)
        known = {"sid": self.account, "friendly_name": "Sandbox", "status": self.status, "type": self.type}
        return JSONResponse(known | {"uri": f"/2010-04-01/Accounts/{self.account}.json"})

    async def lookup(self, request: Request) -> Response:
        """Lookup v2, with the one field that it knows."""
        number = request.path_params["number"]
        self.requests.append({"method": "GET", "path": request.url.path, "params": dict(request.query_params)})
        try:
            self._authorise(request)
            known = self.state.look_up(number)
        except TwilioError as error:
            return JSONResponse(error.body, error.status)
        asked = request.query_params.get("Fields", "").split(",")
        line = known if "line_type_intelligence" in asked else None
        found = {"phone_number": number, "valid": True, "validation_errors": [], "line_type_intelligence": line}
        return JSONResponse(found | {"url": f"https://lookups.twilio.com/v2/PhoneNumbers/{number}"})

    async def listed(self, request: Request) -> Response:
        query = request.query_params
        try:
            self._authorise(request)
            size, number = min(int(query.get("PageSize", "50")), 1000), int(query.get("Page", "0"))
            chosen = [sms for sms in reversed(self.state.messages.values()) if _matches(sms, query)]
        except TwilioError as error:
            return JSONResponse(error.body, error.status)
        except ValueError:
            return JSONResponse(TwilioError(20001, "Invalid query parameter").body, 400)
        start = size * number
        shown = chosen[start : start + size]
        path = request.url.path.removeprefix("/twilio")
        rest = [(k, v) for k, v in query.multi_items() if k not in ("Page", "PageSize", "PageToken")]

        def uri(page: int) -> str:
            return f"{path}?{urlencode([*rest, ('PageSize', size), ('Page', page)])}"

        return JSONResponse(
            {
                "end": start + len(shown) - 1 if shown else start,
                "first_page_uri": uri(0),
                "messages": [sms.json(self.account) for sms in shown],
                "next_page_uri": uri(number + 1) if len(chosen) > start + size else None,
                "page": number,
                "page_size": size,
                "previous_page_uri": uri(number - 1) if number else None,
                "start": start,
                "uri": uri(number),
            }
        )

    async def one(self, request: Request) -> Response:
        try:
            self._authorise(request)
            if (sms := self.state.messages.get(request.path_params["sid"])) is None:
                raise _not_found(request)
        except TwilioError as error:
            return JSONResponse(error.body, error.status)
        return JSONResponse(sms.json(self.account))

    async def nothing(self, request: Request) -> Response:
        error = _not_found(request)
        return JSONResponse(error.body, error.status)

    def _authorise(self, request: Request) -> None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        account = request.path_params.get("account", self.account)  # Lookup's addresses name none
        if scheme.lower() != "basic" or (user, password, account) != (self.account, self.token, self.account):
            raise TwilioError(20003, "Authenticate", 401)

    # ----------------------------------------------------------------------------------------------------- callbacks

    async def _road(self, sms: Sms) -> None:
        """Move a message to its end; then tell of each state, in the order of the mode."""
        steps = self.state.steps(sms)
        if self.mode == "normal":
            for status in steps:
                await asyncio.sleep(self.step_s)
                self.state.move(sms, status)
                await self.tell(sms, status)
            return
        for status in steps:
            self.state.move(sms, status)
        if self.mode == "hold":
            return
        told = list(reversed(steps)) if self.mode == "reversed" else [s for s in steps for _ in range(2)]
        for status in told:
            await asyncio.sleep(self.step_s)
            await self.tell(sms, status)

    async def tell(self, sms: Sms, status: str, code: str = "") -> None:
        """Report one state to the address that the message named, if it named one."""
        if not sms.callback:
            return
        form = {
            "AccountSid": self.account,
            "ApiVersion": "2010-04-01",
            "From": sms.sender,
            "MessageSid": sms.sid,
            "MessageStatus": status,
            "SmsSid": sms.sid,
            "SmsStatus": status,
            "To": sms.to,
        }
        if sms.service:
            form["MessagingServiceSid"] = sms.service
        if code or status in ("undelivered", "failed"):
            form["ErrorCode"] = code or "30006"
        await self._post(sms.callback, form)

    async def _post(self, url: str, form: dict[str, str]) -> bytes:
        """Post a signed form; return the body of a 2xx."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": sign(url, form, self.token),
            "I-Twilio-Idempotency-Token": self.state.ids.hex(32),
        }
        body = urlencode(form).encode()
        # Twilio tries once more when nobody answers the connection, and never because of a 4xx or 5xx.
        for _ in range(2):
            try:
                answer = await call("POST", url, body, headers)
                status = answer.status
            except (OSError, TimeoutError, ValueError):
                status = 0
            self.deliveries.append({"url": url, "form": form, "status": status, "at": time.time()})
            if status:
                return answer.body if status < 300 else b""
            await asyncio.sleep(0.2)
        return b""

    def receive(self, phone: str, sender: str, body: str) -> None:
        """Take a text that a person typed on a phone, and tell the inbound address of it."""
        got, kind = self.state.reply(phone, sender, body)
        if self.inbound_url:
            form = {
                "AccountSid": self.account,
                "ApiVersion": "2010-04-01",
                "Body": body,
                "From": phone,
                "MessageSid": got.sid,
                "NumMedia": "0",
                "NumSegments": "1",
                "SmsMessageSid": got.sid,
                "SmsSid": got.sid,
                "SmsStatus": "received",
                "To": sender,
            }
            if kind:
                form["OptOutType"] = kind
            self._background(self._tell_of(phone, sender, form))

    async def _tell_of(self, phone: str, sender: str, form: dict[str, str]) -> None:
        """Tell of a text, and do what the TwiML of the answer says: only the verb Message is known."""
        said = await self._post(self.inbound_url, form)
        try:
            found = ElementTree.fromstring(said) if said else None  # noqa: S314 (our own other side)
        except ElementTree.ParseError:
            return
        for message in found.iter("Message") if found is not None else ():
            body = "".join(message.itertext()).strip()
            if body and (phone, sender) not in self.state.blocked:
                self.state.answer(phone, sender, body)

    def _background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _not_found(request: Request) -> TwilioError:
    path = request.url.path.removeprefix("/twilio")
    return TwilioError(20404, f"The requested resource {path} was not found", 404)


def _matches(sms: Sms, query: Any) -> bool:
    """Apply To, From, DateSent, DateSent< and DateSent> (a date or a date and time, UTC). Raises ValueError."""
    if ("To" in query and sms.to != query["To"]) or ("From" in query and sms.sender != query["From"]):
        return False
    for name in ("DateSent", "DateSent<", "DateSent>"):
        if name not in query:
            continue
        bound = dt.datetime.fromisoformat(query[name])
        bound = bound if bound.tzinfo else bound.replace(tzinfo=dt.UTC)
        if sms.sent is None:
            return False
        # Twilio's "<" and ">" are "on or before" and "on or after".
        if name == "DateSent" and sms.sent.date() != bound.date():
            return False
        if name == "DateSent<" and sms.sent > bound:
            return False
        if name == "DateSent>" and sms.sent < bound:
            return False
    return True
