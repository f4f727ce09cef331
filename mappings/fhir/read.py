"""Read what a FHIR Invoice or ChargeItem says about money, by a map: whole or not at all.

As for HL7 v2 every value leaves a trace line, and every problem is reported at once. Totals are taken as they stand and
never made from lines: the signs of deductions vary (HL7 FHIR R4 and R5, Invoice).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Any

from chartpost.mappings.fhir import billed
from chartpost.mappings.fhir.fhirpath import ElementPath, Scope, compile_path, text_of
from chartpost.mappings.fhir.references import Around, fetchable, people, text
from chartpost.mappings.mapfile import Map, Row
from chartpost.mappings.model import Charge, Kind, Money, Party, Problem, Reading
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.read import Unreadable
from chartpost.mappings.rows import Rows
from chartpost.mappings.transforms import Context, Rejected

__all__ = ["STATUSES", "Unreadable", "identity", "item", "read"]

STATUSES = billed.INVOICE.statuses
#: By what a ChargeItem is known where its map has no row `reference`.
_ITEM = (compile_path("ChargeItem.identifier", billed.CHARGE_ITEM.name),)
_ACCOUNTS = compile_path("ChargeItem.account", billed.CHARGE_ITEM.name)


def identity(resource: Any, map: Map, id: str = "") -> tuple[str, str]:
    """Return what names the account, as (system, value): of an Invoice its business identifier, else ("", its id).

    `id` is the id in the address to which it was sent, for one that has none itself. ("", "") when there is nothing.
    """
    return _identity(Scope(resource, {}), map.account, id)[:2] if isinstance(resource, dict) else ("", id)


def item(resource: dict[str, Any], map: Map, id: str = "") -> tuple[str, str]:
    """Return what a ChargeItem itself is known by, as `identity` does: by its row `reference`, else its identifier."""
    row = next((row for row in map.charge if row.target == "reference"), None)
    return _identity(Scope(resource, {}), _ITEM if row is None else row.paths, id or text(resource.get("id")))[:2]


def _identity(scope: Scope, paths: Iterable[AnyPath], id: str) -> tuple[str, str, ElementPath | None]:
    for path in paths:
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
    """Return (system, value) of an Identifier that is in use, or of what a Reference says, or ("", text)."""
    if not isinstance(data, dict):
        return "", text_of(data).strip()
    if "value" not in data:  # a Reference: by the number of what it means, else by its address
        said = data.get("identifier")
        number = _named(said) if isinstance(said, dict) and "value" in said else ("", "")
        return number if number[1] else ("", fetchable(data))
    return ("", "") if data.get("use") == "old" else (text(data.get("system")), text(data.get("value")))


def read(
    invoice: Any, map: Map, *, currency: str, region: str, timezone: str, id: str = "", around: Sequence[Any] = (),
    explained: list[list[str]] | None = None,
) -> Reading:  # fmt: skip
    """Read an Invoice or a ChargeItem: who, which account, what is billed, with a trace.

    `around` are the resources that came with it or were fetched for it: entries of a Bundle, or bare. `currency`,
    `region`, `timezone` and `explained` as for a DFT (read.py). Raises Unreadable with all problems.
    """
    kind = invoice.get("resourceType") if isinstance(invoice, dict) else None
    if not isinstance(kind, str) or kind not in map.messages:
        cause = f"this is no resource that map {map.name} reads"
        wanted = billed.billed(map.messages).article
        raise Unreadable([Problem(path="resourceType", cause=cause, fix=f"send {wanted}")])
    return _Reader(
        invoice, map, Context(currency, region, timezone, tables=map.tables, explained=explained), around
    ).reading(id)


class _Reader(Rows):
    """The meaning of what is billed: its status, its amount, the patient's own part, and whom it concerns."""

    def __init__(self, invoice: dict[str, Any], map: Map, context: Context, around: Sequence[Any]) -> None:
        super().__init__(map, context)
        self.billed = billed.BILLED[invoice["resourceType"]]
        self.people = people(Around(around), invoice)
        self.scope = Scope(invoice, self.people.variables())

    def reading(self, id: str) -> Reading:
        whole = self.billed is billed.INVOICE
        # Its own id names an Invoice's account; of a ChargeItem it is a line's.
        namespace, account, path = _identity(self.scope, self.map.account, id if whole else "")
        if account:
            shown = f"{namespace}|{account}" if namespace else account
            self.note("account", path.located(self.scope) if path else "", shown, account)
        chart: dict[str, str] = {}
        values: dict[str, Any] = {}
        my: dict[str, str] = {}
        for row in self.map.rest:
            if row.target.startswith("my."):
                my[row.target[3:]] = self.value(row, self.scope, row.target) or ""
            elif row.target.startswith("chart."):
                if found := self.value(row, self.scope, row.target):
                    chart[row.target.removeprefix("chart.")] = found
            else:
                values[row.target] = self.value(row, self.scope, row.target)
        if account and path is None:  # the id in its address, by which its sender knows it
            chart.setdefault("Invoice.id", account)
        status = values.get("status") or ""
        if status and status not in self.billed.statuses:
            cause = f"this status is none that {self.billed.article} can have: {', '.join(self.billed.statuses)}"
            if status == "unknown" and not whole:
                cause = "its status is unknown: nobody says whether it is to be paid"
            self.unclear("status", cause, "correct it in the sending system, or give it a table in the map")
        self.one_account()
        patient = self.party("patient", self.scope, "") or Party(role="patient")
        guarantor = self.party("guarantor", self.scope, "")
        others, charges = self.others(self.scope), self.charges(status)
        if self.problems:
            raise Unreadable(self.problems, self.trace)
        found = Reading(
            type=self.billed.name,
            namespace=namespace,
            account=account,
            status=status,
            patient=patient,
            guarantor=guarantor,
            others=others,
            consent=self.consent(values),
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
        """Return what is billed, and what of it is the patient's where the sender says that.

        Only an issued Invoice asks for money, or a ChargeItem that is billable or billed: that of another status must
        not be held for what is wrong with its amounts.
        """
        before = len(self.problems)
        values = {row.target: self.charge(row) for row in self.map.charge}
        amount, copay = values.pop("amount"), values.pop("copay", None)
        price, quantity = values.pop("unit_price", None), values.pop("quantity", None)
        if amount is None and price is not None and len(self.problems) == before:
            amount = self.extended(price, Decimal(1) if quantity is None else quantity)
        if amount is not None and (quantity or 0) < 0 < amount.minor:  # however many signs there are, they are one
            amount = Money(minor=-amount.minor, currency=amount.currency)
        my = {name[3:]: values.pop(name) or "" for name in list(values) if name.startswith("my.")}
        asks = status in self.billed.asks
        if status in self.billed.statuses and not asks:
            del self.problems[before:]
        elif asks and amount is None and len(self.problems) == before:
            self.unclear("amount", self.billed.unpriced, self.billed.fix)
        found = []
        if amount is not None:
            more = {name: value for name, value in values.items() if value is not None}
            found.append(Charge(ordinal=1, kind=Kind.CHARGE, amount=amount, my=my, **more))
        if copay is not None:
            found.append(Charge(ordinal=2, kind=Kind.COPAY, amount=copay, my=my))
        return tuple(found)

    def extended(self, price: Money, quantity: Decimal) -> Money | None:
        """Return what so many of a price come to, with the sign of the price."""
        try:
            with localcontext(prec=60):  # the default 28 digits would round without a word
                return Money.of(price.amount * abs(quantity), price.currency)
        except ValueError as error:
            self.unclear("unit_price", f"price × quantity: {error}", "ask the sender to state the amount")
            return None

    def one_account(self) -> None:
        """Note it where a ChargeItem names several accounts: on which one it is owed would be a guess."""
        if self.billed is billed.CHARGE_ITEM and len(self.scope.find(_ACCOUNTS)) > 1:
            fix = "name one account; a charge that is shared out is a ChargeItem on each"
            self.problem(_ACCOUNTS, self.scope, "it names several accounts", fix)

    def charge(self, row: Row) -> Any:
        """Read a row under `charge:`."""
        if self.billed is billed.CHARGE_ITEM and row.target == "reference":
            return self.reference(row)
        name = "charges[2].amount" if row.target == "copay" else f"charges[1].{row.target}"
        return self.value(row, self.scope, name)

    def reference(self, row: Row) -> str:
        """Return by what a ChargeItem is known: an Identifier with its system, which no chain of texts would give."""
        system, value, path = _identity(self.scope, row.paths, "")
        named = f"{system}|{value}" if system else value
        if path is not None:
            self.note("charges[1].reference", path.located(self.scope), path.raw(self.scope), named)
        return named

    def unclear(self, target: str, cause: str, fix: str) -> None:
        """Note a problem of what a row found."""
        row: Row = next(row for row in (*self.map.message, *self.map.charge) if row.target == target)
        self.problem(row.paths[0], self.scope, cause, fix)
