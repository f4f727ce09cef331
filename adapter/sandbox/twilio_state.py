"""What the SMS service remembers: messages, who said STOP, and the road of each message to its phone. No HTTP here.

Numbers with a fate: `+1…5550199` is a landline (undelivered, 30006), a number that ends in `0198` is refused as invalid
(21211), one that ends in `0197` is refused as unverified (21608). Every other one is a phone in the inbox; one that
ends in `0196` is voice over IP.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from .ids import Ids

STOP_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
START_WORDS = {"START", "YES", "UNSTOP"}
HELP_WORDS = {"HELP", "INFO"}
_E164 = re.compile(r"\+[1-9]\d{7,14}")
_LANDLINE = re.compile(r"\+1\d{3}5550199")
_ANSWERS = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


class TwilioError(Exception):
    """An error answer: Twilio's own code, its text and the HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


@dataclass
class Sms:
    """One message, out to a phone or in from one."""

    sid: str
    sender: str
    to: str
    body: str
    direction: str  #: outbound-api, outbound-reply (the service's own answers), inbound
    status: str
    created: dt.datetime
    service: str | None = None
    callback: str = ""
    sent: dt.datetime | None = None
    error_code: int | None = None
    updated: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def json(self, account: str) -> dict[str, Any]:
        """Show it as the resource `Message` of API version 2010-04-01; dates are RFC 2822."""
        uri = f"/2010-04-01/Accounts/{account}/Messages/{self.sid}"
        return {
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": _rfc2822(self.created),
            "date_sent": _rfc2822(self.sent),
            "date_updated": _rfc2822(self.updated),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": _REASONS.get(self.error_code or 0),
            "from": self.sender or None,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": str(segments(self.body)),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


_REASONS = {30006: "Landline or unreachable carrier"}


class TwilioState:
    """All messages of one account."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.messages: dict[str, Sms] = {}
        self.blocked: set[tuple[str, str]] = set()  #: (phone, our sender): the phone said STOP
        self.handles = True  #: answers STOP, START and HELP, and blocks, by itself

    def create(self, form: dict[str, str]) -> Sms:
        """Accept a message. Raises TwilioError as the real service does."""
        to, sender, service = form.get("To", ""), form.get("From", ""), form.get("MessagingServiceSid", "")
        body = form.get("Body", "")
        if not to:
            raise TwilioError(21604, "A 'To' phone number is required.")
        if not sender and not service:
            raise TwilioError(21603, "A 'From' phone number is required.")
        if not body:
            raise TwilioError(21602, "Message body is required.")
        if len(body) > 1600:
            raise TwilioError(21617, "The concatenated message body exceeds the 1600 character limit.")
        if not valid(to) or to.endswith("0198"):
            raise TwilioError(21211, f"Invalid 'To' Phone Number: {to[:-4]}XXXX")
        if sender and not valid(sender):
            raise TwilioError(21212, f"Invalid From Number (caller ID): {sender}")
        if to.endswith("0197"):
            raise TwilioError(
                21608,
                "The number is unverified. Trial accounts cannot send messages to unverified numbers; verify it "
                "or purchase a Twilio number to send messages to unverified numbers.",
            )
        if (to, sender or service) in self.blocked:
            raise TwilioError(21610, "Attempt to send to unsubscribed recipient")
        status = "queued" if sender else "accepted"
        return self._keep(sender, to, body, "outbound-api", status, service or None, form.get("StatusCallback", ""))

    def look_up(self, number: str) -> dict[str, Any]:
        """Return what Lookup says of a line. Raises TwilioError for what is no number."""
        if not valid(number):
            raise TwilioError(20404, "The requested resource was not found", 404)
        kind = "landline" if _LANDLINE.fullmatch(number) else "nonFixedVoip" if number.endswith("0196") else "mobile"
        return {"type": kind, "carrier_name": "Sandbox", "error_code": None}

    def steps(self, sms: Sms) -> list[str]:
        """Return the states that a fresh message goes through."""
        end = "undelivered" if _LANDLINE.fullmatch(sms.to) else "delivered"
        return ["queued", "sent", end]

    def move(self, sms: Sms, status: str) -> None:
        sms.status, sms.updated = status, dt.datetime.now(dt.UTC)
        if status == "sent":
            sms.sent = sms.updated
        if status == "undelivered":
            sms.error_code = 30006

    def reply(self, phone: str, sender: str, body: str) -> tuple[Sms, str]:
        """Take a text typed on a phone. Return it and what kind of word it was: STOP, START, HELP or "".

        Only the whole text counts, as with the real service: "STOP PLEASE" is left to the receiver to understand.
        """
        got = self._keep(phone, sender, body, "inbound", "received")
        word = body.strip().upper()
        kind = (
            "STOP" if word in STOP_WORDS else "START" if word in START_WORDS else "HELP" if word in HELP_WORDS else ""
        )
        if not self.handles:
            return got, ""
        if kind == "STOP":
            self.blocked.add((phone, sender))
        if kind == "START":
            self.blocked.discard((phone, sender))
        if kind:
            self.answer(phone, sender, _ANSWERS[kind])
        return got, kind

    def answer(self, phone: str, sender: str, body: str) -> None:
        """Send an answer of its own, or one that the receiver of a text asked for."""
        self._keep(sender, phone, body, "outbound-reply", "delivered")

    def _keep(
        self,
        sender: str,
        to: str,
        body: str,
        direction: str,
        status: str,
        service: str | None = None,
        callback: str = "",
    ) -> Sms:
        now = dt.datetime.now(dt.UTC)
        made = Sms(self.ids.twilio("SM"), sender, to, body, direction, status, now, service, callback)
        self.messages[made.sid] = made
        return made


def valid(number: str) -> bool:
    """Say whether a number is E.164; those of +1 have exactly ten digits more."""
    return bool(_E164.fullmatch(number)) and (not number.startswith("+1") or len(number) == 12)


def segments(body: str) -> int:
    """Count SMS segments: 160/153 characters where GSM-7 can say it, else 70/67."""
    # Near enough to GSM 03.38: ASCII without the backquote, and the accented letters it knows.
    plain = all((c.isascii() and c != "`") or c in "£¥èéùìòÇØøÅåÆæßÉ¤¡ÄÖÑÜ§¿äöñüà€" for c in body)
    single, part = (160, 153) if plain else (70, 67)
    return 1 if len(body) <= single else -(-len(body) // part)


def _rfc2822(at: dt.datetime | None) -> str | None:
    return at.strftime("%a, %d %b %Y %H:%M:%S +0000") if at else None
