"""Tell a chart whether a number may be texted about bills: ADT^A31 with two OBX, or a FHIR R4 Consent. Pure.

Neither standard has a code for this, so the codes are ours, and documented (docs/integration/consent-to-chart.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chartpost.mappings import er7, movement
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.model import Problem
from chartpost.mappings.movement import Unwritable
from chartpost.mappings.patients import identifiers
from chartpost.mappings.postingmap import release

SYSTEM = "urn:chartpost:posting"
ABOUT = "Text messages about bills"
_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_KIND = "http://terminology.hl7.org/CodeSystem/v2-0203"


@dataclass(frozen=True, slots=True)
class Preference:
    """What the holder of a number has said of texts about bills."""

    posting_id: str
    control_id: str  #: MSH-10
    granted: bool
    number: str = field(repr=False)  #: E.164
    said_at: dt.datetime  #: aware
    posted_at: dt.datetime  #: aware
    timezone: str  #: IANA zone of the facility
    facility: str
    chart: Mapping[str, str] = field(repr=False)  #: as in model.Reading
    sending: tuple[str, str] = ("CHARTPOST", "")  #: MSH-3, MSH-4
    receiving: tuple[str, str] = ("", "")  #: MSH-5, MSH-6
    processing_id: str = "P"  #: MSH-11


def hl7(told: Preference, version: str) -> bytes:
    """Return an ADT^A31 (HL7 v2.5.1 §3.3.31), UTF-8, one segment a CR. Raises Unwritable without a patient in PID."""
    missing = [name for name in ("PID-3", "PID-5") if not told.chart.get(name)]
    if missing:
        raise Unwritable(
            [Problem(path=name, cause="the account has no such field, and it is required") for name in missing]
        )
    posted, said = (
        movement.local(moment, told.timezone).strftime("%Y%m%d%H%M%S%z") for moment in (told.posted_at, told.said_at)
    )
    msh = {
        3: er7.recode(told.sending[0]), 4: er7.recode(told.sending[1]), 5: er7.recode(told.receiving[0]),
        6: er7.recode(told.receiving[1]), 7: posted, 9: "ADT^A31" + _structure(version),
        10: er7.escape(told.control_id), 11: er7.escape(told.processing_id), 12: version, 18: "UNICODE UTF-8",
    }  # fmt: skip
    evn = ({1: "A31"} if release(version) < (2, 7) else {}) | {2: posted}
    pid = {3: er7.recode(told.chart["PID-3"]), 5: er7.recode(told.chart["PID-5"])}
    consent = ("ST", "TEXT-CONSENT^Consent to text messages about bills^L", "Y" if told.granted else "N")
    number = ("ST", "TEXT-NUMBER^Number that it is about^L", er7.escape(told.number))
    observed = [
        ("OBX", {1: str(position), 2: kind, 3: what, 4: "1", 5: value, 11: "F", 14: said})
        for position, (kind, what, value) in enumerate((consent, number), start=1)
    ]
    return er7.build([("MSH", msh), ("EVN", evn), ("PID", pid), ("PV1", {2: "N"}), *observed]).encode()


def _structure(version: str) -> str:
    return "^ADT_A05" if release(version) >= (2, 4) else "^ADT_A01" if release(version) >= (2, 3, 1) else ""


def fhir(told: Preference) -> bytes:
    """Return a Consent of FHIR R4 (and R4B, which has the same one). Raises Unwritable without a patient."""
    if (patient := _patient(told.chart)) is None:
        raise Unwritable([Problem(path="patient", cause="the account names no patient, and it is required")])
    number = {
        "coding": [{"system": "urn:chartpost:consent", "code": "text-messages"}],
        "text": f"{ABOUT} to {told.number}",
    }
    rule = ("OPTIN", "opt-in") if told.granted else ("OPTOUT", "opt-out")
    return jsontext.encode(
        {
            "resourceType": "Consent",
            "identifier": [{"system": SYSTEM, "value": told.posting_id}],
            "status": "active",
            "scope": {"coding": [{"system": _SCOPE, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}], "text": ABOUT}],
            "patient": patient,
            "dateTime": told.said_at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "organization": [{"display": told.facility}],
            "policyRule": {"coding": [{"system": _ACT, "code": rule[0], "display": rule[1]}]},
            "provision": {
                "type": "permit" if told.granted else "deny",
                "purpose": [{"system": _REASON, "code": "HPAYMT"}],
                "code": [number],
            },
        }
    )


def _patient(chart: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the patient by address, else by the business identifier, else by the record number of PID-3."""
    if reference := chart.get("Patient.reference"):
        return {"reference": reference, "type": "Patient"}
    system, _, value = chart.get("Patient.identifier", "").rpartition("|")
    if value:
        return {"type": "Patient", "identifier": {"system": system, "value": value} if system else {"value": value}}
    for one in identifiers(chart.get("PID-3", "")):
        kind = {"coding": [{"system": _KIND, "code": "MR"}]}
        assigner = {"assigner": {"display": one.authority}} if one.authority else {}
        return {"type": "Patient", "identifier": {"type": kind, "value": one.value, **assigner}}
    return None
