"""The clinic's charts: what was charged, what was paid, and which posting may change them. Pure state, no network."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from .wire import Condition, Message, Segment

#: FT1-6 (table 0017) as this clinic writes and reads it
KINDS = {"CG": "charge", "CH": "charge", "CD": "credit", "AJ": "adjustment", "CO": "copay", "PY": "payment"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart. `amount` raises or lowers what it counts for; None: priced elsewhere."""

    kind: str
    text: str
    amount: Decimal | None
    when: str  #: ISO date, or "" where the message had none
    reference: str


@dataclass
class Chart:
    """The account of one visit of one patient."""

    account: str
    name: str
    mrn: str
    birth_date: str = ""
    sex: str = ""
    currency: str = "USD"
    lines: list[Line] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, bool] = field(default_factory=dict)  #: number → whether it may be texted, as last told

    @property
    def owed(self) -> Decimal:
        """What the patient is to pay: the co-payment lines, or, where there are none, everything that was charged."""
        copays = [line for line in self.lines if line.kind == "copay"]
        counted = copays or [line for line in self.lines if line.kind in ("charge", "credit", "adjustment")]
        return sum((line.amount for line in counted if line.amount is not None), Decimal(0))

    @property
    def paid(self) -> Decimal:
        payments = [line.amount for line in self.lines if line.kind == "payment" and line.amount is not None]
        return sum(payments, Decimal(0))

    def json(self) -> dict[str, Any]:
        """Show the chart; amounts are decimal text in major units."""
        return {
            "account": self.account,
            "patient": {"name": self.name, "mrn": self.mrn, "birth_date": self.birth_date, "sex": self.sex},
            "currency": self.currency,
            "lines": [
                {
                    "kind": line.kind,
                    "text": line.text,
                    "amount": None if line.amount is None else f"{line.amount:.2f}",
                    "when": line.when,
                    "reference": line.reference,
                }
                for line in self.lines
            ],
            "owed": f"{self.owed:.2f}",
            "paid": f"{self.paid:.2f}",
            "balance": f"{self.owed - self.paid:.2f}",
            "postings": self.postings,
            "texts": self.texts,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the clinic thinks of a posting: AA, AE or AR. `repeated`: it had it already."""

    code: str
    wrong: Condition | None = None
    repeated: bool = False


class Charts:
    """All accounts of the clinic."""

    def __init__(self) -> None:
        self.charts: dict[str, Chart] = {}
        self._charged: set[tuple[str, ...]] = set()
        self._posted: set[tuple[str, ...]] = set()
        self._transactions: set[tuple[str, str]] = set()  #: (account, FT1-2) of what was posted

    def charge(self, message: Message) -> Chart | None:
        """Put the charges of a DFT of ours on its account; the same message again changes nothing.

        Returns None for a message without an account number.
        """
        pid = message.first("PID")
        account = pid.value(18) or message.first("PV1").value(19)
        if not account:
            return None
        chart = self.charts.setdefault(account, Chart(account, "", ""))
        name = f"{pid.value(5, 2)} {pid.value(5)}".strip()
        chart.name = (name.title() if name.isupper() else name) or chart.name
        chart.mrn = pid.value(3) or chart.mrn
        chart.birth_date = _date(pid.value(7)) or chart.birth_date
        chart.sex = pid.value(8) or chart.sex
        key = _identity(message)
        if key in self._charged:
            return chart
        self._charged.add(key)
        for ft1 in message.all("FT1"):
            line, currency = _line(ft1)
            chart.lines.append(line)
            chart.currency = currency or chart.currency
        return chart

    def post(self, message: Message, now: dt.datetime) -> Verdict:
        """Apply a posting, all of it or nothing. A message that was applied before is accepted and changes nothing."""
        if (verdict := self._refusal(message)) is not None:
            return verdict
        key = _identity(message)
        if key in self._posted:
            return Verdict("AA", repeated=True)
        chart = self.charts[message.first("PID").value(18)]
        entries = message.all("FT1")
        for ft1 in entries:
            if ft1.value(2) and (chart.account, ft1.value(2)) in self._transactions:
                text = "FT1-2 was posted before, by a message with another control id"
                return Verdict("AE", Condition("205", "FT1", 2, text))
        self._posted.add(key)
        for ft1 in entries:
            line, _ = _line(ft1)
            self._transactions.add((chart.account, ft1.value(2)))
            chart.lines.append(line)
            chart.postings.append(
                {
                    "control_id": message.control_id,
                    "transaction": ft1.value(2),
                    "amount": f"{line.amount:.2f}",
                    "paid": _date(ft1.value(4)),
                    "posted": _date(ft1.value(5)),
                    "medium": ft1.value(7),
                    "reference": ft1.value(30),
                    "received_at": now.isoformat(timespec="milliseconds"),
                }
            )
        return Verdict("AA")

    def inform(self, message: Message) -> Verdict:
        """Take an ADT^A31 that says whether a number of a patient may be texted; said again it changes nothing."""
        said = {obx.value(3): obx.value(5) for obx in message.all("OBX")}
        number, wanted = said.get("TEXT-NUMBER", ""), said.get("TEXT-CONSENT", "")
        mine = self.of_patient(message.first("PID").value(3))
        if message.header.value(11) != "P":
            return Verdict("AR", Condition("202", "MSH", 11, "only processing id P is taken here"))
        if not mine:
            return Verdict("AE", Condition("204", "PID", 3, "no such patient"))
        if not number or wanted not in ("Y", "N"):
            return Verdict("AE", Condition("101", "OBX", 5, "TEXT-NUMBER and TEXT-CONSENT (Y or N) are required"))
        key = _identity(message)
        if key in self._posted:
            return Verdict("AA", repeated=True)
        self._posted.add(key)
        for chart in mine:
            chart.texts[number] = wanted == "Y"
        return Verdict("AA")

    def of_patient(self, mrn: str) -> list[Chart]:
        """Return the charts with this record number."""
        return [chart for chart in self.charts.values() if mrn and chart.mrn == mrn]

    def _refusal(self, message: Message) -> Verdict | None:
        msh, pid = message.header, message.first("PID")
        if msh.value(9) != "DFT" or msh.value(9, 2) not in ("P03", ""):
            return Verdict("AR", Condition("200", "MSH", 9, "only DFT^P03 is posted here"))
        if msh.value(11) != "P":
            return Verdict("AR", Condition("202", "MSH", 11, "only processing id P is posted here"))
        if not msh.value(12).startswith("2."):
            return Verdict("AR", Condition("203", "MSH", 12, "only version 2.x is read here"))
        if not message.control_id:
            return Verdict("AE", Condition("101", "MSH", 10, "a control id is required"))
        if not pid.value(18):
            return Verdict("AE", Condition("101", "PID", 18, "an account number is required"))
        if pid.value(18) not in self.charts:
            return Verdict("AE", Condition("204", "PID", 18, "no such account"))
        entries = message.all("FT1")
        if not entries:
            return Verdict("AE", Condition("100", "FT1", 1, "a posting needs at least one FT1"))
        for ft1 in entries:
            if ft1.value(6) != "PY":
                return Verdict("AE", Condition("103", "FT1", 6, "only PY is posted here"))
            if _amount(ft1)[0] is None:
                return Verdict("AE", Condition("102", "FT1", 11, "not an amount"))
        return None


def _identity(message: Message) -> tuple[str, ...]:
    msh = message.header
    return msh.field(3), msh.field(4), msh.field(10)


def _line(ft1: Segment) -> tuple[Line, str]:
    kind = KINDS.get(ft1.value(6), "other")
    amount, currency = _amount(ft1)
    if amount is not None and kind in ("charge", "credit", "copay"):
        # However many signs say so, it is taken back once.
        back = amount < 0 or kind == "credit" or ft1.value(10).startswith("-")
        amount = -abs(amount) if back else abs(amount)
    text = ft1.value(7, 2) or ft1.value(8) or ft1.value(7) or ft1.value(6)
    if kind == "payment":
        text = f"Payment received ({ft1.value(7, 2) or ft1.value(7) or 'no medium given'})"
    return Line(kind, text, amount, _date(ft1.value(4)), ft1.value(30) or ft1.value(2)), currency


def _amount(ft1: Segment) -> tuple[Decimal | None, str]:
    """Read FT1-11, else FT1-12 × FT1-10; and the currency, from the subcomponent or the component beside it."""
    for number in (11, 12):
        text = ft1.value(number)
        if not text:
            continue
        try:
            amount = Decimal(text.replace(",", "."))
            if number == 12:
                amount *= abs(Decimal(ft1.value(10) or "1"))
        except InvalidOperation:
            return None, ""
        if not amount.is_finite():
            return None, ""
        return amount, ft1.value(number, 1, 2) or ft1.value(number, 2)
    return None, ""


def _date(stamp: str) -> str:
    digits = stamp[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 and digits.isdigit() else ""
