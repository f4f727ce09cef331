"""A proposal for Invoices."""

from __future__ import annotations

from chartpost.mappings.propose.model import Draft
from chartpost.mappings.specimens import Specimens


def draft(found: Specimens) -> Draft:
    return Draft(dialect="fhir", extends="fhir-invoice")
