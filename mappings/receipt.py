"""What an engine says of a posting that it took from its queue: an ACK, an OperationOutcome, a small JSON object. Pure.

    MSH|…|ACK^P03^ACK|…  MSA|AA|<control id>
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid", …}]}
    {"control_id": "…", "state": "received" | "accepted" | "refused", "code": "…", "text": "…"}

Only codes and places are told further: the words beside them may name the patient.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from chartpost.mappings.fhir import jsontext, outcome
from chartpost.mappings.hl7 import answer

#: What a receipt may say, in the words of a posting's states.
STATES = ("received", "accepted", "refused")

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class NoReceipt(ValueError):
    """The bytes say nothing about a posting. The text says what is missing, and shows nothing."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is said, and of which posting; neither id where only the delivery's correlation id tells."""

    state: str  #: one of STATES
    code: str = ""  #: MSA-1, the code of an issue, or what the engine calls it
    reason: str = ""  #: of a refusal: places and codes
    control_id: str = ""
    posting: str = ""  #: the posting's public id


def read(body: bytes) -> Receipt:
    """Read a receipt in any of its three forms. Raises NoReceipt."""
    if (ack := answer.read(body)) is not None:
        if ack.code not in answer.MEANS:
            raise NoReceipt("MSA-1 is no acknowledgement code")
        return Receipt(answer.MEANS[ack.code], ack.code, ack.reason, ack.control_id)
    try:
        found = jsontext.decode(body)
    except jsontext.FhirError as error:
        raise NoReceipt(f"neither an acknowledgement nor JSON: {error}") from None
    if not isinstance(found, dict):
        raise NoReceipt("JSON, but no object")
    if found.get("resourceType") == "OperationOutcome":
        return _outcome(found)
    if found.get("state") not in STATES:
        raise NoReceipt(f"state must be one of {', '.join(STATES)}")
    code, control_id, posting = (_word(found.get(key)) for key in ("code", "control_id", "posting"))
    return Receipt(found["state"], code, "", control_id, posting)


def _outcome(found: dict[str, Any]) -> Receipt:
    issues = outcome.read(found)
    if not issues:
        raise NoReceipt("an OperationOutcome without an issue")
    wrong = [issue for issue in issues if issue.wrong]
    return Receipt("refused" if wrong else "accepted", (wrong or issues)[0].code, outcome.reasons(wrong))


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""
