"""Patients whose Invoices travel as FHIR. All of them are invented, and so are their numbers (555-01xx)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .fhir_json import Resource

_MRN = "https://lakeside.example.org/mrn"
_INVOICES = "https://lakeside.example.org/invoices"
_CODES = "https://lakeside.example.org/charges"


def _invoice(id: str, number: str, subject: str, recipient: str, items: tuple[tuple[str, str, str], ...]) -> Resource:
    """Write an Invoice that is not issued yet. An item is code, text and price in dollars."""

    def money(value: str | Decimal) -> Resource:
        return {"value": Decimal(value), "currency": "USD"}

    total = sum((Decimal(price) for _, _, price in items), Decimal(0))
    lines: list[Any] = [
        {
            "sequence": place,
            "chargeItemCodeableConcept": {"coding": [{"system": _CODES, "code": code, "display": text}], "text": text},
            "priceComponent": [{"type": "base", "amount": money(price)}],
        }
        for place, (code, text, price) in enumerate(items, start=1)
    ]
    return {
        "resourceType": "Invoice",
        "id": id,
        "identifier": [{"system": _INVOICES, "value": number}],
        "status": "draft",
        "subject": {"reference": subject},
        "recipient": {"reference": recipient},
        "issuer": {"display": "Lakeside Clinic"},
        "lineItem": lines,
        "totalNet": money(total),
        "totalGross": money(total),
    }


PEOPLE: tuple[Resource, ...] = (
    {
        "resourceType": "Patient",
        "id": "p-30901",
        "identifier": [{"system": _MRN, "value": "M200341"}],
        "name": [{"use": "official", "family": "Castellane", "given": ["Imogen", "Pearl"]}],
        "telecom": [
            {"system": "phone", "value": "+16085550172", "use": "mobile"},
            {"system": "email", "value": "imogen.castellane@example.org"},
        ],
        "gender": "female",
        "birthDate": "1968-01-27",
    },
    {
        "resourceType": "Patient",
        "id": "p-30902",
        "identifier": [{"system": _MRN, "value": "M200355"}],
        "name": [{"use": "official", "family": "Adeyemi-Holt", "given": ["Caspian"]}],
        "gender": "male",
        "birthDate": "2019-05-30",
    },
    {
        "resourceType": "RelatedPerson",
        "id": "r-30902",
        "patient": {"reference": "Patient/p-30902"},
        "relationship": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH", "display": "mother"}
                ]
            }
        ],
        "name": [{"use": "official", "family": "Adeyemi-Holt", "given": ["Morwenna"]}],
        "telecom": [{"system": "email", "value": "morwenna.adeyemi-holt@example.org"}],
    },
)

INVOICES: tuple[Resource, ...] = (
    _invoice("inv-30901", "LI-30901", "Patient/p-30901", "Patient/p-30901", (
        ("99214", "Office visit, established patient", "128.00"),
        ("93000", "Electrocardiogram", "41.50"),
    )),
    _invoice("inv-30902", "LI-30902", "Patient/p-30902", "RelatedPerson/r-30902", (
        ("99392", "Well-child visit", "75.00"),
        ("99173", "Vision screening", "20.00"),
    )),
)  # fmt: skip

#: the Invoice that is sent in a transaction together with its people; the others are put alone
BUNDLED = "inv-30902"
