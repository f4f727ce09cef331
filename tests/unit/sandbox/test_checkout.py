"""The hosted page, driven as a browser without JavaScript would."""

from __future__ import annotations

import pytest


@pytest.fixture
def session(client, order):
    return client.v1.checkout.sessions.create(order())


def test_the_page_shows_the_amount_and_needs_no_script(box, session) -> None:
    page = box.web.get(session.url)
    assert page.status_code == 200
    assert "$45.00" in page.text
    assert "Lakeside" in page.text
    assert "//" not in page.text.replace("https://pay.example.org", "").replace("<!doctype html>", "")
    assert "form-action 'self' https://pay.example.org" in page.headers["content-security-policy"]


def test_looking_changes_nothing(box, client, session) -> None:
    box.web.get(session.url)
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert (found.status, found.payment_intent) == ("open", None)


def test_a_good_card_ends_at_the_success_page(client, session, pay) -> None:
    answer = pay(session.url, email="payer@example.org")
    assert answer.status_code == 303
    assert answer.headers["location"] == session.success_url
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert found.payment_status == "paid"
    assert found.customer_details.email == "payer@example.org"


@pytest.mark.parametrize(
    ("card", "words", "decline"),
    [
        ("4000000000000002", "Your card was declined.", "generic_decline"),
        ("4000000000009995", "insufficient funds", "insufficient_funds"),
    ],
)
def test_after_a_decline_another_card_may_be_tried(client, session, pay, card, words, decline) -> None:
    answer = pay(session.url, card)
    assert answer.status_code == 402
    assert words in answer.text
    assert card not in answer.text.split("<details>")[0]
    found = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (found.status, found.payment_intent.last_payment_error.decline_code) == ("open", decline)
    assert pay(session.url).status_code == 303
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert after.payment_intent.id == found.payment_intent.id
    assert (after.payment_status, after.payment_intent.last_payment_error) == ("paid", None)


@pytest.mark.parametrize(
    "typed",
    [
        {"card": "4242 4242 4242 4241"},
        {"card": "4111 1111 1111 1111"},
        {"expiry": "13 / 40"},
        {"expiry": "01 / 20"},
        {"expiry": "soon"},
        {"cvc": "1"},
        {"card": "²²²²²²²²²²²²"},
    ],
)
def test_what_is_typed_wrong_is_told_and_nothing_is_tried(client, session, pay, typed) -> None:
    answer = pay(session.url, **typed)
    assert answer.status_code == 402
    assert 'role="alert"' in answer.text
    assert client.v1.checkout.sessions.retrieve(session.id).payment_intent is None


def test_the_second_step_completes_the_payment(box, client, session, pay) -> None:
    answer = pay(session.url, "4000002500003155")
    step = answer.headers["location"]
    assert answer.status_code == 303
    assert step.endswith("/second-step")
    assert "Complete" in box.web.get(step).text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    done = box.web.post(step, content="answer=complete")
    assert done.headers["location"] == session.success_url
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_failed_second_step_leads_back_to_the_form(box, client, session, pay) -> None:
    step = pay(session.url, "4000002500003155").headers["location"]
    answer = box.web.post(step, content="answer=fail")
    assert "did not confirm" in answer.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(session.url).status_code == 303


def test_a_bank_debit_is_complete_before_it_is_paid(box, client, session, pay) -> None:
    assert pay(session.url, method="bank_debit").status_code == 303
    found = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (found.status, found.payment_status, found.payment_intent.status) == ("complete", "unpaid", "processing")
    box.web.post(f"/_control/stripe/settle/{session.id}")
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert found.payment_status == "paid"
    assert box.web.post(f"/_control/stripe/settle/{session.id}").status_code == 400


def test_a_bank_debit_can_fail_in_the_end(box, client, session, pay) -> None:
    pay(session.url, method="bank_debit")
    box.web.post(f"/_control/stripe/settle/{session.id}?outcome=failed")
    event = client.v1.events.list({"type": "checkout.session.async_payment_failed", "limit": 1}).data[0]
    assert (event.data.object.id, event.data.object.payment_status) == (session.id, "unpaid")


def test_a_card_only_session_offers_no_debit(box, client, order, pay) -> None:
    made = client.v1.checkout.sessions.create(order(payment_method_types=["card"]))
    assert "bank debit" not in box.web.get(made.url).text
    assert pay(made.url, method="bank_debit", card="").status_code == 402


def test_a_paid_page_says_so_and_does_not_charge_again(box, client, session, pay) -> None:
    pay(session.url)
    assert "all done here" in box.web.get(session.url).text
    assert "all done here" in pay(session.url).text
    charges = client.v1.events.list({"type": "charge.succeeded", "limit": 100}).data
    intent = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    assert len([c for c in charges if c.data.object.payment_intent == intent]) == 1


def test_an_expired_page_says_so_and_takes_no_card(box, client, session, pay) -> None:
    client.v1.checkout.sessions.expire(session.id)
    assert "has expired" in box.web.get(session.url).text
    assert "has expired" in pay(session.url).text
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
