"""The parts without a network: forms, HL7 text, signatures, SMS segments."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from chartpost.adapter.sandbox import forms, wire
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
