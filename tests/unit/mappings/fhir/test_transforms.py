"""What a FHIR element can become, and what is refused without repeating what is said of a person."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7
from chartpost.mappings.fhir.fhirpath import Element
from chartpost.mappings.fhir.transforms import TRANSFORMS, contact, cx, date, money, number, reference, token, xpn
from chartpost.mappings.model import Contact, Money
from chartpost.mappings.transforms import Context, Rejected

CHICAGO = Context("USD", "US", "America/Chicago")
TABLE_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


@pytest.mark.parametrize(
    ("data", "minor", "currency"),
    [
        ({"value": Decimal("10.00"), "currency": "EUR"}, 1000, "EUR"),
        ({"value": 48, "currency": "EUR"}, 4800, "EUR"),
        ({"value": Decimal("48")}, 4800, "USD"),
        ({"value": Decimal("-12.5"), "currency": "USD"}, -1250, "USD"),
        ({"value": 0, "currency": "USD"}, 0, "USD"),
        ({"value": 500, "currency": "JPY"}, 500, "JPY"),
        ({"value": Decimal("1E+2"), "currency": "USD"}, 10000, "USD"),
        ({"value": Decimal("5.0000"), "system": "urn:iso:std:iso:4217", "code": "CHF"}, 500, "CHF"),
        ({"value": 5, "system": "http://unitsofmeasure.org", "code": "mg"}, 500, "USD"),
        ({"value": 5, "currency": " EUR ", "unknown": {"a": 1}}, 500, "EUR"),
        (Decimal("7.25"), 725, "USD"),
    ],
)
def test_money_is_exact_and_takes_the_sources_currency_where_none_is_said(data: Any, minor: int, currency: str) -> None:
    assert money(Element(data), CHICAGO) == Money(minor=minor, currency=currency)


def test_money_without_a_value_is_nothing_and_never_zero() -> None:
    assert money(Element({"currency": "EUR"}), CHICAGO) is None
    assert money(Element({}), CHICAGO) is None


@pytest.mark.parametrize(
    "data",
    [
        {"value": "48.00"},
        {"value": True},
        {"value": [48]},
        {"value": Decimal("12.345"), "currency": "USD"},
        {"value": Decimal("1.5"), "currency": "JPY"},
        {"value": 5, "currency": "US$"},
        {"value": 5, "currency": "usd"},
        {"value": Decimal("1E+999999")},
        {"value": Decimal("1E-999999")},
        {"value": Decimal("0." + "0" * 50 + "1")},
        {"value": Decimal("12." + "0" * 27 + "1")},
        {"value": 10**4000},
        {"value": 10**14},
        "48.00",
        True,
    ],
)
def test_what_cannot_be_counted_exactly_is_refused_with_a_fix(data: Any) -> None:
    with pytest.raises(Rejected) as caught:
        money(Element(data), CHICAGO)
    assert caught.value.fix


@given(st.integers(-(10**14), 10**14), st.sampled_from(["USD", "JPY", "KWD"]))
def test_every_amount_survives(minor: int, currency: str) -> None:
    amount = Money(minor=minor, currency=currency)
    assert money(Element({"value": amount.amount, "currency": currency}), CHICAGO) == amount


@pytest.mark.parametrize(
    ("data", "day"),
    [
        ("2025-03-14", dt.date(2025, 3, 14)),
        ("2025-03", dt.date(2025, 3, 1)),
        ("2025", dt.date(2025, 1, 1)),
        ("2025-03-15T03:30:00Z", dt.date(2025, 3, 14)),
        ("2025-03-14T23:30:00.123456789-05:00", dt.date(2025, 3, 14)),
        ("2025-03-14T23:30:00", dt.date(2025, 3, 14)),
        ({"start": "2025-03-14", "end": "2025-03-20"}, dt.date(2025, 3, 14)),
        ({"end": "2025-03-20"}, None),
    ],
)
def test_a_date_of_any_precision_is_a_day_in_the_facilitys_calendar(data: Any, day: dt.date | None) -> None:
    assert date(Element(data), CHICAGO) == day


@pytest.mark.parametrize(
    "data", ["20250314", "2025-13-01", "14.03.2025", "soon", {"start": {"x": 1}}, "2025-03-14T10:00+99:00"]
)
def test_a_bad_date_is_refused_without_repeating_it(data: Any) -> None:
    with pytest.raises(Rejected) as caught:
        date(Element(data), CHICAGO)
    assert str(data) not in caught.value.cause


def test_a_number_may_be_a_quantity() -> None:
    assert number(Element({"value": Decimal("2.5"), "unit": "h"}), CHICAGO) == Decimal("2.5")
    assert number(Element(3), CHICAGO) == 3
    assert number(Element({"unit": "h"}), CHICAGO) is None


def phone(value: str, mobile: bool | None = None) -> list[Contact]:
    return [Contact(kind="phone", value=value, mobile=mobile)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"system": "phone", "value": "(608) 555-0142"}, phone("+16085550142")),
        ({"system": "phone", "value": "(608) 555-0142", "use": "home"}, phone("+16085550142")),
        ({"system": "phone", "value": "(608) 555-0142", "use": "mobile"}, phone("+16085550142", True)),
        ({"system": "sms", "value": "(608) 555-0142"}, phone("+16085550142", True)),
        ({"system": "phone", "value": "tel:+1-608-555-0142"}, phone("+16085550142")),
        ({"value": "(608) 555-0142"}, phone("+16085550142")),
        ({"system": "email", "value": "tessa@example.org"}, [Contact(kind="email", value="tessa@example.org")]),
        ({"value": "tessa@example.org"}, [Contact(kind="email", value="tessa@example.org")]),
        ({"system": "phone", "value": "(608) 555-0142", "use": "old"}, []),
        ({"system": "fax", "value": "(608) 555-0142"}, []),
        ({"system": "pager", "value": "(608) 555-0142"}, []),
        ({"system": "url", "value": "https://example.org"}, []),
        ({"system": "email", "value": "(608) 555-0142"}, []),
        ({"system": "phone", "value": 6085550142}, []),
        ({"system": "phone"}, []),
        ("(608) 555-0142", []),
    ],
)
def test_a_contact_point_is_a_number_an_address_or_nothing(data: Any, found: list[Contact]) -> None:
    assert contact(Element(data), CHICAGO) == found


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (
            {
                "system": "https://clinic.example.org/mrn",
                "value": "M1",
                "type": {"coding": [{"code": "MRN"}, {"system": TABLE_0203, "code": "MR"}]},
            },
            "M1^^^&https://clinic.example.org/mrn&URI^MR",
        ),
        ({"system": "urn:oid:1.2.36.146", "value": "M1"}, "M1^^^&1.2.36.146&ISO"),
        ({"system": "urn:uuid:0f8e6a52", "value": "M1"}, "M1^^^&0f8e6a52&UUID"),
        ({"value": "M|1^2&3~4\\5"}, r"M\F\1\S\2\T\3\R\4\E\5"),
        ({"value": "M1", "type": {"text": "medical record"}}, "M1"),
        ({"value": "M1", "type": {"coding": "MR"}}, "M1"),
        ({"system": "https://clinic.example.org/mrn"}, ""),
        ({"value": 5}, ""),
        ("M1", "M1"),
    ],
)
def test_an_identifier_becomes_a_cx(data: Any, field: str) -> None:
    assert cx(Element(data), CHICAGO) == field


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"family": "Halloran", "given": ["Maeve"]}, "Halloran^Maeve"),
        (
            {"use": "official", "family": "Halloran", "given": ["Maeve", "Ruth", "Ann"], "prefix": ["Dr."],
             "suffix": ["Jr."]},
            "Halloran^Maeve^Ruth Ann^Jr.^Dr.^^L",
        ),
        ({"family": ["van", "Dyck"], "given": "Maeve"}, "van Dyck^Maeve"),
        ({"given": ["Maeve"]}, "^Maeve"),
        ({"text": "Maeve Halloran"}, "Maeve Halloran"),
        ({"family": "Smith & Jones^"}, "Smith \\T\\ Jones\\S\\"),
        ({"family": 5, "given": [None, {}]}, ""),
        ("Acme|Ltd", r"Acme\F\Ltd"),
    ],
)  # fmt: skip
def test_a_name_becomes_an_xpn(data: Any, field: str) -> None:
    assert xpn(Element(data), CHICAGO) == field


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_a_name_holds_it_stays_one_component(said: str) -> None:
    field = xpn(Element({"family": said, "given": ["x"]}), CHICAGO)
    assert er7.unescape(er7.part(field, er7.STANDARD, 1, 1)) == said.strip()
    assert er7.part(field, er7.STANDARD, 2, 1) == "x"


def test_a_token_is_system_and_value() -> None:
    assert token(Element({"system": "urn:x", "value": " 7 "}), CHICAGO) == "urn:x|7"
    assert token(Element({"value": "7"}), CHICAGO) == "|7"
    assert token(Element({"system": "urn:x"}), CHICAGO) == ""


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({"reference": "Patient/12"}, "Patient/12"),
        ("Patient/12/_history/3", "Patient/12"),
        ({"reference": "https://ehr.example.org/fhir/Patient/12"}, "https://ehr.example.org/fhir/Patient/12"),
        ({"reference": "urn:uuid:0f8e6a52-6c44-4d6e-9a53-1d6f5f2b7a01"}, ""),
        ({"reference": "#p"}, ""),
        ({"reference": "Patient?identifier=1"}, ""),
        ({"display": "B. Patient"}, ""),
        (5, ""),
    ],
)
def test_only_a_reference_that_another_server_can_follow_is_kept(data: Any, kept: str) -> None:
    assert reference(Element(data), CHICAGO) == kept


NAMES = ["value", "currency", "system", "code", "type", "coding", "start", "family", "given", "text", "use"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(name for name, transform in TRANSFORMS.items() if transform.cell)), ODD)
def test_any_element_is_something_nothing_or_refused(name: str, data: Any) -> None:
    with contextlib.suppress(Rejected):
        TRANSFORMS[name].run(Element(data), CHICAGO, "")
