"""The parts without a network: forms, HL7 text, signatures, SMS segments, FHIR's JSON and rules."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from decimal import Decimal

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from chartpost.adapter.sandbox import fhir_json, fhir_rules, forms, wire
from chartpost.adapter.sandbox.chart import Charts
from chartpost.adapter.sandbox.fhir_charts import FhirCharts
from chartpost.adapter.sandbox.fhir_store import Store
from chartpost.adapter.sandbox.ids import Ids
from chartpost.adapter.sandbox.stripe_params import Line, SessionParams
from chartpost.adapter.sandbox.stripe_state import StripeState
from chartpost.adapter.sandbox.stripe_webhooks import sign
from chartpost.adapter.sandbox.twilio_state import segments, valid


def test_brackets_become_a_tree_as_the_sdk_writes_them() -> None:
    params = {"a": {"b": [{"c": "1"}, {"c": "2"}]}, "expand": ["x", "y"], "n": 5}
    pairs = [(key, str(value)) for key, value in _api_encode(params)]
    tree = forms.tree(pairs)
    assert tree == {"a": {"b": {"0": {"c": "1"}, "1": {"c": "2"}}}, "expand": {"0": "x", "1": "y"}, "n": "5"}
    assert forms.listing(tree["expand"]) == ["x", "y"]
    assert forms.tree([("expand[]", "x"), ("expand[]", "y")]) == {"expand": {"0": "x", "1": "y"}}


@given(st.lists(st.tuples(st.text("ab[]0", max_size=8), st.text(max_size=3))))
def test_any_pairs_make_a_tree_or_a_form_error(pairs) -> None:
    with contextlib.suppress(forms.FormError):
        forms.tree(pairs)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_unreadable(raw) -> None:
    with contextlib.suppress(wire.Unreadable):
        wire.acknowledge(wire.parse(b"MSH" + raw), "AA", "1", dt.datetime.now(dt.UTC))
    wire.split(raw)


@given(st.text())
def test_an_escaped_value_stays_in_its_field(text) -> None:
    raw = f"MSH|^~\\&|{wire.escape(text)}|X\rPID|1\r".encode("utf-8", "surrogatepass")
    try:
        message = wire.parse(raw)
    except wire.Unreadable:
        return
    assert message.header.field(4) == "X"
    if not any(c in text for c in "\r\n") and text != '""' and "\\" not in text:
        assert message.header.value(3) == text or any(0xD800 <= ord(c) < 0xE000 for c in text)


def test_line_ends_of_every_kind_part_segments() -> None:
    for end in ("\r", "\n", "\r\n"):
        assert len(wire.parse(end.join(["MSH|^~\\&|A", "PID|1", "FT1|1", ""]).encode()).segments) == 3


def test_a_batch_is_cut_into_its_messages() -> None:
    raw = b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|1\rPID|1\rMSH|^~\\&|2\rBTS|2\rFTS|1\r"
    assert wire.split(raw) == [b"MSH|^~\\&|1\rPID|1\r", b"MSH|^~\\&|2"]


def test_the_signature_is_what_the_sdk_expects() -> None:
    at = int(dt.datetime.now(dt.UTC).timestamp())
    assert stripe.WebhookSignature.verify_header('{"é": 1}', sign('{"é": 1}'.encode(), "s", at), "s", 300)


def test_a_session_expires_when_its_time_is_over() -> None:
    told: list[dict] = []
    state = StripeState(Ids(7), told.append)
    params = SessionParams("usd", (Line("Lakeside", 500, 1),), "https://pay.example.org", expires_at=4_000_000_000)
    made = state.create_session(params)
    state.sweep()
    assert (made["status"], told) == ("open", [])
    made["expires_at"] = 1
    state.sweep()
    state.sweep()
    assert (made["status"], made["url"]) == ("expired", None)
    assert [event["type"] for event in told] == ["checkout.session.expired"]


def test_a_seed_makes_ids_repeatable_and_none_makes_them_new() -> None:
    assert Ids(7).stripe("pi") == Ids(7).stripe("pi")
    assert Ids().stripe("pi") != Ids().stripe("pi")


@pytest.mark.parametrize(("body", "count"), [("a" * 160, 1), ("a" * 161, 2), ("ñ" * 160, 1), ("✓" * 71, 2)])
def test_segments_are_counted_by_alphabet(body, count) -> None:
    assert segments(body) == count


def test_numbers_are_e164() -> None:
    assert valid("+16085550101")
    assert valid("+4915550100123")
    assert not any(valid(n) for n in ("16085550101", "+1608555010", "+0123456789", "", "+1608555010x"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["Invoice", "Patient", "issued", "cancelled", "Patient/1", "#1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "id"]), inner, max_size=2),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


def odd(**elements: st.SearchStrategy) -> st.SearchStrategy:
    """Anything, or an object with some of these elements, or a list of such."""
    made = st.fixed_dictionaries({}, optional={name: value | VALUES for name, value in elements.items()})
    return made | st.lists(made, max_size=2) | VALUES


MONEY = odd(value=VALUES, currency=VALUES)
CONCEPT = odd(text=VALUES, coding=odd(display=VALUES))
PATIENT = {"resourceType": st.just("Patient"), "name": odd(family=VALUES, given=VALUES), "birthDate": VALUES}
INVOICE = {
    "resourceType": st.just("Invoice"),
    "identifier": odd(system=VALUES, value=VALUES),
    "subject": odd(reference=VALUES),
    "contained": odd(id=VALUES, **PATIENT),
    "lineItem": odd(chargeItemCodeableConcept=CONCEPT, priceComponent=odd(amount=MONEY)),
    "totalGross": MONEY,
    "date": VALUES,
}
ENTRY = odd(fullUrl=VALUES, resource=st.fixed_dictionaries({}, optional={"id": VALUES} | INVOICE))


@given(OBJECTS)
def test_what_is_written_is_read_again_to_the_last_digit(value) -> None:
    value = value | {"resourceType": "Invoice"}
    try:
        raw = fhir_json.encode(value)
    except UnicodeEncodeError:  # half a character: nothing that was read holds one
        return
    again = fhir_json.decode(raw)
    assert fhir_json.encode(again) == raw
    assert json.loads(raw) == json.loads(fhir_json.encode(again))


def test_decimals_keep_their_zeros() -> None:
    raw = b'{"resourceType":"Invoice","a":10.00,"b":-0.50,"c":7,"d":120.000}'
    assert fhir_json.decode(raw)["a"] == Decimal("10.00")
    assert fhir_json.encode(fhir_json.decode(raw)) == raw


@given(st.binary(max_size=80) | st.text(alphabet='{}[]",:0.1eE-nul resourceType', max_size=60).map(str.encode))
def test_any_bytes_are_a_resource_or_refused(raw) -> None:
    with contextlib.suppress(fhir_json.Refused):
        fhir_json.decode(raw)


@given(OBJECTS, st.sampled_from(["PaymentReconciliation", "PaymentNotice"]))
def test_the_rules_judge_any_object(value, type) -> None:
    assert fhir_rules.problems(value | {"resourceType": type})


@given(st.fixed_dictionaries(INVOICE, optional={"id": VALUES, "status": VALUES}), st.lists(ENTRY, max_size=2))
def test_any_invoice_can_be_kept_and_shown(invoice, entries) -> None:
    charts = FhirCharts(Charts(), Store(Ids(7)))
    charts.keep(invoice)
    charts.keep({"resourceType": "Bundle", "entry": [*entries, {"resource": invoice}]})
    for chart in charts.charts.charts.values():
        chart.json()
