"""`/inbox`: every number that was texted, drawn as a phone; links can be tapped and a person can answer.

`/inbox.json` is the same for tests: `{"phones": [{"number", "sender", "blocked", "messages": [{"sid", "from", "to",
"body", "links", "direction", "status", "at"}]}]}`, oldest message first.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .forms import FormError, fields
from .pages import page
from .twilio_api import TwilioApi
from .twilio_state import Sms, valid

#: an address in a text
LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")


class Inbox:
    """The phones of all who were texted."""

    def __init__(self, api: TwilioApi) -> None:
        self.api = api

    def routes(self) -> list[Route]:
        return [
            Route("/inbox", self.show),
            Route("/inbox.json", self.json),
            Route("/inbox/reply", self.reply, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return page(request, "inbox.html", phones=self.phones(), linked=linked)

    async def json(self, request: Request) -> Response:
        return JSONResponse({"phones": self.phones()})

    async def reply(self, request: Request) -> Response:
        """Take `number`, `sender` and `body` from the form under a phone."""
        try:
            form = fields(await request.body())
        except FormError:
            form = {}
        number, sender, body = (form.get(name, "") for name in ("number", "sender", "body"))
        if not valid(number) or not sender or not body.strip():
            return JSONResponse({"error": "number, sender and body are needed"}, 400)
        self.api.receive(number, sender, body)
        return RedirectResponse("/inbox", 303)

    def phones(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for sms in self.api.state.messages.values():
            number = sms.sender if sms.direction == "inbound" else sms.to
            sender = sms.to if sms.direction == "inbound" else sms.sender or sms.service or ""
            phone = found.setdefault(number, {"number": number, "sender": sender, "blocked": False, "messages": []})
            phone["sender"] = sender
            phone["blocked"] = (number, sender) in self.api.state.blocked
            phone["messages"].append(_shown(sms))
        # The phone that got the newest message stands first.
        return sorted(found.values(), key=lambda p: str(p["messages"][-1]["at"]), reverse=True)


def _shown(sms: Sms) -> dict[str, Any]:
    return {
        "sid": sms.sid,
        "from": sms.sender or sms.service,
        "to": sms.to,
        "body": sms.body,
        "links": LINK.findall(sms.body),
        "direction": sms.direction,
        "status": sms.status,
        "error_code": sms.error_code,
        "at": sms.created.isoformat(),
    }


def linked(body: str) -> Markup:
    """Escape a text and make its addresses links."""
    out, end = Markup(""), 0
    for match in LINK.finditer(body):
        out += escape(body[end : match.start()])
        # target=_blank: the inbox stays open beside the page that the link leads to
        out += Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(match[0])
        end = match.end()
    return out + escape(body[end:])
