"""Propose a map for messages that somebody has in a folder. Scores and counts, no learning; every choice says why.

    draft(found, region) → Draft        what differs from the shipped map, candidates, questions   hl7.py, fhir.py
    written.text(draft, …) → YAML       the file that a person reads and completes
    trial.try_on(found, map, …)         what that file makes of the same messages

What nobody could tell from messages is left to a person: what a code means, whose amount it is.
"""

from __future__ import annotations

from chartpost.mappings.propose.model import Candidate, Code, Draft, Row
from chartpost.mappings.specimens import Specimens

__all__ = ["Candidate", "Code", "Draft", "Row", "draft"]


def draft(found: Specimens, region: str = "US") -> Draft:
    """Return the proposal: for Invoices where there are more of them than of messages of HL7 v2. Never raises.

    `region` (ISO 3166): for telephone numbers without a country code.
    """
    from chartpost.mappings.propose import fhir, hl7

    if len(found.invoices) > len(found.messages):
        return fhir.draft(found, region)
    return hl7.draft(found.messages, region)
