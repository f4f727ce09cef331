"""Payments as FHIR: goldens that a person has read, amounts to the last digit, and no text that becomes another."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings import layers, postingmap
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import Unwritable, check, write

GOLDENS = Path(__file__).parent / "goldens"
R4B, R5, NOTICE = "fhir-payment-reconciliation", "fhir-payment-reconciliation-r5", "fhir-payment-notice"

#: What is kept of a charge that came as an Invoice, and of one that came as a DFT.
INVOICE = {
    "Invoice.id": "inv-30101",
    "Invoice.identifier": "https://lakeside.example.org/invoices|K-30101",
    "Patient.reference": "Patient/p-30101",
    "Patient.identifier": "https://lakeside.example.org/patients|M300101",
    "Account.reference": "Account/a-30101",
    "PID-3": "M300101^^^LAKESIDE^MR",
}
DFT = {
    "PID-3": "M300101^^^LAKESIDE^MR",
    "PID-5": "HALLORAN^MAEVE",
    "PID-18": "K-30101^^^LAKESIDE&2.999.1&ISO^AN",
    "PV1-19": "V30101^^^LAKESIDE^VN",
}


def posting(**changes: Any) -> Posting:
    """A card payment of 45 dollars at 23:30 in Chicago, which is another day in UTC."""
    return Posting(
        kind="payment",
        posting_id="P7K2M9Q4R8T1",
        control_id="P7K2M9Q4R8T1",
        amount=Money(minor=4500, currency="USD"),
        paid_at=dt.datetime(2025, 3, 15, 4, 30, tzinfo=dt.UTC),
        posted_at=dt.datetime(2025, 3, 15, 4, 31, 7, tzinfo=dt.UTC),
        timezone="America/Chicago",
        medium="card/visa",
        provider_reference="pi_3NkTESTabcdefgh",
        account="K-30101",
        facility="Lakeside Clinic",
        chart=INVOICE,
    ).model_copy(update=changes)


def made(map: str, **changes: Any) -> Any:
    return jsontext.decode(write(posting(**changes), postingmap.load(map)))


def exact(text: str | bytes) -> Any:
    """JSON with the order of its names and the digits of its numbers."""

    def number(digits: str) -> tuple[str, str]:
        return ("number", digits)

    return json.loads(text, parse_float=number, parse_int=number, object_pairs_hook=list)


TAKEN_BACK = {"predecessor": "P7K2M9Q4R8T1", "posting_id": "P8A1B2C3D4E5", "control_id": "P8A1B2C3D4E5"}


@pytest.mark.parametrize(
    ("golden", "map", "changes"),
    [
        ("r4b-payment", R4B, {}),
        ("r4b-payment-of-a-dft", R4B, {"chart": DFT}),
        ("r4b-refund", R4B, {"kind": "refund", **TAKEN_BACK}),
        ("r4b-dispute", R4B, {"kind": "dispute", **TAKEN_BACK}),
        ("r5-payment", R5, {}),
        ("r5-payment-of-a-dft", R5, {"chart": DFT}),
        ("r5-refund", R5, {"kind": "refund", **TAKEN_BACK}),
        ("r5-dispute", R5, {"kind": "dispute", **TAKEN_BACK}),
        ("notice-payment", NOTICE, {}),
    ],
)
def test_what_is_written_is_the_golden_and_valid(golden: str, map: str, changes: dict[str, Any]) -> None:
    outbound = postingmap.load(map)
    body = write(posting(**changes), outbound)
    assert exact(body) == exact((GOLDENS / f"{golden}.json").read_text("utf-8"))
    assert check(body, outbound) == []


def test_a_payment_late_in_the_evening_is_of_that_day_and_not_of_tomorrow_in_utc() -> None:
    assert made(R4B)["paymentDate"] == "2025-03-14"
    assert made(R4B)["created"] == "2025-03-14T23:31:07-05:00"
    assert made(R5, timezone="UTC")["date"] == "2025-03-15"


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [
        (4500, "USD", b"45.00"),
        (4500, "JPY", b"4500"),
        (4500, "KWD", b"4.500"),
        (5, "EUR", b"0.05"),
        (0, "USD", b"0.00"),
    ],
)
@pytest.mark.parametrize("map", [R4B, R5, NOTICE])
def test_an_amount_has_exactly_the_decimals_of_its_currency(
    map: str, minor: int, currency: str, written: bytes
) -> None:
    outbound = postingmap.load(map)
    body = write(posting(amount=Money(minor=minor, currency=currency)), outbound)
    assert b'{"value":' + written + b',"currency":"' + currency.encode() + b'"}' in body
    assert check(body, outbound) == []


@pytest.mark.parametrize("map", [R4B, R5])
@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_what_takes_money_back_is_negative_and_names_what_it_takes_back(map: str, kind: str) -> None:
    body = write(posting(kind=kind, predecessor="P000"), postingmap.load(map))
    assert body.count(b'{"value":-45.00,"currency":"USD"}') == 2
    assert b'"predecessor":{"system":"urn:chartpost:posting","value":"P000"}' in body
    with pytest.raises(Unwritable, match="predecessor is empty"):
        made(map, kind=kind)


def test_a_payment_names_no_predecessor_even_if_there_were_one() -> None:
    assert "predecessor" not in made(R4B, predecessor="P000")["detail"][0]


def test_a_notice_has_no_words_for_taking_money_back() -> None:
    with pytest.raises(Unwritable) as caught:
        made(NOTICE, kind="refund", predecessor="P000")
    assert "PaymentReconciliation, or by hand" in caught.value.problems[0].fix


def test_the_notice_is_the_same_in_r5() -> None:
    text = layers.read_file(NOTICE)[0].replace("version: R4B", "version: R5")
    newer = postingmap.parse(text, "notice.yaml")
    body = write(posting(), newer)
    assert body == write(posting(), postingmap.load(NOTICE))
    assert check(body, newer) == []


def test_an_object_without_a_value_leaves_no_constants_behind() -> None:
    bare = made(R4B, chart={"Invoice.id": "inv-1"}, provider_reference="", facility="")
    assert "paymentIdentifier" not in bare
    assert "payee" not in bare["detail"][0]
    assert bare["detail"][0]["request"] == {"reference": "Invoice/inv-1", "type": "Invoice"}


@pytest.mark.parametrize(
    ("chart", "request_"),
    [
        (
            {"Invoice.identifier": "urn:x:y|A|1"},
            {"type": "Invoice", "identifier": {"system": "urn:x:y", "value": "A|1"}},
        ),
        ({"Invoice.identifier": "|7"}, {"type": "Invoice", "identifier": {"value": "7"}}),
        ({"Invoice.identifier": "7"}, {"type": "Invoice", "identifier": {"value": "7"}}),
        ({}, {"type": "Account", "identifier": {"value": "K-30101"}}),
        ({"Account.reference": "Account/12"}, {"reference": "Account/12", "type": "Account"}),
        ({"Account.identifier": "urn:a|K-7"}, {"type": "Account", "identifier": {"system": "urn:a", "value": "K-7"}}),
        ({"PID-18": '""^^^L', "PV1-19": "V1"}, {"type": "Account", "identifier": {"value": "K-30101"}}),
    ],
)
def test_what_was_paid_for_is_named_as_far_as_it_is_known(chart: dict[str, str], request_: Any) -> None:
    assert made(R4B, chart=chart)["detail"][0]["request"] == request_


def test_an_account_kept_by_visit_number_is_an_encounter() -> None:
    target = made(R5, account="V30101", chart=DFT)["allocation"][0]["target"]
    assert target["type"] == "Encounter"
    assert target["identifier"]["type"]["coding"][0]["code"] == "VN"


def test_texts_of_the_chart_are_unescaped_on_their_way_to_json() -> None:
    request_ = made(R4B, account="K&1", chart={"PID-18": r"K\T\1^^^SMITH \T\ SONS"})["detail"][0]["request"]
    assert request_["identifier"]["value"] == "K&1"
    assert request_["identifier"]["assigner"]["display"] == "SMITH & SONS"


def test_only_a_card_has_a_brand_and_a_medium_that_nobody_explained_is_held() -> None:
    debit = made(R5, medium="sepa_debit")
    assert debit["method"]["coding"][0]["code"] == "CDAC"
    assert "cardBrand" not in debit
    with pytest.raises(Unwritable, match='medium "cash" is not in the table'):
        made(R5, medium="cash")
    assert made(R4B, medium="cash")["status"] == "active", "R4 does not say how it was paid"


def test_everything_that_cannot_be_written_is_told_at_once() -> None:
    with pytest.raises(Unwritable) as caught:
        made(R5, kind="refund", medium="cash", posting_id="", provider_reference="pi\0")
    assert {problem.path for problem in caught.value.problems} == {
        "method.coding[0].code",
        "identifier[0].value",
        "allocation[0].predecessor.value",
        "referenceNumber",
        "paymentIdentifier.value",
    }


def test_a_time_without_a_zone_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="aware"):
        made(R4B, paid_at=dt.datetime(2025, 3, 14))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('"\\{}<>\r\n\t\x1f'))


@settings(deadline=None)  # the first of them imports fhir.resources
@given(TEXT, TEXT, TEXT, TEXT, st.integers(0, 10**12), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_whatever_stands_in_a_posting_comes_out_as_it_was_and_valid(
    reference: str, facility: str, account: str, system: str, minor: int, currency: str
) -> None:
    one = posting(
        provider_reference=reference,
        facility=facility,
        account=account,
        amount=Money(minor=minor, currency=currency),
        chart={"Invoice.id": "1", "Invoice.identifier": f"urn:x|{account}", "Account.reference": system},
    )
    for name in (R4B, R5):
        outbound = postingmap.load(name)
        body = write(one, outbound)
        assert check(body, outbound) == []
        found = jsontext.decode(body)
        line = found["detail" if name == R4B else "allocation"][0]
        target = line["request" if name == R4B else "target"]
        assert str(line["amount"]["value"]) == f"{one.amount.amount:f}"
        assert found.get("paymentIdentifier", {}).get("value", "").strip() == reference.strip()
        assert line.get("payee", {}).get("display", "") in (facility, "")
        assert target.get("identifier", {}).get("value", "") in (account, "")
        if not account.isspace() and account:
            assert target["identifier"] == {"system": "urn:x", "value": account}
