"""One mail, sent once: what it says, and what the answers of a real mail server mean."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailserver import PASSWORD, USER, MailServer, certificate
from pydantic import ValidationError

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.notifiers.smtp import Options, SmtpNotifier, compose, from_settings
from chartpost.adapter.ports import OutgoingText, Trouble

LINK = "https://pay.example.org/p/0_5g-LAqAUHb4NMJhEWpiQ"
NOW = dt.datetime(2026, 5, 4, 15, 0, tzinfo=dt.UTC)


def letter(**changes: str) -> OutgoingText:
    made = {
        "to": "payer@example.org", "body": f"Lakeside\n\n.hidden\nPay:\n\n{LINK}\n", "status_url": "",
        "subject": "Lakeside", "html": f'<p>Lakeside</p><a href="{LINK}">Pay</a>', "sender_name": "Lakeside Billing",
        "sender_address": "pay@lakeside.example.org", "reply_to": "billing@lakeside.example.org",
        "reference": "N40XAK2CB8JT",
    }  # fmt: skip
    return OutgoingText(**(made | changes))


@pytest.fixture(scope="module")
def certified() -> tuple[ssl.SSLContext, str]:
    return certificate("127.0.0.1", "localhost")


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server without encryption, on this machine."""
    with closing(MailServer()) as server:
        yield server


@pytest.fixture
def notifier(server: MailServer) -> SmtpNotifier:
    return SmtpNotifier("127.0.0.1", server.port, "none", timeout=5)


def sender(raw: bytes) -> tuple[str, str]:
    """Return the name and address in From. Not by Python's newer parser: it takes folds inside a name for spaces."""
    found = str(message_from_bytes(raw)["From"])
    name, address = parseaddr(found.replace("\r\n", "").replace("\n", ""))
    return str(make_header(decode_header(name))), address


# ------------------------------------------------------------------------------------------------------ what is sent


def test_a_mail_says_who_asks_where_answers_go_and_the_same_words_twice(
    server: MailServer, notifier: SmtpNotifier
) -> None:
    sent = notifier.send(letter())
    [mail] = server.mails
    assert sender(server.raw[0]) == ("Lakeside Billing", "pay@lakeside.example.org")
    assert (mail["To"], mail["Reply-To"]) == ("payer@example.org", "billing@lakeside.example.org")
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Lakeside", "auto-generated")
    assert mail["Message-ID"] == sent.provider_ref == "<N40XAK2CB8JT@lakeside.example.org>"
    assert abs(mail["Date"].datetime - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert mail.get_content_type() == "multipart/alternative"
    assert plain is not None
    assert html is not None
    # A line that begins with a dot arrives whole, and does not end the mail.
    assert plain.get_content().splitlines() == letter().body.splitlines()
    assert LINK in html.get_content()
    assert server.envelopes == [("pay@lakeside.example.org", ["payer@example.org"], [])]


def test_headers_hold_nothing_but_what_a_mail_needs(server: MailServer, notifier: SmtpNotifier) -> None:
    notifier.send(letter())
    names = {name for name in server.mails[0].keys() if not name.startswith("X-")}  # noqa: SIM118  (a mail is no dict)
    assert names == {
        "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip


def test_another_try_of_the_same_notice_has_the_same_message_id(server: MailServer, notifier: SmtpNotifier) -> None:
    assert notifier.send(letter()) == notifier.send(letter())
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]


def test_names_and_domains_of_every_script_arrive_as_they_were_written(
    server: MailServer, notifier: SmtpNotifier
) -> None:
    name = 'Praxis "Zürichsee", Abrechnung & Kasse 診療所'
    notifier.send(letter(sender_name=name, subject="Zürichsee", to="kasse@bücher.example.org", body="Öffnen\n"))
    [mail] = server.mails
    assert sender(server.raw[0]) == (name, "pay@lakeside.example.org")
    assert mail["Subject"] == "Zürichsee"
    assert server.envelopes[0][1] == ["kasse@xn--bcher-kva.example.org"]


def test_bodies_travel_in_seven_bits_since_a_server_need_not_take_eight() -> None:
    assert compose(letter(body="Öffnen\n", html="<p>Öffnen</p>"), NOW).isascii()


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=120)


@given(name=PRINTABLE.map(str.strip).filter(bool))
def test_whatever_a_facility_is_called_its_mail_has_one_sender_and_one_recipient(name: str) -> None:
    raw = compose(letter(sender_name=name, subject=name), NOW)
    mail = message_from_bytes(raw, policy=policy.default)
    assert sender(raw) == (name, "pay@lakeside.example.org")
    assert mail["Subject"] == name
    assert [one.addr_spec for one in mail["To"].addresses] == ["payer@example.org"]
    assert (mail["Bcc"], mail["Cc"]) == (None, None)


@pytest.mark.parametrize("field", ["sender_name", "subject", "reference"])
@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00"])
def test_nobody_smuggles_a_header_in_by_a_name(
    server: MailServer, notifier: SmtpNotifier, field: str, break_: str
) -> None:
    with pytest.raises(Permanent, match="control character"):
        notifier.send(letter(**{field: f"Lakeside{break_}Bcc: somebody@example.org"}))
    assert server.dialogs == 0


@pytest.mark.parametrize("to", ["a@x.org, b@x.org", "a@x.org\r\nRCPT TO:<b@x.org>", "a(b)@x.org", "payer", ""])
def test_what_is_not_exactly_one_address_is_refused_before_anybody_is_called(
    server: MailServer, notifier: SmtpNotifier, to: str
) -> None:
    with pytest.raises(Permanent) as refused:
        notifier.send(letter(to=to))
    assert str(refused.value) == "the mail was not sent: the address is none that mail can go to"
    assert server.dialogs == 0


def test_an_address_with_letters_beyond_ascii_needs_a_server_that_takes_it(notifier: SmtpNotifier) -> None:
    with pytest.raises(Permanent, match="SMTPUTF8"):
        notifier.send(letter(to="jürgen@example.org"))
    with closing(MailServer(utf8=True)) as server:
        SmtpNotifier("127.0.0.1", server.port, "none", timeout=5).send(letter(to="jürgen@example.org"))
        assert server.envelopes[0][1:] == (["jürgen@example.org"], ["SMTPUTF8", "BODY=8BITMIME"])
        assert server.mails[0]["To"] == "jürgen@example.org"


# --------------------------------------------------------------------------------------------- what the answers mean


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("code", "kind"), [("451", Transient), ("421", Transient), ("550", Permanent)])
def test_4_is_worth_another_try_and_5_is_not_at_every_stage(
    server: MailServer, notifier: SmtpNotifier, stage: str, code: str, kind: type[Exception]
) -> None:
    server.answers[stage] = f"{code} payer@example.org is not welcome here"
    with pytest.raises(kind) as refused:
        notifier.send(letter())
    assert code in str(refused.value)
    assert "payer" not in str(refused.value)
    assert getattr(refused.value, "code", "") == ("550" if kind is Permanent else "")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
@pytest.mark.parametrize("fault", ["drop", "silence"])
def test_a_server_that_is_lost_before_the_end_of_the_mail_has_not_got_it(
    server: MailServer, stage: str, fault: str
) -> None:
    server.answers[stage] = fault
    with pytest.raises(Transient, match="hung up"):
        SmtpNotifier("127.0.0.1", server.port, "none", timeout=0.3).send(letter())
    assert server.mails == []


@pytest.mark.parametrize("fault", ["drop", "silence", "999 what", "nonsense"])
def test_a_server_that_is_lost_after_the_end_of_the_mail_may_have_it(server: MailServer, fault: str) -> None:
    server.answers["DATA"] = fault
    with pytest.raises(Ambiguous, match="the whole mail"):
        SmtpNotifier("127.0.0.1", server.port, "none", timeout=0.3).send(letter())


def test_a_mail_that_was_taken_is_sent_whatever_becomes_of_the_goodbye() -> None:
    with scripted(b"220 hello", b"250 hello", b"250 ok", b"250 ok", b"354 go on", b"250 ok", None) as (port, _):
        assert SmtpNotifier("127.0.0.1", port, "none", timeout=5).send(letter()).provider_ref


@pytest.mark.parametrize("said", [b"421 too busy", b"554 not you", b"nonsense", None])
def test_whoever_does_not_even_greet_may_take_the_mail_later(said: bytes | None) -> None:
    with scripted(said) as (port, _), pytest.raises(Transient):
        SmtpNotifier("127.0.0.1", port, "none", timeout=5).send(letter())


@pytest.mark.parametrize(
    ("said", "kind"), [(b"451 later", Transient), (b"554 never", Permanent), (b"250 what", Transient)]
)
def test_the_word_data_may_be_refused_too(said: bytes, kind: type[Exception]) -> None:
    with scripted(b"220 hello", b"250 hello", b"250 ok", b"250 ok", said) as (port, _), pytest.raises(kind):
        SmtpNotifier("127.0.0.1", port, "none", timeout=5).send(letter())


def test_all_steps_together_take_no_longer_than_they_may() -> None:
    """A server that answers each step just in time."""
    begun = time.monotonic()
    with scripted(b"220 hello", *[b"250 ok"] * 9, pause=0.2) as (port, _), pytest.raises(Transient):
        SmtpNotifier("127.0.0.1", port, "none", timeout=0.5).send(letter())
    assert time.monotonic() - begun < 0.9


def test_nobody_there_is_transient() -> None:
    with socket.socket() as bound:  # a port that nobody can listen on meanwhile
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Transient, match="could not be reached"):
            SmtpNotifier("127.0.0.1", bound.getsockname()[1], "none", timeout=5).send(letter())
    with pytest.raises(Transient, match="could not be reached"):
        SmtpNotifier("mail.invalid", 25, timeout=5).send(letter())
    with pytest.raises(Transient, match="could not be reached"):
        SmtpNotifier("mail..invalid", 25, timeout=5).send(letter())


# ------------------------------------------------------------------------------------------- encryption and logging in


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not see that the line is encrypted already
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_mail_and_the_password_go_over_an_encrypted_line(certified: tuple[Any, str], security: Any) -> None:
    context, ca = certified
    with closing(MailServer(context, implicit=security == "tls", auth=True)) as server:
        notifier = SmtpNotifier("127.0.0.1", server.port, security, (USER, PASSWORD), ca, 5)
        notifier.send(letter())
        assert len(server.mails) == 1
        assert server.secure == [security == "starttls"]  # aiosmtpd counts only what STARTTLS has encrypted
        assert notifier.check() == []


def test_a_certificate_that_nobody_vouches_for_ends_the_conversation(certified: tuple[Any, str]) -> None:
    context, _ = certified
    _, other = certificate("127.0.0.1")
    with closing(MailServer(context)) as server:
        for ca in ("", other):
            with pytest.raises(Transient, match="certificate is not to be trusted"):
                SmtpNotifier("127.0.0.1", server.port, "starttls", None, ca, 5).send(letter())
        assert server.mails == []


@pytest.mark.parametrize(("hosts", "days"), [(("mail.example.org",), 30), (("127.0.0.1",), -30)])
def test_a_certificate_for_another_name_or_of_yesterday_ends_it_too(hosts: tuple[str, ...], days: int) -> None:
    context, ca = certificate(*hosts, days=days)
    with closing(MailServer(context)) as server, pytest.raises(Transient, match="certificate is not to be trusted"):
        SmtpNotifier("127.0.0.1", server.port, "starttls", None, ca, 5).send(letter())


def test_without_starttls_nothing_is_said_to_a_server_that_should_offer_it(server: MailServer) -> None:
    with pytest.raises(Transient, match="STARTTLS"):
        SmtpNotifier("127.0.0.1", server.port, "starttls", (USER, PASSWORD), timeout=5).send(letter())
    assert server.mails == []


def test_a_wrong_password_is_said_once_and_not_repeated(certified: tuple[Any, str]) -> None:
    """Tried again every minute for every patient, it would lock the account."""
    context, ca = certified
    with closing(MailServer(context, auth=True)) as server:
        notifier = SmtpNotifier("127.0.0.1", server.port, "starttls", (USER, "wrong"), ca, 5)
        with pytest.raises(Permanent, match="user name and password") as refused:
            notifier.send(letter())
        assert refused.value.code == "535"
        assert notifier.check() == [str(refused.value)]


def test_a_check_says_what_keeps_us_from_sending() -> None:
    [problem] = SmtpNotifier("mail.invalid", 25, timeout=5).check()
    assert "could not be reached" in problem


# -------------------------------------------------------------------------------------------------------------- other


def test_a_mail_server_sends_no_reports(notifier: SmtpNotifier) -> None:
    with pytest.raises(Permanent):
        notifier.parse_report("https://pay.example.org/hooks/mail/status", b"", {})


def test_what_comes_back_comes_to_the_sender_or_to_an_address_with_the_notice_in_it(server: MailServer) -> None:
    for bounce, envelope in (
        ("", "pay@lakeside.example.org"), ("bounce@back.example.org", "bounce+N40XAK2CB8JT@back.example.org"),
    ):  # fmt: skip
        SmtpNotifier("127.0.0.1", server.port, "none", timeout=5, bounces=(bounce, "")).send(letter())
        assert server.envelopes[-1][0] == envelope
        assert server.mails[-1]["From"] == "Lakeside Billing <pay@lakeside.example.org>"
        assert (server.mails[-1]["Subject"], server.mails[-1]["Reply-To"]) == (
            "Lakeside",
            "billing@lakeside.example.org",
        )


@pytest.mark.parametrize(
    ("stage", "said", "code", "trouble"),
    [
        ("RCPT", "550 5.1.1 <payer@example.org> is nobody here", "5.1.1", Trouble.GONE),
        ("RCPT", "550 5.7.1 <payer@example.org> says no", "5.7.1", None),
        ("RCPT", "550 payer@example.org 5.1.1", "550", None),
        ("RCPT", "552 5.2.2 full", "5.2.2", None),
        ("MAIL", "550 5.1.1 no such sender", "550", None),
        ("DATA", "554 5.1.1 after all of it", "554", None),
    ],
)
def test_the_exact_code_of_a_refused_recipient_is_kept_and_says_whether_somebody_is_there(
    server: MailServer, notifier: SmtpNotifier, stage: str, said: str, code: str, trouble: Trouble | None
) -> None:
    server.answers[stage] = said
    with pytest.raises(Permanent) as refused:
        notifier.send(letter())
    assert (refused.value.code, notifier.trouble(refused.value.code)) == (code, trouble)
    assert "payer" not in str(refused.value)


def options(**changes: object) -> Options:
    return Options.model_validate({"type": "smtp", "address": "mail.example.org:587"} | changes)


def test_encryption_is_the_default_and_secrets_are_not_shown() -> None:
    made = options(username="lakeside", password="hidden")
    assert (made.security, made.timeout_seconds) == ("starttls", 30)
    assert "hidden" not in repr(made)
    assert from_settings(made).channel == "email"
    assert from_settings(options(address="[::1]:25", security="none")).channel == "email"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "mail.example.org"}, "host:port"),
        ({"address": "mail.example.org:0"}, "host:port"),
        ({"security": "none"}, "on this machine"),
        ({"security": "none", "address": "127.0.0.1:25", "username": "a", "password": "b"}, "unencrypted"),
        ({"username": "a"}, "belong together"),
        ({"password": "b"}, "belong together"),
        ({"username": "ä", "password": "b"}, "ASCII"),
        ({"ca": "not a certificate"}, "PEM"),
        ({"timeout_seconds": 51}, "less than or equal"),
        ({"timeout_seconds": 0}, "greater than"),
        ({"helo": "x"}, "Extra inputs"),
        ({"bounce_address": "bounce"}, "no e-mail address"),
        ({"bounce_address": "bounce+1@example.org"}, "have room"),
        ({"bounce_address": f"{'b' * 51}@example.org"}, "have room"),
        ({"bounce_secret": "short"}, "too short"),
        ({"bounce_secret": "ä" * 20}, "ASCII"),
    ],
)
def test_options_that_cannot_work_or_would_show_a_password_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(**changes)


class scripted:
    """A server that says these lines, one to each line it hears (None: hangs up), and has no idea what SMTP is."""

    def __init__(self, *lines: bytes | None, pause: float = 0) -> None:
        self.lines, self.pause = lines, threading.Event()
        self.seconds = pause
        self.door = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> tuple[int, None]:
        threading.Thread(target=self._talk, daemon=True).start()
        return self.door.getsockname()[1], None

    def _talk(self) -> None:
        with suppress(OSError):
            there, _ = self.door.accept()
            with there, there.makefile("rb") as heard:
                for line in self.lines:
                    self.pause.wait(self.seconds)
                    if line is None:
                        return
                    there.sendall(line + b"\r\n")
                    if line.startswith(b"354"):
                        while heard.readline() not in (b".\r\n", b""):
                            pass
                    else:
                        heard.readline()

    def __exit__(self, *_: object) -> None:
        self.pause.set()
        self.door.close()
