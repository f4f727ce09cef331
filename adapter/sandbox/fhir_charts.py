"""Invoices and PaymentReconciliations on the clinic's charts. No network.

The account of an Invoice is the value of its first identifier, else its id. What the chart says is charged always adds
up to what the Invoice says now: a change is a line with the difference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .chart import Chart, Charts, Line
from .fhir_json import Issue, Refused, Resource
from .fhir_store import Store, identifiers


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a payment, for one chart. A negative amount takes back."""

    chart: Chart
    amount: Decimal
    date: str


class FhirCharts:
    """The bridge between what the FHIR server keeps and what the charts show."""

    def __init__(self, charts: Charts, store: Store) -> None:
        self.charts = charts
        self.store = store

    # ------------------------------------------------------------------------------------------------ invoices, ours

    def keep(self, resource: Resource) -> None:
        """Take over an Invoice, or a Bundle with Invoices and the people in it, that the clinic sends."""
        entries = _list(resource.get("entry")) if resource["resourceType"] == "Bundle" else [{"resource": resource}]
        around = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)]
        # The people first: an Invoice may stand before its patient.
        for type in ("Patient", "RelatedPerson", "Invoice"):
            for found in (entry["resource"] for entry in around):
                if found.get("resourceType") != type:
                    continue
                if type == "Invoice":
                    self.charge(self.store.put(found, self._id_of(found)).resource, around)
                elif isinstance(found.get("id"), str):
                    self.store.put(found, found["id"])

    def charge(self, invoice: Resource, around: Sequence[Resource] = ()) -> Chart:
        """Put an Invoice on its chart; sent again unchanged, it changes nothing."""
        account = account_of(invoice)
        chart = self.charts.charts.setdefault(account, Chart(account, "", ""))
        self._who(chart, invoice, around)
        total, currency = _total(invoice)
        before = [line for line in chart.lines if line.kind in ("charge", "adjustment")]
        if total is None:
            return chart
        if not before:
            chart.currency = currency or chart.currency
            chart.lines += _lines(invoice, total)
        elif difference := total - sum((line.amount or Decimal(0) for line in before), Decimal(0)):
            text = {"cancelled": "Invoice cancelled", "entered-in-error": "Invoice was an error"}
            words = text.get(str(invoice.get("status")), "Invoice corrected")
            chart.lines.append(Line("adjustment", words, difference, _day(invoice), f"Invoice/{invoice['id']}"))
        return chart

    def _id_of(self, invoice: Resource) -> str:
        if isinstance(invoice.get("id"), str) and invoice["id"]:
            return str(invoice["id"])
        for system, value in identifiers(invoice):
            for known in self.store.find("Invoice", f"{system}|{value}"):
                return str(known.resource["id"])
        return ""

    def _who(self, chart: Chart, invoice: Resource, around: Sequence[Resource]) -> None:
        given = invoice.get("subject")
        reference = given.get("reference") if isinstance(given, dict) else None
        if not isinstance(reference, str):
            return
        inside = {f"#{item.get('id')}": item for item in _list(invoice.get("contained")) if isinstance(item, dict)}
        inside |= {str(entry.get("fullUrl")): entry["resource"] for entry in around}
        kept = self.store.get("Patient", reference.rpartition("/")[2])
        patient = inside.get(reference) or (kept.resource if kept else {})
        names = [name for name in _list(patient.get("name")) if isinstance(name, dict)]
        if names:
            parts = [*_list(names[0].get("given")), names[0].get("family")]
            chart.name = " ".join(part for part in parts if isinstance(part, str)) or chart.name
        chart.mrn = next((value for _, value in identifiers(patient)), chart.mrn)
        chart.birth_date = str(patient.get("birthDate") or chart.birth_date)
        chart.sex = {"female": "F", "male": "M", "other": "O"}.get(str(patient.get("gender")), chart.sex)

    # ---------------------------------------------------------------------------------------------------- payments, in

    def allocations(self, resource: Resource, base: str) -> list[Allocation]:
        """Say what a PaymentReconciliation does to which charts. `base` is our address. Raises Refused (422)."""
        whole, found = resource["paymentAmount"], []
        for number, detail in enumerate(resource.get("detail", [])):
            where = f"PaymentReconciliation.detail[{number}]"
            chart = self._chart(detail.get("request", {}), base, f"{where}.request")
            money = detail.get("amount")
            if money is None:
                raise Refused(422, Issue("business-rule", "a part without an amount is not posted", where))
            if not chart.currency == money["currency"] == whole["currency"]:
                raise Refused(422, Issue("business-rule", "the account is kept in another currency", f"{where}.amount"))
            self._earlier(detail.get("predecessor"), f"{where}.predecessor")
            date = detail.get("date") or resource["paymentDate"]
            found.append(Allocation(chart, Decimal(money["value"]), date))
        if not found:
            raise Refused(422, Issue("business-rule", "a payment for no Invoice", "PaymentReconciliation.detail"))
        if sum(part.amount for part in found) != Decimal(whole["value"]):
            text = "the parts do not add up to paymentAmount"
            raise Refused(422, Issue("business-rule", text, "PaymentReconciliation.paymentAmount"))
        return found

    def post(self, resource: Resource, parts: list[Allocation], now: dt.datetime) -> None:
        """Apply what `allocations` found."""
        told = next((value for _, value in identifiers(resource)), resource["id"])
        paid_with = next((value for _, value in identifiers(resource, "paymentIdentifier")), told)
        for part in parts:
            words = "Payment received" if part.amount >= 0 else "Payment taken back"
            part.chart.lines.append(Line("payment", words, part.amount, part.date, paid_with))
            part.chart.postings.append({
                "control_id": f"PaymentReconciliation/{resource['id']}",
                "transaction": told,
                "amount": f"{part.amount:.2f}",
                "paid": resource["paymentDate"],
                "posted": resource["created"][:10],
                "medium": "",  # R4 has no element for it
                "reference": paid_with,
                "received_at": now.isoformat(timespec="milliseconds"),
            })  # fmt: skip

    def inform(self, consent: Resource, base: str) -> None:
        """Keep on the patient's charts whether a number may be texted. Raises Refused (422)."""
        given = consent["patient"]
        reference = str(given.get("reference", "")).removeprefix(f"{base}/").partition("/_history/")[0]
        known = self.store.get("Patient", reference.removeprefix("Patient/")) if reference else None
        named = identifiers(known.resource) if known is not None else identifiers(given)
        charts = [chart for _, value in named for chart in self.charts.of_patient(value)]
        if not charts:
            raise Refused(422, Issue("not-found", "no such patient here", "Consent.patient"))
        provision = consent["provision"]
        number = str(provision["code"][0].get("text", "")).rpartition(" ")[2]
        for chart in charts:
            chart.texts[number] = provision["type"] == "permit"

    def _chart(self, request: Resource, base: str, where: str) -> Chart:
        account = ""
        reference = str(request.get("reference", "")).removeprefix(f"{base}/").partition("/_history/")[0]
        if reference:
            invoice = self.store.get("Invoice", reference.removeprefix("Invoice/"))
            account = account_of(invoice.resource) if invoice is not None else ""
        else:
            for system, value in identifiers(request):
                known = self.store.find("Invoice", f"{system}|{value}")
                # No Invoice: an account that was charged over HL7 is named by its number alone.
                account = account_of(known[0].resource) if known else "" if self._invoiced(value) else value
        if account not in self.charts.charts:
            raise Refused(422, Issue("not-found", "no such Invoice or account here", where))
        return self.charts.charts[account]

    def _invoiced(self, account: str) -> bool:
        return any(account_of(known.resource) == account for known in self.store.find("Invoice"))

    def _earlier(self, predecessor: Resource | None, where: str) -> None:
        """Whoever takes back a payment must have told of it here."""
        for system, value in identifiers({"identifier": predecessor}):
            known = self.store.find("PaymentReconciliation")
            all_parts = [part for version in known for part in (version.resource, *version.resource.get("detail", []))]
            if not any((system, value) in identifiers(part) for part in all_parts):
                raise Refused(422, Issue("not-found", "no such earlier payment here", where))


def account_of(invoice: Resource) -> str:
    """Return the number of the account that an Invoice is kept under."""
    return next((value for _, value in identifiers(invoice)), str(invoice["id"]))


def _total(invoice: Resource) -> tuple[Decimal | None, str]:
    """What an Invoice asks for now: nothing once it is withdrawn, and None where it does not say."""
    if invoice.get("status") in ("cancelled", "entered-in-error"):
        return Decimal(0), ""
    for name in ("totalGross", "totalNet") if invoice.get("status") != "draft" else ():
        if (found := _money(invoice.get(name)))[0] is not None:
            return found
    return None, ""


def _money(given: Any) -> tuple[Decimal | None, str]:
    value = given.get("value") if isinstance(given, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or Decimal(value).adjusted() > 14:
        return None, ""
    return Decimal(value), str(given.get("currency") or "")


def _lines(invoice: Resource, total: Decimal) -> list[Line]:
    """A line for each line item, if they add up to the total; else one for the whole."""
    reference, when = f"Invoice/{invoice['id']}", _day(invoice)
    lines = []
    for item in _list(invoice.get("lineItem")):
        prices = _list(item.get("priceComponent")) if isinstance(item, dict) else []
        amounts = [_money(price.get("amount"))[0] for price in prices if isinstance(price, dict)]
        amount = sum((value for value in amounts if value is not None), Decimal(0))
        lines.append(Line("charge", _words(item), amount, when, reference))
    if lines and sum((line.amount or Decimal(0) for line in lines), Decimal(0)) == total:
        return lines
    return [Line("charge", "Invoice", total, when, reference)] if total else []


def _words(item: Any) -> str:
    concept = item.get("chargeItemCodeableConcept") if isinstance(item, dict) else None
    concept = concept if isinstance(concept, dict) else {}
    coding = next((part for part in _list(concept.get("coding")) if isinstance(part, dict)), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code") or "Charge")


def _day(invoice: Resource) -> str:
    return str(invoice.get("date") or "")[:10]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
