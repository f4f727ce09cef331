"""A small FHIR client: what our postings and our sources need of a server, and nothing more.

Reading has no effect, so a read that nobody answered is merely Transient. What writes leaves Ambiguous as it is.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, PositiveFloat, SecretStr, model_validator

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.httpcall import Reply, call, secure
from chartpost.adapter.ports import Page
from chartpost.adapter.smart import Smart, Tokens
from chartpost.mappings.fhir import jsontext, outcome
from chartpost.mappings.fhir.paging import next_link

#: The largest resource that is read, in bytes; and the largest CapabilityStatement: complete ones name every profile.
MAX_RESOURCE = 1_048_576
MAX_STATEMENT = 16_777_216
#: Seconds for which a server is believed to offer what it said it did.
STATEMENT_SECONDS = 3_600
#: The largest page of a search, in bytes; the longest time, in seconds, for which a server may ask to be left alone.
MAX_PAGE = 16_777_216
LONGEST_WAIT = 3_600.0

JSON = "application/fhir+json"
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?")
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,128}"')


class Server(BaseModel):
    """A FHIR server and how it knows us. A destination of `type: fhir` is one; so is a source's `fetch`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str  #: "https://fhir.example.org/r4"
    token: SecretStr | None = None  #: a bearer token that does not change
    smart: Smart | None = None  #: or SMART Backend Services
    timeout_seconds: PositiveFloat = 15
    allow_insecure: bool = False  #: let http:// lead to another machine: whoever is between reads token and payments

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            secure(self.base_url, allow_insecure=self.allow_insecure)
        except ValueError as error:
            raise ValueError(f"base_url {error}") from None
        if self.token is not None and self.smart is not None:
            raise ValueError("token and smart are given; keep one of the two")
        if self.token is not None and not re.fullmatch(r"[\x21-\x7e]+", self.token.get_secret_value()):
            raise ValueError("token must be one word of plain characters")
        return self


class FhirClient:
    """Calls one FHIR server. Threads may share it."""

    def __init__(self, server: Server) -> None:
        self._base = server.base_url.rstrip("/")
        self._fixed = server.token.get_secret_value() if server.token else ""
        self._tokens = Tokens(server.smart, server.timeout_seconds) if server.smart else None
        self._timeout = server.timeout_seconds
        self._statement: Mapping[str, Any] = {}
        self._stated = float("-inf")
        self._turn = threading.Lock()

    def request(
        self, method: str, path: str, body: bytes | None = None, *,
        headers: Mapping[str, str] | None = None, max_bytes: int = MAX_RESOURCE,
    ) -> Reply:  # fmt: skip
        """Send one request to a path below base_url; after a 401 once more, with a new token.

        Raises Transient when it did not happen, Ambiguous when it may have, Permanent when no token is to be had.
        """
        return self._send(method, f"{self._base}/{path}", body, headers or {}, max_bytes)

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], max_bytes: int) -> Reply:
        token = self._tokens.get() if self._tokens else self._fixed
        reply = self._call(method, url, body, headers, token, max_bytes)
        if reply.status == 401 and self._tokens:
            token = self._tokens.get(instead_of=token)
            reply = self._call(method, url, body, headers, token, max_bytes)
        return reply

    def get(self, path: str, *, max_bytes: int = MAX_RESOURCE) -> Reply:
        """Look at a path below base_url, past every cache. Raises Transient or Permanent."""
        return self._look(f"{self._base}/{path}", max_bytes)

    def _look(self, url: str, max_bytes: int) -> Reply:
        try:
            reply = self._send("GET", url, None, {"Cache-Control": "no-cache"}, max_bytes)
        except Ambiguous as error:
            raise Transient(str(error)) from None
        if reply.status >= 500 or reply.status in (408, 429):
            raise Transient(f"the FHIR server answered HTTP {reply.status}", retry_after(reply))
        return reply

    def search(self, target: str) -> Page:
        """Return one page of a search (FHIR R4 §3.1.1): of "Invoice?status=issued", or at the address of a next page.

        Our token goes to no other server than this one, so neither does the search. Raises Transient, with how long to
        wait where the server says so, and Permanent when it refuses or what it answers is no Bundle that can be read.
        """
        url = _joined(f"{self._base}/", target)
        if _origin(url) != _origin(self._base):
            raise Permanent("the FHIR server names a next page on another server; base_url must be the name it uses")
        reply = self._look(url, MAX_PAGE)
        if reply.status != 200:
            why = ": ".join(filter(None, [f"HTTP {reply.status}", reasons(reply)]))
            raise Permanent(f"the FHIR server refused the search for Invoices: {why}", str(reply.status))
        page = resource(reply, "Bundle")
        link = next_link(page)
        # Relative to the base, but for what is only a query.
        return Page(page, _joined(url if link[:1] == "?" else f"{self._base}/", link) if link else "", _date(reply))

    def read(self, reference: str) -> dict[str, Any] | None:
        """Return the resource behind "Patient/12", or None: gone, contained, or on a server that is not this one.

        Raises Transient when the server cannot say now, Permanent when it refuses or what it answers cannot be read.
        """
        path = self.path(reference)
        reply = self.get(path) if path else None
        if reply is None or reply.status in (404, 410):
            return None
        return resource(reply, path.partition("/")[0])

    def path(self, reference: str) -> str:
        """Return "Patient/12" for a reference, relative or absolute, that this server resolves; "" for any other."""
        path = reference.removeprefix(self._base + "/")
        return path if _REFERENCE.fullmatch(path) else ""

    def offer(self, kind: str) -> Mapping[str, Any]:
        """Return what the server's CapabilityStatement says of a resource type; {} when it says nothing of it.

        The statement is fetched once an hour. Raises Transient when the server cannot say now.
        """
        with self._turn:
            if time.monotonic() - self._stated > STATEMENT_SECONDS:
                found = _decoded(self.get("metadata", max_bytes=MAX_STATEMENT)) or {}
                if found.get("resourceType") != "CapabilityStatement":  # a proxy's page, perhaps: not worth an hour
                    return {}
                self._statement, self._stated = found, time.monotonic()
        return next((offer for offer in _offers(self._statement) if offer.get("type") == kind), {})

    def _call(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], token: str, max_bytes: int
    ) -> Reply:
        sent = {"Accept": JSON, **headers}
        if body is not None:
            sent["Content-Type"] = JSON
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return call(method, url, sent, body, timeout=self._timeout, max_bytes=max_bytes)


def resource(reply: Reply, kind: str) -> dict[str, Any]:
    """Return the resource that a server answered. Raises Permanent for any other answer, naming no value of it."""
    if reply.status != 200:
        raise Permanent(f"the FHIR server refused to show the {kind}: HTTP {reply.status}", str(reply.status))
    found = _decoded(reply)
    if found is None or found.get("resourceType") != kind:
        raise Permanent(f"the FHIR server's answer is no {kind} that can be read (too long, too deep, or no FHIR JSON)")
    return found


def retry_after(reply: Reply) -> float:
    """Return the seconds for which a server asks to be left alone (RFC 9110 §10.2.3), an hour at most; 0: not said."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        seconds = float(said[:9])
    else:
        until, sent = _time(said), _date(reply) or dt.datetime.now(dt.UTC)
        seconds = (until - sent).total_seconds() if until is not None else 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def version(reply: Reply, found: Mapping[str, Any]) -> str:
    """Return the entity tag for If-Match: the ETag, else one of meta.versionId (FHIR §3.1.0.7); "" without either."""
    meta = found.get("meta")
    number = meta.get("versionId") if isinstance(meta, dict) else None
    tag = reply.headers.get("etag") or (f'W/"{number}"' if isinstance(number, str) else "")
    return tag if _ETAG.fullmatch(tag) else ""


def reasons(reply: Reply) -> str:
    """Say why, in words that cannot name a person: code and element of an OperationOutcome's issues, nothing else."""
    return outcome.reasons(outcome.read(_decoded(reply)))


def succeeded(reply: Reply) -> bool:
    """Tell whether the body of a 2xx is a server's: nothing, or a resource that reports no error.

    A login page is answered 200, too.
    """
    if not reply.body.strip():
        return reply.whole
    found = _decoded(reply) or {}
    return isinstance(found.get("resourceType"), str) and not any(issue.wrong for issue in outcome.read(found))


def _date(reply: Reply) -> dt.datetime | None:
    """Return the server's time, to the second (RFC 9110 §6.6.1)."""
    return _time(reply.headers.get("date", ""))


def _time(said: str) -> dt.datetime | None:
    try:
        found = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return found.astimezone(dt.UTC) if found.tzinfo is not None else None


def _joined(base: str, link: str) -> str:
    """Return where a link leads; what is no address leads nowhere."""
    try:
        return urljoin(base, link) if re.fullmatch(r"[\x21-\x7e]+", link) else "nowhere:"
    except ValueError:
        return "nowhere:"


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port (RFC 6454): whoever answers there is the same server."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None
    return parts.scheme, parts.hostname or "", port or {"https": 443, "http": 80}.get(parts.scheme)


def _decoded(reply: Reply) -> dict[str, Any] | None:
    try:
        found = jsontext.decode(reply.body) if reply.whole and reply.status != 204 else None
    except jsontext.FhirError:
        return None
    return found if isinstance(found, dict) else None


def _offers(statement: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rest in _dicts(statement.get("rest")):
        if rest.get("mode") == "server":
            yield from _dicts(rest.get("resource"))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
