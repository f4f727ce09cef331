"""The map language for FHIR: rows, tables and transforms as for HL7 v2, paths in FHIRPath, and an Invoice's targets."""

from __future__ import annotations

import re

from chartpost.mappings.dialect import CHARGE_TARGETS, MESSAGE_TARGETS, Dialect
from chartpost.mappings.fhir.fhirpath import compile_account, compile_path
from chartpost.mappings.fhir.transforms import TRANSFORMS

FHIR = Dialect(
    name="fhir",
    compile_path=compile_path,
    compile_account=compile_account,
    transforms=TRANSFORMS,
    message={"status": "text", **MESSAGE_TARGETS},
    #: Once for an Invoice: it states a total. `copay` is the patient's own part of it, where the sender says one.
    charge={
        "amount": "money",
        "copay": "money",
        **{name: CHARGE_TARGETS[name] for name in ("insurance", "reference", "service_date", "code", "description")},
    },
    chart=re.compile(
        r"chart\.([A-Z][A-Z0-9]{2}-[1-9]\d?|(?:Invoice|Patient)\.identifier|Invoice\.id|(?:Patient|Account)\.reference)"
    ),
    chart_example="chart.Invoice.id",
    needed={"message": ("status",), "charge": ("amount",)},
    messages=re.compile("Invoice"),
    messages_are="Invoice, which is what a map of FHIR reads",
)
