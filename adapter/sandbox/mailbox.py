"""`/mailbox`: every mail that was sent, as its reader sees it; links can be tapped.

`/mailbox.json` is the same for tests: `{"mails": [{"from", "from_name", "to", "reply_to", "subject", "text", "html",
"links", "headers", "at"}]}`, oldest first. `to` is who got it, `from` and the like are what the mail says.
POST /_control/mail/next?answer=421|450|550|close|silence&stage=rcpt|data&count=   how the next mails fail; without a
     stage at RCPT. close and silence at DATA: taken, only the answer is lost
POST /_control/mail/bounces?url=&token=   where mail that comes back is brought, and with which bearer token
"""

from __future__ import annotations

import datetime as dt
import html
import re
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .inbox import LINK, linked
from .mail_server import MailServer
from .outgoing import require_loopback
from .pages import page

_HREF = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


class Mailbox:
    """All mails, and the server that takes them."""

    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []  #: oldest first
        self.server = MailServer(self.take)

    def routes(self) -> list[Route]:
        return [
            Route("/mailbox", self.show),
            Route("/mailbox.json", self.json),
            Route("/mailbox/{number:int}", self.letter),
            Route("/_control/mail/{what}", self.act, methods=["POST"]),
        ]

    def take(self, sender: str, recipient: str, message: EmailMessage, at: dt.datetime) -> None:
        self.mails.append(_read(sender, recipient, message, at))

    async def show(self, request: Request) -> Response:
        numbered = list(enumerate(self.mails))
        return page(request, "mailbox.html", mails=numbered[::-1], linked=linked)

    async def json(self, request: Request) -> Response:
        return JSONResponse({"mails": self.mails})

    async def letter(self, request: Request) -> Response:
        """Show the HTML part of a mail, for the frame on the page: its styles, no scripts, nothing from elsewhere."""
        number = request.path_params["number"]
        text = self.mails[number]["html"] if number < len(self.mails) else ""
        if not text:
            return JSONResponse({"error": "no such mail, or none in HTML"}, 404)
        head = _HEAD.search(text)
        place = head.end() if head else 0
        # As in a mail program: a link opens a window of its own.
        shown = f'{text[:place]}<base target="_blank">{text[place:]}'
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
            "form-action 'none'; frame-ancestors 'self'; "
            "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return HTMLResponse(shown, headers=headers)

    async def act(self, request: Request) -> Response:
        query = request.query_params
        what = request.path_params["what"]
        if what not in ("next", "bounces"):
            return JSONResponse({"error": "no such control"}, 404)
        try:
            if what == "bounces":
                if url := query.get("url", ""):
                    require_loopback(urlsplit(url).hostname or "")
                self.server.bounces.url, self.server.bounces.token = url, query.get("token", "")
                return JSONResponse({"done": "bounces"})
            faults = self.server.faults[query.get("stage", "rcpt")]
            faults.arm(query["answer"], int(query.get("count", "1")), 0.0)
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"done": "next", "armed": len(faults)})


def _read(sender: str, recipient: str, message: EmailMessage, at: dt.datetime) -> dict[str, Any]:
    name, address = _party(message, "From")
    text, rich = _part(message, "plain"), _part(message, "html")
    links = LINK.findall(text) + [html.unescape(found[1]) for found in _HREF.findall(rich)]
    return {
        "from": address or _whole(sender),
        "from_name": name,
        "to": _whole(recipient),
        "reply_to": _party(message, "Reply-To")[1],
        "subject": str(message.get("Subject", "")),
        "text": text,
        "html": rich,
        "links": list(dict.fromkeys(links)),
        "headers": {name: _whole(str(value)) for name, value in message.items()},
        "at": at.isoformat(),
    }


def _party(message: EmailMessage, header: str) -> tuple[str, str]:
    """Return the name and the address that stand first in a header."""
    found = getattr(message.get(header), "addresses", ())
    return (_whole(found[0].display_name), _whole(found[0].addr_spec)) if found else ("", "")


def _whole(text: str) -> str:
    """Return a header as its reader sees it: bytes beyond ASCII, which Python keeps aside, are UTF-8 or no text."""
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character that never was a byte
        data = text.encode(errors="replace")
    return data.decode(errors="replace")


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):  # a character set that nobody knows
        return ""
