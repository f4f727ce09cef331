"""What holds for every answer: headers, and failures that leak nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from typing import Any

import pytest
from sqlalchemy import exc
from starlette.testclient import TestClient

from chartpost.adapter import log
from chartpost.adapter.web.app import web_face


def policy(headers: Any) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("path", ["", "/back", "/return?s=C1", "/nothing-here"])
def test_every_page_carries_the_headers_that_protect_its_visitor(client: TestClient, link: str, path: str) -> None:
    headers = client.get(link + path).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert "noindex" in headers["x-robots-tag"]
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert "set-cookie" not in headers


def test_forms_may_lead_to_the_card_page_and_nowhere_else(client: TestClient, link: str, card: str) -> None:
    rules = policy(client.get(link).headers)
    assert rules["form-action"] == f"'self' {card}"
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert "script-src" not in rules


def test_the_only_style_is_the_one_whose_hash_the_policy_names(client: TestClient, link: str) -> None:
    page = client.get(link)
    styles = re.findall(r"<style>(.*?)</style>", page.text, re.S)
    assert len(styles) == 1
    assert "style=" not in page.text
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert policy(page.headers)["style-src"] == f"'sha256-{digest}'"


def test_without_https_there_is_no_promise_of_https(flow: Any, link: str) -> None:
    client = TestClient(web_face(flow, public_url="http://127.0.0.1:8080", card_page_origins=[]))
    assert "strict-transport-security" not in client.get(link).headers


def test_a_path_in_front_of_the_public_address_is_kept_in_every_link(flow: Any, link: str) -> None:
    client = TestClient(web_face(flow, public_url="https://example.org/pay/", card_page_origins=[]))
    assert f'action="/pay{link}"' in client.get(link).text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("Ada Example owes 45.00"), 500),
        (exc.OperationalError("SELECT secret", {"name": "Ada Example"}, Exception("down")), 503),
    ],
)
def test_a_failure_is_told_kindly_and_leaks_neither_to_the_page_nor_to_the_log(
    client: TestClient, flow: Any, link: str, token: str, error: Exception, status: int
) -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    flow.error = error
    page = client.get(link)
    assert page.status_code == status
    assert page.headers["referrer-policy"] == "no-referrer"
    code = re.search(r"tell us this code: ([0-9a-f]{8})", page.text)
    assert code is not None
    assert code[1] in stream.getvalue()
    for secret in ("Ada", "SELECT", token):
        assert secret not in page.text
        assert secret not in stream.getvalue()


def test_a_wrong_method_is_told_which_ones_there_are(client: TestClient, link: str) -> None:
    answer = client.delete(link)
    assert answer.status_code == 405
    assert answer.headers["referrer-policy"] == "no-referrer"
