"""A gateway for texts that speaks signed JSON, at `/gateway/messages`. Its phones are those of the SMS service.

POST /_control/gateway/next?answer=drop|500|503|slow&count=&seconds=  how the next messages fail (drop: after accepting)
POST /_control/gateway/write?url=&from=&to=&text=     a person writes a text, which is told to `url`
GET  /_control/gateway/requests, /_control/gateway/deliveries     what was asked, and each call with its answer
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import Faults, drop
from .outgoing import post, require_loopback
from .twilio_state import Sms, TwilioError, TwilioState

#: What the service's own codes are called here.
_CODES = {21211: "unknown_recipient", 21610: "opted_out"}
_WINDOW = 300


def sign(secret: str, at: int, body: bytes) -> str:
    """Return the header's value: HMAC-SHA256, in hex, over the time, a full stop and the body."""
    text = str(at).encode() + b"." + body
    return f"t={at},v1={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"


@dataclass
class Gateway:
    """The endpoint over the phones of one state."""

    state: TwilioState
    secret: str
    faults: Faults = field(default_factory=lambda: Faults({"drop", "500", "503", "slow"}))
    step_s: float = 0.05
    requests: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    _refs: dict[str, str] = field(default_factory=dict)  #: id of the sender → our own
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def routes(self) -> list[Route]:
        return [
            Route("/gateway/messages", self.create, methods=["POST"]),
            Route("/_control/gateway/{what}", self.act, methods=["POST"]),
            Route("/_control/gateway/{what}", self.look, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        body, fault = await request.body(), self.faults.take()
        if not self._known(request.headers.get("chartpost-signature", ""), body):
            return JSONResponse({"code": "signature"}, 401)
        asked = json.loads(body)
        self.requests.append(asked)
        if fault is not None and fault.answer in ("500", "503"):
            return JSONResponse({}, int(fault.answer), {"Retry-After": "1"})
        if fault is not None and fault.answer == "slow":
            await asyncio.sleep(fault.seconds)
        if asked.get("type") != "message" or asked.get("channel") != "sms":
            return JSONResponse({"code": "not_a_text"}, 400)
        if asked["id"] not in self._refs:
            form = {"To": asked["to"], "From": asked.get("from", "+16085550150"), "Body": asked["text"]}
            try:
                made = self.state.create(form)
            except TwilioError as error:
                code = error.body["code"]
                return JSONResponse({"code": _CODES.get(int(str(code)), "refused")}, 422)
            self._refs[asked["id"]] = made.sid
            self._background(self._road(made, asked))
        if fault is not None and fault.answer == "drop":
            return await drop(request)
        return JSONResponse({"ref": self._refs[asked["id"]]}, 202)

    def _known(self, header: str, body: bytes) -> bool:
        at = header.removeprefix("t=").partition(",")[0]
        fresh = at.isdigit() and abs(time.time() - int(at)) <= _WINDOW
        return fresh and hmac.compare_digest(header.encode(), sign(self.secret, int(at), body).encode())

    async def _road(self, sms: Sms, asked: dict[str, Any]) -> None:
        for status in self.state.steps(sms)[1:]:
            await asyncio.sleep(self.step_s)
            self.state.move(sms, status)
            told = {"type": "status", "id": asked["id"], "ref": sms.sid, "status": status}
            await self._tell(asked["status_url"], told | ({"code": "landline"} if status == "undelivered" else {}))

    async def _tell(self, url: str, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        headers = {"Content-Type": "application/json", "Chartpost-Signature": sign(self.secret, int(time.time()), body)}
        self.deliveries.append({"told": told, "status": await post(url, body, headers)})

    async def act(self, request: Request) -> Response:
        query = request.query_params
        try:
            match request.path_params["what"]:
                case "next":
                    self.faults.arm(query["answer"], int(query.get("count", "1")), float(query.get("seconds", "2")))
                case "write":
                    require_loopback(urlsplit(query["url"]).hostname or "")
                    told = {"type": "incoming", "id": self.state.ids.hex(16), "from": query["from"]}
                    await self._tell(query["url"], told | {"to": query.get("to", ""), "text": query["text"]})
                case what:
                    return JSONResponse({"error": f"no control named {what}"}, 404)
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"armed": len(self.faults)})

    async def look(self, request: Request) -> Response:
        lists = {"requests": self.requests, "deliveries": self.deliveries}
        return JSONResponse(lists.get(request.path_params["what"], []))

    def _background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
