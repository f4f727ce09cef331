"""Text messages through Twilio. Pure functions say what an answer means; `TwilioNotifier` only calls the wire.

Creating a message has no idempotency at Twilio: what may have gone out is never sent again by machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.outbound import HttpOptions, never_sent
from chartpost.adapter.ports import Incoming, Line, NoticeEvent, NoticeReport, OutgoingText, Sent, Trouble

if TYPE_CHECKING:
    from twilio.rest import Client

#: What a status says about the end. The others (accepted, queued, sending, read …) say nothing: UNKNOWN.
REPORTS = {
    "sent": NoticeReport.SENT,
    "delivered": NoticeReport.DELIVERED,
    "undelivered": NoticeReport.UNDELIVERED,
    "failed": NoticeReport.UNDELIVERED,
}
#: Words that Twilio answers by itself, where nothing stands beside them; it blocks and unblocks the pair, too.
KEYWORDS = frozenset({
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "START", "YES", "UNSTOP", "HELP",
    "INFO",
})  # fmt: skip
#: Error codes that are about the number: stopped, a landline (or a carrier that takes no texts), nobody's, invalid.
TROUBLES = {
    "21610": Trouble.STOPPED,
    "30006": Trouble.LANDLINE,
    "21614": Trouble.LANDLINE,
    "30005": Trouble.GONE,
    "21211": Trouble.GONE,
}
#: What Lookup calls lines that take texts, or not; it says more of others, and those are tried.
LINES: Mapping[str, Line] = {
    "mobile": "mobile", "landline": "landline", "fixedVoip": "voip", "nonFixedVoip": "voip",
}  # fmt: skip
#: Seconds that a lookup may take, to connect and again to be answered: the text itself comes after it.
LOOKUP_SECONDS = 4.0


def message_params(text: OutgoingText, sender: str) -> dict[str, str]:
    """Say what Twilio is asked to send: from a number, or through a messaging service (its id begins with MG)."""
    origin = "messaging_service_sid" if sender.startswith("MG") else "from_"
    return {"to": text.to, "body": text.body, "status_callback": text.status_url, origin: sender}


def parse_status(params: Mapping[str, str]) -> NoticeEvent:
    """Normalise the form of a status callback. The same report repeated has the same event id."""
    sid, status, code = params.get("MessageSid", ""), params.get("MessageStatus", ""), params.get("ErrorCode", "")
    if not sid:
        raise Permanent("a status callback without MessageSid")
    return NoticeEvent(
        event_id=f"{sid}/{status}/{code}",
        provider_ref=sid,
        report=REPORTS.get(status, NoticeReport.UNKNOWN),
        code=code,
    )


def read_incoming(params: Mapping[str, str], *, answers: bool) -> Incoming:
    """Normalise the form of a text that came in. `answers`: Twilio's own handling of opt-outs is on."""
    sid, sender, text = params.get("MessageSid", ""), params.get("From", ""), params.get("Body", "")
    if not sid or not sender:
        raise Permanent("a text without MessageSid or From")
    known = bool(params.get("OptOutType")) or text.strip().upper() in KEYWORDS
    return Incoming(sid, sender, params.get("To", ""), text, answered=answers and known)


def twiml(text: str) -> bytes:
    """Return the TwiML that has Twilio answer with `text`, or with nothing."""
    said = f"<Message>{escape(text)}</Message>" if text else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}</Response>'.encode()


def failure(status: int, code: int | None) -> Transient | Ambiguous | Permanent:
    """Sort an HTTP error. Twilio's own words are left out: they repeat the number that was written to."""
    if status == 429:
        return Transient("Twilio: too many requests at once (429)")
    if 400 <= status < 500:
        known = "this number has stopped our messages" if code == 21610 else f"HTTP {status}"
        return Permanent(f"Twilio refused the message: {known} (error {code or 'unnamed'})", str(code or status))
    return Ambiguous(f"Twilio answered HTTP {status}: the message may have gone out")


class TwilioNotifier:
    """SMS through one Twilio account (ports.Notifier)."""

    channel = "sms"
    answers = True  #: Twilio answers STOP, START and HELP by itself (option opt_out)

    def __init__(
        self, account_sid: str, auth_token: str, sender: str, base_url: str | None = None, timeout: float = 15
    ) -> None:
        """Send from `sender`, a number or a messaging service id; `timeout` in seconds."""
        from twilio.request_validator import RequestValidator

        self._account_sid = account_sid
        self._sender = sender
        self._client = _client(account_sid, auth_token, base_url, timeout)
        self._validator = RequestValidator(auth_token)

    def send(self, text: OutgoingText) -> Sent:
        """Send once. Raises Transient before anything left, Permanent when refused, else Ambiguous."""
        from twilio.base.exceptions import TwilioRestException, TwilioServiceException

        try:
            message = self._client.messages.create(**message_params(text, self._sender))
        except (TwilioRestException, TwilioServiceException) as error:
            raise failure(error.status, error.code) from None  # its text repeats the number
        except Exception as error:
            if never_sent(error):
                raise Transient("Twilio could not be reached") from None
            raise Ambiguous(f"Twilio: no answer ({type(error).__name__})") from None
        if not message.sid:
            raise Ambiguous("Twilio answered without a message id")
        return Sent(str(message.sid))

    def trouble(self, code: str) -> Trouble | None:
        """Say what an error code means for the next text to the same number (ports.Explaining)."""
        return TROUBLES.get(code)

    def check(self) -> list[str]:
        """Say what keeps this account from texting patients (ports.Checkable). Looks the account up."""
        from twilio.base.exceptions import TwilioRestException, TwilioServiceException

        try:
            account = self._client.api.v2010.accounts(self._account_sid).fetch()
        except (TwilioRestException, TwilioServiceException) as error:
            if error.status in (401, 403, 404):
                return ["Twilio does not take account_sid and auth_token; copy both anew from the console"]
            return [f"Twilio answered HTTP {error.status}; try again, then look at its status page"]
        except Exception as error:
            return [f"Twilio could not be reached ({type(error).__name__}); check the network, the proxy and base_url"]
        problems = []
        if account.status != "active":
            problems.append(f"the Twilio account is {account.status}; it must be active to send")
        if account.type == "Trial":
            problems.append("the Twilio account is a trial and texts verified numbers only; upgrade it")
        return problems

    def parse_report(self, url: str, body: bytes, headers: Mapping[str, str]) -> NoticeEvent:
        """Verify and normalise a status callback. `url` is the exact address that Twilio was given."""
        return parse_status(self._signed(url, body, headers))

    def parse_incoming(self, url: str, body: bytes, headers: Mapping[str, str]) -> Incoming:
        """Verify and read a text that came in (ports.Listening)."""
        return read_incoming(self._signed(url, body, headers), answers=self.answers)

    def reply(self, text: str) -> tuple[str, bytes]:
        """Return the TwiML that has Twilio answer with `text`."""
        return "text/xml", twiml(text)

    def _signed(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the form of a callback. Raises Permanent when its signature is not Twilio's."""
        signature = next((value for name, value in headers.items() if name.lower() == "x-twilio-signature"), "")
        params = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not self._validator.validate(url, params, signature):
            raise Permanent("a callback whose signature is not Twilio's")
        return params


class LookingUp(TwilioNotifier):
    """The same, and it asks Lookup what kind of line a number is (ports.LineTypes). Each question costs."""

    def __init__(
        self, account_sid: str, auth_token: str, sender: str, base_url: str | None = None, timeout: float = 15
    ) -> None:
        super().__init__(account_sid, auth_token, sender, base_url, timeout)
        self._asking = _client(account_sid, auth_token, base_url, min(timeout, LOOKUP_SECONDS))

    def line_type(self, number: str) -> Line:
        """Ask Lookup v2. Raises Permanent where it refuses, else Transient: asking again does no harm."""
        from twilio.base.exceptions import TwilioRestException, TwilioServiceException

        try:
            found = self._asking.lookups.v2.phone_numbers(number).fetch(fields="line_type_intelligence")
        except (TwilioRestException, TwilioServiceException) as error:
            if 400 <= error.status < 500 and error.status != 429:
                raise Permanent(
                    f"Twilio Lookup refused (HTTP {error.status})", str(error.code or error.status)
                ) from None
            raise Transient(f"Twilio Lookup answered HTTP {error.status}") from None
        except Exception as error:
            raise Transient(f"Twilio Lookup: no answer ({type(error).__name__})") from None
        return LINES.get(str((found.line_type_intelligence or {}).get("type")), "unknown")


def _client(account_sid: str, auth_token: str, base_url: str | None, timeout: float) -> Client:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Wire(TwilioHttpClient):  # type: ignore[misc]
        """Twilio's own client, which logs nothing and goes to `base_url` where there is one."""

        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            if base_url is not None:
                url = base_url.rstrip("/") + urlsplit(url).path
            return super().request(method, url, *args, **kwargs)

        def log_request(self, kwargs: dict[str, Any]) -> None:
            """Log nothing: requests name who is written to."""

        def log_response(self, status_code: int, response: Any) -> None:
            """Log nothing: answers repeat the number and the text."""

    # No pool: a kept connection that Twilio has closed meanwhile would make a message's outcome unknown.
    return Client(account_sid, auth_token, http_client=Wire(pool_connections=False, timeout=timeout))


class Registration(BaseModel):
    """How a sender is registered with the carriers of the US, which block what is not."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["10dlc", "toll_free", "short_code"]
    id: str = Field(min_length=1)  #: of the campaign, the verification or the lease


class Options(HttpOptions):
    """A notifier of `type: twilio` in the configuration."""

    account_sid: str
    auth_token: SecretStr
    sender: str  #: E.164 number, or the id of a messaging service (MG…)
    timeout_seconds: float = Field(15, gt=0, le=50)  #: to connect, and again to be answered: within an errand's lease
    lookup: bool = False  #: ask what kind of line a number is before its first text; each question costs
    registration: Registration | None = None
    #: who answers STOP, START and HELP: Twilio by itself, or we, where Twilio was asked to switch its handling off
    opt_out: Literal["service", "ours"] = "service"


def from_settings(options: Options) -> TwilioNotifier:
    """Make the notifier of one configured account."""
    made = (LookingUp if options.lookup else TwilioNotifier)(
        options.account_sid,
        options.auth_token.get_secret_value(),
        options.sender,
        options.base_url,
        options.timeout_seconds,
    )
    made.answers = options.opt_out == "service"
    return made
