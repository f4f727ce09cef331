"""The contract for plugin authors: our own notifiers keep it, and one that does not is told where."""

from __future__ import annotations

import json
import logging
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from mailserver import MailServer
from twilio.request_validator import RequestValidator

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.httpcall import call
from chartpost.adapter.notifiers.smtp import SmtpNotifier
from chartpost.adapter.notifiers.twilio import TwilioNotifier
from chartpost.adapter.ports import NoticeEvent, NoticeReport, OutgoingText, Sent
from chartpost.adapter.testing import SMS, Answer, How, HttpService, NotifierContract, Received, Report

TOKEN = "not-a-real-token"
STATUS = "https://pay.example.org/hooks/sms/status?notice=N40XAK2CB8JT"


class TestTwilio(NotifierContract):
    """Twilio's SDK, in front of a server of our own."""

    def service(self) -> HttpService:
        def read(path: str, headers: Any, body: bytes) -> Received:
            form = parse_qs(body.decode())
            return Received(form["To"][0], form["Body"][0])

        def taken(number: int) -> Answer:
            return Answer(201, json.dumps({"sid": f"SM{number:032}", "status": "queued"}).encode())

        wrong = {"code": 21211, "message": "+16085550100 is no number", "status": 400, "more_info": ""}
        return HttpService(read, taken, Answer(400, json.dumps(wrong).encode()), Answer(429, b'{"code": 20429}'))

    def notifier(self, service: HttpService) -> TwilioNotifier:
        return TwilioNotifier("AC" + "0" * 32, TOKEN, "+16085550100", service.url, 0.5)

    def reports(self) -> list[Report]:
        means = {
            "delivered": NoticeReport.DELIVERED,
            "failed": NoticeReport.UNDELIVERED,
            "queued": NoticeReport.UNKNOWN,
        }
        reports = []
        for status, mean in means.items():
            form = {"MessageSid": "SM" + "0" * 32, "MessageStatus": status}
            signature = RequestValidator(TOKEN).compute_signature(STATUS, form)
            reports.append(Report(STATUS, urlencode(form).encode(), {"X-Twilio-Signature": signature}, mean))
        return reports


class Mails:
    """aiosmtpd, as a service of the contract."""

    def __init__(self) -> None:
        self.server = MailServer()

    @property
    def received(self) -> list[Received]:
        pairs = zip(self.server.envelopes, self.server.mails, strict=True)
        return [Received(to, mail.get_body(("plain",)).get_content()) for (_, (to,), _), mail in pairs]  # type: ignore[union-attr]

    def behave(self, how: How) -> None:
        self.server.answers = {
            "accepts": {}, "refuses": {"RCPT": "550 5.1.1 <payer@example.org>: no"}, "is_busy": {"RCPT": "450 no"},
            "hangs_up": {"DATA": "drop"}, "is_silent": {"DATA": "silence"},
        }[how]  # fmt: skip

    def close(self) -> None:
        if not self.server._loop.is_closed():
            self.server.close()


class TestSmtp(NotifierContract):
    """E-mail, in front of aiosmtpd."""

    silent = True

    def service(self) -> Mails:
        return Mails()

    def notifier(self, service: Any) -> SmtpNotifier:
        return SmtpNotifier("127.0.0.1", service.server.port, "none", timeout=0.8)


# ---------------------------------------------------------------------------------------------- those that do not


class Good:
    """A notifier that keeps the contract, for others to spoil."""

    channel = "sms"

    def __init__(self, url: str) -> None:
        self.url = url

    def body(self, text: OutgoingText) -> bytes:
        return json.dumps({"to": text.to, "body": text.body}).encode()

    def send(self, text: OutgoingText) -> Sent:
        reply = call("POST", self.url, {}, self.body(text), timeout=0.3, max_bytes=1000)
        if reply.status == 503:
            raise Transient("busy")
        if reply.status >= 400:
            raise Permanent(f"refused ({reply.status})", str(reply.status))
        return Sent(json.loads(reply.body)["id"])

    def parse_report(self, url: str, body: bytes, headers: Any) -> NoticeEvent:
        told = json.loads(body or b"{}")
        if headers.get("Secret") != f"s{len(body)}":
            raise Permanent("not authentic")
        return NoticeEvent(told["event"], told["id"], NoticeReport(told["status"]))


class Retries(Good):
    def send(self, text: OutgoingText) -> Sent:
        try:
            return super().send(text)
        except Ambiguous:
            return super().send(text)


class Shouts(Good):
    def send(self, text: OutgoingText) -> Sent:
        try:
            return super().send(text)
        except Permanent as error:
            raise Permanent(f"{text.to} was refused", error.code) from None


class Chains(Good):
    def send(self, text: OutgoingText) -> Sent:
        try:
            return super().send(text)
        except Permanent as error:
            try:
                raise ValueError(f"no: {text.to}")
            except ValueError as inner:
                raise Permanent("refused", error.code) from inner


class Shortens(Good):
    def body(self, text: OutgoingText) -> bytes:
        return super().body(replace(text, body=text.body[:40]))


class Logs(Good):
    def send(self, text: OutgoingText) -> Sent:
        logging.getLogger("acme").debug("sending to %s", text.to)
        return super().send(text)


class Sorts(Good):
    def send(self, text: OutgoingText) -> Sent:
        try:
            return super().send(text)
        except Ambiguous:
            raise Transient("try again") from None


class Bursts(Good):
    def send(self, text: OutgoingText) -> Sent:
        try:
            return super().send(text)
        except (Permanent, Transient) as error:
            raise RuntimeError from error


class Shares(Good):
    def send(self, text: OutgoingText) -> Sent:
        super().send(text)
        return Sent("the same")


class Believes(Good):
    def parse_report(self, url: str, body: bytes, headers: Any) -> NoticeEvent:
        told = json.loads(body or b'{"event": "", "id": "", "status": "sent"}')
        return NoticeEvent(told["event"], told["id"], NoticeReport(told["status"]))


class Invents(Good):
    def parse_report(self, url: str, body: bytes, headers: Any) -> NoticeEvent:
        return replace(super().parse_report(url, body, headers), report=NoticeReport.DELIVERED)


class Faxes(Good):
    channel = "fax"


def contract(kind: type[Good]) -> NotifierContract:
    class Contract(NotifierContract):
        def service(self) -> HttpService:
            def read(path: str, headers: Any, body: bytes) -> Received:
                told = json.loads(body)
                return Received(told["to"], told["body"])

            return HttpService(
                read, lambda number: Answer(200, json.dumps({"id": f"m-{number}"}).encode()), Answer(400), Answer(503)
            )

        def notifier(self, service: Any) -> Good:
            return kind(service.url)

        def reports(self) -> list[Report]:
            kinds = (NoticeReport.DELIVERED, NoticeReport.UNDELIVERED, NoticeReport.UNKNOWN)
            told = [
                json.dumps({"event": f"e{n}", "id": "m-0", "status": kind}).encode() for n, kind in enumerate(kinds)
            ]
            pairs = zip(told, kinds, strict=True)
            return [Report(STATUS, body, {"Secret": f"s{len(body)}"}, kind) for body, kind in pairs]

    return Contract()


def broken(kind: type[Good]) -> set[str]:
    """Return the tests of the contract that a notifier does not pass."""
    made, failed = contract(kind), set()
    for name in dir(NotifierContract):
        if name.startswith("test_"):
            try:
                getattr(made, name)()
            except AssertionError:
                failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Retries, "test_a_connection_lost_after_the_message_is_not_known_to_have_failed"),
        (Shouts, "test_a_refusal_is_permanent_and_names_nobody"),
        (Chains, "test_a_refusal_is_permanent_and_names_nobody"),
        (Shortens, "test_it_sends_once_changes_no_word_and_returns_the_id_of_the_service"),
        (Logs, "test_nothing_of_a_person_is_logged"),
        (Sorts, "test_silence_after_the_message_is_not_known_to_have_failed"),
        (Bursts, "test_a_service_that_takes_nothing_now_is_transient"),
        (Shares, "test_several_threads_send_at_once_and_each_message_goes_to_its_own_person"),
        (Believes, "test_what_the_service_did_not_sign_is_refused"),
        (Invents, "test_reports_are_read_and_those_that_are_not_known_change_nothing"),
        (Faxes, "test_its_channel_is_one_that_there_is"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_notifier_that_does_not_keep_the_contract_is_told_where(kind: type[Good], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(contract(kind), test)()


def test_one_that_keeps_it_passes_and_one_that_forgets_to_say_how_it_is_made_is_told() -> None:
    assert broken(Good) == set()
    with pytest.raises(AssertionError, match="say what your service is"):
        NotifierContract().test_its_channel_is_one_that_there_is()


def test_the_notifier_of_the_documents_is_one_and_its_test_is_all_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (Path(__file__).parents[3] / "docs/plugins/README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    plugin, test = ModuleType("yourpackage.acme"), ModuleType("test_acme")
    monkeypatch.setitem(sys.modules, "yourpackage", ModuleType("yourpackage"))
    monkeypatch.setitem(sys.modules, "yourpackage.acme", plugin)
    for module, begin in ((plugin, '"""Texts through Acme'), (test, "import hmac")):
        [program] = [block for block in blocks if block.startswith(begin)]
        assert max(map(len, program.splitlines())) <= 130
        exec(program, module.__dict__)
    made = plugin.from_settings(plugin.Options(type="acme", key="key", base_url="http://127.0.0.1:1"))
    with pytest.raises(Transient):
        made.send(SMS)
    for name in [name for name in dir(NotifierContract) if name.startswith("test_")]:
        getattr(test.TestAcme(), name)()
