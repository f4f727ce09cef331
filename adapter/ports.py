"""The shapes through which the flow talks to the world. Plugins import this module and below, nothing else of ours.

Every method may raise `errors.Transient` (it did not happen, try later), `errors.Ambiguous` (nobody knows whether it
happened) or `errors.Permanent` (it did not happen and will not). Anything else is a bug, and is treated as Ambiguous.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

# ------------------------------------------------------------------------------------------------ payment providers


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a provider may know of a payment: opaque ids, the amount and the business's message name. Nothing else."""

    reference: str  #: our CardSession's public id: client reference and idempotency key at once
    amount: int  #: minor units in the sense of ISO 4217 (the provider converts to its own exponents)
    currency: str  #: ISO 4217
    payee: str  #: the facility's message name, as it may appear on a phone or a statement
    success_url: str
    cancel_url: str
    expires_at: dt.datetime  #: aware, UTC


class SessionState(enum.StrEnum):
    OPEN = "open"  #: the payer may still pay
    COMPLETE = "complete"  #: the payer finished; `paid` says whether the money moved already
    EXPIRED = "expired"  #: nobody can pay it any more


@dataclass(frozen=True, slots=True)
class HostedSession:
    """A hosted card page, as the provider sees it now."""

    provider_ref: str
    url: str  #: "" once it is no longer open
    state: SessionState
    paid: bool = False


class EventType(enum.StrEnum):
    PAID = "paid"  #: money moved for one of our card sessions
    PENDING = "pending"  #: the payer finished, the money is under way (async methods)
    FAILED = "failed"  #: an async method failed in the end; nothing moved
    EXPIRED = "expired"  #: the card session can no longer be paid
    UNKNOWN = "unknown"  #: kept, answered, changes nothing


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One verified event of a payment provider, normalised; the raw body is kept beside it."""

    event_id: str
    type: EventType
    created: dt.datetime
    reference: str = ""  #: our CardSession's public id, or "" when it belongs to somebody else on the same account
    session_ref: str = ""  #: the provider's id of the hosted session
    payment_ref: str = ""  #: the provider's id of the payment
    amount: int = 0  #: ISO 4217 minor units
    currency: str = ""
    medium: str = "card"  #: "card/visa" where known


class PaymentProvider(Protocol):
    """Takes money on a hosted page. See providers/stripe.py: copy that one."""

    def create_session(self, request: SessionRequest) -> HostedSession:
        """Make a hosted page. Called again with the same reference it returns the same session."""
        ...

    def retrieve_session(self, provider_ref: str) -> HostedSession:
        """Look, change nothing."""
        ...

    def expire_session(self, provider_ref: str) -> HostedSession:
        """Close the page to further payment; if the payer was faster, return it as COMPLETE (no error)."""
        ...

    def parse_event(self, body: bytes, headers: Mapping[str, str]) -> PaymentEvent:
        """Verify the signature over the raw body and normalise. Raises Permanent when it is not authentic."""
        ...

    def read_event(self, body: bytes) -> PaymentEvent:
        """Normalise an event whose authenticity was established before: one that was stored, or listed."""
        ...

    def events_since(self, since: dt.datetime) -> Sequence[tuple[PaymentEvent, bytes]]:
        """List events created at or after `since`, oldest first, each with its raw JSON: for what webhooks lost."""
        ...


# ------------------------------------------------------------------------------------------------------- notifiers


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """One message to one person: where to, and neutral words. What comes after `status_url` is for e-mail."""

    to: str  #: E.164 or an e-mail address
    body: str
    status_url: str  #: where the service reports what became of it
    subject: str = ""
    html: str = ""  #: the same words as `body`, for mail programs that show HTML
    sender_name: str = ""
    sender_address: str = ""
    reply_to: str = ""  #: where answers go
    reference: str = ""  #: our Notice's public id: the same message tried again has the same one


@dataclass(frozen=True, slots=True)
class Sent:
    """The service took it: `provider_ref` is its id."""

    provider_ref: str


class NoticeReport(enum.StrEnum):
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"  #: a report that says nothing about the end (queued, sending, read …)


@dataclass(frozen=True, slots=True)
class NoticeEvent:
    """A status report for one message; reports repeat and come in any order."""

    event_id: str
    provider_ref: str
    report: NoticeReport
    code: str = ""  #: the service's error code


class Notifier(Protocol):
    """Writes to a person. See notifiers/twilio.py and notifiers/smtp.py: copy the nearer one."""

    channel: str  #: "sms" or "email"

    def send(self, text: OutgoingText) -> Sent:
        """Send once. Raises Ambiguous where it may have gone out: it is then never repeated by machine."""
        ...

    def parse_report(self, url: str, body: bytes, headers: Mapping[str, str]) -> NoticeEvent:
        """Verify and normalise a status callback that came to `url`. Raises Permanent when it is not authentic."""
        ...


@dataclass(frozen=True, slots=True)
class Incoming:
    """A text that a person wrote to us."""

    event_id: str  #: the service's id of it: the same text told again has the same one
    sender: str  #: E.164: whose phone it came from
    to: str  #: our own number
    text: str = field(repr=False)
    answered: bool = False  #: the service answers words such as this one by itself


@runtime_checkable
class Listening(Protocol):
    """A notifier by which people can write back. Optional: see notifiers/twilio.py."""

    def parse_incoming(self, url: str, body: bytes, headers: Mapping[str, str]) -> Incoming:
        """Verify and read a text that was told to `url`. Raises Permanent when it is not authentic."""
        ...

    def reply(self, text: str) -> tuple[str, bytes]:
        """Return content type and body of the answer that has the service send `text` back; "" sends nothing."""
        ...


class Trouble(enum.StrEnum):
    """What is wrong with a number or address itself; every other code is about one message only."""

    STOPPED = "stopped"  #: whoever has it wants none of our messages
    LANDLINE = "landline"  #: it takes no texts
    GONE = "gone"  #: nobody has it, or not any more


@runtime_checkable
class Explaining(Protocol):
    """A notifier that can say what a code of its service means for the next message to the same person."""

    def trouble(self, code: str) -> Trouble | None:
        """Return what the code of a `Permanent` or of a report says of the number or address. Calls nobody."""
        ...


Line = Literal["mobile", "landline", "voip", "unknown"]


@runtime_checkable
class LineTypes(Protocol):
    """A notifier whose service knows what kind of line a number is."""

    def line_type(self, number: str) -> Line:
        """Ask for a number (E.164). Asking costs and changes nothing; within ten seconds. Raises as `send` does."""
        ...


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail that came back, as far as it says what became of one of ours."""

    event_id: str  #: the same for a second copy of the same bounce
    notice: str  #: our Notice's public id; "" where the mail names none
    report: NoticeReport  #: UNDELIVERED, or UNKNOWN: late, or no bounce at all
    code: str = ""  #: "5.1.1" (RFC 3463)


@runtime_checkable
class Bouncing(Protocol):
    """A notifier of e-mail that can read what came back. See notifiers/smtp.py."""

    def parse_bounce(self, mail: bytes, headers: Mapping[str, str]) -> Bounce:
        """Verify that who brought it over HTTP may, then read it. Raises Permanent when not."""
        ...

    def read_bounce(self, mail: bytes, to: str = "") -> Bounce:
        """Read a mail that came to `to` ("": its own headers tell). Raises nothing: what is no bounce is UNKNOWN."""
        ...


# --------------------------------------------------------------------------------------------------------- senders


class Verdict(enum.StrEnum):
    ACCEPTED = "accepted"  #: the chart said so (AA, 201)
    RECEIVED = "received"  #: an engine or a CA has it; the chart has not spoken
    REFUSED = "refused"  #: AE, AR, CE, CR, 4xx


@dataclass(frozen=True, slots=True)
class Answer:
    """What a destination answered to one posting."""

    verdict: Verdict
    code: str  #: "AA", "AE", "CA", "201" …
    #: The destination's reason, with values of persons left out; with ACCEPTED, what it did not take all the same.
    text: str = ""
    raw: bytes = b""  #: the whole answer, kept sealed


class Sender(Protocol):
    """Carries one rendered posting to its destination. See senders/mllp.py: copy that one.

    A chart that keeps Invoices of its own may also offer `settle_invoice(reference) -> Answer`, which sets
    "Invoice/12" to balanced and is harmless to repeat: senders/fhir.py does.
    """

    def send(self, body: bytes, control_id: str) -> Answer:
        """Send and wait for the answer that matches `control_id`. Silence raises Ambiguous; no connection Transient."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what a search has found."""

    bundle: dict[str, Any] = field(repr=False)
    next: str  #: the address of the next page; "" for the last one
    at: dt.datetime | None  #: the server's time


class Server(Protocol):
    """Where a FHIR source's other resources are read, and its Invoices if nobody sends them."""

    def search(self, target: str) -> Page:
        """Return a page: of "Invoice?status=issued", or the one at an address that a page before has named."""
        ...

    def read(self, reference: str) -> dict[str, Any] | None:
        """Return a resource ("Patient/12"), None where there is none, or none that may be read from there."""
        ...


# ------------------------------------------------------------------------------------------ optional, for any plugin


@runtime_checkable
class Checkable(Protocol):
    """A plugin that can say whether it could work now; `chartpost check` asks it."""

    def check(self) -> list[str]:
        """Ask the other side in a way that changes nothing there; return "what is wrong; what to do", [] when well."""
        ...


@runtime_checkable
class Clocked(Protocol):
    """A plugin whose other side tells the time, for `chartpost check` to compare ours with."""

    def clock(self) -> dt.datetime | None:
        """Return the other side's time (aware), None when it does not answer. Raises nothing."""
        ...


# ---------------------------------------------------------------------------------------------------- what is wired


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside, by the name it has in the configuration."""

    providers: Mapping[str, PaymentProvider] = field(default_factory=dict)
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    senders: Mapping[str, Sender] = field(default_factory=dict)
    #: source name → sends one application acknowledgement, without waiting for an answer
    acks: Mapping[str, Callable[[bytes], None]] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)  #: source name → where it fetches from
    invoices: Mapping[str, Server] = field(default_factory=dict)  #: source name → where its Invoices are looked for
