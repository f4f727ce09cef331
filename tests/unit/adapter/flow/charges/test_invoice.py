"""An Invoice states how things stand: its account follows by the difference, and the later statement wins."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chartpost.adapter.flow.charges import translate
from chartpost.adapter.ledger import tables
from chartpost.mappings import mapfile

_numbers = itertools.count(1)


def invoice(total: str | None = "50.00", status: str = "issued", number: str = "INV-1", **more: Any) -> bytes:
    """An Invoice with its patient in it; `total` None leaves it out."""
    patient = {
        "resourceType": "Patient", "id": "p", "name": [{"family": "Sample", "given": ["Silvia"]}],
        "telecom": [{"system": "phone", "value": "608 555 0101", "use": "mobile"}],
    }  # fmt: skip
    resource: dict[str, Any] = {
        "resourceType": "Invoice", "contained": [patient], "status": status, "subject": {"reference": "#p"},
        "identifier": [{"system": "https://clinic.example.org/invoices", "value": number}],
    }  # fmt: skip
    text = json.dumps(resource | more)
    if total is not None:
        text = text[:-1] + f', "totalGross": {{"value": {total}, "currency": "USD"}}}}'
    return text.encode()


@pytest.fixture
def take(bench):
    """Takes Invoices at the FHIR door and returns the message of the last."""
    return lambda *bodies: bench.take(*bodies, source="fhir_all")


def balance(bench) -> int:
    return int(bench.one(tables.account).balance)


def test_an_issued_invoice_is_owed_and_asked_for(bench, take):
    row = take(invoice("50.00"))
    assert (row.type, row.state) == ("Invoice", "translated")
    assert row.reason == "issued, +50.00 USD; request opened"
    assert bench.request().asked == 5000
    assert bench.one(tables.notice).recipient == b"+16085550101"


def test_a_changed_invoice_is_an_adjustment_by_the_difference(bench, take):
    take(invoice("50.00"), invoice("42.50"))
    assert [(row.kind, row.amount) for row in bench.rows(tables.entry)] == [("charge", 5000), ("adjustment", -750)]
    assert bench.one(tables.request).asked == 4250


def test_the_same_again_changes_nothing_and_back_again_counts(bench, take):
    take(invoice("50.00"), invoice("50.0"), invoice("60.00"), invoice("50.00"))
    states = [row.state for row in bench.rows(tables.message)]
    assert states == ["translated", "ignored", "translated", "translated"]
    assert balance(bench) == 5000


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_withdrawn_invoice_closes_its_request(bench, take, status):
    take(invoice("50.00"), invoice("50.00", status))
    assert (balance(bench), bench.one(tables.request).state) == (0, "settled")


def test_withdrawn_after_payment_the_money_is_a_credit_for_a_person_to_return(bench, take):
    take(invoice("50.00"))
    bench.pay(5000)
    take(invoice("50.00", "cancelled"))
    assert balance(bench) == -5000
    assert bench.holds() == ["credit_balance"]


def test_balanced_settles_what_is_left_as_paid_elsewhere(bench, take):
    take(invoice("50.00"))
    bench.pay(2000)
    row = take(invoice("50.00", "balanced"))
    assert row.reason == "balanced, -30.00 USD; request settled"
    assert [entry.kind for entry in bench.rows(tables.entry)] == ["charge", "card", "payment"]
    assert bench.one(tables.request).state == "settled"


def test_balanced_by_our_own_payment_changes_nothing(bench, take):
    take(invoice("50.00"))
    bench.pay(5000)
    assert take(invoice("50.00", "balanced")).state == "ignored"
    assert balance(bench) == 0


def test_balanced_and_issued_again_is_held_because_nobody_says_how_much_is_owed(bench, take):
    take(invoice("50.00"), invoice("50.00", "balanced"))
    assert take(invoice("50.00")).state == "held"
    assert bench.holds() == ["reopened"]


def test_cancelled_and_issued_again_is_owed_again(bench, take):
    take(invoice("50.00"), invoice("50.00", "cancelled"), invoice("50.00"))
    assert balance(bench) == 5000
    assert bench.request().state == "open"


def test_a_draft_is_nothing_yet_and_after_it_was_issued_a_question(bench, take):
    assert take(invoice("50.00", "draft")).state == "ignored"
    take(invoice("50.00"))
    assert take(invoice("50.00", "draft")).state == "held"
    assert bench.holds() == ["back_to_draft"]


def test_an_invoice_without_a_total_is_held_and_never_free(bench, take):
    assert take(invoice(None)).state == "held"
    assert bench.rows(tables.account) == []


def test_another_currency_than_the_accounts_is_held(bench, take):
    row = take(invoice("50.00").replace(b'"USD"', b'"EUR"'))
    assert (row.state, bench.holds()) == ("held", ["currency"])


def test_a_statement_that_waited_loses_against_a_newer_one(bench, take):
    """Held first, or its payer had to be fetched: by now the newer one has spoken."""
    first, _ = bench.receive(invoice("80.00"), invoice("50.00"), source="fhir_all")
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == first.id).values(state="fetching"))
    bench.translate()
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == first.id).values(state="received"))
    bench.translate()
    row = bench.one(tables.message, id=first.id)
    assert (row.state, row.reason) == ("ignored", "M2 states a later state of this Invoice")
    assert balance(bench) == 5000


def test_under_share_copay_only_the_stated_part_counts(bench):
    row = bench.take(invoice("50.00"), source="fhir_copay")
    assert (row.state, row.reason) == ("ignored", "nothing in it is the patient's to pay here")


def _without_phone(body: bytes) -> bytes:
    return body.replace(b'"phone"', b'"pager"')


@pytest.mark.parametrize("together", [True, False])
def test_a_number_that_the_same_invoice_brings_later_is_used_at_once(bench, take, together):
    """As docs/admin/holds.md says of no_phone."""
    bodies = [_without_phone(invoice("50.00")), invoice("50.00")]
    if not together:
        take(bodies.pop(0))
    row = take(*bodies)
    assert (row.state, row.reason) == ("ignored", "it states what was counted already")
    assert bench.one(tables.account).patient["contacts"][0]["value"] == "+16085550101"
    assert bench.holds() == []
    assert bench.rows(tables.notice)[-1].recipient == b"+16085550101"


def test_a_payer_that_an_invoice_no_longer_names_is_asked_no_more(bench, take):
    parent = {
        "resourceType": "RelatedPerson", "id": "r", "name": [{"family": "Parent"}],
        "telecom": [{"system": "phone", "value": "608 555 0102"}],
    }  # fmt: skip
    named = json.loads(invoice("50.00"))
    named["contained"].append(parent)
    take(json.dumps(named | {"recipient": {"reference": "#r"}}).encode())
    assert bench.one(tables.notice).recipient == b"+16085550102"
    take(invoice("50.00", "cancelled"), invoice("60.00"))
    assert bench.one(tables.account).guarantor is None
    assert bench.rows(tables.notice)[-1].recipient == b"+16085550101"


def test_of_a_patient_for_whom_it_was_not_meant_nothing_is_kept(bench, take):
    there = {"reference": "Patient/1"}
    wrong = {"resourceType": "Patient", "id": "1", "identifier": [{"system": "urn:mrn", "value": "M1"}],
             "telecom": [{"system": "phone", "value": "608 555 0102"}]}  # fmt: skip
    body = json.loads(invoice("50.00", subject=there))
    take(json.dumps({"resourceType": "Bundle", "type": "collection",
                     "entry": [{"resource": body}, {"resource": wrong}]}).encode())  # fmt: skip
    assert bench.one(tables.account).chart["Patient.identifier"] == "urn:mrn|M1"
    take(invoice("50.00", subject={"reference": "Patient/2"}))
    account = bench.one(tables.account)
    assert account.patient["contacts"] == []
    assert (account.chart["Patient.reference"], account.chart.get("PID-3")) == ("Patient/2", None)


def test_a_withdrawn_invoice_that_had_stated_the_balance_is_owed_no_more(bench, take):
    """share: balance"""
    text, _ = mapfile.read_file("fhir-invoice")
    source = bench.flow.source("fhir_all").model_copy(update={"share": "balance"})
    bench.use(bench.flow.settings.model_copy(update={"sources": {**bench.flow.settings.sources, "fhir_all": source}}))
    stated = text.replace(
        "message: ", "message:\n  - {target: balance, path: Invoice.totalGross, transform: money}\n#", 1
    )
    bench.flow = replace(bench.flow, maps={**bench.flow.maps, "fhir_all": mapfile.parse(stated)})
    take(invoice("50.00"))
    assert balance(bench) == 5000
    assert take(invoice("50.00", "draft")).state == "held"
    take(invoice("50.00", "cancelled"))
    assert (balance(bench), bench.one(tables.request).state) == (0, "settled")


STATEMENTS = st.lists(
    st.tuples(st.integers(0, 99_999), st.sampled_from(["issued", "issued", "cancelled", "entered-in-error"])),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=STATEMENTS, batch=st.integers(1, 4))
def test_whatever_was_stated_the_last_word_is_the_balance(bench, said, batch):
    number = f"INV-P{next(_numbers)}"
    for minor, status in said:
        bench.receive(invoice(str(Decimal(minor).scaleb(-2)), status, number), source="fhir_all")
    while translate.batch(bench.flow, batch):
        pass
    minor, status = said[-1]
    found = {row.number: row.balance for row in bench.rows(tables.account)}
    assert found.get(number.encode(), 0) == (minor if status == "issued" else 0)
