"""Texts or e-mails through any gateway over HTTP: signed JSON there, signed JSON back (docs/integration/notifiers.md).

Both sides sign with one secret: HMAC-SHA256 over the time, a full stop and the body. `type` in the body says what it
is, so that nothing can be sent back as something else. Pure functions say what is asked and what an answer means.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.httpcall import Reply, call, secure
from chartpost.adapter.ports import Incoming, NoticeEvent, NoticeReport, OutgoingText, Sent, Trouble

SIGNATURE = "Chartpost-Signature"
#: Seconds by which the time of a signature may differ from ours.
WINDOW = 300
#: Bytes of an answer that are read.
LONGEST = 65_536

REPORTS = {
    "sent": NoticeReport.SENT,
    "delivered": NoticeReport.DELIVERED,
    "undelivered": NoticeReport.UNDELIVERED,
}
TROUBLES = {"opted_out": Trouble.STOPPED, "landline": Trouble.LANDLINE, "unknown_recipient": Trouble.GONE}

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_REF = re.compile(r"[!-~]{1,200}")

Channel = Literal["sms", "email"]


def sign(secret: str, at: int, body: bytes) -> str:
    """Return the value of the signature's header: `at` in seconds since 1970."""
    return f"t={at},v1={hmac.new(secret.encode(), b'%d.' % at + body, hashlib.sha256).hexdigest()}"


def verify(secrets: Sequence[str], header: str, body: bytes, now: float) -> bool:
    """Say whether a signature is by one of the secrets, and of these minutes; `v1` may be there several times."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t" and re.fullmatch(r"[0-9]{1,12}", value)]
    if len(times) != 1 or abs(now - int(times[0])) > WINDOW:
        return False
    good = [sign(secret, int(times[0]), body).rpartition("=")[2].encode() for secret in secrets]
    given = [value.encode() for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(one, other) for one in good for other in given)


def message(text: OutgoingText, channel: Channel, sender: str) -> dict[str, str]:
    """Say what a gateway is asked to send."""
    asked = {"type": "message", "id": text.reference, "channel": channel, "to": text.to, "text": text.body}
    if channel == "email":
        asked |= {"from": text.sender_address, "from_name": text.sender_name, "reply_to": text.reply_to}
        asked |= {"subject": text.subject, "html": text.html}
    elif sender:
        asked["from"] = sender
    return asked | {"status_url": text.status_url}


def answered(reply: Reply, *, idempotent: bool) -> Sent:
    """Read an answer. Raises what it means; a gateway's own words are left out, since they may repeat the number."""
    told = _object(reply.body)
    ref = told.get("ref")
    if 200 <= reply.status <= 299:
        if not isinstance(ref, str) or not _REF.fullmatch(ref):
            raise Ambiguous(f"the gateway answered HTTP {reply.status} without a ref: it may have sent the message")
        return Sent(ref)
    if reply.status in (408, 429, 503):
        raise Transient(f"the gateway takes no message now (HTTP {reply.status})", _wait(reply))
    if reply.status >= 500 or reply.status < 200:
        text = f"the gateway answered HTTP {reply.status}"
        raise Transient(text) if idempotent else Ambiguous(f"{text}: the message may have gone out")
    code = told.get("code")
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else str(reply.status)
    known = ": this person has stopped our messages" if code == "opted_out" else f" (HTTP {reply.status})"
    raise Permanent(f"the gateway refused the message{known}", code)


def _wait(reply: Reply) -> float:
    """Return the seconds of Retry-After; 0 where it is a date or nothing."""
    said = reply.headers.get("retry-after", "")
    return float(said) if re.fullmatch(r"[0-9]{1,6}", said) else 0.0


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class HttpNotifier:
    """One gateway (ports.Notifier)."""

    def __init__(
        self, url: str, secrets: Sequence[str], channel: Channel, sender: str = "", *, idempotent: bool = False,
        timeout: float = 15,
    ) -> None:  # fmt: skip
        """Post to `url`, signed with the first of `secrets`; what comes in may be signed with any of them.

        `idempotent`: the gateway sends a message once however often its id comes. `timeout` in seconds, for all of it.
        """
        self.channel: str = channel
        self._channel, self._url, self._secrets, self._sender = channel, url, tuple(secrets), sender
        self._idempotent, self._timeout = idempotent, timeout

    def send(self, text: OutgoingText) -> Sent:
        """Send once. Raises Transient before anything left, Permanent when refused, else Ambiguous.

        What is Ambiguous elsewhere is Transient where the gateway is idempotent: it may be said again.
        """
        body = json.dumps(message(text, self._channel, self._sender), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": text.reference}
        headers[SIGNATURE] = sign(self._secrets[0], int(time.time()), body)
        try:
            reply = call("POST", self._url, headers, body, timeout=self._timeout, max_bytes=LONGEST)
        except Ambiguous as error:
            raise Transient(str(error)) if self._idempotent else error from None
        return answered(reply, idempotent=self._idempotent)

    def parse_report(self, url: str, body: bytes, headers: Mapping[str, str]) -> NoticeEvent:
        """Verify and normalise a status report. The notice that it names must be the one of the address."""
        told = self._verified("status", body, headers)
        if told["id"] not in parse_qs(urlsplit(url).query).get("notice", []):
            raise Permanent("a status report whose id is not the notice of its address")
        ref, status, code = (str(told.get(name) or "") for name in ("ref", "status", "code"))
        if not _REF.fullmatch(ref):
            raise Permanent("a status report without a ref")
        known = code if _CODE.fullmatch(code) else ""
        event_id = hashlib.sha256(f"{ref} {status} {code}".encode("utf-8", "replace")).hexdigest()[:32]
        return NoticeEvent(f"{told['id']}/{event_id}", ref, REPORTS.get(status, NoticeReport.UNKNOWN), known)

    def parse_incoming(self, url: str, body: bytes, headers: Mapping[str, str]) -> Incoming:
        """Verify and normalise what a person wrote back (ports.Listening)."""
        told = self._verified("incoming", body, headers)
        # A text that is cut after so many UTF-16 units may end in half a sign, which nothing can store.
        whole = (str(told.get(name) or "").encode("utf-8", "replace").decode() for name in ("from", "to", "text"))
        sender, to, text = whole
        if not sender:
            raise Permanent("an incoming text without its sender")
        return Incoming(f"incoming/{told['id']}", sender, to, text, answered=told.get("answered") is True)

    def reply(self, text: str) -> tuple[str, bytes]:
        """Return the answer to an incoming text: what the gateway is to write back, "" for nothing."""
        return "application/json", json.dumps({"reply": text} if text else {}, ensure_ascii=False).encode()

    def _verified(self, kind: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        signature = next((value for name, value in headers.items() if name.lower() == SIGNATURE.lower()), "")
        if not verify(self._secrets, signature, body, time.time()):
            raise Permanent("a call whose signature is not the gateway's, or more than five minutes old")
        told = _object(body)
        if told.get("type") != kind:
            raise Permanent(f"a call whose type is not {kind}")
        if not isinstance(told.get("id"), str) or not _REF.fullmatch(told["id"]):
            raise Permanent(f"a call of type {kind} without an id")
        return told

    def trouble(self, code: str) -> Trouble | None:
        """Say what a code means for the next message to the same person (ports.Explaining)."""
        return TROUBLES.get(code)

    def check(self) -> list[str]:
        """Say whether the gateway answers at all (ports.Checkable): whatever it says to a GET will do."""
        try:
            call("GET", self._url, {}, timeout=self._timeout, max_bytes=LONGEST)
        except (Transient, Ambiguous) as error:
            return [f"{error}; check url, the network and whether the gateway runs"]
        return []


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < 16 or not text.isascii():
        raise ValueError("is too short to be a secret, or no plain ASCII; `openssl rand -hex 32` makes one")
    return value


class Options(BaseModel):
    """A notifier of `type: http` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str
    url: Annotated[str, AfterValidator(secure)]  #: https://…, or this machine
    secret: Annotated[SecretStr, AfterValidator(_secret)]  #: that both sides sign with
    secret_previous: Annotated[SecretStr, AfterValidator(_secret)] | None = None  #: taken too, during a rotation
    channel: Channel = "sms"
    sender: str = ""  #: `from` of a text; "": the gateway's own
    idempotent: bool = False  #: it sends a message once however often its id comes
    timeout_seconds: float = Field(15, gt=0, le=50)  #: for one call: within an errand's lease

    @model_validator(mode="after")
    def _signs_for_itself(self) -> Options:
        if self.sender and self.channel == "email":
            raise ValueError("sender is for texts; who signs an e-mail stands under the facility's mail")
        return self


def from_settings(options: Options) -> HttpNotifier:
    """Make the notifier of one configured gateway."""
    secrets = [one.get_secret_value() for one in (options.secret, options.secret_previous) if one is not None]
    return HttpNotifier(
        options.url, secrets, options.channel, options.sender, idempotent=options.idempotent,
        timeout=options.timeout_seconds,
    )  # fmt: skip
