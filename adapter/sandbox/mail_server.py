"""The mail server of the sandbox: it takes mail for everybody, plain or after STARTTLS, with any password or none.

aiosmtpd speaks SMTP, on the event loop of the sandbox. Each recipient gets a copy; nothing is ever sent on. What is
for an address with a fate comes back (bounces.py).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import logging
import ssl
import tempfile
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .bounces import Bounces, fate
from .faults import Fault, Faults

_ANSWERS = {
    "421": "421 4.3.2 The service is closing",
    "450": "450 4.2.1 The mailbox is busy, try again later",
    "550": "550 5.1.1 There is no such mailbox",
}


class MailServer:
    """What clients meet. `take(sender, recipient, message, at)` is called for each copy of a mail that was accepted."""

    def __init__(self, take: Callable[[str, str, EmailMessage, dt.datetime], None]) -> None:
        self.take = take
        self.bounces = Bounces()
        self.faults = {stage: Faults({*_ANSWERS, "close", "silence"}) for stage in ("rcpt", "data")}

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen. The certificate is made now, signed by itself, and known to nobody."""
        logging.getLogger("mail.log").disabled = True  # aiosmtpd's: it would print what clients do wrong
        context, loop = _certified(), asyncio.get_running_loop()

        def connection() -> SMTP:
            return SMTP(
                self,
                hostname="mail.sandbox.example.org",
                ident="Chartpost sandbox",
                tls_context=context,
                authenticator=lambda *_: AuthResult(success=True),
                auth_require_tls=False,
                enable_SMTPUTF8=True,
                loop=loop,
            )

        return await loop.create_server(connection, host, port)

    async def handle_RCPT(  # the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (fault := self.faults["rcpt"].take()) is not None:
            return await _misbehave(server, fault)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self.faults["data"].take()
        if fault is None or fault.answer in ("close", "silence"):
            # Taken all the same: only the answer gets lost.
            self._deliver(envelope)
        if fault is not None:
            return await _misbehave(server, fault)
        return "250 OK"

    def _deliver(self, envelope: Envelope) -> None:
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        for recipient in envelope.rcpt_tos:
            if fate(recipient):
                self.bounces.send(envelope.mail_from or "", recipient, envelope.original_content or b"")
                continue
            self.take(envelope.mail_from or "", recipient, message, dt.datetime.now(dt.UTC))


async def _misbehave(server: Any, fault: Fault) -> str:
    match fault.answer:
        case "421":
            await server.push(_ANSWERS["421"])
            server.transport.close()
        case "close":
            server.transport.abort()
        case "silence":
            pass
        case code:
            return _ANSWERS[code]
    # The end of the connection cancels this.
    await asyncio.Event().wait()
    return ""


def _certified() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.sandbox.example.org")])
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # `ssl` reads files only; they are gone at once
        both = Path(folder) / "both.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        both.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(both)
    return context
