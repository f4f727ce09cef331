"""Who and what a posting is about, by the names that its chart has for them: values of rows in several formats.

They come from what was kept of the newest charge message (`Posting.chart`), whether that was HL7 v2 or FHIR.
"""

from __future__ import annotations

from collections.abc import Mapping

from chartpost.mappings import er7
from chartpost.mappings.model import Posting

__all__ = ["OWED", "PATIENT", "owed", "patient"]

#: Names of the values that `owed` gives.
OWED = frozenset(
    {
        "owed_type",  # Invoice; Account where a ChargeItem names one; Account or Encounter where the charge came by HL7
        "owed_reference",  # Invoice/12
        "owed_system",
        "owed_identifier",
        "owed_identifier_type",  # AN or VN of HL7 table 0203, where the charge came by HL7
        "owed_assigner",
    }
)
#: Names of the values that `patient` gives.
PATIENT = frozenset({"patient_reference", "patient_system", "patient_identifier", "patient_family", "patient_given"})

#: Where a charge that came by HL7 has its number: what that number names in FHIR, and its type in HL7 table 0203.
_NUMBERS = (("PID-18", "Account", "AN"), ("PV1-19", "Encounter", "VN"))


def owed(posting: Posting) -> dict[str, str]:
    """Return what the payment is for: the Invoice, a ChargeItem's account, or the account or visit that HL7 told us of.

    What came by HL7 has no address on a FHIR server: it is named by its number (FHIR R4 §2.3.0.2, logical references).
    """
    chart = posting.chart
    if chart.get("Invoice.id") or chart.get("Invoice.identifier"):
        system, value = _token(chart.get("Invoice.identifier", ""))
        return {
            "owed_type": "Invoice",
            "owed_reference": f"Invoice/{chart['Invoice.id']}" if chart.get("Invoice.id") else "",
            "owed_system": system,
            "owed_identifier": value,
        }
    if chart.get("Account.reference") or chart.get("Account.identifier"):
        system, value = _token(chart.get("Account.identifier", ""))
        return {
            "owed_type": "Account",
            "owed_reference": chart.get("Account.reference", ""),
            "owed_system": system,
            "owed_identifier": value,
        }
    for field, resource, code in _NUMBERS:
        value, system, assigner = _identifier(chart.get(field, ""))
        if value and value == posting.account:
            return {
                "owed_type": resource,
                "owed_system": system,
                "owed_identifier": value,
                "owed_identifier_type": code,
                "owed_assigner": assigner,
            }
    return {"owed_type": "Account", "owed_identifier": posting.account}


def patient(chart: Mapping[str, str]) -> dict[str, str]:
    """Return who the patient is to the chart: from FHIR reference and identifier, by HL7 PID-3 and PID-5."""
    system, value = _token(chart.get("Patient.identifier", ""))
    if not value:
        value, system, _ = _identifier(chart.get("PID-3", ""))
    return {
        "patient_reference": chart.get("Patient.reference", ""),
        "patient_system": system,
        "patient_identifier": value,
        "patient_family": _part(chart.get("PID-5", ""), 1),
        "patient_given": _part(chart.get("PID-5", ""), 2),
    }


def _token(text: str) -> tuple[str, str]:
    """Return system and value of "system|value". A URI cannot hold the bar, a value can."""
    system, bar, value = text.partition("|")
    return (system, value) if bar else ("", text)


def _identifier(field: str) -> tuple[str, str, str]:
    """Return value, system and assigner of a CX field (HL7 v2.5.1 §2.A.14). An OID of the assigner is a system."""
    oid = _part(field, 4, 2) if _part(field, 4, 3) == "ISO" else ""
    return _part(field, 1), f"urn:oid:{oid}" if oid else "", _part(field, 4)


def _part(field: str, component: int, subcomponent: int = 1) -> str:
    """Return a part of a field's first repetition, unescaped; "" where it was deleted."""
    text = er7.part(field.split(er7.STANDARD.repetition)[0], er7.STANDARD, component, subcomponent)
    return "" if text == er7.NULL_TEXT else er7.unescape(text)
