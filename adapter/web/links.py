"""What all pages of a link share: which request it is, where its pages are, its language, and whose form this is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chartpost.adapter import log
from chartpost.adapter.flow.paying.view import PayView
from chartpost.adapter.web import pages
from chartpost.adapter.web.at import At
from chartpost.adapter.web.body import whole_body
from chartpost.adapter.web.bursts import Bursts
from chartpost.adapter.web.words import WORDS, Words, spoken

_FORM_LIMIT = 8192  #: bytes: 500 characters of a payer's words, each up to twelve bytes long in a form
_FIELDS = 320  #: three for each of a hundred accounts
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")

_log = log.get(__name__)

Form = dict[str, list[str]]


class Looks(Protocol):
    """Says what a link shows."""

    def look(self, token: str, language: str = "") -> PayView | None: ...


class Links:
    """The links of one web face. `addresses` are those by which the world reaches it: the public one comes first."""

    def __init__(
        self, doors: Looks, *, addresses: Sequence[str], card_page_origins: Sequence[str], bursts: Bursts
    ) -> None:
        parts = [urlsplit(address) for address in addresses]
        self._doors, self._bursts, self._origins = doors, bursts, frozenset(card_page_origins)
        self._bases = {part.netloc.lower(): part.path.rstrip("/") for part in reversed(parts)}
        self._base = parts[0].path.rstrip("/")
        self.secure = parts[0].scheme == "https"

    def view(self, request: Request) -> PayView | None:
        """Return what the link shows, None for one that we never gave out."""
        token = request.path_params["token"]
        return self._doors.look(token, _language(request)) if TOKEN.fullmatch(token) else None

    def at(self, request: Request) -> At:
        """Return where the pages of this link are, as the visitor reaches them."""
        base = self._bases.get(request.headers.get("host", "").lower(), self._base)
        language = _language(request)
        return At(f"{base}/p/{request.path_params['token']}", urlencode({"lang": language}) if language else "")

    def lost(self, request: Request) -> Response:
        """Answer for a link that we never gave out."""
        if self._bursts.too_many(request.client.host if request.client else ""):
            return pages.burst(words_for(request))
        return pages.unknown(words_for(request))

    async def answer(self, request: Request, work: Callable[[Request, Form], Response]) -> Response:
        """Read our own form and let `work` answer it, in a thread; refuse another site's.

        Raises HTTPException 400 and 413.
        """
        if not from_our_pages(request, self._bases):
            return pages.refused(words_for(request))
        body = await whole_body(request, _FORM_LIMIT)
        try:
            form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            raise HTTPException(400) from None
        return await run_in_threadpool(work, request, form)

    def check_origin(self, url: str) -> None:
        """Say so in the log when our own policy will stop the browser at the redirect (CSP form-action)."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" not in self._origins:
            _log.error("browsers will refuse this card page: its origin is not in our policy", host=parts.netloc)


def first(form: Form, name: str) -> str:
    """Return the first value of a field, "" where there is none."""
    return form.get(name, [""])[0]


def from_our_pages(request: Request, hosts: Iterable[str]) -> bool:
    """Tell whether a POST may have come from our own page (Fetch Metadata; older browsers: Origin).

    Browsers send `Origin: null` with our own forms, because our pages say `no-referrer` (Fetch §3.2): null alone
    proves nothing. A program that sends neither header has the token, and no browser to be tricked.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc in (*hosts, request.headers.get("host"))


def words_for(request: Request) -> Words:
    """Return the words for a visitor of whom nothing else is known."""
    return spoken(_language(request), request.headers.get("accept-language", ""))


def _language(request: Request) -> str:
    wanted = request.query_params.get("lang", "")
    return wanted if wanted in WORDS else ""
