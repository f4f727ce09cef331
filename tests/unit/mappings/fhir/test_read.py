"""What an Invoice says, through the shipped map: status, total, the patient's part, and whom it concerns."""

from __future__ import annotations

import contextlib
import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import mapfile
from chartpost.mappings.fhir.bundle import pack, parts, unpack
from chartpost.mappings.fhir.jsontext import FhirError, decode, encode
from chartpost.mappings.fhir.read import STATUSES, Unreadable, identity, read
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Contact, Kind, Money, Reading

SHIPPED = mapfile.load("fhir-invoice")
COPAY = "http://fhir.abda.de/eRezeptAbgabedaten/StructureDefinition/DAV-EX-ERP-Gesamtzuzahlung"

PATIENT = {
    "resourceType": "Patient",
    "id": "12",
    "identifier": [
        {"system": "https://clinic.example.org/insured", "value": "B1"},
        {
            "system": "https://clinic.example.org/mrn",
            "value": "M1",
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        },
    ],
    "name": [
        {"use": "nickname", "given": ["Tess"]},
        {"use": "official", "_use": {"id": "x"}, "family": "Marlowe", "given": ["Tessa", "Ann"]},
    ],
    "telecom": [
        {"system": "phone", "value": "(608) 555-0141", "use": "old"},
        {"system": "email", "value": "tessa@example.org", "rank": 2},
        {"system": "phone", "value": "(608) 555-0142", "use": "mobile", "rank": 1},
    ],
}
INVOICE = {
    "resourceType": "Invoice",
    "id": "inv-7",
    "identifier": [{"system": "https://clinic.example.org/invoices", "value": "INV-7"}],
    "status": "issued",
    "subject": {"reference": "Patient/12"},
    "totalNet": {"value": Decimal("100.00"), "currency": "USD"},
    "totalGross": {"value": Decimal("120.00"), "currency": "USD"},
}


def reading(invoice: Any = None, around: list[Any] | None = None, map: Map = SHIPPED, **more: Any) -> Reading:
    """Read for a clinic in Chicago that bills in dollars; `more` are elements of the Invoice, None to leave one out."""
    found = {**INVOICE, **more} if invoice is None else invoice
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if value is not None}
    around = [PATIENT] if around is None else around
    return read(found, map, currency="USD", region="US", timezone="America/Chicago", around=around)


def problems(**more: Any) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        reading(**more)
    assert all(problem.fix for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_an_issued_invoice_says_who_owes_what_on_which_account() -> None:
    found = reading()
    assert (found.namespace, found.account, found.status) == ("https://clinic.example.org/invoices", "INV-7", "issued")
    [charge] = found.charges
    assert (charge.ordinal, charge.kind, charge.amount) == (1, Kind.CHARGE, Money(minor=12000, currency="USD"))
    assert (found.patient.given, found.patient.family) == ("Tessa", "Marlowe")
    assert found.patient.contacts == (
        Contact(kind="phone", value="+16085550142", mobile=True),
        Contact(kind="email", value="tessa@example.org"),
    )
    assert found.guarantor is None
    assert found.missing == ()


def test_what_the_chart_needs_is_kept_for_fhir_and_for_hl7() -> None:
    account = {"resourceType": "Account", "id": "5", "identifier": [{"system": "urn:oid:1.2.3", "value": "A5"}]}
    assert reading(around=[PATIENT, account], account={"reference": "Account/5/_history/2"}).chart == {
        "Invoice.id": "inv-7",
        "Invoice.identifier": "https://clinic.example.org/invoices|INV-7",
        "Patient.reference": "Patient/12",
        "Patient.identifier": "https://clinic.example.org/insured|B1",
        "Account.reference": "Account/5",
        "PID-3": "M1^^^&https://clinic.example.org/mrn&URI^MR",
        "PID-5": "Marlowe^Tessa^Ann^^^^L",
        "PID-18": "A5^^^&1.2.3&ISO",
    }


def test_an_invoice_known_by_the_id_in_its_address_alone_is_told_to_the_chart_by_it() -> None:
    bare = {name: value for name, value in INVOICE.items() if name not in ("id", "identifier")}
    found = read(bare, SHIPPED, currency="USD", region="US", timezone="America/Chicago", id="17")
    assert (found.account, found.chart["Invoice.id"]) == ("17", "17")


def test_a_reference_within_a_bundle_is_not_told_to_the_chart() -> None:
    url = "urn:uuid:0f8e6a52-6c44-4d6e-9a53-1d6f5f2b7a01"
    found = reading(around=[{"fullUrl": url, "resource": PATIENT}], subject={"reference": url})
    assert found.patient.family == "Marlowe"
    assert "Patient.reference" not in found.chart
    assert "Patient.reference" not in reading(subject={"reference": "#p"}, contained=[{**PATIENT, "id": "p"}]).chart


def test_every_value_leaves_a_trace_line() -> None:
    lines = {line.target: line for line in reading().trace}
    assert lines["charges[1].amount"][1:] == ("Invoice.totalGross", '{"value":120.00,"currency":"USD"}', "120.00 USD")
    assert lines["patient.family"].path == "%patient.name.where(use = 'official').family"
    assert lines["account"][1:] == ("Invoice.identifier", "https://clinic.example.org/invoices|INV-7", "INV-7")
    assert {"status", "chart.PID-5", "patient.contacts"} <= lines.keys()


# ---------------------------------------------------------------------------------------------------------- amounts


def test_without_a_gross_total_the_net_one_counts_and_nothing_is_made_from_lines() -> None:
    assert reading(totalGross=None).charges[0].amount == Money(minor=10000, currency="USD")
    lines = [{"priceComponent": [{"type": "base", "amount": {"value": 5, "currency": "USD"}}]}]
    [said] = problems(totalGross=None, totalNet=None, lineItem=lines)
    assert said.startswith("Invoice.totalGross: an issued Invoice without a total")


def test_a_total_without_a_value_is_no_total() -> None:
    assert problems(totalGross={"currency": "USD"}, totalNet={})


def test_money_without_a_currency_is_in_the_sources() -> None:
    assert reading(totalGross={"value": 48}).charges[0].amount == Money(minor=4800, currency="USD")


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "issued"])
def test_what_is_not_issued_needs_no_amount_and_is_not_held_for_a_bad_one(status: str) -> None:
    assert reading(status=status, totalGross=None, totalNet=None).charges == ()
    assert reading(status=status, totalGross={"value": "12,5o"}).status == status


@pytest.mark.parametrize("status", [None, "", "ISSUED", "paid", 5, ["x", "y"], {"value": "issued"}])
def test_a_status_that_is_none_holds_the_invoice(status: Any) -> None:
    assert any(said.startswith("Invoice.status: ") for said in problems(status=status))


def test_the_patients_own_part_is_a_second_line() -> None:
    total = {
        "value": Decimal("17.23"),
        "currency": "EUR",
        "extension": [
            {"url": "urn:other"},
            {"url": COPAY, "valueMoney": {"value": Decimal("5.00"), "currency": "EUR"}},
        ],
    }
    whole, own = reading(totalGross=total).charges
    assert (whole.ordinal, whole.kind, whole.amount.minor) == (1, Kind.CHARGE, 1723)
    assert (own.ordinal, own.kind, own.amount) == (2, Kind.COPAY, Money(minor=500, currency="EUR"))


def test_every_problem_is_reported_at_once_and_none_repeats_a_person() -> None:
    said = problems(status="Tessa", totalGross={"value": "Tessa", "currency": "USD"})
    assert len(said) == 2
    assert "Tessa" not in "".join(said)


@pytest.mark.parametrize(
    "odd", [None, [], "Invoice", 5, {}, {"resourceType": "Patient"}, {"resourceType": ["Invoice"]}]
)
def test_what_is_no_invoice_is_unreadable(odd: Any) -> None:
    with pytest.raises(Unreadable, match="this is no resource that map fhir-invoice reads"):
        read(odd, SHIPPED, currency="USD", region="US", timezone="UTC")


# ----------------------------------------------------------------------------------------------------------- people


def test_a_parent_who_receives_the_invoice_pays_it() -> None:
    parent = {
        "resourceType": "RelatedPerson",
        "id": "9",
        "name": [{"family": "Quint", "given": ["Ada"]}],
        "telecom": [{"system": "sms", "value": "+16085550143"}],
    }
    found = reading(around=[PATIENT, parent], recipient={"reference": "RelatedPerson/9"})
    assert found.guarantor is not None
    assert (found.guarantor.name, found.guarantor.contacts[0].value) == ("Ada Quint", "+16085550143")
    assert found.patient.family == "Marlowe"


def test_an_organization_pays_under_its_name() -> None:
    company = {
        "resourceType": "Organization",
        "id": "4",
        "name": "Acme Works",
        "telecom": [{"value": "pay@example.org"}],
    }
    found = reading(around=[PATIENT, company], recipient={"reference": "Organization/4"})
    assert found.guarantor is not None
    assert (found.guarantor.family, found.guarantor.given) == ("Acme Works", "")


def test_a_display_is_a_family_name_because_nobody_can_split_it() -> None:
    subject = {"reference": "Patient/12", "display": "Herr B. Patient"}
    found = reading(around=[], subject=subject, recipient={"display": "Frau C. Patient"})
    assert (found.patient.family, found.patient.given) == ("Herr B. Patient", "")
    assert found.guarantor is not None
    assert found.guarantor.family == "Frau C. Patient"
    assert found.missing == ("Patient/12",)


def test_nobody_is_a_patient_without_a_name_and_the_amount_counts_all_the_same() -> None:
    found = reading(subject=None)
    assert found.patient.name == ""
    assert found.charges


def test_names_and_contacts_of_the_wrong_type_are_passed_over() -> None:
    odd = {
        "resourceType": "Patient",
        "id": "12",
        "name": "Tessa Marlowe",
        "telecom": ["(608) 555-0142", 5, {"value": []}],
    }
    found = reading(around=[odd])
    assert (found.patient.name, found.patient.contacts) == ("", ())


# ---------------------------------------------------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("elements", "id", "named"),
    [
        ({}, "", ("https://clinic.example.org/invoices", "INV-7")),
        ({"identifier": [{"value": " 8 "}]}, "", ("", "8")),
        ({"identifier": [{"system": "s"}, {"system": "s", "value": "9"}]}, "", ("s", "9")),
        ({"identifier": [{"use": "old", "value": "1"}, {"value": "2"}]}, "", ("", "2")),
        ({"identifier": {"value": "3"}}, "", ("", "3")),
        ({"identifier": None}, "other", ("", "inv-7")),
        ({"identifier": [{"value": 5}, "x"], "id": None}, "", ("", "x")),
        ({"identifier": "", "id": None}, "from-the-url", ("", "from-the-url")),
        ({"identifier": None, "id": None}, "", ("", "")),
    ],
)
def test_an_invoice_is_known_by_its_identifier_else_by_its_id(
    elements: dict[str, Any], id: str, named: tuple[str, str]
) -> None:
    invoice = {name: value for name, value in {**INVOICE, **elements}.items() if value is not None}
    assert identity(invoice, SHIPPED, id) == named
    found = read(invoice, SHIPPED, currency="USD", region="US", timezone="UTC", id=id)
    assert (found.namespace, found.account) == named


def test_what_is_no_resource_is_known_by_its_address() -> None:
    assert identity([], SHIPPED, "7") == ("", "7")


# --------------------------------------------------------------------------------------------------------- site maps


def test_a_site_may_read_what_its_server_writes_elsewhere() -> None:
    site = mapfile.parse("""\
dialect: fhir
messages: [Invoice]
account: [Invoice.account.identifier, Invoice.id]
message:
  - {target: status, path: Invoice.status, transform: table statuses}
  - {target: financial_class, path: "Invoice.extension.where(url = 'urn:class').valueCode", transform: upper}
  - {target: balance, path: "Invoice.extension.where(url = 'urn:balance').valueMoney"}
  - {target: patient.contacts, path: "%payer.telecom.where(system = 'email').value", transform: email}
charge:
  - {target: amount, path: Invoice.totalGross.value}
  - {target: insurance, path: "Invoice.totalPriceComponent.where(type = 'deduction').amount"}
  - {target: service_date, path: Invoice.period}
  - {target: code, path: Invoice.type.coding.code, default: NONE}
tables:
  statuses:
    codes: {SENT: issued, VOID: cancelled}
""")
    found = reading(
        map=site,
        status="SENT",
        account={"identifier": {"system": "urn:accounts", "value": "A5"}},
        extension=[
            {"url": "urn:class", "valueCode": "self"},
            {"url": "urn:balance", "valueMoney": {"value": 40, "currency": "USD"}},
        ],
        totalPriceComponent=[{"type": "tax"}, {"type": "deduction", "amount": {"value": 80, "currency": "USD"}}],
        period={"start": "2025-03-14"},
    )
    assert (found.namespace, found.account, found.status) == ("urn:accounts", "A5", "issued")
    assert (found.financial_class, found.balance) == ("SELF", Money(minor=4000, currency="USD"))
    [charge] = found.charges
    assert (charge.amount.minor, charge.insurance, charge.code) == (12000, Money(minor=8000, currency="USD"), "NONE")
    assert str(charge.service_date) == "2025-03-14"
    assert [contact.value for contact in found.patient.contacts] == ["tessa@example.org"]


# --------------------------------------------------------------------------------------------------------- odd data

NAMES = st.sampled_from(
    [*INVOICE, *PATIENT, "recipient", "account", "reference", "display", "type", "coding", "code", "value", "currency",
     "extension", "url", "valueMoney", "contained", "family", "given", "text", "use", "rank", "guarantor", "party",
     "fullUrl", "resource", "entry", "request", "system", "_use"]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "Invoice",
        "Patient",
        "Bundle",
        "Account",
        "issued",
        "draft",
        "Patient/12",
        "#12",
        "12",
        "urn:uuid:12",
        "phone",
        COPAY,
    ]
)
NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
ODD = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(ODD, st.lists(ODD, max_size=3))
def test_any_json_is_read_or_refused(data: Any, around: list[Any]) -> None:
    before = copy.deepcopy(data)
    for invoice in (data, {**INVOICE, **data} if isinstance(data, dict) else {**INVOICE, "subject": data}):
        identity(invoice, SHIPPED, "id")
        with contextlib.suppress(Unreadable):
            read(invoice, SHIPPED, currency="USD", region="US", timezone="UTC", around=around)
    assert data == before


@given(st.sampled_from([name for name in INVOICE if name != "resourceType"]), ODD)
def test_an_invoice_with_one_element_gone_wrong_is_read_or_refused(name: str, data: Any) -> None:
    with contextlib.suppress(Unreadable):
        found = reading({**INVOICE, name: data})
        assert found.status in STATUSES


@given(st.sampled_from([name for name in PATIENT if name != "resourceType"]), ODD)
def test_a_patient_with_one_element_gone_wrong_never_hides_the_amount(name: str, data: Any) -> None:
    try:
        found = reading(around=[{**PATIENT, name: data}])
    except Unreadable as error:
        assert all("%patient" in problem.path for problem in error.problems)  # noqa: PT017 - either is right
    else:
        assert found.charges[0].amount.minor == 12000


@given(ODD)
def test_any_json_is_a_bundle_or_refused_and_what_is_packed_comes_back(data: Any) -> None:
    for bundle in (
        data,
        {"resourceType": "Bundle", "entry": data},
        {"resourceType": "Bundle", "entry": [data, {"resource": data}]},
    ):
        with contextlib.suppress(FhirError):
            for part in parts(bundle):
                if part.resource:
                    assert unpack(pack(part.resource, part.around))[0] == decode(encode(part.resource))
        with contextlib.suppress(FhirError):
            unpack(encode(bundle))
