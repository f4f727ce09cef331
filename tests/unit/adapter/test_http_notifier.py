"""A gateway of anybody's: signed both ways, sent once, and believed only where it signs."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.httpcall import Reply
from chartpost.adapter.notifiers import http
from chartpost.adapter.notifiers.http import HttpNotifier, Options, answered, from_settings, message, sign, verify
from chartpost.adapter.ports import NoticeReport, Trouble
from chartpost.adapter.testing import EMAIL, SMS, Answer, HttpService, NotifierContract, Received, Report

SECRET, OLD = "a-secret-of-the-tests", "the-secret-before-it"
STATUS = "https://pay.example.org/hooks/gate/status?notice=N40XAK2CB8JT"


def signed(told: object, secret: str = SECRET, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(told).encode()
    return body, {"chartpost-signature": sign(secret, int(time.time() if at is None else at), body)}


def read(path: str, headers: dict[str, str], body: bytes) -> Received:
    """Read a message as the documents tell a gateway to."""
    parts = dict(part.split("=", 1) for part in headers["Chartpost-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], expected)
    told = json.loads(body)
    assert (told["type"], told["id"]) == ("message", headers["Idempotency-Key"])
    return Received(told["to"], told["text"])


class TestTexts(NotifierContract):
    """The contract, over texts."""

    channel = "sms"

    def service(self) -> HttpService:
        return HttpService(
            read, accepts=lambda number: Answer(202, json.dumps({"ref": f"g-{number}"}).encode()),
            refuses=Answer(422, b'{"code": "unknown_recipient", "message": "+16085550100 is nobody\'s"}'),
            is_busy=Answer(503, b"", {"Retry-After": "7"}),
        )  # fmt: skip

    def notifier(self, service: HttpService) -> HttpNotifier:
        return HttpNotifier(service.url, [SECRET], self.channel, idempotent=self.idempotent, timeout=2)

    def reports(self) -> list[Report]:
        means = {
            "delivered": NoticeReport.DELIVERED,
            "undelivered": NoticeReport.UNDELIVERED,
            "read": NoticeReport.UNKNOWN,
        }
        told = {"type": "status", "id": "N40XAK2CB8JT", "ref": "g-1"}
        return [Report(STATUS, *signed(told | {"status": status}), mean) for status, mean in means.items()]


class TestMails(TestTexts):
    """The contract, over e-mail."""

    channel = "email"


class TestIdempotent(TestTexts):
    """The contract, where the gateway drops what it has had."""

    idempotent = True


def reply(status: int, told: object = None, **headers: str) -> Reply:
    return Reply(status, headers, b"" if told is None else json.dumps(told).encode())


def test_a_text_says_to_whom_what_and_where_to_report_and_a_mail_says_who_signs() -> None:
    assert message(SMS, "sms", "") == {
        "type": "message", "id": SMS.reference, "channel": "sms", "to": SMS.to, "text": SMS.body,
        "status_url": SMS.status_url,
    }  # fmt: skip
    assert message(SMS, "sms", "+16085550100")["from"] == "+16085550100"
    mail = message(EMAIL, "email", "")
    assert {name: mail[name] for name in ("from", "from_name", "reply_to", "subject", "html")} == {
        "from": EMAIL.sender_address, "from_name": "Lakeside Billing", "reply_to": EMAIL.reply_to,
        "subject": "Lakeside", "html": EMAIL.html,
    }  # fmt: skip


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Permanent), (401, Permanent), (404, Permanent), (302, Permanent), (408, Transient), (429, Transient),
     (503, Transient), (500, None), (502, None), (504, None)],
)  # fmt: skip
def test_a_status_says_whether_it_can_have_gone_out(
    status: int, kind: type[Exception] | None, idempotent: bool
) -> None:
    with pytest.raises(kind or (Transient if idempotent else Ambiguous)):
        answered(reply(status), idempotent=idempotent)


def test_a_service_that_says_how_long_is_waited_for_and_a_date_is_not_read() -> None:
    with pytest.raises(Transient) as busy:
        answered(reply(429, **{"retry-after": "7"}), idempotent=False)
    assert busy.value.wait == 7
    with pytest.raises(Transient) as later:
        answered(reply(503, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), idempotent=False)
    assert later.value.wait == 0


@pytest.mark.parametrize("told", [None, {}, {"ref": ""}, {"ref": 7}, {"ref": "a b"}, {"ref": "x" * 201}, [], "g-1"])
def test_a_yes_without_an_id_is_ambiguous_however_idempotent(told: object) -> None:
    for idempotent in (False, True):
        with pytest.raises(Ambiguous):
            answered(reply(200, told), idempotent=idempotent)


@pytest.mark.parametrize(
    ("told", "code", "trouble"),
    [
        ({"code": "opted_out"}, "opted_out", Trouble.STOPPED), ({"code": "landline"}, "landline", Trouble.LANDLINE),
        ({"code": "unknown_recipient"}, "unknown_recipient", Trouble.GONE), ({"code": "E-17.b"}, "E-17.b", None),
        ({"code": "+16085550148 is bad"}, "422", None), ({"code": 7}, "422", None), (None, "422", None),
    ],
)  # fmt: skip
def test_a_refusal_keeps_a_code_that_is_one_and_no_word_of_the_gateways(
    told: object, code: str, trouble: object
) -> None:
    with pytest.raises(Permanent) as refused:
        answered(reply(422, told), idempotent=False)
    assert refused.value.code == code
    assert "+1608" not in str(refused.value)
    assert HttpNotifier("http://127.0.0.1:1", [SECRET], "sms").trouble(code) is trouble


def test_a_signature_is_by_either_secret_within_five_minutes_and_over_every_byte() -> None:
    body, now = b'{"type": "status"}', 1_750_000_000
    for secret in (SECRET, OLD):
        header = sign(secret, now, body)
        assert verify([SECRET, OLD], header, body, now + http.WINDOW)
        assert verify([SECRET, OLD], header, body, now - http.WINDOW)
        assert not verify([SECRET, OLD], header, body, now + http.WINDOW + 1)
        assert not verify([SECRET, OLD], header, body, now - http.WINDOW - 1)
        assert not verify([SECRET, OLD], header, body + b" ", now)
        assert not verify([SECRET, OLD], header.replace(f"t={now}", f"t={now + 1}"), body, now)
        assert not verify(["another-secret-of-somebody"], header, body, now)
    both = f"{sign('another-secret-of-somebody', now, body)},v1={sign(OLD, now, body).rpartition('=')[2]}"
    assert verify([SECRET, OLD], both, body, now), "a gateway in the middle of a rotation signs with both"


@given(st.text(max_size=200), st.binary(max_size=50))
def test_no_header_of_somebody_elses_is_a_signature_and_none_breaks_the_check(header: str, body: bytes) -> None:
    assert verify([SECRET], header, body, 1_750_000_000) is False


def test_an_old_secret_signs_nothing_of_ours_and_is_believed() -> None:
    options = Options(type="http", url="http://127.0.0.1:1", secret=SECRET, secret_previous=OLD)
    told = {"type": "status", "id": "N40XAK2CB8JT", "ref": "g-1", "status": "delivered"}
    assert from_settings(options).parse_report(STATUS, *signed(told, OLD)).report is NoticeReport.DELIVERED


def test_a_report_is_of_the_notice_in_its_address_and_nothing_else_is_a_report() -> None:
    notifier = HttpNotifier("http://127.0.0.1:1", [SECRET], "sms")
    told = {"type": "status", "id": "N40XAK2CB8JT", "ref": "g-1", "status": "undelivered", "code": "landline"}
    read = notifier.parse_report(STATUS, *signed(told))
    assert (read.provider_ref, read.report, read.code) == ("g-1", NoticeReport.UNDELIVERED, "landline")
    for wrong in (
        told | {"id": "N00000000000"}, told | {"id": 7}, told | {"id": None}, told | {"ref": ""}, [told], "told",
        message(SMS, "sms", ""), told | {"type": "incoming"},
    ):  # fmt: skip
        with pytest.raises(Permanent):
            notifier.parse_report(STATUS, *signed(wrong))
    with pytest.raises(Permanent, match="five minutes"):
        notifier.parse_report(STATUS, *signed(told, at=time.time() - 1000))


def test_what_a_person_wrote_comes_signed_and_what_we_sent_cannot_be_sent_back_as_it() -> None:
    notifier = HttpNotifier("http://127.0.0.1:1", [SECRET], "sms")
    url = "https://pay.example.org/hooks/gate/incoming"
    told = {"type": "incoming", "id": "in-1", "from": "+16085550148", "to": "+16085550100", "text": "STOP ¡ya!"}
    heard = notifier.parse_incoming(url, *signed(told))
    assert (heard.sender, heard.to, heard.text, heard.answered) == ("+16085550148", "+16085550100", "STOP ¡ya!", False)
    assert notifier.parse_incoming(url, *signed(told | {"answered": True})).answered
    assert heard.event_id == notifier.parse_incoming(url, *signed(told)).event_id
    for wrong in (
        message(SMS, "sms", "+16085550100"),
        told | {"from": ""},
        told | {"id": ""},
        told | {"type": "status"},
    ):
        with pytest.raises(Permanent):
            notifier.parse_incoming(url, *signed(wrong))
    cut = notifier.parse_incoming(url, *signed(told | {"text": "STOP \ud83d", "from": "+16085550148\udc00"}))
    assert (cut.sender, cut.text) == ("+16085550148?", "STOP ?"), "half a sign at the end keeps no stop from counting"
    assert json.loads(notifier.reply("¡Hecho!")[1]) == {"reply": "¡Hecho!"}
    assert notifier.reply("") == ("application/json", b"{}")


def test_a_gateway_that_does_not_answer_is_told_by_the_check() -> None:
    assert "check url" in HttpNotifier("http://127.0.0.1:1", [SECRET], "sms", timeout=1).check()[0]
    service = TestTexts().service()
    assert HttpNotifier(service.url, [SECRET], "sms", timeout=1).check() == []
    service.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://gateway.example.org/messages"}, "https://"),
        ({"url": "ftp://127.0.0.1/"}, "no web address"),
        ({"secret": "short"}, "too short"),
        ({"secret_previous": "short"}, "too short"),
        ({"channel": "email", "sender": "+16085550100"}, "sender is for texts"),
        ({"channel": "fax"}, "'sms' or 'email'"),
        ({"base_url": "http://127.0.0.1"}, "not permitted"),
    ],
)
def test_options_that_cannot_work_are_refused_without_showing_the_secret(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        Options(**{"type": "http", "url": "https://gateway.example.org/messages", "secret": SECRET} | changes)
    assert SECRET not in str(refused.value)


def test_the_signature_of_the_documents_is_the_one_and_what_they_show_a_gateway_checks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (Path(__file__).parents[3] / "docs/integration/notifiers.md").read_text("utf-8")
    [found] = re.finditer(r"^```text\n(.*)\nChartpost-Signature: (.*)\n```$", text, re.MULTILINE)
    body, header = found[1].encode(), found[2]
    [secret] = re.findall(r"With the secret `(.*?)`", text)
    assert sign(secret, int(header[2:12]), body) == header
    shown: dict[str, Any] = {}
    [program] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(program, shown)
    now = int(header[2:12])
    for late, wanted in ((0, True), (300, True), (-300, True), (301, False), (-301, False)):
        monkeypatch.setattr(time, "time", lambda late=late: now + late)
        assert shown["authentic"](secret, header, body) is wanted
    assert not shown["authentic"](SECRET, header, body)
    codes = re.search(r"^\| code \| means .*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert codes is not None
    assert set(re.findall(r"^\| `(\w+)`", codes[0], re.MULTILINE)) == set(http.TROUBLES)
