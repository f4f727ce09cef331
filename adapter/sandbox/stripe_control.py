"""`/_control/stripe/…`: what a test or a person may do to the card provider; and its dashboard, read only.

POST webhook?url=&secret=     where events go from now on          POST pause, resume     hold webhooks back
POST forget                   give up every delivery under way
POST resend?event=&secret=    send an event again, perhaps wrongly signed
POST foreign?amount=&currency=  an event of somebody else on the same account
POST settle/<cs>?outcome=succeeded|failed   let the money of a bank debit arrive, or bounce
POST expire/<cs>              as if the session's time were over
POST clock?ahead=SECONDS      let its clock be ahead of the machine's, by so much
POST next?answer=drop|500|slow&count=&seconds=  how the next session creates fail
GET  requests, deliveries, events           everything that was asked, tried, happened
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .outgoing import require_loopback
from .pages import page
from .stripe_api import StripeApi
from .stripe_errors import StripeError
from .stripe_webhooks import Webhooks


class StripeControl:
    """The control endpoints. Every POST answers what it did as JSON; a wrong one answers 400 with the reason."""

    def __init__(self, api: StripeApi, webhooks: Webhooks) -> None:
        self.api, self.state, self.webhooks = api, api.state, webhooks

    def routes(self) -> list[Route]:
        base = "/_control/stripe"
        return [
            Route(f"{base}/{{what}}", self.act, methods=["POST"]),
            Route(f"{base}/{{what}}/{{id}}", self.act, methods=["POST"]),
            Route(f"{base}/{{what}}", self.look, methods=["GET"]),
            Route("/stripe/dashboard", self.dashboard),
        ]

    async def act(self, request: Request) -> Response:
        query, what, id = request.query_params, request.path_params["what"], request.path_params.get("id", "")
        try:
            match what:
                case "webhook":
                    require_loopback(urlsplit(query["url"]).hostname or "")
                    self.webhooks.url = query["url"]
                    self.webhooks.secret = query.get("secret", self.webhooks.secret)
                case "pause":
                    self.webhooks.pause()
                case "resume":
                    self.webhooks.resume()
                case "forget":
                    self.webhooks.forget()
                case "resend":
                    self.webhooks.send(self.state.events[query["event"]], query.get("secret", ""))
                case "foreign":
                    amount, currency = int(query.get("amount", "1850")), query.get("currency", "usd")
                    return JSONResponse(self.state.foreign(amount, currency))
                case "settle":
                    session = self.state.session(id)
                    self.state.settle(session, query.get("outcome", "succeeded") == "succeeded")
                case "expire":
                    self.state.expire_session(id)
                case "clock":
                    self.state.ahead = int(query["ahead"])
                case "next":
                    seconds = float(query.get("seconds", "2"))
                    self.api.faults.arm(query["answer"], int(query.get("count", "1")), seconds)
                case _:
                    return JSONResponse({"error": f"no control named {what}"}, 404)
        except (KeyError, ValueError, StripeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"done": what, "webhook": self.webhooks.url, "paused": self.webhooks.paused})

    async def look(self, request: Request) -> Response:
        match request.path_params["what"]:
            case "requests":
                return JSONResponse(self.api.requests)
            case "deliveries":
                return JSONResponse({"attempts": self.webhooks.attempts, "under_way": self.webhooks.under_way})
            case "events":
                return JSONResponse(list(self.state.events.values()))
        return JSONResponse({"error": "no such list"}, 404)

    async def dashboard(self, request: Request) -> Response:
        self.state.sweep()
        tries: dict[str, int] = {}
        for attempt in self.webhooks.attempts:
            tries[attempt["event"]] = attempt["status"]
        return page(
            request,
            "dashboard.html",
            sessions=list(reversed(self.state.sessions.values())),
            charges=list(reversed(self.state.charges.values())),
            events=list(reversed(self.state.events.values()))[:100],
            tries=tries,
            webhooks=self.webhooks,
        )
