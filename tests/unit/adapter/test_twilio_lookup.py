"""What kind of line a number is, as Twilio Lookup says it: the real SDK against a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.notifiers.twilio import LookingUp, Options, TwilioNotifier, from_settings
from chartpost.adapter.ports import LineTypes, Trouble

NUMBER = "+16085550148"


class Lookup:
    """Answers every GET with the same status and JSON; None closes without a word."""

    def __init__(self) -> None:
        self.status, self.answer = 200, {"line_type_intelligence": {"type": "mobile"}}
        self.paths: list[str] = []
        api: Any = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.paths.append(self.path)
                if api.answer is None:
                    return
                payload = json.dumps(api.answer).encode()
                self.send_response(api.status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def lookup() -> Iterator[Any]:
    made = Lookup()
    yield made
    made.close()


def asking(lookup: Any) -> LookingUp:
    return LookingUp("AC" + "0" * 32, "token", "+16085550100", f"http://127.0.0.1:{lookup.server.server_port}", 2)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"type": "mobile"}, "mobile"), ({"type": "landline"}, "landline"), ({"type": "fixedVoip"}, "voip"),
        ({"type": "nonFixedVoip"}, "voip"), ({"type": "tollFree"}, "unknown"), ({"type": None}, "unknown"),
        ({"error_code": 60600}, "unknown"), ({}, "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_what_twilio_calls_a_line_is_one_of_ours_or_unknown(lookup: Any, said: Any, line: str) -> None:
    lookup.answer = {"phone_number": NUMBER, "line_type_intelligence": said}
    assert asking(lookup).line_type(NUMBER) == line
    assert [unquote(path) for path in lookup.paths] == [f"/v2/PhoneNumbers/{NUMBER}?Fields=line_type_intelligence"]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Permanent), (401, Permanent), (404, Permanent), (429, Transient), (500, Transient)]
)
def test_a_refusal_is_sorted_and_repeats_no_number(lookup: Any, status: int, kind: type[Exception]) -> None:
    lookup.status, lookup.answer = status, {"code": 20404, "message": f"{NUMBER} was not found", "status": status}
    with pytest.raises(kind) as refused:
        asking(lookup).line_type(NUMBER)
    assert "555" not in str(refused.value)


def test_no_answer_and_no_connection_are_transient_since_asking_again_does_no_harm(lookup: Any) -> None:
    lookup.answer = None
    with pytest.raises(Transient) as lost:
        asking(lookup).line_type(NUMBER)
    assert "555" not in str(lost.value)
    with pytest.raises(Transient):
        LookingUp("AC1", "token", "+16085550100", "http://127.0.0.1:1", 1).line_type(NUMBER)


def test_only_with_the_option_can_it_be_asked_at_all() -> None:
    options = {"type": "twilio", "account_sid": "AC1", "auth_token": "t", "sender": "+16085550100"}
    assert not isinstance(from_settings(Options.model_validate(options)), LineTypes)
    assert isinstance(from_settings(Options.model_validate(options | {"lookup": True})), LineTypes)


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("21610", Trouble.STOPPED), ("30006", Trouble.LANDLINE), ("21614", Trouble.LANDLINE), ("30005", Trouble.GONE),
        ("21211", Trouble.GONE), ("30003", None), ("30007", None), ("21608", None), ("", None),
    ],
)  # fmt: skip
def test_a_code_says_whether_the_number_is_to_blame(code: str, trouble: Trouble | None) -> None:
    assert TwilioNotifier("AC1", "t", "+16085550100").trouble(code) is trouble
