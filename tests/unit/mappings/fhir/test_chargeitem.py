"""The shipped map of ChargeItems, in R4, R4B and R5: which line, on which account, at what price."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b

from chartpost.mappings import mapfile
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.read import Unreadable, identity, item, read
from chartpost.mappings.model import Reading

MAP = mapfile.load("fhir-chargeitem")
PRICE: dict[str, Any] = {"priceOverride": {"value": 45.5, "currency": "USD"}}


def resource(**more: Any) -> Any:
    """A ChargeItem as it comes off the wire."""
    made = {
        "resourceType": "ChargeItem", "id": "ci-1", "status": "billable", "subject": {"reference": "Patient/1"},
        "identifier": [{"system": "urn:items", "value": "7"}], "account": [{"reference": "Account/12/_history/2"}],
        "code": {"coding": [{"code": "V10", "display": "Visit"}], "text": "Invented visit"},
        "occurrenceDateTime": "2026-05-04T23:30:00-05:00", "quantity": {"value": 3},
    }  # fmt: skip
    kept = {name: value for name, value in (made | more).items() if value is not None}
    return jsontext.decode(json.dumps(kept).encode())


def reading(**more: Any) -> Reading:
    return read(resource(**more), MAP, currency="USD", region="US", timezone="America/Chicago", id="ci-1")


def component(amount: float | None, kind: str = "base") -> Any:
    money = {} if amount is None else {"amount": {"value": amount, "currency": "USD"}}
    return {"type": kind, **money}


@pytest.mark.parametrize("version", ["R4", "R4B"])
def test_the_price_of_the_whole_line_is_read_in_r4_and_r4b(version: str) -> None:
    r4b("ChargeItem").model_validate_json(jsontext.encode(resource(**PRICE)))
    found = reading(**PRICE)
    assert (found.type, found.status, found.namespace, found.account) == ("ChargeItem", "billable", "", "Account/12")
    [line] = found.charges
    assert (line.amount.minor, line.amount.currency) == (4550, "USD"), "not times the quantity: it is in it"
    assert (line.code, line.description, line.reference) == ("V10", "Invented visit", "urn:items|7")
    assert line.service_date == dt.date(2026, 5, 4)
    assert found.missing == ("Patient/1", "Account/12")


@pytest.mark.parametrize(
    ("prices", "minor"),
    [
        ({"totalPriceComponent": component(45.5)}, 4550),
        ({"unitPriceComponent": component(12.25)}, 3675),
        ({"unitPriceComponent": component(12.25), "quantity": None}, 1225),
        ({"unitPriceComponent": component(12.25), "totalPriceComponent": component(30)}, 3000),
        ({"unitPriceComponent": component(12.25), "quantity": {"value": -2}}, -2450),
        ({"unitPriceComponent": component(-12.25), "quantity": {"value": -2}}, -2450),
    ],
)
def test_in_r5_the_total_counts_and_else_the_price_of_one_times_the_quantity(prices: Any, minor: int) -> None:
    r5("ChargeItem").model_validate_json(jsontext.encode(resource(**prices)))
    assert [charge.amount.minor for charge in reading(**prices).charges] == [minor]


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({}, "no amount: priced elsewhere"),
        ({"totalPriceComponent": component(None)}, "no amount: priced elsewhere"),
        ({"unitPriceComponent": component(0.01), "quantity": {"value": 0.5}}, "price × quantity"),
        ({"status": "unknown", **PRICE}, "its status is unknown"),
        ({"status": "paid", **PRICE}, "this status is none that a ChargeItem can have"),
        ({"account": [{"reference": "Account/1"}, {"reference": "Account/2"}], **PRICE}, "several accounts"),
    ],
)
def test_what_is_not_clear_is_told_and_never_free(more: Any, cause: str) -> None:
    with pytest.raises(Unreadable) as caught:
        reading(**more)
    assert any(cause in problem.cause for problem in caught.value.problems)


@pytest.mark.parametrize("status", ["planned", "not-billable", "aborted", "entered-in-error"])
def test_one_that_asks_for_nothing_needs_no_price(status: str) -> None:
    assert reading(status=status).charges == ()


@pytest.mark.parametrize(
    ("account", "named"),
    [
        ([{"reference": "Account/12", "identifier": {"system": "urn:a", "value": "K-7"}}], ("urn:a", "K-7")),
        ([{"identifier": {"value": "K-7"}}], ("", "K-7")),
        ([{"reference": "https://ehr.example.org/fhir/Account/12"}], ("", "https://ehr.example.org/fhir/Account/12")),
        ([{"reference": "urn:uuid:9b7f2a9e-0000-4000-8000-000000000001"}], ("", "")),
        ([{"display": "an account"}], ("", "")),
        (None, ("", "")),
    ],
)
def test_the_account_is_what_the_reference_says_and_never_the_line(account: Any, named: tuple[str, str]) -> None:
    assert identity(resource(account=account), MAP) == named


def test_a_line_is_known_by_its_identifier_in_use_and_else_by_its_id() -> None:
    assert item(resource(), MAP) == ("urn:items", "7")
    assert item(resource(identifier=[{"use": "old", "value": "6"}]), MAP) == ("", "ci-1")
    assert item(resource(identifier=None, id=None), MAP, "in-the-address") == ("", "in-the-address")


def test_a_map_reads_invoices_or_charge_items_and_not_both() -> None:
    text, _ = mapfile.read_file("fhir-chargeitem")
    with pytest.raises(mapfile.MapError, match="a map that reads these reads nothing else"):
        mapfile.parse(text.replace("messages: [ChargeItem]", "messages: [ChargeItem, Invoice]"))
    with pytest.raises(mapfile.MapError, match="a path begins at the ChargeItem"):
        mapfile.parse(text.replace("path: ChargeItem.status", "path: Invoice.status"))
    with pytest.raises(mapfile.MapError, match="unknown target 'balance'"):
        mapfile.parse(text.replace("target: status, path", "target: balance, path"))
