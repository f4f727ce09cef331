"""A real mail server (aiosmtpd) that takes mail, refuses it, hangs up or says nothing, as a test wants."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import tempfile
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

USER, PASSWORD = "lakeside", "not-a-real-password"


def certificate(*hosts: str, days: int = 30) -> tuple[ssl.SSLContext, str]:
    """Return a server's context for these hosts, and the PEM by which to trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts
    ]
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=60)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
    builder = builder.not_valid_after(begin + dt.timedelta(days=60 + days))
    made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, SHA256())
    pem = made.public_bytes(Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # `ssl` reads files only
        path = Path(folder) / "both.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
        context.load_cert_chain(path)
    return context, pem.decode()


class MailServer:
    """One server. `answers` says for a stage (MAIL, RCPT, DATA: after the end of it) what it does instead of "250":

    a line such as "550 no", "drop" (hangs up), "silence". Mail that it answers otherwise is kept all the same where
    the whole of it was there: "drop" and "silence" after DATA.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, auth: bool = False, utf8: bool = False,
        starttls: bool = True,
    ) -> None:  # fmt: skip
        self.answers: dict[str, str] = {}
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str, list[str], list[str]]] = []
        self.dialogs = 0
        self.secure: list[bool] = []
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        def protocol() -> SMTP:
            self.dialogs += 1
            return SMTP(
                self, hostname="mail.example.org", enable_SMTPUTF8=utf8, loop=self._loop, auth_required=auth,
                tls_context=tls if starttls and not implicit else None, require_starttls=bool(tls) and not implicit,
                auth_require_tls=not implicit, authenticator=_known if auth else None,
            )  # fmt: skip

        async def serve() -> None:
            server = await self._loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
            self.port: int = server.sockets[0].getsockname()[1]
            started.set()

        self._loop.create_task(serve())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        assert started.wait(10)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer(server, "MAIL")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer(server, "RCPT")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers.get("DATA", "250")[0] in "2ds":
            self.raw.append(envelope.original_content)
            self.mails.append(message_from_bytes(envelope.original_content, policy=policy.default))
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos, envelope.mail_options))
            self.secure.append(session.ssl is not None)
        return await self._answer(server, "DATA")

    async def _answer(self, server: Any, stage: str) -> str:
        said = self.answers.get(stage, "250 OK")
        if said in ("drop", "silence"):
            if said == "drop":
                server.transport.abort()
            await asyncio.Event().wait()  # the end of the connection cancels this
        return said

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)
