"""What Stripe is asked, what its answers mean, and what its real SDK puts on the wire."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.ports import EventType, SessionRequest, SessionState
from chartpost.adapter.providers.stripe import (
    Options,
    StripeProvider,
    from_settings,
    parse_event_object,
    parse_session,
    session_params,
)
from chartpost.adapter.providers.stripe_amounts import from_stripe, to_stripe

KEY, SECRET, PREVIOUS = "sk_test_invented", "whsec_new", "whsec_old"
LINK = "https://pay.example.org/p/secret-token"
REQUEST = SessionRequest(
    reference="cs_7f3a",
    amount=12500,
    currency="USD",
    payee="Lakeside",
    success_url=f"{LINK}/done",
    cancel_url=LINK,
    expires_at=dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
)
SESSION: dict[str, Any] = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    "status": "open",
    "payment_status": "unpaid",
    "client_reference_id": "cs_7f3a",
    "metadata": {"chartpost": "cs_7f3a"},
    "amount_total": 12500,
    "currency": "usd",
    "payment_intent": None,
    "payment_method_types": ["card", "us_bank_account"],
}


# ----------------------------------------------------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    ("amount", "currency", "stripes"),
    [
        (12500, "USD", 12500),
        (500, "JPY", 500),
        (500, "KRW", 500),
        (5, "ISK", 500),  # whole krónur, yet Stripe counts hundredths
        (5, "UGX", 500),
        (1045, "HUF", 1045),  # special in payouts only
        (80045, "TWD", 80045),
        (5120, "KWD", 5120),
        (0, "USD", 0),
    ],
)
def test_amounts_are_converted_to_stripes_units_and_back(amount: int, currency: str, stripes: int) -> None:
    assert to_stripe(amount, currency) == stripes
    assert from_stripe(stripes, currency) == amount


def test_thousandths_are_refused_since_the_networks_have_none() -> None:
    with pytest.raises(Permanent, match="thousandths"):
        to_stripe(5124, "KWD")


def test_fractions_of_a_currency_without_decimals_cannot_come_back() -> None:
    with pytest.raises(Permanent, match="UGX"):
        from_stripe(550, "UGX")


def test_what_is_no_currency_is_refused() -> None:
    with pytest.raises(Permanent, match="ISO 4217"):
        to_stripe(1, "XXQ")


@given(
    st.integers(min_value=0, max_value=10**9),
    st.sampled_from(["USD", "JPY", "ISK", "UGX", "KWD", "TND", "MGA", "HUF", "CLP", "EUR"]),
)
def test_every_amount_that_stripe_takes_comes_back_as_it_was(whole: int, currency: str) -> None:
    # Stripe has no hundredths of an ariary, and no thousandths of anything.
    amount = whole * {"MGA": 100, "KWD": 10, "TND": 10}.get(currency, 1)
    assert from_stripe(to_stripe(amount, currency), currency) == amount


# ----------------------------------------------------------------------------------------------------------- meaning


def test_stripe_is_told_an_amount_opaque_ids_and_the_message_name_and_nothing_else() -> None:
    assert session_params(REQUEST) == {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 12500,
                    "product_data": {"name": "Lakeside: account payment"},
                },
            }
        ],
        "client_reference_id": "cs_7f3a",
        "metadata": {"chartpost": "cs_7f3a"},
        "payment_intent_data": {
            "description": "Lakeside: account payment",
            "metadata": {"chartpost": "cs_7f3a"},
            "statement_descriptor_suffix": "Lakeside",
        },
        "success_url": f"{LINK}/done",
        "cancel_url": LINK,
        "expires_at": 1893553445,
    }


@pytest.mark.parametrize(
    "payee", ["St. Mary's", "A" * 23, "12345", "Klinik Süd", 'The "Clinic"', "a*b", "a<b", "a>b", "a\\b", "a\tb", ""]
)
def test_a_name_that_a_statement_cannot_carry_is_left_out_of_it(payee: str) -> None:
    params = session_params(replace_request(payee=payee))
    assert "statement_descriptor_suffix" not in params["payment_intent_data"]


@pytest.mark.parametrize("payee", ["Lakeside", "A" * 22, "7th Street", "Lake & Hill, No. 2", "A+B/C (D)"])
def test_a_name_that_a_statement_can_carry_stands_there(payee: str) -> None:
    params = session_params(replace_request(payee=payee))
    assert params["payment_intent_data"]["statement_descriptor_suffix"] == payee


def replace_request(**changes: Any) -> SessionRequest:
    import dataclasses

    return dataclasses.replace(REQUEST, **changes)


@pytest.mark.parametrize(
    ("status", "payment_status", "state", "paid"),
    [
        ("open", "unpaid", SessionState.OPEN, False),
        ("complete", "paid", SessionState.COMPLETE, True),
        ("complete", "unpaid", SessionState.COMPLETE, False),
        ("expired", "unpaid", SessionState.EXPIRED, False),
    ],
)
def test_a_session_is_read(status: str, payment_status: str, state: SessionState, paid: bool) -> None:
    session = parse_session({**SESSION, "status": status, "payment_status": payment_status, "url": None})
    assert (session.provider_ref, session.url, session.state, session.paid) == ("cs_test_1", "", state, paid)


@pytest.mark.parametrize("broken", [{}, {"id": "cs_1"}, {"id": "cs_1", "status": "resting"}])
def test_an_answer_that_is_no_session_leaves_it_unknown_whether_there_is_one(broken: dict[str, Any]) -> None:
    with pytest.raises(Ambiguous):
        parse_session(broken)


def event(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": name,
        "created": 1893553445,
        "data": {"object": SESSION | {"status": "complete", "payment_intent": "pi_1"} | changes},
    }


@pytest.mark.parametrize(
    ("name", "payment_status", "type", "medium"),
    [
        ("checkout.session.completed", "paid", EventType.PAID, "card"),
        ("checkout.session.completed", "no_payment_required", EventType.PAID, "card"),
        ("checkout.session.completed", "unpaid", EventType.PENDING, "us_bank_account"),
        ("checkout.session.async_payment_succeeded", "paid", EventType.PAID, "us_bank_account"),
        ("checkout.session.async_payment_failed", "unpaid", EventType.FAILED, "us_bank_account"),
        ("checkout.session.expired", "unpaid", EventType.EXPIRED, "us_bank_account"),
    ],
)
def test_each_event_on_a_session_of_ours_is_read(name: str, payment_status: str, type: EventType, medium: str) -> None:
    found = parse_event_object(event(name, payment_status=payment_status))
    assert (found.type, found.medium) == (type, medium)
    assert (found.event_id, found.reference, found.session_ref) == ("evt_1", "cs_7f3a", "cs_test_1")
    assert (found.payment_ref, found.amount, found.currency) == ("pi_1", 12500, "USD")
    assert found.created == REQUEST.expires_at


def test_an_amount_of_ours_that_cannot_be_said_is_kept_for_a_person_instead_of_refused() -> None:
    read = parse_event_object(
        event("checkout.session.completed", payment_status="paid", amount_total=55, currency="ugx")
    )
    assert (read.type, read.reference, read.amount, read.currency) == (EventType.PAID, "cs_7f3a", 0, "UGX")


def test_the_amount_of_an_event_is_in_our_units() -> None:
    found = parse_event_object(event("checkout.session.completed", payment_status="paid", currency="isk"))
    assert (found.amount, found.currency) == (125, "ISK")


def test_an_expanded_payment_intent_still_gives_its_id() -> None:
    found = parse_event_object(event("checkout.session.completed", payment_intent={"id": "pi_2"}))
    assert found.payment_ref == "pi_2"


@pytest.mark.parametrize(
    "foreign",
    [
        {"metadata": {}},
        {"metadata": None},
        {"metadata": {"chartpost": "other"}},
        {"metadata": {"order": "7"}, "client_reference_id": "cs_7f3a"},
        {"client_reference_id": None},
        {"metadata": [], "client_reference_id": 7, "currency": "zzz", "amount_total": None},
        {"metadata": {}, "currency": "isk", "amount_total": 1},
    ],
)
def test_a_session_that_others_made_on_the_same_account_has_no_reference_of_ours(foreign: dict[str, Any]) -> None:
    assert parse_event_object(event("checkout.session.completed", **foreign)).reference == ""


@pytest.mark.parametrize("name", ["charge.refunded", "payment_intent.succeeded", "something.new", "payout.paid"])
def test_events_that_are_new_to_us_are_unknown_and_harmless(name: str) -> None:
    found = parse_event_object(event(name))
    assert (found.type, found.reference, found.amount) == (EventType.UNKNOWN, "", 0)


@pytest.mark.parametrize(
    "broken", [{}, [], None, 7, {"id": "evt_1", "type": "x", "created": "soon"}, event("x") | {"data": 1}]
)
def test_json_that_is_no_event_is_refused(broken: Any) -> None:
    with pytest.raises(Permanent, match="no Stripe event"):
        parse_event_object(broken)


# --------------------------------------------------------------------------------------------------------- signatures


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    stamp = int(time.time() if at is None else at)
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{body.decode()}", secret)
    return {"stripe-signature": f"t={stamp},v1={signature}"}


BODY = json.dumps(event("checkout.session.completed", payment_status="paid"), indent=2).encode()


@pytest.fixture(scope="module")
def verifier() -> StripeProvider:
    return StripeProvider(KEY, (SECRET, PREVIOUS), "http://127.0.0.1:1")


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS])
def test_an_event_signed_with_either_secret_is_taken_during_a_rotation(verifier: StripeProvider, secret: str) -> None:
    assert verifier.parse_event(BODY, signed(BODY, secret)).type is EventType.PAID


def test_an_event_that_is_not_authentic_is_refused(verifier: StripeProvider) -> None:
    late = signed(BODY, at=time.time() - 301)
    for body, headers in [
        (BODY, {}),
        (BODY, {"Stripe-Signature": "nonsense"}),
        (BODY, {"Stripe-Signature": "t=now,v1=00"}),
        (BODY, signed(BODY, "whsec_other")),
        (BODY, late),
        (BODY + b" ", signed(BODY)),
        (b"\xff\xfe", signed(BODY)),
    ]:
        with pytest.raises(Permanent, match="signature"):
            verifier.parse_event(body, headers)


def test_a_signed_body_that_is_no_event_is_refused(verifier: StripeProvider) -> None:
    for body in (b"not json", b"[]", b"{}"):
        with pytest.raises(Permanent, match="no Stripe event"):
            verifier.parse_event(body, signed(body))


# ----------------------------------------------------------------------------------------------------------- the wire


class Api:
    """Answers by method and path, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any] | Callable[[dict[str, list[str]]], Any]] = {}
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                form = parse_qs(body or url.query)
                what = f"{self.command} {url.path}"
                api.requests.append((what, form, {k.lower(): v for k, v in self.headers.items()}))
                answer = api.answers.get(what, (404, {"error": {"type": "invalid_request_error"}}))
                status, payload = (200, answer(form)) if callable(answer) else answer
                if payload is None:
                    self.close_connection = True
                    return
                raw = json.dumps(payload).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Request-Id", "req_1")
                self.send_header("Stripe-Should-Retry", "false")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/stripe"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


CREATE = "POST /stripe/v1/checkout/sessions"
RETRIEVE = "GET /stripe/v1/checkout/sessions/cs_test_1"
EXPIRE = "POST /stripe/v1/checkout/sessions/cs_test_1/expire"


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.fixture
def provider(api: Api) -> StripeProvider:
    return StripeProvider(KEY, (SECRET,), api.url, 2)


def error(code: str = "", **more: str) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "code": code, "message": f"about {LINK}", **more}}


def test_a_session_is_created_under_our_idempotency_key(api: Api, provider: StripeProvider) -> None:
    api.answers[CREATE] = (200, SESSION)
    session = provider.create_session(REQUEST)
    assert (session.provider_ref, session.url, session.state) == ("cs_test_1", SESSION["url"], SessionState.OPEN)
    [(_, form, headers)] = api.requests
    assert headers["idempotency-key"] == "cs_7f3a"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert form["line_items[0][price_data][unit_amount]"] == ["12500"]
    assert form["metadata[chartpost]"] == ["cs_7f3a"]
    assert form["expires_at"] == ["1893553445"]


def test_a_session_is_looked_up(api: Api, provider: StripeProvider) -> None:
    api.answers[RETRIEVE] = (200, SESSION | {"status": "complete", "payment_status": "paid", "url": None})
    assert provider.retrieve_session("cs_test_1").paid


def test_a_session_is_expired(api: Api, provider: StripeProvider) -> None:
    api.answers[EXPIRE] = (200, SESSION | {"status": "expired", "url": None})
    assert provider.expire_session("cs_test_1").state is SessionState.EXPIRED


def test_a_payer_who_was_faster_than_the_expiry_is_no_error(api: Api, provider: StripeProvider) -> None:
    api.answers[EXPIRE] = (400, error(message='Only Checkout Sessions with a status in ["open"] can be expired.'))
    api.answers[RETRIEVE] = (200, SESSION | {"status": "complete", "payment_status": "paid", "url": None})
    found = provider.expire_session("cs_test_1")
    assert (found.state, found.paid) == (SessionState.COMPLETE, True)


def test_an_expiry_that_is_refused_for_another_reason_is_an_error(api: Api, provider: StripeProvider) -> None:
    api.answers[EXPIRE] = (400, error("odd"))
    api.answers[RETRIEVE] = (200, SESSION)
    with pytest.raises(Permanent, match="odd"):
        provider.expire_session("cs_test_1")
    with pytest.raises(Permanent, match="404"):
        provider.expire_session("cs_test_2")


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (400, error("url_invalid", param="success_url"), Permanent),
        (400, {"error": {"type": "idempotency_error", "message": "same key, other parameters"}}, Permanent),
        (401, error(), Permanent),
        (403, error(), Permanent),
        (409, error("lock_timeout"), Transient),
        (409, error("idempotency_key_in_use"), Transient),
        (429, error("rate_limit"), Transient),
        (500, {"error": {"type": "api_error"}}, Ambiguous),
        (503, {"error": {"type": "api_error"}}, Ambiguous),
    ],
)
def test_refusals_are_sorted_and_never_quote_our_link(
    api: Api, provider: StripeProvider, status: int, payload: dict[str, Any], kind: type[Exception]
) -> None:
    api.answers[CREATE] = (status, payload)
    with pytest.raises(kind) as refused:
        provider.create_session(REQUEST)
    assert "secret-token" not in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_refusal_names_code_field_and_request(api: Api, provider: StripeProvider) -> None:
    api.answers[CREATE] = (400, error("url_invalid", param="success_url"))
    with pytest.raises(Permanent, match="url_invalid, request req_1, field success_url") as refused:
        provider.create_session(REQUEST)
    assert refused.value.code == "url_invalid"


def test_a_failed_look_up_may_simply_be_repeated(api: Api, provider: StripeProvider) -> None:
    api.answers[RETRIEVE] = (500, {"error": {"type": "api_error"}})
    with pytest.raises(Transient):
        provider.retrieve_session("cs_test_1")


def test_a_connection_lost_while_creating_is_tried_again_under_the_same_key_then_ambiguous(
    api: Api, provider: StripeProvider
) -> None:
    api.answers[CREATE] = (200, None)
    with pytest.raises(Ambiguous):
        provider.create_session(REQUEST)
    assert {headers["idempotency-key"] for _, _, headers in api.requests} == {"cs_7f3a"}
    assert len(api.requests) == 2


def test_nobody_listening_is_transient() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Transient):
        StripeProvider(KEY, (SECRET,), f"http://127.0.0.1:{port}", 2).create_session(REQUEST)


def test_silence_while_creating_is_ambiguous() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(Ambiguous):
            StripeProvider(KEY, (SECRET,), url, 0.2).create_session(REQUEST)


def test_lost_events_are_listed_oldest_first_across_pages(api: Api, provider: StripeProvider) -> None:
    every = [event("checkout.session.completed", payment_status="paid") | {"id": f"evt_{n}"} for n in range(5, 0, -1)]

    def page(form: dict[str, list[str]]) -> dict[str, Any]:
        start = next((n + 1 for n, e in enumerate(every) if [e["id"]] == form.get("starting_after")), 0)
        return {
            "object": "list",
            "data": every[start : start + 2],
            "has_more": start + 2 < len(every),
            "url": "/v1/events",
        }

    api.answers["GET /stripe/v1/events"] = page
    found = provider.events_since(dt.datetime(2030, 1, 2, tzinfo=dt.UTC))
    assert [e.event_id for e, _ in found] == ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"]
    assert [json.loads(raw) for _, raw in found] == list(reversed(every))
    assert api.requests[0][1]["created[gte]"] == ["1893542400"]
    assert len(api.requests) == 3


def test_neither_key_nor_link_reaches_a_log(api: Api, provider: StripeProvider, caplog) -> None:
    api.answers[CREATE] = (400, error("url_invalid"))
    with caplog.at_level(logging.DEBUG), pytest.raises(Permanent):
        provider.create_session(REQUEST)
    assert KEY not in caplog.text
    assert "secret-token" not in caplog.text


# ------------------------------------------------------------------------------------------------------------ options


def options(**changes: Any) -> Options:
    return Options.model_validate({"type": "stripe", "secret_key": KEY, "webhook_secret": SECRET} | changes)


def test_options_make_a_provider_that_knows_both_secrets(api: Api) -> None:
    provider = from_settings(options(base_url=api.url, webhook_secret_previous=PREVIOUS))
    assert provider.parse_event(BODY, signed(BODY, PREVIOUS)).event_id == "evt_1"
    assert from_settings(options()).parse_event(BODY, signed(BODY)).event_id == "evt_1"


def test_secrets_do_not_show(api: Api) -> None:
    assert KEY not in repr(options())
    with pytest.raises(ValidationError) as refused:
        options(secret_key="sk_live_invented", base_url=api.url)
    assert "sk_live_invented" not in str(refused.value)


@pytest.mark.parametrize("key", ["sk_live_invented", "rk_live_invented"])
def test_a_live_key_goes_to_stripe_only(key: str) -> None:
    assert options(secret_key=key)
    with pytest.raises(ValidationError, match="live key"):
        options(secret_key=key, base_url="http://127.0.0.1:1")
    with pytest.raises(ValidationError, match="live key"):
        options(secret_key=key, base_url="https://proxy.example.org", allow_base_url=True)


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(ValidationError, match="webhok_secret"):
        options(webhok_secret="x")
