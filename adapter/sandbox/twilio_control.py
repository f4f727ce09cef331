"""`/_control/twilio/…`: what a test or a person may do to the SMS service.

POST /_control/twilio/next?answer=drop|500|slow&count=&seconds=   how the next creates fail (drop: after accepting)
POST /_control/twilio/callbacks?mode=normal|reversed|twice|hold   the order of status callbacks from now on
POST /_control/twilio/callback?sid=&status=&code=                 one more callback, by hand
POST /_control/twilio/account?status=suspended&type=Trial         what the account says of itself; as it was without
POST /_control/twilio/inbound?url=                                where texts typed on a phone are sent; "" nowhere
POST /_control/twilio/optout?by=service|ours                      who answers STOP, START and HELP: it, or the receiver
GET  /_control/twilio/requests, /_control/twilio/deliveries       what was asked, and each callback with its answer
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .outgoing import require_loopback
from .twilio_api import TwilioApi

_MODES = {"normal", "reversed", "twice", "hold"}


class TwilioControl:
    """The control endpoints; a wrong POST answers 400 with the reason."""

    def __init__(self, api: TwilioApi) -> None:
        self.api = api

    def routes(self) -> list[Route]:
        return [
            Route("/_control/twilio/{what}", self.act, methods=["POST"]),
            Route("/_control/twilio/{what}", self.look, methods=["GET"]),
        ]

    async def act(self, request: Request) -> Response:
        query, what = request.query_params, request.path_params["what"]
        try:
            match what:
                case "next":
                    seconds = float(query.get("seconds", "2"))
                    self.api.faults.arm(query["answer"], int(query.get("count", "1")), seconds)
                case "callbacks":
                    if query["mode"] not in _MODES:
                        raise ValueError(f"mode must be one of {', '.join(sorted(_MODES))}")
                    self.api.mode = query["mode"]
                case "callback":
                    sms = self.api.state.messages[query["sid"]]
                    await self.api.tell(sms, query["status"], query.get("code", ""))
                case "account":
                    self.api.status, self.api.type = query.get("status", "active"), query.get("type", "Full")
                case "inbound":
                    if query["url"]:
                        require_loopback(urlsplit(query["url"]).hostname or "")
                    self.api.inbound_url = query["url"]
                case "optout":
                    self.api.state.handles = query["by"] != "ours"
                case _:
                    return JSONResponse({"error": f"no control named {what}"}, 404)
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"done": what, "mode": self.api.mode, "armed": len(self.api.faults)})

    async def look(self, request: Request) -> Response:
        match request.path_params["what"]:
            case "requests":
                return JSONResponse(self.api.requests)
            case "deliveries":
                return JSONResponse(self.api.deliveries)
        return JSONResponse({"error": "no such list"}, 404)
