"""`/_control/fhir/…`: what a test or a person may do to the clinic's FHIR server.

POST /_control/fhir/next?answer=400|412|422|500|503|silence|close|late&count=&seconds=   for the next creates:
     a status: not applied. silence, close, late: applied, and then not answered, or late
POST /_control/fhir/conditional?on=0|1     offer conditional create, or not: then If-None-Exist is not looked at
POST /_control/fhir/jwks?url=              where the keys of the SMART client are
POST /_control/fhir/subscription?id=&do=heartbeat|skip|repeat|restart|off      of one Subscription: say that it lives;
     count the next event and do not send it; send the last one again; count from 1 again; end it, and say so
GET  /_control/fhir/received               every create, with what was answered
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .fhir_server import FhirServer
from .outgoing import require_loopback


class FhirControl:
    """The control endpoints; a wrong POST answers 400 with the reason."""

    def __init__(self, server: FhirServer) -> None:
        self.server = server

    def routes(self) -> list[Route]:
        return [
            Route("/_control/fhir/{what}", self.act, methods=["POST"]),
            Route("/_control/fhir/received", lambda request: JSONResponse(self.server.received)),
        ]

    async def act(self, request: Request) -> Response:
        query, what = request.query_params, request.path_params["what"]
        try:
            match what:
                case "next":
                    seconds = float(query.get("seconds", "3"))
                    self.server.faults.arm(query["answer"], int(query.get("count", "1")), seconds)
                case "conditional":
                    self.server.conditional = {"0": False, "1": True}[query["on"]]
                case "jwks":
                    require_loopback(urlsplit(query["url"]).hostname or "")
                    self.server.tokens.jwks_url = query["url"]
                case "subscription":
                    self.server.subscriptions.act(query["id"], query["do"])
                case _:
                    return JSONResponse({"error": f"no control named {what}"}, 404)
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"done": what, "armed": len(self.server.faults)})
