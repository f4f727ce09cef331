"""What an engine may say of a posting, and how little of it is told further."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.hl7 import answer
from chartpost.mappings.receipt import STATES, NoReceipt, Receipt, read


def ack(code: str, rest: str = "") -> bytes:
    return f"MSH|^~\\&|HIS|LC|CHARTPOST||20240501120001||ACK^P03^ACK|A1|P|2.5.1\rMSA|{code}|CP1\r{rest}".encode()


def outcome(*issues: object) -> bytes:
    return json.dumps({"resourceType": "OperationOutcome", "issue": list(issues)}).encode()


@pytest.mark.parametrize(("code", "state"), answer.MEANS.items())
def test_an_acknowledgement_says_what_its_code_means_of_the_message_in_msa_2(code, state):
    assert read(ack(code)) == Receipt(state, code, "", "CP1")


def test_of_a_refusal_place_and_condition_are_told_and_no_words():
    told = read(ack("AE", "ERR||FT1^1^7|103^x^HL70357|E||||Sample, Silvia is unknown\r"))
    assert told == Receipt("refused", "AE", "FT1-7 103 table value not found", "CP1")


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_an_outcome_with_an_error_is_a_refusal_with_code_and_element(severity):
    wrong = {
        "severity": severity, "code": "value", "diagnostics": "Silvia Sample has no account",
        "expression": ["PaymentReconciliation.detail[0].request", "Silvia Sample"],
    }  # fmt: skip
    told = read(outcome({"severity": "warning", "code": "informational"}, wrong))
    assert told == Receipt("refused", "value", "PaymentReconciliation.detail[0].request: value")


def test_an_outcome_without_an_error_is_an_acceptance():
    assert read(outcome({"severity": "information", "code": "informational"})) == Receipt("accepted", "informational")


@pytest.mark.parametrize("severity", [None, "Error", 7])
def test_an_issue_that_does_not_say_how_bad_it_is_accepts_nothing(severity):
    assert read(outcome({"severity": severity, "code": "not-found"})) == Receipt("refused", "not-found", "not-found")


@pytest.mark.parametrize("state", STATES)
def test_a_small_object_says_it_in_our_own_words(state):
    body = {"control_id": "CP1", "posting": "P1", "state": state, "code": "42", "text": "for Silvia Sample"}
    assert read(json.dumps(body).encode()) == Receipt(state, "42", "", "CP1", "P1")


def test_a_code_that_may_be_anything_is_left_out():
    assert read(b'{"state": "refused", "code": "Silvia Sample"}') == Receipt("refused")


NONE = [
    b"", b"OK", b"[]", b"7", b"{}", b'{"state": "done"}', b'{"state": ["accepted"]}', b"\xff", outcome(),
    b'{"resourceType": "OperationOutcome"}', b'{"resourceType": "OperationOutcome", "issue": [7]}',
    ack("XX"), b"MSH|^~\\&|HIS\rPID|1\r",
]  # fmt: skip


@pytest.mark.parametrize("body", NONE)
def test_what_says_nothing_of_a_posting_is_no_receipt(body):
    with pytest.raises(NoReceipt):
        read(body)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["accepted", "error", "OperationOutcome"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["resourceType", "issue", "severity", "code", "expression", "state"]), inner)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_arrives_is_a_receipt_or_none_and_nothing_else_is_raised(body):
    with suppress(NoReceipt):
        assert read(body).state in STATES
