"""Read what a FHIR Invoice says about money, by a map: whole or not at all.

As for HL7 v2 every value leaves a trace line, and every problem is reported at once. Totals are taken as they stand and
never made from lines: the signs of deductions vary (HL7 FHIR R4 and R5, Invoice).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chartpost.mappings.fhir.fhirpath import ElementPath, Scope, text_of
from chartpost.mappings.fhir.references import Around, people, text
from chartpost.mappings.mapfile import Map, Row
from chartpost.mappings.model import Charge, Kind, Party, Problem, Reading
from chartpost.mappings.read import Unreadable
from chartpost.mappings.rows import Rows
from chartpost.mappings.transforms import Context, Rejected

__all__ = ["STATUSES", "Unreadable", "identity", "read"]

#: Value set invoice-status, the same in R4, R4B and R5.
STATUSES = ("draft", "issued", "balanced", "cancelled", "entered-in-error")
_ASKS = "issued"  #: the only status that says that something is owed now


def identity(resource: Any, map: Map, id: str = "") -> tuple[str, str]:
    """Return what an Invoice is known by, as (system, value): its first business identifier, else ("", its id).

    `id` is the id in the address to which it was sent, for one that has none itself. ("", "") when there is nothing.
    """
    return _identity(Scope(resource, {}), map, id)[:2] if isinstance(resource, dict) else ("", id)


def _identity(scope: Scope, map: Map, id: str) -> tuple[str, str, ElementPath | None]:
    for path in map.account:
        assert isinstance(path, ElementPath), "a map of FHIR"
        try:
            found = scope.find(path)
        except Rejected:
            continue  # whatever stands there, it names no account
        for system, value in (_named(data) for data in found):
            if value:
                return system, value, path
    return "", id, None


def _named(data: Any) -> tuple[str, str]:
    """Return (system, value) of an Identifier that is in use, or ("", text)."""
    if not isinstance(data, dict):
        return "", text_of(data).strip()
    return ("", "") if data.get("use") == "old" else (text(data.get("system")), text(data.get("value")))


def read(
    invoice: Any, map: Map, *, currency: str, region: str, timezone: str, id: str = "", around: Sequence[Any] = (),
    explained: list[list[str]] | None = None,
) -> Reading:  # fmt: skip
    """Read an Invoice: who, which account, what is billed, with a trace.

    `around` are the resources that came with it or were fetched for it: entries of a Bundle, or bare. `currency`,
    `region`, `timezone` and `explained` as for a DFT (read.py). Raises Unreadable with all problems.
    """
    kind = invoice.get("resourceType") if isinstance(invoice, dict) else None
    if not isinstance(kind, str) or kind not in map.messages:
        cause = f"this is no resource that map {map.name} reads"
        raise Unreadable([Problem(path="resourceType", cause=cause, fix="send an Invoice")])
    return _Reader(invoice, map, Context(currency, region, timezone, tables=map.tables, explained=explained), around).reading(id)


class _Reader(Rows):
    """The meaning of an Invoice: its status, its total, the patient's own part, and whom it concerns."""

    def __init__(self, invoice: dict[str, Any], map: Map, context: Context, around: Sequence[Any]) -> None:
        super().__init__(map, context)
        self.kind = str(invoice["resourceType"])
        self.people = people(Around(around), invoice)
        self.scope = Scope(invoice, self.people.variables())

    def reading(self, id: str) -> Reading:
        namespace, account, path = _identity(self.scope, self.map, id)
        if account:
            shown = f"{namespace}|{account}" if namespace else account
            self.note("account", path.located(self.scope) if path else "", shown, account)
        chart: dict[str, str] = {}
        values: dict[str, Any] = {}
        my: dict[str, str] = {}
        for row in self.map.message:
            if row.target.startswith("my."):
                my[row.target[3:]] = self.value(row, self.scope, row.target) or ""
            elif row.target.startswith("chart."):
                if found := self.value(row, self.scope, row.target):
                    chart[row.target.removeprefix("chart.")] = found
            elif not row.target.startswith(("patient.", "guarantor.")):
                values[row.target] = self.value(row, self.scope, row.target)
        if account and path is None:  # the id in its address, by which its sender knows it
            chart.setdefault("Invoice.id", account)
        status = values.get("status") or ""
        if status and status not in STATUSES:
            cause = f"this status is none that an Invoice can have: {', '.join(STATUSES)}"
            self.unclear("status", cause, "correct it in the sending system, or give it a table in the map")
        patient = self.party("patient", self.scope, "") or Party(role="patient")
        guarantor = self.party("guarantor", self.scope, "")
        charges = self.charges(status)
        if self.problems:
            raise Unreadable(self.problems, self.trace)
        found = Reading(
            type=self.kind,
            namespace=namespace,
            account=account,
            status=status,
            patient=patient,
            guarantor=guarantor,
            chart=chart,
            financial_class=values.get("financial_class") or "",
            balance=values.get("balance"),
            charges=charges,
            my=my,
            missing=self.people.missing(),
            trace=tuple(self.trace),
        )
        found = self.conditioned(found)
        if self.problems:
            raise Unreadable(self.problems, self.trace)
        return found

    def charges(self, status: str) -> tuple[Charge, ...]:
        """Return what is billed in all, and what of it is the patient's where the sender says that.

        Only an issued Invoice asks for money: that of another must not be held for what is wrong with its amounts.
        """
        before = len(self.problems)
        values = {row.target: self.charge(row) for row in self.map.charge}
        amount, copay = values.pop("amount"), values.pop("copay", None)
        my = {name[3:]: values.pop(name) or "" for name in list(values) if name.startswith("my.")}
        if status in STATUSES and status != _ASKS:
            del self.problems[before:]
        elif status == _ASKS and amount is None and len(self.problems) == before:
            fix = "send totalGross or totalNet; it is never made from the lines"
            self.unclear("amount", "an issued Invoice without a total", fix)
        found = []
        if amount is not None:
            more = {name: value for name, value in values.items() if value is not None}
            found.append(Charge(ordinal=1, kind=Kind.CHARGE, amount=amount, my=my, **more))
        if copay is not None:
            found.append(Charge(ordinal=2, kind=Kind.COPAY, amount=copay, my=my))
        return tuple(found)

    def charge(self, row: Row) -> Any:
        """Read a row under `charge:`."""
        name = "charges[2].amount" if row.target == "copay" else f"charges[1].{row.target}"
        return self.value(row, self.scope, name)

    def unclear(self, target: str, cause: str, fix: str) -> None:
        """Note a problem of what a row found."""
        row: Row = next(row for row in (*self.map.message, *self.map.charge) if row.target == target)
        self.problem(row.paths[0], self.scope, cause, fix)
