"""What a map of charges can say, by dialect: paths, targets, transforms. Here is HL7 v2; FHIR is in fhir/dialect.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from chartpost.mappings.model import ROLES
from chartpost.mappings.paths import AnyPath, compile_path
from chartpost.mappings.transforms import TRANSFORMS, Shape, Transform

#: What a map reads of everybody who may be written to, and what only of who is asked who they are.
_PERSON: dict[str, Shape] = {"family": "text", "given": "text", "contacts": "contacts"}
_KNOWN: dict[str, Shape] = {"birth_date": "birth_date", "language": "language"}
#: What a message of HL7 v2 has once, and the shape each value must end up in.
MESSAGE_TARGETS: dict[str, Shape] = {
    **{f"{role}.{name}": shape for role in ROLES for name, shape in _PERSON.items()},
    **{f"{role}.{name}": shape for role in ("patient", "guarantor") for name, shape in _KNOWN.items()},
    "consent.sms": "yes_no",
    "consent.email": "yes_no",
    "financial_class": "text",
    "balance": "money",
}
#: What every FT1 has. `unit_price` × `quantity` counts only where `amount` has nothing.
CHARGE_TARGETS: dict[str, Shape] = {
    "kind": "text",
    "amount": "money",
    "unit_price": "money",
    "quantity": "number",
    "insurance": "money",
    "reference": "text",
    "payment_reference": "text",
    "service_date": "date",
    "code": "text",
    "provider": "text",
    "description": "text",
}
#: The site's own values, for conditions: `my.visit_class`.
MY = re.compile(r"my\.[a-z][a-z0-9_]{0,30}")
CHART = re.compile(r"chart\.([A-Z][A-Z0-9]{2}-[1-9]\d?)")
DialectName = Literal["hl7v2", "fhir"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between maps of HL7 v2 and of FHIR: the paths, and what there is to say."""

    name: DialectName
    compile_path: Callable[[str], AnyPath]  #: raises ValueError
    compile_account: Callable[[str], AnyPath]  #: the same for the paths of `account:`
    transforms: Mapping[str, Transform]
    message: Mapping[str, Shape]  #: targets under `message:`
    charge: Mapping[str, Shape]  #: targets under `charge:`
    chart: re.Pattern[str]  #: further targets under `message:`: what is kept for the chart
    chart_example: str
    needed: Mapping[str, tuple[str, ...]]  #: section → targets without which nothing could be read
    messages: re.Pattern[str]
    messages_are: str


HL7V2 = Dialect(
    name="hl7v2",
    compile_path=compile_path,
    compile_account=compile_path,
    transforms=TRANSFORMS,
    message=MESSAGE_TARGETS,
    charge=CHARGE_TARGETS,
    chart=CHART,
    chart_example="chart.PID-3",
    needed={"charge": ("kind", "amount")},
    messages=re.compile(r"[A-Z]{3}(\^[A-Z0-9]{3})?"),
    messages_are="a message type such as DFT^P03",
)
