"""Read what a DFT says about money, by a map: whole or not at all.

Every value leaves a trace line (where it stood, what it became); every problem of the message is reported at once.
Signs count once: a negative amount, a negative quantity and a credit type together are one change of sign.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

from chartpost.mappings import er7, patients
from chartpost.mappings.mapfile import IGNORE, Map, Row
from chartpost.mappings.model import Charge, Kind, Money, Party, Problem, Reading, TraceLine
from chartpost.mappings.paths import AnyPath, Scope
from chartpost.mappings.rows import Rows
from chartpost.mappings.scopes import LineScope, MessageScope, OwnScope
from chartpost.mappings.transforms import Context

__all__ = ["Problem", "Unreadable", "accepts", "account_of", "message_type", "read"]

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_KINDS = frozenset(kind.value for kind in Kind)
_LOWERS = frozenset({Kind.CREDIT, Kind.PAYMENT, Kind.PATIENT_PAYMENT})  #: types that are a sign by themselves
#: Of a line, beside its kind and its amount.
_REST = ("insurance", "reference", "payment_reference", "service_date", "code", "provider", "description")
_LARGEST = 10**15  #: minor units; beyond it somebody's hand slipped, and databases count to 9.2 × 10^18


class Unreadable(ValueError):
    """The message cannot be read with this map, and nothing of it counts. `problems` holds all of them."""

    def __init__(self, problems: Sequence[Problem], trace: Sequence[TraceLine] = ()) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = list(problems)
        self.trace = tuple(trace)  #: what could be read


def message_type(message: er7.Message) -> str:
    """Return MSH-9 as `DFT^P03`, or `DFT` where 2.1 gives no trigger event."""
    code, trigger = message.text("MSH", 9), message.text("MSH", 9, 2)
    return f"{code}^{trigger}" if trigger else code


def accepts(message: er7.Message, map: Map) -> bool:
    """Tell whether the map reads messages of this type."""
    return message_type(message) in map.messages


def account_of(message: er7.Message, map: Map) -> str:
    """Return the account number: the first of the map's account paths that has a value; "" when none has. Cheap."""
    return _account(message, map)[0]


def _account(message: er7.Message, map: Map) -> tuple[str, AnyPath | None]:
    for path in map.account:
        value = path.get(message)
        if value is er7.NULL:
            break
        if value and value.strip():
            return value.strip(), path
    return "", None


def read(
    message: er7.Message, map: Map, *, currency: str, region: str, timezone: str,
    explained: list[list[str]] | None = None,
) -> Reading:  # fmt: skip
    """Read a message: who, which account, and every line of money, with a trace.

    `currency` (ISO 4217) and `region` (ISO 3166) are the source's, for amounts and numbers that do not say;
    `timezone` (IANA) is the facility's. `explained` takes what each step made, a list for every line of the trace.
    Raises Unreadable with all problems; a single bad line holds the message.
    """
    problems = _broken(message)
    type = message_type(message)
    if type not in map.messages:
        problems.append(Problem(path="MSH-9", cause=f"{type[:20]} is no type that map {map.name} reads"))
    if problems:
        raise Unreadable(problems)
    context = Context(currency, region, timezone, message.delimiters, message.codec, map.tables, explained)
    map = map.of_version(message.text("MSH", 12))
    if patients.is_about_patients(type):
        return _read_patients(message, map, context, type)
    return _Reader(message, map, context).reading(type)


def _read_patients(message: er7.Message, map: Map, context: Context, type: str) -> Reading:
    reader = patients.PatientReader(message, map, context)
    found = reader.reading(type, *_account(message, map))
    if reader.problems:
        raise Unreadable(reader.problems, reader.trace)
    return found


def _broken(message: er7.Message) -> list[Problem]:
    """Find what would make the positional reader lose a line silently."""
    found = []
    if len(message.all("MSH")) > 1:
        found.append(Problem(path="MSH[2]", cause="a second message in the same text", fix="split it"))
    separator = message.delimiters.field
    for segment in message.segments:
        if not _NAME.fullmatch(segment.name) and segment.text.strip():
            found.append(
                Problem(
                    path=f"segment {segment.ordinal}",
                    cause="does not begin with a segment name: a line break inside the segment before it?",
                    fix="ask the sender to escape line breaks as \\.br\\",
                )
            )
        elif message.lone_line_feeds and re.search(rf"\n[A-Z][A-Z0-9]{{2}}{re.escape(separator)}", segment.text):
            found.append(
                Problem(
                    path=f"segment {segment.ordinal}",
                    cause="a segment begins after a line feed, while carriage returns end the others",
                    fix="ask the sender to end every segment with a carriage return",
                )
            )
    return found


class _Reader(Rows):
    """The meaning of a DFT: what is a line, what its sign is, and whom it concerns."""

    def __init__(self, message: er7.Message, map: Map, context: Context) -> None:
        super().__init__(map, context)
        self.message = message
        self.lines = {row.target: row for row in map.charge}
        self.mine = [target[3:] for target in self.lines if target.startswith("my.")]
        self.ignored: list[str] = []

    def reading(self, type: str) -> Reading:
        grouped = type.endswith("^P11")
        account, path = _account(self.message, self.map)
        if path is not None:
            self.note("account", path.located(self.message), path.raw(self.message), account)
        whole = MessageScope(self.message, grouped)
        chart: dict[str, str] = {}
        values: dict[str, Any] = {}
        my: dict[str, str] = {}
        for row in self.map.rest:
            if row.target.startswith("my."):
                my[row.target[3:]] = self.value(row, whole, row.target) or ""
            elif row.shape == "verbatim":
                if text := self.verbatim(row, whole):
                    chart[row.target.removeprefix("chart.")] = text
            else:
                values[row.target] = self.value(row, whole, row.target)
        patient = self.party("patient", whole, "") or Party(role="patient")
        guarantor = self.party("guarantor", whole, "")
        others, lines = self.others(whole), []
        for line in self.message.all("FT1"):
            charge = self.line(LineScope(self.message, line, whole, grouped), grouped)
            if charge is not None:
                lines.append(charge)
        if self.problems:
            raise Unreadable(self.problems, self.trace)
        if guarantor is None and lines and all(line.guarantor == lines[0].guarantor for line in lines):
            guarantor = lines[0].guarantor  # a P11 that names the payer in its groups only, the same in each
        found = Reading(
            type=type,
            account=account,
            patient=patient,
            guarantor=guarantor,
            others=others,
            consent=self.consent(values),
            chart=chart,
            financial_class=values.get("financial_class") or "",
            balance=values.get("balance"),
            charges=tuple(lines),
            my=my,
            deleted=patients.deleted(self.map.message, self.message, whole),
            ignored=tuple(self.ignored),
            trace=tuple(self.trace),
        )
        found = self.conditioned(found)
        if self.problems:
            raise Unreadable(self.problems, self.trace)
        return found

    def line(self, scope: LineScope, grouped: bool) -> Charge | None:
        """Read one FT1; None when it has a problem, or the table leaves its kind out."""
        ordinal = scope.line.occurrence
        rows = self.lines
        before = len(self.problems)

        def value(target: str) -> Any:
            row = rows.get(target)
            return self.value(row, scope, f"charges[{ordinal}].{target}") if row is not None else None

        kind = value("kind")
        if kind == IGNORE:
            self.ignored.append(f"FT1[{ordinal}]: the map leaves this type out")
            return None
        if len(self.problems) == before and kind not in _KINDS:
            self.problem(
                rows["kind"].paths[0], scope, f'"{(kind or "")[:20]}" is no kind', "give it a table in the map"
            )
        amount = self.amount(rows, scope, ordinal, kind or "")
        payer = self.party("guarantor", OwnScope(scope), f"charges[{ordinal}].") if grouped else None
        rest = {target: found for target in _REST if (found := value(target)) is not None}
        my = {name: value(f"my.{name}") or "" for name in self.mine}
        if len(self.problems) > before or amount is None:
            return None
        return Charge(ordinal=ordinal, kind=Kind(kind), amount=amount, guarantor=payer, my=my, **rest)

    def amount(self, rows: dict[str, Row], scope: LineScope, ordinal: int, kind: str) -> Money | None:
        """Return the signed amount of a line: extended as it stands, else unit price × quantity."""
        before = len(self.problems)
        prefix = f"charges[{ordinal}]"
        amount: Money | None = self.value(rows["amount"], scope, f"{prefix}.amount")
        quantity: Decimal | None = (
            self.value(rows["quantity"], scope, f"{prefix}.quantity") if "quantity" in rows else None
        )
        negative = (quantity is not None and quantity < 0) or kind in _LOWERS
        if amount is None and len(self.problems) == before and "unit_price" in rows:
            deleted = any(path.get(scope) is er7.NULL for path in rows["amount"].paths)
            price: Money | None = None if deleted else self.value(rows["unit_price"], scope, f"{prefix}.unit_price")
            if price is not None:
                negative = negative or price.minor < 0
                amount = self.extended(price, abs(Decimal(1) if quantity is None else quantity), rows, scope)
        if len(self.problems) > before:
            return None
        where = rows["amount"].paths[0]
        if amount is None and kind == Kind.VOID:
            return Money(minor=0, currency=self.context.currency)  # it names what it takes back, not how much
        if amount is None:
            fix = "price the line in the sending system, or map the field that carries its price"
            self.problem(where, scope, "no amount: priced elsewhere", fix)
            return None
        if abs(amount.minor) >= _LARGEST:
            self.problem(where, scope, "the amount is beyond belief", "correct the message")
            return None
        negative = negative or amount.minor < 0
        if negative == (amount.minor < 0):
            return amount
        return Money(minor=-amount.minor, currency=amount.currency)

    def extended(self, price: Money, quantity: Decimal, rows: dict[str, Row], scope: Scope) -> Money | None:
        with localcontext(prec=60):  # the default 28 digits would round without a word
            try:
                return Money.of(abs(price.amount) * quantity, price.currency)
            except ValueError as error:
                self.problem(rows["unit_price"].paths[0], scope, f"price × quantity: {error}", "ask for FT1-11")
        return None
