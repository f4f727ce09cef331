"""Twelve sites that write the same things differently."""

# ruff: noqa: RUF012 - tables of a class, which nobody changes

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from shapes import wire
from shapes.site import Ft1, Site
from shapes.truth import Account, Item, Person

#: Happens everywhere: sent again, sent in training, without lines, with what a person must decide.
_EVERYWHERE = {"visit": 5, "resend": 2, "resend_new_id": 2, "unknown": 2, "training": 1, "no_lines": 1, "deceased": 1}
_MONEY = {"unpriced": 1, "foreign": 1}
_BACK = {"take_back": 4, "correct": 3}
_PLACES = {
    "account": "PID-18", "patient.family": "PID-5.1", "patient.given": "PID-5.2", "patient.contacts": "PID-13",
    "guarantor.family": "GT1-3.1", "guarantor.contacts": "GT1-6", "kind": "FT1-6", "amount": "FT1-11",
    "reference": "FT1-2", "service_date": "FT1-4", "code": "FT1-7.1",
}  # fmt: skip


class Lakeside(Site):
    name = "lakeside"
    why = "the shipped map: full prices as CG, the patient's part as CO, taken back by a negative CO"
    map, share, pays = "hl7v2-dft", "copay", "part"
    targets = _PLACES
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk_exact": 2, "paid_online": 2}

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        part = self.ft1(item, "CO", item.owed, reference=f"{item.reference}C")
        part.fields[10] = 1
        return [self.ft1(item, "CG", item.price), part]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        taken = self.ft1(item, "CO", -item.owed, reference=f"{item.reference}C")
        taken.fields[10] = -1
        return [taken]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PY", amount, item.day, f2=f"{item.reference}P")]


class Harbour(Site):
    name = "harbour"
    why = "a dentist: 1 and -1, decimal commas, line feeds, the account in PV1-19, no transaction ids"
    map, share, pays = "harbour.yaml", "all", "all"
    version, kind, end = "2.3", "DFT^P03", "\n"
    targets = {**_PLACES, "account": "PV1-19", "unit_price": "FT1-12"}
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk": 3}

    def money(self, minor: int) -> str:
        return wire.decimal(minor, ",")

    def phone(self, person: Person) -> str:
        return f"({person.phone[2:5]}) {person.phone[5:8]}-{person.phone[8:]}"

    def patient(self, account: Account, dead: bool) -> dict[int, Any]:
        fields = super().patient(account, dead)
        del fields[18]
        return fields

    def visit(self, account: Account) -> dict[int, Any]:
        return {1: 1, 2: "O", 19: account.number}

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "1", item.price, reference="")]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "-1", -item.price, reference="")]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("9", amount, item.day)]


class Orchard(Site):
    name = "orchard"
    why = "CH is a charge, CG with a negative quantity takes it back; FT1-15 is what insurance pays, and 0 says nothing"
    map, share, pays = "hl7v2-dft-ch-cg", "net_of_insurance", "net"
    version, kind = "2.4", "DFT^P03"
    targets = {**_PLACES, "insurance": "FT1-15"}
    events = {**_EVERYWHERE, **_MONEY, **_BACK}

    def money(self, minor: int) -> str:
        return wire.decimal(minor)

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "CH", item.price, f15=wire.decimal(item.insurance) if item.insurance else "0")]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        taken = self.ft1(item, "CG", item.price, f15=wire.decimal(item.insurance) if item.insurance else "0")
        taken.fields[10] = -item.quantity
        return [taken]


class Millbrook(Site):
    name = "millbrook"
    why = "D and P; the price of one unit in FT1-22; only self-pay visits (PV1-20) are the patient's"
    map, share, pays = "millbrook.yaml", "self_pay", "self"
    options = {"self_pay_classes": ["SP"]}
    version, kind = "2.4", "DFT^P03"
    targets = {**_PLACES, "unit_price": "FT1-22", "quantity": "FT1-10", "financial_class": "PV1-20"}
    events = {**_EVERYWHERE, **_BACK, "desk": 3}

    def visit(self, account: Account) -> dict[int, Any]:
        return {1: 1, 2: "O", 20: "COM^20260101" if account.insured else "SP^20260101"}

    def fee(self, item: Item, kind: str, sign: int) -> list[Ft1]:
        found = self.ft1(item, kind, 0, f22=wire.decimal(item.price // item.quantity))
        found.fields |= {10: sign * item.quantity, 11: ""}
        return [found]

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return self.fee(item, "D", 1)

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return self.fee(item, "D", -1)

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("P", amount, item.day, f2=f"{item.reference}P")]


class Tidewater(Site):
    name = "tidewater"
    why = "FT1 has no amount: ZF1 after it says in cents what the patient owes"
    map, share, pays = "hl7v2-dft-cents-zf1", "all", "part"
    version, kind = "2.5", "DFT^P03"
    targets = {**_PLACES, "amount": "ZF1-5"}
    events = {**_EVERYWHERE, **_BACK, "unpriced": 1}

    def time(self, moment: dt.datetime) -> str:
        return moment.strftime("%Y%m%d%H%M")

    def priced(self, account: Account, item: Item, kind: str) -> list[Ft1]:
        found = self.ft1(item, kind, 0)
        found.fields |= {3: "B0406", 11: ""}
        rest = item.price - item.owed
        fields = {1: account.number, 2: "TIDE", 3: item.price, 4: rest, 5: item.owed, 6: rest}
        found.after = [wire.segment("ZF1", fields)]
        return [found]

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return self.priced(account, item, "CG")

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return self.priced(account, item, "CD")

    def unpriced(self, account: Account, item: Item) -> list[Ft1]:
        found = self.lines(account, item)
        found[0].after = []
        return found


class Riverbend(Site):
    name = "riverbend"
    why = "a Z segment states what the patient owes in all; types of lines mean nothing to us"
    map, share, pays = "hl7v2-dft-balance-zbl", "balance", "part"
    version, kind = "2.4", "DFT^P03"
    targets = {**_PLACES, "balance": "ZBL-2"}
    knows_copies = True
    events = {**_EVERYWHERE, **_BACK, "desk": 3, "insurer": 2, "unknown": 0}

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "CHG", item.price)]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "REV", item.price)]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PMT", amount, item.day)]

    insurer = desk

    def tail(self, account: Account) -> list[str]:
        return [*super().tail(account), wire.segment("ZBL", {1: 1, 2: wire.decimal(account.due)})]


class Clark(Site):
    name = "clark"
    why = "VistA's delimiters, no transaction ids, co-payments; the desk writes PY of the same amount"
    map, share, pays = "hl7v2-dft", "copay", "part"
    version, kind, swapped = "2.4", "DFT^P03", True
    targets = _PLACES
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk_exact": 3}

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        part = self.ft1(item, "CO", item.owed, reference="")
        part.fields[10] = 1
        return [self.ft1(item, "CG", item.price, reference=""), part]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        taken = self.ft1(item, "CO", -item.owed, reference="")
        taken.fields[10] = 1
        return [taken]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PY", amount, item.day)]


class Kiel(Site):
    name = "kiel"
    why = "DFT^P11 in Latin-1: euros with commas, own codes, and the payer named after each line"
    map, share, pays = "kiel.yaml", "copay", "part"
    currency, region, timezone = "EUR", "DE", "Europe/Berlin"
    version, kind, encoding = "2.5", "DFT^P11^DFT_P11", "latin-1"
    targets = _PLACES
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk": 2}

    def header(self) -> dict[str, str]:
        return {"f18": "8859/1"}

    def money(self, minor: int) -> str:
        return wire.decimal(minor, ",")

    def code(self, item: Item) -> str:
        return f"{item.code}^Maßnahme {item.text}^L"

    def tail(self, account: Account) -> list[str]:
        return []

    def group(self, account: Account) -> list[str]:
        return [wire.segment("GT1", self.guarantor(account.guarantor))] if account.guarantor else []

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        part = self.ft1(item, "ZUZ", item.owed, reference=f"{item.reference}Z")
        part.fields[10] = 1
        return [self.ft1(item, "LST", item.price), part]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        # The whole line group is cancelled: the service and the patient's part of it.
        part = self.ft1(item, "STO", item.owed, reference=f"{item.reference}Z")
        return [self.ft1(item, "STO", item.price), part]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("BAR", amount, item.day, f2=f"{item.reference}B")]


class Windrow(Site):
    name = "windrow"
    why = "columns that slipped: amount in FT1-7, code in FT1-22; a rule of its own for self-pay visits"
    map, pays = "hl7v2-dft-shifted", "self"
    share: ClassVar[Any] = {"when": "financial_class == 'SELF'"}
    version, kind, end = "2.3", "DFT^P03", "\r\n"
    targets = {**_PLACES, "amount": "FT1-7", "code": "FT1-22.1", "financial_class": "PV1-20"}
    events = {**_EVERYWHERE, **_BACK}

    def visit(self, account: Account) -> dict[int, Any]:
        return {1: 1, 2: "O", 20: "PLAN" if account.insured else "SELF"}

    def slipped(self, item: Item, kind: str, amount: int) -> list[Ft1]:
        found = self.ft1(item, kind, 0, f3="204", f9="Units", f22=self.code(item))
        found.fields |= {7: wire.decimal(amount), 8: item.quantity, 10: "", 11: ""}
        return [found]

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return self.slipped(item, "CG", item.price)

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return self.slipped(item, "CD", item.price)


class Quarry(Site):
    name = "quarry"
    why = "a Z segment after each line says who pays it; the same transaction id again replaces the line"
    map, pays = "quarry.yaml", "flagged"
    share: ClassVar[Any] = {"when": "my.payer == 'PAT'"}
    targets = {**_PLACES, "my.payer": "ZPR-2"}
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk": 3, "paid_online": 2}

    def flagged(self, item: Item, kind: str, amount: int, reference: str | None = None) -> list[Ft1]:
        found = self.ft1(item, kind, amount, reference=reference)
        found.after = [wire.segment("ZPR", {1: 1, 2: "PAT" if item.owed else "INS"})]
        return [found]

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return self.flagged(item, "CG", item.price)

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return self.flagged(item, "CG", 0)

    def corrected(self, account: Account, old: Item, new: Item) -> list[Ft1]:
        new.reference = old.reference
        return self.flagged(new, "CG", new.price)

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PP", amount, item.day, f2=f"{item.reference}P")]


class Fairview(Site):
    name = "fairview"
    why = "VD voids and RP replaces what has the same transaction id; PI is an insurer's payment, PP the patient's"
    map, share, pays = "fairview.yaml", "copay", "part"
    version = "2.8"
    targets = {**_PLACES, "patient.contacts": "PID-40"}
    events = {**_EVERYWHERE, **_MONEY, **_BACK, "desk": 3, "insurer": 2, "paid_online": 2}

    def patient(self, account: Account, dead: bool) -> dict[int, Any]:
        fields = super().patient(account, dead)
        return fields | {13: "", 40: fields[13]}

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        part = self.ft1(item, "CO", item.owed, reference=f"{item.reference}C")
        part.fields[10] = 1
        return [self.ft1(item, "CG^Charge^HL70017", item.price), part]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "VD", 0), self.ft1(item, "VD", 0, reference=f"{item.reference}C")]

    def desk(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PP", amount, item.day, f2=f"{item.reference}P")]

    def insurer(self, account: Account, amount: int, item: Item) -> list[Ft1]:
        return [self.payment("PI", amount, item.day, f2=f"{item.reference}I")]


class Boreas(Site):
    name = "boreas"
    why = "version 2.1: no event in MSH-9, amount before quantity; the account number as transaction id, six decimals"
    map, share, pays = "hl7v2-dft", "all", "all"
    version, kind = "2.1", "DFT"
    targets = {**_PLACES, "amount": "FT1-10", "quantity": "FT1-11"}
    events = {**_EVERYWHERE, **_MONEY, **_BACK}

    def money(self, minor: int) -> str:
        return wire.decimal(minor, digits=6)

    def phone(self, person: Person) -> str:
        return f"{person.phone[2:5]} {person.phone[5:8]} {person.phone[8:]}"

    def ft1(self, item: Item, kind: str, amount: int, *, reference: str | None = None, **more: Any) -> Ft1:
        return _first(super().ft1(item, kind, amount, reference=reference, **more))

    def unpriced(self, account: Account, item: Item) -> list[Ft1]:
        found = self.lines(account, item)
        found[0].fields[10] = ""
        return found

    def foreign(self, account: Account, item: Item) -> list[Ft1]:
        found = self.lines(account, item)
        found[0].fields[10] = f"{wire.decimal(item.price)}^CHF"
        return found

    def lines(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "CG^Charge^HL70017", item.price, reference=account.number)]

    def back(self, account: Account, item: Item) -> list[Ft1]:
        return [self.ft1(item, "CD^Credit^HL70017", item.price, reference=account.number)]


def _first(line: Ft1) -> Ft1:
    """Put the amount before the quantity, as version 2.1 has them."""
    line.fields |= {10: line.fields[11], 11: line.fields[10]}
    return line


SITES: tuple[Site, ...] = (
    Lakeside(), Harbour(), Orchard(), Millbrook(), Tidewater(), Riverbend(), Clark(), Kiel(), Windrow(), Quarry(),
    Fairview(), Boreas(),
)  # fmt: skip
