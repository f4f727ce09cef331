"""What a mail that came back says: delivery status notifications (RFC 3464), and servers with a way of their own.

Pure: bytes in, a verdict out. Which of our mails it is about is said by the address it came to (the envelope's, with
the notice's id in it), else by the Message-ID of the mail that it carries. "failed" is for good, whatever the code:
after days of trying a server gives up with 4.4.7. Of servers without that word 5.x.x is for good, and 4.x.x is not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from email.utils import getaddresses

#: Our Notice's public id, as ids.public_id makes it: whatever else stands there is somebody else's.
_NOTICE = r"N[0-9A-Z]{11}"
_TAGGED = re.compile(rf"\+({_NOTICE})@", re.IGNORECASE)
_MESSAGE_ID = re.compile(rf"<({_NOTICE})@[^<>\s]+>")
#: Headers by which a mail server says to whom it has delivered, before the one that any sender may write.
_TO = ("Delivered-To", "X-Original-To", "X-Delivered-To", "Envelope-To", "To")
_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\d|\.\d)")
#: A reply code (RFC 5321) at the head of what the other server said.
_REPLY = re.compile(r"(?:^|[\s:>(])([45])\d\d(?=[ -])(?! \d{4}|-\d{4})", re.MULTILINE)
#: Where servers of no standard begin the copy of the mail that came back.
_COPY = re.compile(r"^--.*(?:copy of|original|returned|below this line).*$", re.IGNORECASE | re.MULTILINE)
#: Who writes for a mail server.
_DAEMON = re.compile(r"\b(mailer-daemon|postmaster|mail delivery (sub)?system)\b", re.IGNORECASE)
_LATE = re.compile(
    r"\b(delayed|delivery delay|will (be )?(retr|tr)|still (being )?tr|no action is required)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that came back."""

    id: str  #: the same for a second copy of it; says nothing of anybody
    notice: str  #: the notice's public id, "" where none is named
    code: str  #: "5.1.1"; "" where there is none
    failed: bool  #: it will not arrive; False: it is late, or this is no bounce


def read(mail: bytes, to: str = "") -> Returned:
    """Read a mail that came to the address `to` ("": its own headers tell). Whatever it is, nothing is raised."""
    try:
        message = message_from_bytes(mail, policy=policy.compat32)
        mine = str(message.get("Message-ID", "")).strip().encode("utf-8", "replace") or mail
        code, failed = _verdict(message)
        notice = _notice(message, to)
    except Exception:  # anybody can write to this address, and what Python's parser raises is not written down
        mine, notice, code, failed = mail, "", "", False
    return Returned(hashlib.sha256(mine).hexdigest()[:32], notice, code, failed)


def _verdict(message: Message) -> tuple[str, bool]:
    """Return the code and whether it is for good."""
    found = [_recipient(block) for block in _blocks(message)]
    if found:  # the worst word counts: we write each mail to one address
        return next((one for one in found if one[1]), found[0])
    by_daemon = "X-Failed-Recipients" in message or _DAEMON.search(str(message.get("From", ""))) is not None
    by_nobody = str(message.get("Return-Path", "")).strip() == "<>"
    if not by_daemon and (not by_nobody or "auto-replied" in str(message.get("Auto-Submitted", "")).casefold()):
        return "", False  # a person's answer, or their holidays': the numbers in it are no codes
    text = _COPY.split(_text(message), maxsplit=1)[0]
    code = next(iter(_STATUS.findall(text)), "")
    kind = code[:1] or next(iter(_REPLY.findall(text)), "")
    late = _LATE.search(f"{message.get('Subject', '')}\n{text}")
    # A mail server that gives no code has given up, unless it says that it goes on. Holiday answers give none either.
    return code, kind == "5" or (by_daemon and not kind and not late)


def _recipient(block: Message) -> tuple[str, bool]:
    """Read what is said of one recipient (RFC 3464 §2.3)."""
    action = str(block.get("Action", "")).strip().casefold()
    stated = _STATUS.search(str(block.get("Status", "")))
    # Some write 5.0.0 and have the other server's own, exact word beside it.
    exact = _STATUS.search(str(block.get("Diagnostic-Code", "")))
    code = stated[1] if stated else exact[1] if exact else ""
    if exact and code.endswith(".0.0") and exact[1][0] == code[0]:
        code = exact[1]
    return code, action == "failed" or (not action and code.startswith("5"))


def _blocks(message: Message) -> Iterator[Message]:
    """Yield the blocks of message/delivery-status that speak of a recipient."""
    for part in message.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            payload = part.get_payload()
            blocks = payload if isinstance(payload, list) else [payload]
            yield from (one for one in blocks if isinstance(one, Message) and ("Action" in one or "Status" in one))


def _notice(message: Message, to: str) -> str:
    for address in (to, *_addresses(message)):
        if found := _TAGGED.search(address):
            return found[1].upper()
    for part in message.walk():
        if part is not message and (found := _MESSAGE_ID.search(str(part.get("Message-ID", "")))):
            return found[1]
    text = _text(message)
    copied = re.search(rf"^[ \t>]*Message-ID:\s*<({_NOTICE})@", text, re.IGNORECASE | re.MULTILINE)
    answered = _MESSAGE_ID.search(f"{message.get('In-Reply-To', '')} {message.get('References', '')}")
    return copied[1] if copied else answered[1] if answered else ""


def _addresses(message: Message) -> list[str]:
    return [address for name in _TO for _, address in getaddresses([str(one) for one in message.get_all(name, [])])]


def _text(message: Message) -> str:
    """Return what stands in a mail as text, and the heads of mails that it carries."""
    texts = []
    for part in message.walk():
        if part.get_content_type() in ("text/plain", "text/html", "text/rfc822-headers"):
            payload = part.get_payload(decode=True)
            texts.append(payload.decode("utf-8", "replace") if isinstance(payload, bytes) else "")
    return "\n".join(texts)
