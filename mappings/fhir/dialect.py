"""The map language for FHIR: rows, tables and transforms as for HL7 v2, paths in FHIRPath.

What there is to say of an Invoice and of a ChargeItem differs a little, so each has targets of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from chartpost.mappings.dialect import CHARGE_TARGETS, MESSAGE_TARGETS, Dialect
from chartpost.mappings.fhir.billed import CHARGE_ITEM
from chartpost.mappings.fhir.fhirpath import compile_account, compile_path
from chartpost.mappings.fhir.transforms import TRANSFORMS

_OF_LINE = ("insurance", "reference", "service_date", "code", "provider", "description")
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
        **{name: CHARGE_TARGETS[name] for name in _OF_LINE},
    },
    chart=re.compile(
        r"chart\.([A-Z][A-Z0-9]{2}-[1-9]\d?|(?:Invoice|Patient|Account)\.identifier|Invoice\.id|(?:Patient|Account)\.reference)"
    ),
    chart_example="chart.Invoice.id",
    needed={"message": ("status",), "charge": ("amount",)},
    messages=re.compile("Invoice"),
    messages_are="Invoice, which is what a map of FHIR reads",
)

#: One line of an account: it may state a price of one, and no balance of the whole.
FHIR_ITEM = replace(
    FHIR,
    compile_path=partial(compile_path, root=CHARGE_ITEM.name),
    compile_account=partial(compile_account, root=CHARGE_ITEM.name),
    message={name: shape for name, shape in FHIR.message.items() if name != "balance"},
    charge={**FHIR.charge, **{name: CHARGE_TARGETS[name] for name in ("unit_price", "quantity")}},
    chart_example="chart.Account.reference",
    messages=re.compile(CHARGE_ITEM.name),
    messages_are=f"{CHARGE_ITEM.name}: a map that reads these reads nothing else",
)
