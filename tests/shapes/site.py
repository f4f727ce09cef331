"""A site: how it writes charges, corrections and payments. Here is what all share; the sites are in sites.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from shapes import wire
from shapes.truth import Account, Item, Person


@dataclass(slots=True)
class Ft1:
    """One line: the fields of its FT1 from FT1-2 on, and the segments after it."""

    fields: dict[int, Any]
    after: list[str] = field(default_factory=list)


class Site:
    """How one site writes. Subclasses say what is different."""

    name: ClassVar[str]
    why: ClassVar[str]  #: one sentence: what is special here
    map: ClassVar[str]  #: shipped, or a file of samples/maps
    share: ClassVar[Any]
    pays: ClassVar[str]  #: as in truth.Truth
    #: target → the path where this site has it: what somebody who writes its map must find
    targets: ClassVar[dict[str, str]]
    options: ClassVar[dict[str, Any]] = {}  #: of its source
    currency: ClassVar[str] = "USD"
    region: ClassVar[str] = "US"
    timezone: ClassVar[str] = "America/Chicago"
    version: ClassVar[str] = "2.5.1"
    kind: ClassVar[str] = "DFT^P03^DFT_P03"
    end: ClassVar[str] = "\r"
    swapped: ClassVar[bool] = False
    encoding: ClassVar[str] = "utf-8"
    #: what it states shows that an old message was sent once more
    knows_copies: ClassVar[bool] = False
    #: what happens here, and how often
    events: ClassVar[dict[str, int]] = {}

    # ------------------------------------------------------------------------------------------- what a site may change

    def money(self, minor: int) -> str:
        return f"{wire.decimal(minor)}&{self.currency}"

    def phone(self, person: Person) -> str:
        return f"^PRN^CP^^1^{person.phone[2:5]}^{person.phone[5:]}"

    def code(self, item: Item) -> str:
        return f"{item.code}^{item.text}^L"

    def ft1(self, item: Item, kind: str, amount: int, *, reference: str | None = None, **more: Any) -> Ft1:
        """Return one line; `more` is `f15="…"`."""
        fields: dict[int, Any] = {
            2: item.reference if reference is None else reference, 4: item.day.strftime("%Y%m%d"),
            5: item.day.strftime("%Y%m%d"), 6: kind, 7: self.code(item), 10: item.quantity, 11: self.money(amount),
        }  # fmt: skip
        return Ft1(fields | {int(name[1:]): value for name, value in more.items()})

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        """Return what is written when something was done."""
        raise AssertionError("every site says how")

    def back(self, account: Account, item: Item) -> list[Ft1]:
        """Return what is written when it is taken back."""
        raise AssertionError("every site says how")

    def corrected(self, account: Account, old: Item, new: Item) -> list[Ft1]:
        """Return what is written when its price was wrong. `new` has a reference of its own."""
        return [*self.back(account, old), *self.lines(account, new)]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        """Return what is written when the patient pays at the desk; `item` says on which day."""
        raise AssertionError("this site has no desk")

    def insurer(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        """Return what is written when an insurer pays."""
        raise AssertionError("this site writes nothing of insurers")

    def echo(self, account: Account, amount: int, reference: str, day: dt.date) -> list[Ft1]:
        """Return the payment that we posted, as the chart sends it on."""
        return [self.payment("PY", amount, day, f30=reference)]

    def payment(self, kind: str, amount: int, day: dt.date, **more: Any) -> Ft1:
        """Return a line of a payment; `more` is `f2="…"`."""
        fields = {4: day.strftime("%Y%m%d"), 6: kind, 7: "PAID", 11: self.money(amount)}
        return Ft1(fields | {int(name[1:]): value for name, value in more.items()})

    def unknown(self, account: Account, item: Item) -> list[Ft1]:
        """Return a line of a type that nobody explained."""
        found = self.lines(account, item)[-1:]
        found[0].fields[6] = "XQ"
        return found

    def unpriced(self, account: Account, item: Item) -> list[Ft1]:
        """Return what is written when a price is missing."""
        found = self.lines(account, item)
        for line in found:
            line.fields[11] = ""
        return found

    def foreign(self, account: Account, item: Item) -> list[Ft1]:
        """Return a line in a currency that is not the account's, in the next field."""
        found = self.lines(account, item)
        for line in found:
            line.fields |= {11: wire.decimal(item.price), 12: "CHF"}
        return found

    # --------------------------------------------------------------------------------------------------- the message

    def patient(self, account: Account, dead: bool) -> dict[int, Any]:
        person = account.patient
        fields: dict[int, Any] = {
            1: 1, 3: f"M{account.number}^^^{self.name.upper()}^MR", 5: f"{person.family}^{person.given}",
            7: person.birth, 8: "F", 13: self.phone(person), 18: f"{account.number}^^^{self.name.upper()}^AN",
        }  # fmt: skip
        return fields | ({29: "20260401", 30: "Y"} if dead else {})

    def visit(self, account: Account) -> dict[int, Any]:
        return {1: 1, 2: "O"}

    def guarantor(self, person: Person) -> dict[int, Any]:
        return {1: 1, 3: f"{person.family}^{person.given}", 6: self.phone(person), 11: "PAR"}

    def tail(self, account: Account) -> list[str]:
        """Return what stands at the end of the message."""
        return [wire.segment("GT1", self.guarantor(account.guarantor))] if account.guarantor else []

    def group(self, account: Account) -> list[str]:
        """Return what stands after each line."""
        return []

    def time(self, moment: dt.datetime) -> str:
        return moment.strftime("%Y%m%d%H%M%S")

    def message(
        self, account: Account, lines: Sequence[Ft1], control_id: str, sent: dt.datetime, *, mode: str = "P",
        dead: bool = False, recorded: dt.datetime | None = None,
    ) -> bytes:  # fmt: skip
        """Return the bytes. `recorded` is when it happened, where that is earlier than it was sent."""
        header = wire.header(
            self.name.upper(), self.name[:4].upper(), self.time(sent), self.kind, control_id, mode, self.version,
            **self.header(),
        )  # fmt: skip
        segments = [header, wire.segment("EVN", {1: "P03", 2: self.time(recorded or sent)})]
        segments += [wire.segment("PID", self.patient(account, dead)), wire.segment("PV1", self.visit(account))]
        for number, line in enumerate(lines, 1):
            segments += [wire.segment("FT1", {1: number, **line.fields}), *line.after, *self.group(account)]
        segments += self.tail(account)
        return wire.message(segments, end=self.end, swapped=self.swapped, encoding=self.encoding)

    def header(self) -> dict[str, str]:
        """Return further fields of MSH, as in f18="8859/1"."""
        return {}
