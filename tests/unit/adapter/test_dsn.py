"""Mail that came back, as servers write it: the standard's way, and the ways of those who have one of their own."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter import dsn

NOTICE = "N40XAK2CB8JT"
TO = f"bounce+{NOTICE}@lakeside.example.org"


def mail(text: str) -> bytes:
    return textwrap.dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


def report(*blocks: str, to: str = TO, original: str = f"Message-ID: <{NOTICE}@lakeside.example.org>") -> bytes:
    """A multipart/report (RFC 3462) with these blocks of message/delivery-status."""
    head = (
        f"From: MAILER-DAEMON@mx.example.org\nTo: {to}\nMessage-ID: <1@mx.example.org>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
    )
    status = "\n\n".join(("Reporting-MTA: dns; mx.example.org", *blocks))
    parts = (
        ("text/plain", "It could not be delivered.\n"), ("message/delivery-status", f"{status}\n"),
        ("message/rfc822", f"{original}\nSubject: Lakeside\n\nYou have a balance to pay.\n"),
    )  # fmt: skip
    body = "".join(f"--b\nContent-Type: {kind}\n\n{text}" for kind, text in parts)
    return f"{head}{body}--b--\n".replace("\n", "\r\n").encode()


def block(action: str, status: str, said: str = "") -> str:
    text = f"Final-Recipient: rfc822; payer@example.org\nAction: {action}\nStatus: {status}"
    return text + (f"\nDiagnostic-Code: smtp; {said}" if said else "")


@pytest.mark.parametrize(
    ("blocks", "code", "failed"),
    [
        ([block("failed", "5.1.1")], "5.1.1", True),
        ([block("Failed", "5.2.2 (mailbox full)")], "5.2.2", True),
        ([block("failed", "5.0.0", "550 5.1.10 RESOLVER.ADR.RecipientNotFound")], "5.1.10", True),
        ([block("failed", "4.4.7")], "4.4.7", True),  # given up after days
        ([block("delayed", "4.4.1")], "4.4.1", False),
        ([block("relayed", "2.1.9")], "2.1.9", False),
        ([block("delivered", "2.1.5")], "2.1.5", False),
        ([block("delayed", "4.2.2"), block("failed", "5.7.1")], "5.7.1", True),
        (["Final-Recipient: rfc822; payer@example.org\nStatus: 5.1.2"], "5.1.2", True),
        ([block("failed", "nonsense")], "", True),
    ],
)
def test_the_action_of_a_report_says_whether_it_is_for_good_and_the_status_why(blocks, code, failed):
    found = dsn.read(report(*blocks))
    assert (found.notice, found.code, found.failed) == (NOTICE, code, failed)


def test_the_envelope_names_the_notice_before_any_header_and_the_original_where_no_address_does():
    other = report(block("failed", "5.1.1"), to="bounce+N00000000000@lakeside.example.org")
    assert dsn.read(other, TO).notice == NOTICE
    assert dsn.read(other).notice == "N00000000000"
    delivered = f"Delivered-To: {TO}\r\n".encode() + other
    assert dsn.read(delivered).notice == NOTICE
    assert dsn.read(report(block("failed", "5.1.1"), to="pay@lakeside.example.org")).notice == NOTICE
    nobody = report(block("failed", "5.1.1"), to="pay@lakeside.example.org", original="Message-ID: <77@example.org>")
    assert dsn.read(nobody).notice == ""


EXIM = f"""
    Return-path: <>
    X-Failed-Recipients: payer@example.org
    From: Mail Delivery System <Mailer-Daemon@mx.example.org>
    To: pay@lakeside.example.org
    Subject: Mail delivery failed: returning message to sender

    This message was created automatically by mail delivery software.

      payer@example.org
        host mail.example.org [192.0.2.5]
        SMTP error from remote mail server after RCPT TO:<payer@example.org>:
        550 5.1.1 <payer@example.org>: Recipient address rejected

    ------ This is a copy of the message, including all the headers. ------

    From: "Lakeside Billing" <pay@lakeside.example.org>
    Message-ID: <{NOTICE}@lakeside.example.org>

    You have a balance to pay. Call 450 5th street, says 4.2.2.
"""
QMAIL = f"""
    Return-Path: <>
    From: MAILER-DAEMON@mx.example.org
    To: {TO}
    Subject: failure notice

    Hi. This is the qmail-send program at mx.example.org.

    <payer@example.org>:
    Sorry, no mailbox here by that name. (#5.1.1)

    --- Below this line is a copy of the message.
"""
NO_CODE = f"""
    From: Postmaster <postmaster@mx.example.org>
    To: {TO}
    Subject: Undeliverable: Lakeside

    Your message did not reach some or all of the intended recipients.
"""
REPLY_CODE = f"""
    Return-Path: <>
    From: gateway@mx.example.org
    To: {TO}
    Subject: returned

    payer@example.org: 554 delivery error: this user has no such account
"""
WARNING = f"""
    Return-path: <>
    From: Mail Delivery System <Mailer-Daemon@mx.example.org>
    To: {TO}
    Subject: Warning: message 1abc delayed 24 hours

    This message was created automatically by mail delivery software.
    No action is required on your part.
"""
GREYLISTED = f"""
    Return-Path: <>
    From: MAILER-DAEMON@mx.example.org
    To: {TO}

    payer@example.org: host said: 450 4.2.0 greylisted
"""
HOLIDAY = f"""
    Return-Path: <>
    From: Invented Payer <payer@example.org>
    To: {TO}
    Auto-Submitted: auto-replied
    Subject: Out of office

    I am away until Monday.
"""
AWAY = f"""
    Return-Path: <>
    From: Invented Payer <payer@example.org>
    To: {TO}
    Auto-Submitted: auto-replied
    Subject: Out of office

    I am away until 5.6.26. In urgent matters call 608 555 0142.

    500 Main Street, Springfield
"""
ANSWER = f"""
    From: Invented Payer <payer@example.org>
    To: pay@lakeside.example.org
    In-Reply-To: <{NOTICE}@lakeside.example.org>
    Subject: Re: Lakeside

    I get a 550 5.1.1 error when I open it.
"""


@pytest.mark.parametrize(
    ("text", "code", "failed"),
    [
        (EXIM, "5.1.1", True), (QMAIL, "5.1.1", True), (NO_CODE, "", True), (REPLY_CODE, "", True),
        (WARNING, "", False), (GREYLISTED, "4.2.0", False), (HOLIDAY, "", False),
        (AWAY, "", False), (ANSWER, "", False),
    ],
    ids=["exim", "qmail", "no code", "reply code", "warning", "greylisted", "holiday", "away", "an answer"],
)  # fmt: skip
def test_servers_without_reports_are_understood_and_people_are_no_servers(text, code, failed):
    found = dsn.read(mail(text))
    assert (found.notice, found.code, found.failed) == (NOTICE, code, failed)


def test_a_second_copy_has_the_same_id_and_the_id_says_nothing_of_anybody():
    first, again = report(block("failed", "5.1.1")), b"Received: by mx2\r\n" + report(block("failed", "5.1.1"))
    assert dsn.read(first).id == dsn.read(again).id
    assert "payer" not in dsn.read(mail(QMAIL)).id
    assert dsn.read(mail(QMAIL)).id != dsn.read(mail(NO_CODE)).id


@given(st.binary(max_size=600), st.binary(max_size=200), st.text(max_size=50))
def test_whatever_comes_is_read_or_is_no_bounce_and_nothing_is_raised(head, body, to):
    for raw in (head, head + b"\r\n\r\n" + body, report(block("failed", "5.1.1")).replace(b"failed", body)):
        assert isinstance(dsn.read(raw, to).failed, bool)


@pytest.mark.timeout(10)
def test_a_mail_that_is_made_to_take_long_does_not():
    lines = (b"-" * 200_000, b"\n" * 200_000, b" " * 200_000, b"<N" * 100_000, b"--b\r\n" * 50_000, b"5.1." * 50_000)
    for line in lines:
        dsn.read(b"From: MAILER-DAEMON@mx.example.org\r\n\r\n" + line)
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2_000))
    assert dsn.read(nested).failed is False
