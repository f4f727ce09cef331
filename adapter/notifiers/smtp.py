"""E-mail by SMTP (RFC 5321). `compose` says what is sent; `SmtpNotifier` speaks with the mail server.

One connection a mail. Until the end of DATA has been sent nothing was accepted, and a failure may be tried again; once
it has, only the server's answer tells, and silence leaves the outcome unknown. Answers are quoted by their code alone:
their words repeat addresses.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import smtplib
import socket
import ssl
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from chartpost.adapter import dsn
from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.mail_address import Wire, wire
from chartpost.adapter.outbound import connect, in_words, is_loopback
from chartpost.adapter.ports import Bounce, NoticeEvent, NoticeReport, OutgoingText, Sent, Trouble

#: Seconds that a server has to say goodbye: the mail is with it already.
GOODBYE = 2.0
#: Codes (RFC 3463) that are about the address: it is none, nobody has it, it has moved, its mailbox is switched off.
GONE = frozenset(["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])

Security = Literal["starttls", "tls", "none"]


def compose(text: OutgoingText, at: dt.datetime) -> bytes:
    """Return the mail: plain text, and the same words as HTML. Raises Permanent for what would break a header."""
    for header in (text.subject, text.sender_name, text.reference):
        if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in header):
            raise Permanent("the mail was not sent: its sender, subject or id holds a control character")
    sender = _wire(text.sender_address, "sender's address")
    recipient = _wire(text.to, "address")
    plain = f"{sender.local}{recipient.local}".isascii()
    # 7bit: bodies are encoded, since a mail server need not take eight bits.
    mail = EmailMessage(policy=(SMTP if plain else SMTPUTF8).clone(cte_type="7bit"))
    mail["To"] = Address("", *recipient)
    if text.reply_to:
        mail["Reply-To"] = Address("", *_wire(text.reply_to, "address for answers"))
    mail["Subject"] = text.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id(text)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    mail.set_content(text.body)
    if text.html:
        mail.add_alternative(text.html, subtype="html")
    return f"From: {_display(text.sender_name)} <{sender}>\r\n".encode() + mail.as_bytes()


def _display(name: str) -> str:
    """Return a name as it stands before an address (RFC 5322 §3.2.4, RFC 2047 §5).

    Not by EmailMessage: where it folds a long name, it may lose a space.
    """
    if name.isascii():
        return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return Header(name, "utf-8", header_name="From").encode(linesep="\r\n")


def message_id(text: OutgoingText) -> str:
    """Return the Message-ID. It is the same for every try of one notice: mail servers know a second copy by it."""
    domain = _wire(text.sender_address, "sender's address").domain
    return f"<{text.reference}@{domain}>"


def return_path(text: OutgoingText, bounce_address: str) -> Wire:
    """Return where the mail comes back to: the sender, or `bounce_address` with the notice's id in it."""
    if not bounce_address:
        return wire(text.sender_address)
    local, domain = wire(bounce_address)
    return Wire(f"{local}+{text.reference}", domain)


def _wire(address: str, what: str) -> Wire:
    try:
        return wire(address)
    except ValueError:
        raise Permanent(f"the mail was not sent: the {what} is none that mail can go to") from None


def refusal(code: int, at: str, words: bytes = b"") -> Transient | Permanent:
    """Sort a negative answer (RFC 5321 §4.2.1): 4yz is worth another try, 5yz is not, anything else makes no sense.

    Of the words to a recipient the exact code that may stand before them (RFC 2034) takes the place of the other one.
    """
    if 500 <= code <= 599:
        exact = re.match(rb"5\.\d{1,3}\.\d{1,3}\b", words) if at == "the recipient" else None
        return Permanent(f"the mail server refused {at} ({code})", exact[0].decode() if exact else str(code))
    said = f"answered {code} to {at}" if 400 <= code <= 499 else f"answered nonsense to {at}"
    return Transient(f"the mail server {said}")


class _Plain(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connect(host, port, timeout)


class _Secured(smtplib.SMTP_SSL, _Plain):
    """Encrypts what `_Plain` connects."""


class _Line:
    """One connection to the mail server. Every step gets what is left of the time."""

    def __init__(self, server: smtplib.SMTP, deadline: float) -> None:
        self.server = server
        self._deadline = deadline

    def hurry(self, seconds: float | None = None) -> None:
        """Allow the next step so many seconds; None: what is left of the time for all of them."""
        left = self._deadline - time.monotonic() if seconds is None else seconds
        if left <= 0:
            raise TimeoutError
        if self.server.sock is not None:
            self.server.sock.settimeout(left)

    def ask(self, step: Callable[[], tuple[int, bytes]], wanted: int, at: str) -> None:
        """Take one step before the end of DATA. Raises Transient or Permanent unless the answer is `wanted`."""
        self.hurry()
        code, words = step()
        if code // 10 != wanted // 10:  # 250 and 251 are both good
            raise refusal(code, at, words)


class SmtpNotifier:
    """E-mail through one mail server (ports.Notifier)."""

    channel = "email"

    def __init__(
        self, host: str, port: int, security: Security = "starttls", login: tuple[str, str] | None = None, ca: str = "",
        timeout: float = 30, bounces: tuple[str, str] = ("", ""),
    ) -> None:  # fmt: skip
        """Send through `host`. `ca`: PEM of the only authorities to trust; "": those of this machine.

        `timeout` in seconds, for everything up to the end of the mail, and once more for the answer to it. `bounces`:
        where mails come back to, and the secret of who brings them over HTTP; "": to the sender, and nobody.
        """
        self._host, self._port, self._security, self._login = host, port, security, login
        self._timeout, (self._bounce_address, self._bounce_secret) = timeout, bounces
        self._context = None if security == "none" else trust(ca)

    def send(self, text: OutgoingText) -> Sent:
        """Send once. Raises Transient before the end of the mail was sent, Permanent when refused, else Ambiguous."""
        mail = compose(text, dt.datetime.now(dt.UTC))
        sender, recipient = return_path(text, self._bounce_address), wire(text.to)
        # The server must not take a line of ours for the end of the mail (RFC 5321 §4.5.2).
        body = re.sub(rb"(?m)^\.", b"..", mail)
        with self._connected(sender.domain) as line, _nothing_sent():
            options = []
            if not f"{sender.local}{text.sender_address.rpartition('@')[0]}{recipient.local}".isascii():
                if not line.server.has_extn("smtputf8"):
                    raise Permanent("the mail server cannot send to this kind of address: it has no SMTPUTF8")
                options = ["SMTPUTF8", "BODY=8BITMIME"]
            line.ask(partial(line.server.mail, str(sender), options), 250, "the sender")
            line.ask(partial(line.server.rcpt, str(recipient)), 250, "the recipient")
            line.ask(partial(line.server.docmd, "DATA"), 354, "the mail")
            line.hurry()
            line.server.send(body)
            line.hurry(self._timeout)
            _finish(line.server)
            # It is with the server now, whatever becomes of the goodbye.
            with suppress(OSError):
                line.hurry(GOODBYE)
                line.server.quit()
        return Sent(message_id(text))

    def parse_report(self, url: str, body: bytes, headers: Mapping[str, str]) -> NoticeEvent:
        """Refuse: mail servers send no reports."""
        raise Permanent("a mail server sends no status reports")

    def parse_bounce(self, mail: bytes, headers: Mapping[str, str]) -> Bounce:
        """Read a mail that came back, brought with the bearer secret (ports.Bouncing)."""
        given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        wanted = f"Bearer {self._bounce_secret}"
        if not self._bounce_secret or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise Permanent("a mail that came back, brought without the bounce_secret")
        return self.read_bounce(mail)

    def read_bounce(self, mail: bytes, to: str = "") -> Bounce:
        """Read a mail that came back; what it says is in dsn.py."""
        found = dsn.read(mail, to)
        report = NoticeReport.UNDELIVERED if found.failed else NoticeReport.UNKNOWN
        return Bounce(f"bounce/{found.id}", found.notice, report, found.code)

    def trouble(self, code: str) -> Trouble | None:
        """Say whether a code of a bounce means that nobody has the address (ports.Explaining)."""
        return Trouble.GONE if code in GONE else None

    def check(self) -> list[str]:
        """Return what keeps this server from taking our mail: connect, encrypt, log in, leave."""
        try:
            with self._connected("localhost") as line, suppress(OSError):
                line.hurry(GOODBYE)
                line.server.quit()
        except (Transient, Permanent) as error:
            return [str(error)]
        return []

    @contextmanager
    def _connected(self, name: str) -> Iterator[_Line]:
        """Connect as `name`, encrypt and log in; close at the end."""
        deadline = time.monotonic() + self._timeout
        with _nothing_sent():
            if self._security == "tls":
                server: smtplib.SMTP = _Secured(
                    self._host, self._port, name, timeout=self._timeout, context=self._context
                )
            else:
                server = _Plain(self._host, self._port, name, timeout=self._timeout)
        try:
            line = _Line(server, deadline)
            with _nothing_sent():
                line.hurry()
                server.ehlo_or_helo_if_needed()
                if self._security == "starttls":
                    line.hurry()
                    server.starttls(context=self._context)
                    line.hurry()
                    server.ehlo_or_helo_if_needed()
                if self._login is not None:
                    line.hurry()
                    server.login(*self._login)
            yield line
        finally:
            server.close()


def _finish(server: smtplib.SMTP) -> None:
    """Send the end of DATA and read the answer to it. Raises Ambiguous where there is none."""
    try:
        server.send(b".\r\n")
        code, _ = server.getreply()
    except OSError as error:
        raise Ambiguous(f"the mail server had the whole mail and did not answer ({type(error).__name__})") from None
    if 200 <= code <= 299:
        return
    if not 400 <= code <= 599:
        raise Ambiguous("the mail server had the whole mail and answered nonsense")
    raise refusal(code, "the mail")


@contextmanager
def _nothing_sent() -> Iterator[None]:
    """Sort what can go wrong while no server has accepted anything yet."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise refusal(error.smtp_code, "our user name and password") from None
    except smtplib.SMTPNotSupportedError:
        raise Transient(
            "the mail server does not offer what is configured: STARTTLS, or a known way to log in"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise Transient(f"the mail server answered {error.smtp_code} before any mail was sent") from None
    except ssl.SSLCertVerificationError as error:
        raise Transient(f"the mail server's certificate is not to be trusted: {error.verify_message}") from None
    except (OSError, UnicodeError) as error:  # every other SMTPException is an OSError
        raise Transient(f"the mail server could not be reached, or hung up ({in_words(error)})") from None


def trust(ca: str) -> ssl.SSLContext:
    """Return a context that verifies certificates and names. Raises ValueError when `ca` is no PEM."""
    try:
        return ssl.create_default_context(cadata=ca or None)
    except ssl.SSLError:
        raise ValueError("holds no certificate in PEM form") from None


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host.strip("[]") or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("must be host:port")
    return address


def _certificates(ca: str) -> str:
    trust(ca)
    return ca


def _bare(address: str) -> str:
    if address and ("+" in (where := wire(address)).local or len(where.local) > 50):
        raise ValueError("must have room for +NOTICE before the @; write it as in bounce@example.org")
    return address


class Options(BaseModel):
    """A notifier of `type: smtp` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str
    address: Annotated[str, AfterValidator(_host_and_port)]  #: "host:port" of the mail server
    security: Security = "starttls"  #: tls: encrypted from the first byte; none: this machine only
    username: str = ""
    password: SecretStr = SecretStr("")
    ca: Annotated[str, AfterValidator(_certificates)] = ""  #: PEM; "": the authorities that this machine trusts
    #: For everything up to the end of the mail, and again for the answer: both must fit into the lease of an errand.
    timeout_seconds: float = Field(30, gt=0, le=50)
    bounce_address: Annotated[str, AfterValidator(_bare)] = ""  #: MAIL FROM, with +NOTICE in it; "": the sender
    bounce_secret: SecretStr = SecretStr("")  #: of who brings bounces to /hooks/NAME/bounce; "": nobody does

    @model_validator(mode="after")
    def _nobody_listens(self) -> Options:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password belong together; give both or neither")
        if not f"{self.username}{self.password.get_secret_value()}".isascii():
            raise ValueError("username and password must be plain ASCII to be sent to a mail server")
        secret = self.bounce_secret.get_secret_value()
        if secret and (len(secret) < 16 or not secret.isascii()):
            raise ValueError("bounce_secret is too short, or no plain ASCII; `openssl rand -hex 32` makes one")
        if self.security == "none":
            if not is_loopback(f"//{self.address}"):
                raise ValueError("security: none is for a mail server on this machine; say starttls or tls")
            if self.username:
                raise ValueError("a password is not sent unencrypted; say security: starttls or tls")
        return self


def from_settings(options: Options) -> SmtpNotifier:
    """Make the notifier of one configured mail server."""
    host, _, port = options.address.rpartition(":")
    login = (options.username, options.password.get_secret_value()) if options.username else None
    bounces = (options.bounce_address, options.bounce_secret.get_secret_value())
    return SmtpNotifier(
        host.strip("[]"), int(port), options.security, login, options.ca, options.timeout_seconds, bounces
    )
