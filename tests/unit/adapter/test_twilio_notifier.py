"""One text, sent once: what Twilio's answers mean, on its real SDK against a real socket."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from pydantic import ValidationError
from twilio.request_validator import RequestValidator

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.notifiers.twilio import Options, TwilioNotifier, from_settings, message_params, parse_status
from chartpost.adapter.ports import NoticeReport, OutgoingText

TOKEN = "not-a-real-token"
STATUS_URL = "https://pay.example.org/webhooks/sms"
TEXT = OutgoingText("+16085550148", "Lakeside: you have a balance to pay. Reply STOP to stop.", STATUS_URL)


class Api:
    """Answers every request with the same status and JSON, and remembers what was asked."""

    def __init__(self) -> None:
        self.status = 201
        self.answer: dict[str, Any] | None = {"sid": "SM" + "0" * 32, "status": "queued"}
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                api.requests.append((self.path, parse_qs(body)))
                if api.answer is None:
                    return  # closes without a word
                payload = json.dumps(api.answer).encode()
                self.send_response(api.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/twilio"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.fixture
def notifier(api: Api) -> TwilioNotifier:
    return TwilioNotifier("AC" + "0" * 32, TOKEN, "+16085550100", api.url, 2)


def test_a_text_is_created_with_its_status_address_and_nothing_else(api: Api, notifier: TwilioNotifier) -> None:
    assert notifier.send(TEXT).provider_ref == "SM" + "0" * 32
    [(path, form)] = api.requests
    assert path == f"/twilio/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
    assert form == {
        "To": ["+16085550148"],
        "From": ["+16085550100"],
        "Body": [TEXT.body],
        "StatusCallback": [STATUS_URL],
    }


def test_a_messaging_service_takes_the_place_of_the_number() -> None:
    params = message_params(TEXT, "MG" + "1" * 32)
    assert params["messaging_service_sid"] == "MG" + "1" * 32
    assert "from_" not in params


def refuse(api: Api, status: int, code: int | None) -> None:
    api.status = status
    api.answer = {"code": code, "message": "Permission to send to +16085550148 …", "status": status, "more_info": ""}


def test_a_number_that_said_stop_is_permanent_with_twilios_code(api: Api, notifier: TwilioNotifier) -> None:
    refuse(api, 400, 21610)
    with pytest.raises(Permanent, match="stopped") as refused:
        notifier.send(TEXT)
    assert refused.value.code == "21610"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Permanent), (401, Permanent), (403, Permanent), (404, Permanent), (429, Transient), (500, Ambiguous)],
)
def test_http_errors_are_sorted_by_whether_the_text_can_have_gone_out(
    api: Api, notifier: TwilioNotifier, status: int, kind: type[Exception]
) -> None:
    refuse(api, status, 20001)
    with pytest.raises(kind) as refused:
        notifier.send(TEXT)
    assert "+1608" not in str(refused.value)
    assert len(api.requests) == 1


def test_a_problem_in_the_newer_format_is_permanent_too(api: Api, notifier: TwilioNotifier) -> None:
    api.status = 400
    api.answer = {"type": "about:blank", "title": "+16085550148 is bad", "status": 400, "code": 21211}
    with pytest.raises(Permanent) as refused:
        notifier.send(TEXT)
    assert refused.value.code == "21211"
    assert "+1608" not in str(refused.value)


def test_nobody_listening_is_transient() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Transient):
        TwilioNotifier("AC1", TOKEN, "+16085550100", f"http://127.0.0.1:{port}", 2).send(TEXT)


def test_a_connection_lost_after_sending_is_ambiguous_and_not_repeated(api: Api, notifier: TwilioNotifier) -> None:
    api.answer = None
    with pytest.raises(Ambiguous):
        notifier.send(TEXT)
    assert len(api.requests) == 1


def test_silence_is_ambiguous() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(Ambiguous):
            TwilioNotifier("AC1", TOKEN, "+16085550100", url, 0.2).send(TEXT)


def test_an_answer_that_is_no_json_is_ambiguous(api: Api, notifier: TwilioNotifier) -> None:
    api.answer = {"status": "queued"}
    with pytest.raises(Ambiguous):
        notifier.send(TEXT)


def test_neither_the_number_nor_the_token_reaches_a_log(api: Api, notifier: TwilioNotifier, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        notifier.send(TEXT)
        refuse(api, 400, 21610)
        with pytest.raises(Permanent):
            notifier.send(TEXT)
    assert "5550148" not in caplog.text
    assert TOKEN not in caplog.text


def signed(form: dict[str, str], url: str = STATUS_URL) -> tuple[bytes, dict[str, str]]:
    return urlencode(form).encode(), {"x-twilio-signature": RequestValidator(TOKEN).compute_signature(url, form)}


REPORT = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003", "To": "+16085550148", "Empty": ""}


def test_a_signed_report_is_read(notifier: TwilioNotifier) -> None:
    event = notifier.parse_report(STATUS_URL, *signed(REPORT))
    assert (event.provider_ref, event.report, event.code) == ("SM1", NoticeReport.UNDELIVERED, "30003")


def test_the_same_report_twice_has_one_event_id_and_another_status_another() -> None:
    assert parse_status(REPORT).event_id == parse_status(dict(REPORT)).event_id
    assert parse_status(REPORT).event_id != parse_status({**REPORT, "MessageStatus": "sent"}).event_id
    assert "+1608" not in parse_status(REPORT).event_id


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("sent", NoticeReport.SENT),
        ("delivered", NoticeReport.DELIVERED),
        ("undelivered", NoticeReport.UNDELIVERED),
        ("failed", NoticeReport.UNDELIVERED),
        ("queued", NoticeReport.UNKNOWN),
        ("read", NoticeReport.UNKNOWN),
        ("", NoticeReport.UNKNOWN),
    ],
)
def test_each_status_says_what_it_says_about_the_end(status: str, report: NoticeReport) -> None:
    assert parse_status({"MessageSid": "SM1", "MessageStatus": status}).report is report


def forged() -> Iterator[tuple[str, Callable[[], tuple[str, bytes, dict[str, str]]]]]:
    body, headers = signed(REPORT)
    yield "no signature", lambda: (STATUS_URL, body, {})
    yield "another address", lambda: (STATUS_URL + "/other", body, headers)
    yield "another body", lambda: (STATUS_URL, body.replace(b"undelivered", b"delivered"), headers)
    yield "another token", lambda: (STATUS_URL, body, {"X-Twilio-Signature": "c2lnbmF0dXJl"})


@pytest.mark.parametrize(("what", "report"), list(forged()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_report_that_is_not_twilios_is_refused(notifier: TwilioNotifier, what: str, report: Any) -> None:
    with pytest.raises(Permanent, match="signature"):
        notifier.parse_report(*report())


def test_a_report_without_a_message_is_refused() -> None:
    with pytest.raises(Permanent, match="MessageSid"):
        parse_status({"MessageStatus": "sent"})


def options(**changes: Any) -> Options:
    return Options.model_validate(
        {"type": "twilio", "account_sid": "AC1", "auth_token": TOKEN, "sender": "+16085550100"} | changes
    )


def test_options_make_a_notifier_and_hide_the_token(api: Api) -> None:
    notifier = from_settings(options(base_url=api.url))
    assert notifier.channel == "sms"
    assert notifier.send(TEXT).provider_ref.startswith("SM")
    assert TOKEN not in repr(options())


def test_a_base_url_on_another_machine_must_be_allowed_by_name() -> None:
    with pytest.raises(ValidationError, match="allow_base_url") as refused:
        options(base_url="https://proxy.example.org")
    assert TOKEN not in str(refused.value)
    assert options(base_url="https://proxy.example.org", allow_base_url=True).base_url
    assert options(base_url="http://[::1]:8100/twilio").base_url
    with pytest.raises(ValidationError, match="http"):
        options(base_url="127.0.0.1:8100")
    with pytest.raises(ValidationError, match="another machine"):
        options(base_url="http://127.0.0.1.example.org")


@pytest.mark.parametrize("seconds", [0, 51])
def test_a_call_must_end_before_somebody_else_may_take_it_for_interrupted(seconds: float) -> None:
    with pytest.raises(ValidationError, match="timeout_seconds"):
        options(timeout_seconds=seconds)
