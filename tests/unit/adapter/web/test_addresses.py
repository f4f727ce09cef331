"""A practice's own address: the same pages under it, which stay under it, and whose forms are taken."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from chartpost.adapter.web.app import web_face

OWN, SHARED = "https://pay.lakeside.example.org", "https://example.org/bills"


def browser(flow: Any, card: str, at: str) -> TestClient:
    app = web_face(flow, public_url=SHARED, card_page_origins=[card], more=[OWN])
    return TestClient(app, base_url=at, follow_redirects=False)


@pytest.mark.parametrize(("at", "path"), [(OWN, ""), ("https://example.org", "/bills")])
def test_a_page_leads_back_to_the_address_by_which_it_was_opened(flow, card, link, at, path):
    page = browser(flow, card, at).get(link)
    assert page.status_code == 200
    assert f'action="{path}{link}' in page.text


@pytest.mark.parametrize("origin", [OWN, "https://example.org"])
def test_a_form_of_either_address_is_taken_even_where_the_proxy_names_another_host(flow, card, link, origin):
    answer = browser(flow, card, "http://127.0.0.1:8080").post(link, headers={"origin": origin}, data={"pay": "all"})
    assert answer.status_code == 303


def test_a_form_of_a_neighbour_is_not(flow, card, link):
    wrong = {"origin": "https://evil.lakeside.example.org"}
    assert browser(flow, card, OWN).post(link, headers=wrong, data={"pay": "all"}).status_code == 403
    assert flow.begun == []
