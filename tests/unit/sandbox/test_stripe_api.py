"""The card provider's API, driven by the real `stripe` SDK."""

from __future__ import annotations

import concurrent.futures
import time
import uuid

import httpx2
import pytest
import stripe


def test_a_session_is_made_open_and_found_again(client, order) -> None:
    made = client.v1.checkout.sessions.create(order(metadata={"ref": "a1"}))
    assert made.id.startswith("cs_test_")
    assert (made.object, made.status, made.payment_status, made.livemode) == (
        "checkout.session",
        "open",
        "unpaid",
        False,
    )
    assert (made.amount_total, made.currency, made.payment_intent) == (4500, "usd", None)
    assert made.success_url == f"https://pay.example.org/back?s={made.id}"
    assert made.url.endswith(f"/checkout/c/pay/{made.id}")
    assert client.v1.checkout.sessions.retrieve(made.id).metadata["ref"] == "a1"


def test_payment_intent_and_charge_come_along_when_asked_for(client, order, pay) -> None:
    made = client.v1.checkout.sessions.create(order())
    assert pay(made.url).status_code == 303
    found = client.v1.checkout.sessions.retrieve(
        made.id, {"expand": ["payment_intent", "payment_intent.latest_charge", "line_items"]}
    )
    assert (found.status, found.payment_status, found.url) == ("complete", "paid", None)
    charge = found.payment_intent.latest_charge
    assert (charge.amount, charge.paid, charge.payment_method_details.card.brand) == (4500, True, "visa")
    assert found.line_items.data[0].description == "Lakeside"
    intent = client.v1.payment_intents.retrieve(found.payment_intent.id)
    assert intent.latest_charge == charge.id
    assert client.v1.charges.retrieve(charge.id).payment_intent == intent.id


def test_every_field_that_is_sent_is_one_that_stripe_sends(client, order, pay) -> None:
    made = client.v1.checkout.sessions.create(order())
    pay(made.url)
    found = client.v1.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent.latest_charge"]}).to_dict()
    intent = found["payment_intent"]
    for shown, known in (
        (found, stripe.checkout.Session),
        (intent, stripe.PaymentIntent),
        (intent["latest_charge"], stripe.Charge),
        (client.v1.events.list({"limit": 1}).data[0].to_dict(), stripe.Event),
    ):
        assert set(shown) <= set(known.__annotations__)


def test_an_unknown_expansion_is_refused(client, order) -> None:
    made = client.v1.checkout.sessions.create(order())
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.checkout.sessions.retrieve(made.id, {"expand": ["secrets"]})


def test_only_an_open_session_can_be_expired(client, order, pay) -> None:
    open_, paid = (client.v1.checkout.sessions.create(order()) for _ in range(2))
    assert client.v1.checkout.sessions.expire(open_.id).status == "expired"
    pay(paid.url)
    for id, status in ((open_.id, "expired"), (paid.id, "complete")):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            client.v1.checkout.sessions.expire(id)
        assert 'Only Checkout Sessions with a status in ["open"] can be expired' in str(refused.value)
        assert status in str(refused.value)


def test_the_same_key_and_parameters_replay_the_first_answer(client, order) -> None:
    key = {"idempotency_key": str(uuid.uuid4())}
    first = client.v1.checkout.sessions.create(order(), key)
    again = client.v1.checkout.sessions.create(order(), key)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers


def test_the_same_key_with_other_parameters_is_an_idempotency_error(client, order) -> None:
    key = {"idempotency_key": str(uuid.uuid4())}
    client.v1.checkout.sessions.create(order(), key)
    with pytest.raises(stripe.IdempotencyError) as refused:
        client.v1.checkout.sessions.create(order(amount=9900), key)
    assert refused.value.http_status == 400


def test_a_refused_request_leaves_its_key_free(client, order) -> None:
    key = {"idempotency_key": str(uuid.uuid4())}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(order(amount=10), key)
    assert client.v1.checkout.sessions.create(order(), key).status == "open"


def test_a_second_request_meets_409_while_the_first_is_in_flight(box, client, order) -> None:
    key = {"idempotency_key": str(uuid.uuid4())}
    box.web.post("/_control/stripe/next?answer=slow&seconds=0.6")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        calls = [pool.submit(client.v1.checkout.sessions.create, order(), key) for _ in range(2)]
        problems = [call.exception() for call in calls]
    met = [problem for problem in problems if problem is not None]
    assert len(met) == 1
    assert isinstance(met[0], stripe.StripeError)
    assert met[0].http_status == 409
    assert met[0].json_body["error"]["code"] == "idempotency_key_in_use"


def test_a_dropped_connection_after_the_work_is_healed_by_the_key(box, client, order) -> None:
    key = {"idempotency_key": str(uuid.uuid4())}
    box.web.post("/_control/stripe/next?answer=drop")
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(order(client_reference_id="dropped"), key)
    again = client.v1.checkout.sessions.create(order(client_reference_id="dropped"), key)
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    listed = client.v1.checkout.sessions.list({"limit": 100}).data
    assert [s.id for s in listed if s.client_reference_id == "dropped"] == [again.id]


def test_a_500_did_no_work(box, client, order) -> None:
    box.web.post("/_control/stripe/next?answer=500")
    with pytest.raises(stripe.APIError):
        client.v1.checkout.sessions.create(order(client_reference_id="five-hundred"))
    assert all(s.client_reference_id != "five-hundred" for s in client.v1.checkout.sessions.list({"limit": 100}).data)


def test_a_foreign_key_is_refused(box, order) -> None:
    stranger = stripe.StripeClient("sk_test_somebody_else", base_addresses={"api": box.http + "/stripe"})
    with pytest.raises(stripe.AuthenticationError) as refused:
        stranger.v1.checkout.sessions.create(order())
    assert refused.value.http_status == 401


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"mode": None}, "parameter_missing", "mode"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"amount": 49}, "amount_too_small", None),
        ({"amount": 1_000_000_00}, "amount_too_large", None),
        ({"patient": "x"}, "parameter_unknown", "patient"),
        ({"payment_intent_data": {"mrn": "x"}}, "parameter_unknown", "payment_intent_data[mrn]"),
        ({"success_url": "pay.example.org"}, "url_invalid", "success_url"),
        ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
        ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"expires_at": 9_999_999_999}, None, "expires_at"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"currency_": "kwd", "amount": 1005}, None, "line_items"),
        ({"payment_intent_data": {"statement_descriptor_suffix": "<>"}}, None, None),
    ],
)
def test_a_wrong_parameter_is_named(client, order, change, code, param) -> None:
    change = dict(change)
    made = order(change.pop("amount", 4500), change.pop("currency_", "usd")) | change
    params = {name: value for name, value in made.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.create(params)
    assert refused.value.http_status == 400
    assert refused.value.code == code
    if param:
        assert refused.value.param == param


def test_a_missing_price_field_is_named_with_its_path(client, order) -> None:
    params = order()
    del params["line_items"][0]["price_data"]["unit_amount"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.create(params)
    assert refused.value.param == "line_items[0][price_data][unit_amount]"


def test_a_yen_has_no_minor_unit(client, order, box) -> None:
    made = client.v1.checkout.sessions.create(order(amount=1200, currency="jpy"))
    assert "¥1,200" in box.web.get(made.url).text


def test_what_does_not_exist_is_404(client) -> None:
    for look in (
        client.v1.checkout.sessions.retrieve,
        client.v1.payment_intents.retrieve,
        client.v1.charges.retrieve,
        client.v1.events.retrieve,
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            look("nothing_here")
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_events_are_listed_newest_first_and_page_by_page(client, order, pay) -> None:
    started = int(time.time())
    for _ in range(2):
        pay(client.v1.checkout.sessions.create(order()).url)
    page = client.v1.events.list({"limit": 3, "created": {"gte": started}})
    assert len(page.data) == 3
    assert page.has_more
    everything = list(client.v1.events.list({"limit": 3, "created": {"gte": started}}).auto_paging_iter())
    assert len({event.id for event in everything}) == len(everything) >= 8
    assert [event.created for event in everything] == sorted((e.created for e in everything), reverse=True)
    one = client.v1.events.list({"types": ["checkout.session.completed"], "created": {"gte": started}})
    assert {event.type for event in one.data} == {"checkout.session.completed"}
    assert client.v1.events.retrieve(one.data[0].id).data.object.object == "checkout.session"
    assert client.v1.events.list({"type": "charge.succeeded", "created": {"gte": started + 60}}).data == []


def test_an_event_keeps_the_object_as_it_was(client, order) -> None:
    made = client.v1.checkout.sessions.create(order())
    client.v1.checkout.sessions.expire(made.id)
    event = client.v1.events.list({"type": "checkout.session.expired", "limit": 1}).data[0]
    assert (event.data.object.id, event.data.object.status) == (made.id, "expired")
    assert event.request.id.startswith("req_")


def test_every_request_is_on_record_with_what_it_said(box, client, order) -> None:
    key = str(uuid.uuid4())
    client.v1.checkout.sessions.create(order(client_reference_id="logged"), {"idempotency_key": key})
    entry = next(e for e in box.web.get("/_control/stripe/requests").json() if e["idempotency_key"] == key)
    assert entry["params"]["client_reference_id"] == "logged"
    assert (entry["path"], entry["status"]) == ("/v1/checkout/sessions", 200)
    assert box.stripe_key not in box.web.get("/_control/stripe/requests").text


def test_a_wrong_address_is_unrecognised(box) -> None:
    answer = httpx2.get(f"{box.http}/stripe/v1/customers", auth=(box.stripe_key, ""))
    assert answer.status_code == 404
    assert "Unrecognized request URL" in answer.json()["error"]["message"]
    assert answer.headers["request-id"].startswith("req_")
