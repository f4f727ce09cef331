"""Events on their way to a receiver: signed, retried, held back, foreign or false."""

from __future__ import annotations

import json

import pytest
import stripe


@pytest.fixture
def told(box, receiver):
    box.web.post("/_control/stripe/forget")
    box.web.post("/_control/stripe/webhook", params={"url": receiver.url + "/hooks"})
    yield receiver
    box.web.post("/_control/stripe/resume")
    box.web.post("/_control/stripe/forget")
    box.web.post("/_control/stripe/webhook", params={"url": "http://127.0.0.1:9"})


def _type(name: str):
    return lambda body: json.loads(body)["type"] == name


def test_a_webhook_passes_the_sdk_check(box, client, order, pay, told) -> None:
    made = client.v1.checkout.sessions.create(order(metadata={"é": "ü"}))
    pay(made.url)
    body, headers = told.until(_type("checkout.session.completed"))
    event = client.construct_event(body, headers["stripe-signature"], box.stripe_webhook_secret)
    assert event.data.object.id == made.id
    assert event.data.object.payment_status == "paid"
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body + b" ", headers["stripe-signature"], box.stripe_webhook_secret)


def test_a_payment_tells_of_the_charge_the_intent_and_the_session(client, order, pay, told) -> None:
    pay(client.v1.checkout.sessions.create(order()).url)
    wanted = {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"}
    seen = set()
    while not wanted <= seen:
        seen.add(json.loads(told.next()[0])["type"])


def test_anything_but_2xx_is_tried_again_with_the_same_body(box, client, order, told) -> None:
    told.statuses[:] = [500, 302]
    made = client.v1.checkout.sessions.create(order())
    client.v1.checkout.sessions.expire(made.id)
    bodies = {told.next()[0] for _ in range(3)}
    assert len(bodies) == 1
    id = json.loads(bodies.pop())["id"]
    tries = [a for a in box.web.get("/_control/stripe/deliveries").json()["attempts"] if a["event"] == id]
    assert [a["status"] for a in tries][:2] == [500, 302]


def test_paused_webhooks_wait_and_then_come(box, client, order, told) -> None:
    box.web.post("/_control/stripe/pause")
    made = client.v1.checkout.sessions.create(order())
    client.v1.checkout.sessions.expire(made.id)
    assert client.v1.events.list({"limit": 1}).data[0].pending_webhooks == 1
    assert told.got.empty()
    box.web.post("/_control/stripe/resume")
    assert json.loads(told.next()[0])["data"]["object"]["id"] == made.id


def test_an_event_can_be_sent_twice(box, client, order, told) -> None:
    made = client.v1.checkout.sessions.create(order())
    client.v1.checkout.sessions.expire(made.id)
    first = json.loads(told.next()[0])
    box.web.post("/_control/stripe/resend", params={"event": first["id"]})
    assert json.loads(told.next()[0])["id"] == first["id"]


def test_an_event_with_a_wrong_secret_fails_the_check(box, client, order, told) -> None:
    made = client.v1.checkout.sessions.create(order())
    client.v1.checkout.sessions.expire(made.id)
    first = json.loads(told.next()[0])
    box.web.post("/_control/stripe/resend", params={"event": first["id"], "secret": "whsec_false"})
    body, headers = told.next()
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body, headers["stripe-signature"], box.stripe_webhook_secret)


def test_an_event_of_somebody_else_is_authentic_and_not_ours(box, client, told) -> None:
    made = box.web.post("/_control/stripe/foreign?amount=1234&currency=eur").json()
    body, headers = told.until(_type("checkout.session.completed"))
    event = client.construct_event(body, headers["stripe-signature"], box.stripe_webhook_secret)
    assert event.id == made["id"]
    assert event.data.object.client_reference_id == "order-1093"
    assert client.v1.checkout.sessions.retrieve(event.data.object.id).amount_total == 1234


def test_a_webhook_address_elsewhere_is_refused(box) -> None:
    answer = box.web.post("/_control/stripe/webhook", params={"url": "http://192.0.2.7/hooks"})
    assert answer.status_code == 400
    assert "loopback" in answer.json()["error"]


def test_the_dashboard_lists_sessions_payments_and_events(box, client, order, pay) -> None:
    made = client.v1.checkout.sessions.create(order(client_reference_id="on-the-board"))
    pay(made.url)
    text = box.web.get("/stripe/dashboard").text
    assert "on-the-board" in text
    assert "checkout.session.completed" in text
