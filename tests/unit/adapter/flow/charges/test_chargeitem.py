"""A ChargeItem states one line of an account, anew each time: the account follows by what its line differs."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chartpost.adapter.flow.charges import translate
from chartpost.adapter.ledger import tables

_numbers = itertools.count(1)


def item(
    price: str | None = "50.00", status: str = "billable", number: str = "CI-1", account: Any = "Account/12",
    **more: Any,
) -> bytes:  # fmt: skip
    """A ChargeItem of R4 with its patient in it; without a price, number or account where these are None."""
    patient = {
        "resourceType": "Patient", "id": "p", "name": [{"family": "Sample", "given": ["Silvia"]}],
        "telecom": [{"system": "phone", "value": "608 555 0101", "use": "mobile"}],
    }  # fmt: skip
    resource: dict[str, Any] = {
        "resourceType": "ChargeItem", "contained": [patient], "status": status, "subject": {"reference": "#p"},
        "code": {"coding": [{"code": "V10"}], "text": "Invented visit"}, "occurrenceDateTime": "2026-05-04",
    }  # fmt: skip
    if number is not None:
        resource["identifier"] = [{"system": "https://clinic.example.org/items", "value": number}]
    if account is not None:
        named = [{"reference": account}] if isinstance(account, str) else account
        resource["account"] = named if isinstance(named, list) else [named]
    text = json.dumps(resource | more)
    if price is not None:
        text = text[:-1] + f', "priceOverride": {{"value": {price}, "currency": "USD"}}}}'
    return text.encode()


@pytest.fixture
def bench(bench):
    """The bench, with a source whose map reads ChargeItems."""
    sources = bench.flow.settings.sources
    items = sources["fhir_all"].model_copy(update={"map": "fhir-chargeitem"})
    bench.use(bench.flow.settings.model_copy(update={"sources": {**sources, "items": items}}))
    return bench


@pytest.fixture
def take(bench):
    """Takes ChargeItems at the FHIR door and returns the message of the last."""
    return lambda *bodies: bench.take(*bodies, source="items")


def amounts(bench) -> list[tuple[str, int]]:
    return [(row.kind, row.amount) for row in bench.rows(tables.entry)]


@pytest.mark.parametrize("status", ["billable", "billed"])
def test_a_line_that_is_billable_or_billed_is_owed_and_asked_for(bench, take, status):
    row = take(item("50.00", status))
    assert (row.type, row.state, row.reason) == ("ChargeItem", "translated", f"{status}, +50.00 USD; request opened")
    assert bench.request().asked == 5000
    assert bench.one(tables.account).number == b"Account/12"
    assert bench.one(tables.notice).recipient == b"+16085550101"
    bench.check()


def test_a_changed_price_is_an_adjustment_by_the_difference(bench, take):
    take(item("50.00"), item("42.50", "billed"))
    assert amounts(bench) == [("charge", 5000), ("adjustment", -750)]
    assert bench.one(tables.request).asked == 4250


def test_the_same_again_counts_once(bench, take):
    take(item("50.00"))
    assert take(item("50.0", "billed")).reason == "it states what was counted already"
    assert amounts(bench) == [("charge", 5000)]


def test_two_lines_of_an_account_are_one_request_and_each_is_taken_back_by_itself(bench, take):
    take(item("50.00", number="CI-1"), item("30.00", number="CI-2"))
    assert bench.one(tables.request).asked == 8000
    take(item(None, "aborted", number="CI-1"))
    assert (bench.one(tables.account).balance, bench.one(tables.request).asked) == (3000, 3000)
    bench.check()


@pytest.mark.parametrize("status", ["not-billable", "aborted", "entered-in-error"])
def test_what_was_taken_back_after_payment_is_a_credit_for_a_person_to_return(bench, take, status):
    take(item("50.00"))
    bench.pay(5000)
    row = take(item(None, status))
    assert row.reason.startswith(f"{status}, -50.00 USD")
    assert bench.one(tables.account).balance == -5000
    assert bench.holds() == ["credit_balance"]


def test_a_planned_line_is_nothing_yet_and_after_it_was_billable_a_question(bench, take):
    row = take(item(None, "planned"))
    assert (row.state, row.reason) == ("ignored", "planned: not billable yet")
    take(item("50.00"))
    assert take(item("50.00", "planned")).state == "held"
    assert bench.holds() == ["back_to_draft"]


@pytest.mark.parametrize(
    ("body", "cause", "says"),
    [
        (item("50.00", account=None), "no_account", "ChargeItem.account"),
        (item("50.00", account="urn:uuid:9b7f2a9e-0000-4000-8000-000000000001"), "no_account", "ChargeItem.account"),
        (item(None), "unreadable_line", "priced elsewhere"),
        (item("50.00", "unknown"), "unreadable_line", "its status is unknown"),
        (item("50.00").replace(b'"USD"', b'"EUR"'), "currency", "EUR"),
        (item("5.00", account=[{"reference": "Account/1"}, {"reference": "Account/2"}]),
         "unreadable_line", "several accounts"),
    ],
)  # fmt: skip
def test_what_does_not_say_where_or_how_much_is_held_and_owes_nothing(bench, take, body, cause, says):
    row = take(body)
    assert (row.state, bench.holds()) == ("held", [cause])
    assert says in row.reason
    assert bench.rows(tables.entry) == []


def test_a_line_that_gets_its_account_later_is_taken_then(bench, take):
    take(item("50.00", account=None))
    assert take(item("50.00")).state == "translated"
    assert bench.status == 200, "the same one, so it is an update"
    assert amounts(bench) == [("charge", 5000)]


def test_a_statement_that_waited_loses_against_a_newer_one_and_not_against_another_line(bench, take):
    first, _, _ = bench.receive(item("80.00"), item("50.00"), item("7.00", number="CI-2"), source="items")
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == first.id).values(state="fetching"))
    bench.translate()
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == first.id).values(state="received"))
    bench.translate()
    row = bench.one(tables.message, id=first.id)
    assert (row.state, row.reason) == ("ignored", "M2 states a later state of this ChargeItem")
    assert bench.one(tables.account).balance == 5700


def test_one_line_is_never_owed_on_two_accounts_and_may_move_once_it_was_aborted(bench, take):
    take(item("50.00"))
    assert take(item("50.00", account="Account/13")).reason.startswith("ChargeItem.identifier: this ChargeItem came")
    assert bench.status == 422
    take(item(None, "aborted"))
    take(item("50.00", account="Account/13"))
    assert sorted((row.number, row.balance) for row in bench.rows(tables.account)) == [
        (b"Account/12", 0), (b"Account/13", 5000),
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": json.loads(item("1.00", number="CI-9", account="Account/14"))},
        {"resource": json.loads(item("1.00", number="CI-9", account="Account/15"))},
    ]}  # fmt: skip
    take(json.dumps(bundle).encode())
    assert bench.status == 422


def test_an_account_is_named_by_its_number_where_the_reference_says_it(bench, take):
    number = {"system": "https://clinic.example.org/accounts", "value": "K-7"}
    take(item("50.00", number="CI-1", account={"reference": "Account/12", "identifier": number}))
    take(item("30.00", number="CI-2", account={"identifier": number}))
    account = bench.one(tables.account)
    assert (account.number, account.balance) == (b"K-7", 8000)
    assert account.chart["Account.identifier"] == "https://clinic.example.org/accounts|K-7"


def test_an_invoice_is_not_taken_by_a_source_of_charge_items_and_is_passed_over_in_a_bundle(bench, take):
    invoice = {"resourceType": "Invoice", "status": "issued"}
    bench.receive(json.dumps(invoice).encode(), source="items")
    assert bench.status == 404
    entries = [{"resource": invoice}, {"resource": json.loads(item("5.00"))}]
    take(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode())
    assert bench.status == 202
    assert amounts(bench) == [("charge", 500)]


STATEMENTS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 99_999),
        st.sampled_from(["billable", "billable", "billed", "aborted", "not-billable", "entered-in-error"]),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=STATEMENTS, batch=st.integers(1, 4))
def test_whatever_was_stated_the_balance_is_the_sum_of_the_last_words_on_each_line(bench, said, batch):
    account = f"Account/{next(_numbers)}"
    for line, minor, status in said:
        price = str(Decimal(minor).scaleb(-2))
        bench.receive(item(price, status, f"{account}-{line}", account), source="items")
    while translate.batch(bench.flow, batch):
        pass
    last = {line: minor if status.startswith("bill") else 0 for line, minor, status in said}
    found = {row.number: row.balance for row in bench.rows(tables.account)}
    assert found.get(account.encode(), 0) == sum(last.values())
