"""The patient's pages, opened and pressed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from chartpost.adapter.errors import Transient
from chartpost.adapter.web.pay import LOOKS
from chartpost.mappings.model import Money

FORM = {"content-type": "application/x-www-form-urlencoded"}


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


def words_of(html: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.S)).split())


def test_the_page_says_who_asks_and_what_is_owed_now(client: TestClient, link: str) -> None:
    page = client.get(link)
    assert page.status_code == 200
    assert "Lakeside Clinic" in page.text
    assert "You owe now $45.00" in words_of(page.text)
    assert "Pay $45.00 now" in page.text
    assert "608-555-0142" in page.text
    assert '<html lang="en-US">' in page.text


def test_the_amount_is_written_as_the_locale_writes_it(client: TestClient, flow: Any, link: str) -> None:
    flow.becomes(owed=Money(minor=1234567, currency="USD"))
    assert "$12,345.67" in client.get(link).text
    flow.becomes(owed=Money(minor=4500, currency="JPY"), paid=Money(minor=0, currency="JPY"))
    assert "¥4,500" in client.get(link).text


def test_a_scanner_that_opens_every_address_changes_nothing(client: TestClient, flow: Any, link: str) -> None:
    for path in (link, f"{link}/back", f"{link}/return?s=C1", f"{link}?pay=all&amount=20"):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
    assert flow.begun == []


def test_one_press_leads_to_the_card_page_for_all_that_is_owed(
    client: TestClient, flow: Any, link: str, card: str
) -> None:
    answer = client.post(link, data={"pay": "all", "shown": "4500"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{card}/c/cs_1")
    assert flow.begun == [4500]


def test_an_empty_form_asks_for_all_that_is_owed(client: TestClient, flow: Any, link: str) -> None:
    assert client.post(link).status_code == 303
    assert flow.begun == [None]


def test_a_part_may_be_typed_as_people_type(client: TestClient, flow: Any, link: str) -> None:
    assert client.post(link, data={"pay": "part", "shown": "4500", "amount": "$20,00"}).status_code == 303
    assert flow.begun == [2000]


def test_nobody_pays_another_amount_than_the_button_said(client: TestClient, flow: Any, link: str) -> None:
    flow.becomes(owed=usd(6000))
    answer = client.post(link, data={"pay": "all", "shown": "4500"})
    assert answer.status_code == 409
    assert "You now owe $60.00" in answer.text
    assert flow.begun == []


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Enter the amount that you want to pay."),
        ("lots", "Enter an amount in numbers, like 45.00."),
        ("12.345", "too many digits"),
        ("0", "above zero"),
        ("99", "more than you owe. Enter $45.00 or less"),
    ],
)
def test_a_wrong_amount_is_explained_beside_the_field_which_keeps_it(
    client: TestClient, flow: Any, link: str, typed: str, told: str
) -> None:
    answer = client.post(link, data={"pay": "part", "shown": "4500", "amount": typed})
    assert answer.status_code == 422
    assert told in answer.text
    assert f'name="amount" value="{typed}"' in answer.text
    assert 'aria-describedby="error hint"' in answer.text
    assert "<title>Error: " in answer.text
    assert flow.begun == []


def test_what_is_typed_comes_back_escaped(client: TestClient, link: str) -> None:
    answer = client.post(link, data={"pay": "part", "amount": '"><script>alert(1)</script>'})
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("reason", "form", "status", "told"),
    [
        ("busy", {"pay": "all"}, 409, "still under way"),
        ("provider", {"pay": "all"}, 503, "card processor does not answer"),
        ("amount", {"pay": "all"}, 409, "Please call Lakeside Clinic"),
        ("amount", {"pay": "part", "amount": "0.20"}, 422, "cannot take this amount"),
    ],
)
def test_a_refusal_of_the_flow_is_told_on_the_same_page(
    client: TestClient, flow: Any, link: str, reason: str, form: dict[str, str], status: int, told: str
) -> None:
    flow.refusal = reason
    answer = client.post(link, data=form)
    assert answer.status_code == status
    assert told in answer.text
    assert "Pay $45.00 now" in answer.text


@pytest.mark.parametrize(
    ("state", "status", "told"),
    [
        ("paid", 200, "All paid. Thank you!"),
        ("settled", 200, "Nothing left to pay"),
        ("cancelled", 410, "You do not need to pay this"),
        ("expired", 410, "This link is too old"),
    ],
)
def test_a_link_that_is_no_longer_open_has_its_own_kind_page_and_takes_no_money(
    client: TestClient, flow: Any, link: str, state: str, status: int, told: str
) -> None:
    flow.becomes(state=state, owed=usd(0), paid=usd(2000))
    for answer in (client.get(link), client.post(link, data={"pay": "all"})):
        assert answer.status_code == status
        assert told in answer.text
        assert "$20.00" in answer.text
        assert 'name="pay"' not in answer.text
    assert flow.begun == []


def test_an_open_request_with_nothing_owed_asks_for_nothing(client: TestClient, flow: Any, link: str) -> None:
    flow.becomes(owed=usd(0))
    page = client.get(link)
    assert "Nothing left to pay" in page.text
    assert "<button" not in page.text


def test_while_a_payment_is_being_recorded_there_is_no_button_to_pay_again(
    client: TestClient, flow: Any, link: str
) -> None:
    flow.becomes(pending=True)
    for answer in (client.get(link), client.post(link, data={"pay": "all"})):
        assert "Please do not pay again" in answer.text
        assert "<button" not in answer.text
    assert flow.begun == []


def test_what_was_paid_so_far_is_shown(client: TestClient, flow: Any, link: str) -> None:
    flow.becomes(owed=usd(2500), paid=usd(2000))
    assert "You have paid $20.00 so far" in client.get(link).text


def test_who_left_the_card_page_finds_the_same_page_with_a_note(client: TestClient, link: str) -> None:
    page = client.get(f"{link}/back")
    assert "No payment was made" in page.text
    assert f'action="{link}"' in page.text


def test_a_recorded_payment_is_thanked_for_and_the_rest_is_named(client: TestClient, flow: Any, link: str) -> None:
    flow.outcome = "recorded"
    flow.becomes(owed=usd(2500), paid=usd(2000))
    told = words_of(client.get(f"{link}/return?s=C1").text)
    assert "You have paid $20.00" in told
    assert "Left to pay: $25.00" in told
    assert "Pay the rest" in told
    flow.becomes(state="paid", owed=usd(0), paid=usd(4500))
    told = words_of(client.get(f"{link}/return?s=C1").text)
    assert "There is nothing left to pay." in told
    assert "Pay the rest" not in told


def test_a_payment_that_is_recorded_while_the_page_is_being_made_is_counted_on_it(
    client: TestClient, flow: Any, link: str
) -> None:
    flow.outcome = "recorded"
    flow.on_return = lambda: flow.becomes(owed=usd(2500), paid=usd(2000))
    assert "Left to pay: $25.00" in client.get(f"{link}/return?s=C1").text


@pytest.mark.parametrize("outcome", ["received", "processing"])
def test_the_return_page_looks_again_a_few_times_and_then_rests(
    client: TestClient, flow: Any, link: str, outcome: str
) -> None:
    flow.outcome = outcome
    address, seen = f"{link}/return?s=C1", []
    while len(seen) < 20:
        page = client.get(address)
        assert "<button" not in page.text
        assert f'href="{link}"' not in page.text
        if "refresh" not in page.headers:
            break
        delay, _, address = page.headers["refresh"].partition("; url=")
        seen.append(int(delay))
    assert tuple(seen) == LOOKS
    assert "You can close this page" in page.text
    assert "Look again" in page.text


@pytest.mark.parametrize("outcome", ["open", "closed"])
def test_nothing_is_thanked_for_when_nothing_was_paid(client: TestClient, flow: Any, link: str, outcome: str) -> None:
    flow.outcome = outcome
    page = client.get(f"{link}/return?s=C1")
    assert "You have not been charged" in page.text
    assert f'href="{link}"' in page.text
    assert "refresh" not in page.headers


def test_when_nobody_can_tell_what_became_of_a_payment_nobody_is_tempted_to_pay_twice(
    client: TestClient, flow: Any, link: str
) -> None:
    flow.outcome = "unknown"
    for address in (f"{link}/return?s=C1", f"{link}/return", f"{link}/return?s=%22%3E%3Cscript%3E&n=-1"):
        page = client.get(address)
        assert "do not pay again" in page.text
        assert "<script" not in page.text
        assert f'href="{link}"' not in page.text


@pytest.mark.parametrize(
    "path", ["/p/short", "/p/AAAAAAAAAAAAAAAAAAAAAA", "/", "/p/", "/favicon.ico", "/p/%00%ff%2e%2e"]
)
def test_an_address_that_we_never_gave_out_is_answered_kindly(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert "We cannot find this link" in page.text


@pytest.mark.parametrize(
    ("header", "language"),
    [("es-MX,es;q=0.9,en;q=0.5", "es-US"), ("fr,es;q=0.7", "es-US"), ("fr", "en-US"), ("*", "en-US"), ("", "en-US")],
)
def test_where_no_request_is_known_the_browser_says_which_language_it_likes(
    client: TestClient, header: str, language: str
) -> None:
    for answer in (
        client.get("/p/short", headers={"accept-language": header}),
        client.post("/p/short", headers={"accept-language": header, "sec-fetch-site": "cross-site"}),
    ):
        assert f'<html lang="{language}">' in answer.text


def test_many_wrong_links_from_one_address_are_asked_to_wait_while_right_ones_still_open(
    client: TestClient, clock: Any, link: str
) -> None:
    wrong = [f"/p/{'A' * 21}{letter}" for letter in "ABCDE"]
    assert [client.get(address).status_code for address in wrong] == [404, 404, 404, 429, 429]
    assert client.get(wrong[0]).headers["retry-after"] == "60"
    assert client.get(link).status_code == 200
    clock.now += 60
    assert client.get(wrong[0]).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example.org"},
        {"sec-fetch-site": "cross-site", "origin": "null"},
    ],
)
def test_a_form_sent_by_another_site_is_refused(
    client: TestClient, flow: Any, link: str, headers: dict[str, str]
) -> None:
    assert client.post(link, headers=headers, data={"pay": "all"}).status_code == 403
    assert flow.begun == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "null"},
        {"origin": "https://pay.example.org"},
        {"origin": "null"},
        {},
    ],
)
def test_our_own_form_is_taken_although_no_referrer_makes_its_origin_null(
    client: TestClient, flow: Any, link: str, headers: dict[str, str]
) -> None:
    assert client.post(link, headers=headers, data={"pay": "all"}).status_code == 303
    assert len(flow.begun) == 1


def test_a_form_too_large_to_be_ours_is_refused_unread(client: TestClient, flow: Any, link: str) -> None:
    assert client.post(link, content=b"x" * 9000, headers=FORM).status_code == 413
    assert client.post(link, content=b"&".join(b"a=1" for _ in range(400)), headers=FORM).status_code == 400
    assert flow.begun == []


def test_a_database_that_is_away_is_told_as_such_and_payers_are_reassured(
    client: TestClient, flow: Any, link: str
) -> None:
    flow.error = Transient("connection refused")
    page = client.get(link)
    assert page.status_code == 503
    assert page.headers["retry-after"] == "30"
    assert "We will be right back" in page.text
    assert "do not pay again" in page.text


def test_a_page_is_lighter_than_15_kilobytes(client: TestClient, flow: Any, link: str) -> None:
    flow.becomes(paid=usd(2000))
    page = client.post(link, data={"pay": "part", "amount": "x"})
    assert len(page.content) < 15_000
    assert "http" not in re.sub(r"xmlns='[^']+'", "", page.text)
