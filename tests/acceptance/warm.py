"""Imported by the server that the tests fork from: what every start would load and compile anew is there already.

Only caches that the product's own modules keep are filled; what a process does is the same.
"""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.plugins import NOTIFIERS, PROVIDERS, SENDERS, options_model
from chartpost.adapter.web import pages, render
from chartpost.adapter.web.words import Words
from chartpost.mappings import contacts, mapfile, postingmap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import check, write

_NOW = dt.datetime(2026, 5, 4, 15, 0, tzinfo=dt.UTC)
_POSTING = Posting(
    kind="payment", posting_id="P00000000000", control_id="P00000000000", amount=Money(minor=4500, currency="USD"),
    paid_at=_NOW, posted_at=_NOW, timezone="America/Chicago", medium="card", provider_reference="pi_1", account="A-1",
    chart={"PID-3": "M1", "PID-5": "Sample^Silvia", "Invoice.id": "1"}, facility="Lakeside Clinic",
)  # fmt: skip

mapfile.load("hl7v2-dft")
mapfile.load("fhir-invoice")
for _name in ("hl7v2-dft-payment", "fhir-payment-reconciliation"):
    _map = postingmap.load(_name)
    check(write(_POSTING, _map), _map)
for _group, _types in ((PROVIDERS, ("stripe",)), (NOTIFIERS, ("twilio", "smtp")), (SENDERS, ("mllp", "fhir"))):
    for _type in _types:
        options_model(_group, _type)
contacts.e164("608 555 0101", "US")
pages.unknown(Words("en_US"))
for _template in render._templates.list_templates():
    render._templates.get_template(_template)
wording.staff_letter(SimpleNamespace(message_name="Lakeside"), "")  # type: ignore[arg-type]
