"""Mail that comes back: what a mail server writes of it (RFC 3464), posted to where it is told.

Addresses with a fate: one that begins with `bounce` is nobody's (5.1.1), one that begins with `late` is still tried
(4.2.2). POST /_control/mail/bounces?url=&token=   where such mails go, and with which bearer token; nowhere without.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, make_msgid

from .outgoing import post

HOST = "mail.sandbox.example.org"
_FATES = {
    "bounce": ("failed", "5.1.1", "550 5.1.1 There is no such mailbox", "Undelivered Mail Returned to Sender"),
    "late": ("delayed", "4.2.2", "452 4.2.2 The mailbox is full", "Delayed Mail (still being retried)"),
}


def fate(recipient: str) -> str:
    """Return `bounce` or `late` where an address has a fate, else ""."""
    return next((name for name in _FATES if recipient.casefold().startswith(name)), "")


def compose(sender: str, recipient: str, original: bytes, at: dt.datetime) -> bytes:
    """Write what comes back to `sender` (the envelope's) about a mail to an address with a fate."""
    action, status, said, subject = _FATES[fate(recipient)]
    mail = MIMEMultipart("report", report_type="delivery-status")
    mail["From"] = f"Mail Delivery System <MAILER-DAEMON@{HOST}>"
    mail["To"] = sender
    mail["Subject"] = subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = make_msgid(domain=HOST)
    mail["Auto-Submitted"] = "auto-replied"
    mail.attach(MIMEText(f"This is the mail system at host {HOST}.\n\n<{recipient}>: host said: {said}\n"))
    about, one, status_part, head = Message(), Message(), Message(), Message()
    about["Reporting-MTA"] = f"dns; {HOST}"
    one["Final-Recipient"], one["Action"], one["Status"] = f"rfc822; {recipient}", action, status
    one["Diagnostic-Code"] = f"smtp; {said}"
    status_part["Content-Type"] = "message/delivery-status"
    status_part.set_payload([about, one])
    head["Content-Type"] = "text/rfc822-headers"
    head.set_payload("".join(f"{name}: {value}\n" for name, value in message_from_bytes(original).items()))
    mail.attach(status_part)
    mail.attach(head)
    return mail.as_bytes(policy=policy.SMTP)


@dataclass
class Bounces:
    """Where mail that comes back is brought."""

    url: str = ""
    token: str = ""
    #: each with its answer
    deliveries: list[dict[str, object]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def send(self, sender: str, recipient: str, original: bytes) -> None:
        """Send a mail back, if somebody wants to know, and it came from somebody (RFC 5321 §4.5.5)."""
        if self.url and sender:
            mail = compose(sender, recipient, original, dt.datetime.now(dt.UTC))
            task = asyncio.get_running_loop().create_task(self._post(mail))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, mail: bytes) -> None:
        headers = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {self.token}"}
        self.deliveries.append({"status": await post(self.url, mail, headers)})
