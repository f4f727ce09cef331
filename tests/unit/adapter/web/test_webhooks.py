"""The doors for providers."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from chartpost.adapter.errors import Transient
from chartpost.adapter.web.webhooks import LIMIT

RIGHT = {"stripe-signature": "right", "x-twilio-signature": "right"}


def test_an_event_reaches_the_flow_byte_by_byte_and_is_answered_200(client: TestClient, flow: Any) -> None:
    body = b'{"id": "evt_1",\n "odd":  "\xc3\xa9"}'
    assert client.post("/hooks/card", content=body, headers=RIGHT).status_code == 200
    assert flow.events == [("card", body)]


def test_what_is_not_authentic_is_refused_and_changes_nothing(client: TestClient, flow: Any) -> None:
    assert client.post("/hooks/card", content=b"{}", headers={"stripe-signature": "forged"}).status_code == 400
    assert client.post("/hooks/sms/status", content=b"a=1", headers={"x-twilio-signature": "forged"}).status_code == 400
    assert flow.events == flow.reports == []


def test_our_own_failure_is_a_500_so_that_the_event_comes_again(client: TestClient, flow: Any) -> None:
    for error in (RuntimeError("a bug"), Transient("the database is away")):
        flow.error = error
        answer = client.post("/hooks/card", content=b"{}", headers=RIGHT)
        assert (answer.status_code, answer.text) == (500, "failed")


def test_nobody_answers_for_a_name_that_is_not_configured(client: TestClient) -> None:
    assert client.post("/hooks/other", content=b"{}", headers=RIGHT).status_code == 404
    assert client.post("/hooks/other/status", content=b"{}", headers=RIGHT).status_code == 404
    assert client.get("/hooks/card").status_code == 405


def chunks(size: int) -> Any:
    for _ in range(size // 1000 + 1):
        yield b"x" * 1000


@pytest.mark.parametrize("path", ["/hooks/card", "/hooks/sms/status"])
def test_a_body_beyond_the_cap_is_refused_whether_or_not_its_length_is_declared(
    client: TestClient, flow: Any, path: str
) -> None:
    assert client.post(path, content=b"x" * (LIMIT + 1), headers=RIGHT).status_code == 413
    assert client.post(path, content=chunks(LIMIT), headers=RIGHT).status_code == 413
    assert flow.events == flow.reports == []


def test_a_body_of_exactly_the_cap_is_taken(client: TestClient, flow: Any) -> None:
    assert client.post("/hooks/card", content=b"x" * LIMIT, headers=RIGHT).status_code == 200
    assert len(flow.events[0][1]) == LIMIT


def test_a_status_report_is_checked_against_the_public_address_whoever_forwarded_it(
    client: TestClient, flow: Any
) -> None:
    answer = client.post(
        "/hooks/sms/status?notice=N%201&x=%2F", content=b"MessageStatus=sent", headers=RIGHT | {"host": "10.0.0.7:8080"}
    )
    assert answer.status_code == 204
    assert flow.reports == [
        ("sms", "https://pay.example.org/hooks/sms/status?notice=N%201&x=%2F", b"MessageStatus=sent")
    ]


def test_a_text_that_somebody_wrote_is_checked_against_the_public_address_and_answered_as_the_service_wants(
    client: TestClient, flow: Any
) -> None:
    answer = client.post("/hooks/sms/incoming?a=%41", content=b"Body=STOP", headers=RIGHT)
    assert (answer.status_code, answer.content) == (200, b"<Response/>")
    assert answer.headers["content-type"].startswith("text/xml")
    [(notifier, url, body)] = flow.reports
    assert (notifier, body) == ("sms", b"Body=STOP")
    assert url.endswith("/hooks/sms/incoming?a=%41")
    assert client.post("/hooks/sms/incoming", content=b"a=1", headers={"x-twilio-signature": "x"}).status_code == 400
    assert client.post("/hooks/other/incoming", content=b"a=1", headers=RIGHT).status_code == 404
    assert client.get("/hooks/sms/incoming").status_code == 405
