"""The mail server takes mail as clients send it, and the mailbox shows it as people see it."""

from __future__ import annotations

import smtplib
import ssl
import uuid
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

LINK = "http://127.0.0.1:8080/p/Zm9yLXRlc3RzLW9ubHkhIQ"


@pytest.fixture
def mail(box) -> Iterator[Callable[..., smtplib.SMTP]]:
    """Connect as a mail client does; keyword arguments as of smtplib."""
    open_ones: list[smtplib.SMTP] = []

    def connect(timeout: float = 5) -> smtplib.SMTP:
        host, _, port = box.smtp.partition(":")
        open_ones.append(smtplib.SMTP(host, int(port), "localhost", timeout))
        return open_ones[-1]

    yield connect
    for client in open_ones:
        client.close()


@pytest.fixture
def letter() -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Lakeside Billing <pay@lakeside.example.org>"
    made["To"] = f"Renée Ångström <{uuid.uuid4().hex[:8]}@example.org>"
    made["Reply-To"] = "billing@lakeside.example.org"
    made["Subject"] = "Lakeside — a message for you"
    made["Message-ID"] = "<n1@lakeside.example.org>"
    made.set_content(f"You have a balance.\nSee {LINK}.\n")
    made.add_alternative(
        f'<html><head><title>x</title></head><p style="color:red"><a href="{LINK}?a=1&amp;b=2">See</a></p>', "html"
    )
    return made


def _got(box, letter: EmailMessage) -> list[dict]:
    to = letter["To"].addresses[0].addr_spec
    return [mail for mail in box.web.get("/mailbox.json").json()["mails"] if mail["to"] == to]


def test_a_mail_is_shown_as_its_reader_sees_it(box, mail, letter) -> None:
    mail().send_message(letter)
    (seen,) = _got(box, letter)
    assert (seen["from_name"], seen["from"]) == ("Lakeside Billing", "pay@lakeside.example.org")
    assert (seen["reply_to"], seen["subject"]) == ("billing@lakeside.example.org", "Lakeside — a message for you")
    assert seen["text"] == f"You have a balance.\nSee {LINK}.\n"
    assert seen["links"] == [LINK, f"{LINK}?a=1&b=2"]
    assert seen["headers"]["Message-ID"] == "<n1@lakeside.example.org>"
    assert "Lakeside — a message for you" in box.web.get("/mailbox").text


def test_the_html_of_a_mail_runs_nothing_and_fetches_nothing(box, mail, letter) -> None:
    mail().send_message(letter)
    number = len(box.web.get("/mailbox.json").json()["mails"]) - 1
    assert f'<iframe src="/mailbox/{number}"' in box.web.get("/mailbox").text
    answer = box.web.get(f"/mailbox/{number}")
    assert '<head><base target="_blank"><title>' in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "allow-scripts" not in policy
    assert box.web.get("/mailbox/100000").status_code == 404


def test_starttls_and_a_password_are_taken_and_nothing_is_asked_for(box, mail, letter) -> None:
    client = mail()
    client.ehlo()
    assert client.has_extn("starttls")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    client.ehlo()
    assert set(client.esmtp_features["auth"].split()) >= {"LOGIN", "PLAIN"}
    client.login("lakeside", "any password")
    client.send_message(letter)
    assert len(_got(box, letter)) == 1


def test_the_certificate_is_known_to_nobody(mail) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        mail().starttls(context=ssl.create_default_context())


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_a_password_is_taken_without_tls_too(mail, method) -> None:
    client = mail()
    client.ehlo()
    client.user, client.password = "lakeside", "any password"
    assert client.auth(method.removeprefix("auth_").upper(), getattr(client, method))[0] == 235


def test_every_recipient_gets_a_copy(box, mail, letter) -> None:
    others = [f"{uuid.uuid4().hex}@example.org" for _ in range(2)]
    mail().send_message(letter, to_addrs=others)
    mails = box.web.get("/mailbox.json").json()["mails"]
    assert [mail["to"] for mail in mails[-2:]] == others


@pytest.mark.parametrize("code", [421, 450, 550])
def test_a_recipient_that_is_refused_gets_nothing(box, mail, letter, code) -> None:
    box.web.post(f"/_control/mail/next?answer={code}&stage=rcpt")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        mail().send_message(letter)
    assert [status for status, _ in refused.value.recipients.values()] == [code]
    assert _got(box, letter) == []
    mail().send_message(letter)
    assert len(_got(box, letter)) == 1


@pytest.mark.parametrize("code", [421, 450, 550])
def test_a_mail_that_is_refused_at_its_end_was_not_taken(box, mail, letter, code) -> None:
    box.web.post(f"/_control/mail/next?answer={code}&stage=data")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail().send_message(letter)
    assert refused.value.smtp_code == code
    assert _got(box, letter) == []


@pytest.mark.parametrize(("stage", "taken"), [("rcpt", 0), ("data", 1)])
@pytest.mark.parametrize("how", ["close", "silence"])
def test_an_answer_that_is_lost_tells_nothing(box, mail, letter, how, stage, taken) -> None:
    box.web.post(f"/_control/mail/next?answer={how}&stage={stage}")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        mail(timeout=1).send_message(letter)
    assert len(_got(box, letter)) == taken
    mail().send_message(letter)
    assert len(_got(box, letter)) == taken + 1


def test_odd_mail_is_shown_all_the_same(box, mail) -> None:
    to = f"{uuid.uuid4().hex}@example.org"
    for odd in (b"", b"no header at all", b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=none\r\n\r\n\xff"):
        mail().sendmail("a@example.org", to, odd)
    assert len([m for m in box.web.get("/mailbox.json").json()["mails"] if m["to"] == to]) == 3
    assert box.web.get("/mailbox").status_code == 200


def test_addresses_beyond_ascii_are_shown_as_they_are(box, mail) -> None:
    to = f"{uuid.uuid4().hex}@example.org"
    raw = "From: jürgen@example.org\r\nReply-To: zoë@example.org\r\n\r\nhello\r\n".encode()
    options = ["SMTPUTF8", "BODY=8BITMIME"]
    mail().sendmail("jürgen@example.org", to, raw, mail_options=options)
    mail().sendmail("a@example.org", to, b"From: j\xfcrgen@example.org\r\n\r\nhello\r\n")
    seen, broken = (m for m in box.web.get("/mailbox.json").json()["mails"] if m["to"] == to)
    assert (seen["from"], seen["reply_to"]) == ("jürgen@example.org", "zoë@example.org")
    assert broken["from"] == "j\ufffdrgen@example.org"
    assert box.web.get("/mailbox").status_code == 200


def test_an_unknown_fault_is_told_so(box) -> None:
    assert box.web.post("/_control/mail/next?answer=999").status_code == 400
    assert box.web.post("/_control/mail/next?answer=450&stage=quit").status_code == 400
    assert box.web.post("/_control/mail/other").status_code == 404
