"""The invented truth: what was done, what of it the patient owes, and what became of it. It knows no message.

Labels come from here and never from our reader. Amounts are integers of minor units.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

#: Invented services: code, name, lowest and highest price.
SERVICES = (
    ("SV101", "Office visit", 8_000, 21_000),
    ("SV115", "Longer visit", 15_000, 30_000),
    ("SV230", "Blood panel", 2_400, 9_000),
    ("SV311", "X-ray", 6_000, 18_000),
    ("SV352", "Ultrasound", 11_000, 42_000),
    ("SV408", "Vaccination", 2_500, 7_000),
    ("SV477", "Small surgery", 30_000, 120_000),
    ("SV520", "Physiotherapy", 3_000, 8_500),
    ("SV606", "Dressing", 800, 3_900),
)
FAMILIES = ("Ashdown", "Brightwell", "Corrigan", "Dunmore", "Ellery", "Fairfax", "Goodwin", "Hathaway", "Ilves")
GIVEN = ("Ada", "Bruno", "Cleo", "Dario", "Edda", "Fabian", "Greta", "Henrik", "Ines", "Jonas")


class Person(NamedTuple):
    """Somebody invented."""

    family: str
    given: str
    phone: str  #: E.164, 555-01xx
    birth: str


@dataclass(slots=True)
class Item:
    """One thing that was done, on one day."""

    code: str
    text: str
    price: int  #: of all of it
    owed: int  #: the patient's part
    insurance: int  #: what insurance is expected to pay
    quantity: int
    day: dt.date
    reference: str  #: the sender's transaction id
    alive: bool = True


@dataclass(slots=True)
class Account:
    """One account of one patient at one site."""

    number: str
    patient: Person
    guarantor: Person | None
    insured: bool
    day: dt.date
    items: list[Item] = field(default_factory=list)
    paid: int = 0
    unclear: bool = False  #: something was sent that a person must decide: what lowers the account waits behind it
    stopped: bool = False  #: nobody may be asked any more
    waiting: int = 0  #: by how much what waits would change what is owed

    @property
    def owed(self) -> int:
        """What the patient owes now."""
        return max(0, self.due)

    @property
    def most(self) -> int:
        """What may be asked for at most: as long as what lowers it waits for a person, it may be more than is owed."""
        return max(self.owed, self.due - self.waiting)

    @property
    def due(self) -> int:
        """The same, negative where too much was paid."""
        return sum(item.owed for item in self.items if item.alive) - self.paid

    @property
    def payer(self) -> str:
        return (self.guarantor or self.patient).phone

    @property
    def standing(self) -> list[Item]:
        return [item for item in self.items if item.alive]


class Label(NamedTuple):
    """One message, and what is true once it has been sent."""

    event: str
    body: bytes
    account: str
    owed: int  #: what the patient owes on this account, as far as anybody can know from what was sent
    most: int  #: what may be asked for at most: more than `owed` only while what lowers it waits for a person
    payer: str  #: who is to be asked, E.164
    decide: bool  #: a person must decide what this message means, or when it may count
    rightful: bool  #: it changed what is owed, and somebody is to be asked for exactly that
    pay: tuple[int, str] | None = None  #: paid through us before this message: amount and the card service's reference


class Truth:
    """Invents people, accounts and services, the same ones for the same seed."""

    def __init__(self, random: Random, prefix: str, pays: str) -> None:
        """`pays`: what of a price is the patient's at this site: all, part, net, self or flagged."""
        self.random, self.prefix, self.pays = random, prefix, pays
        self._people = self._items = 0

    def account(self, number: int) -> Account:
        child = self.random.random() < 0.4
        return Account(
            number=f"{self.prefix}{number:05d}",
            patient=self.person(child),
            guarantor=self.person(False) if child else None,
            insured=self.random.random() < 0.4,
            day=dt.date(2026, 3, 2) + dt.timedelta(days=self.random.randrange(40)),
        )

    def person(self, child: bool) -> Person:
        self._people += 1
        year = self.random.randrange(2012, 2020) if child else self.random.randrange(1940, 1998)
        birth = f"{year}0{self.random.randrange(1, 9)}15"
        phone = f"+1{self.random.choice(('608', '312', '414'))}55501{self._people % 100:02d}"
        return Person(self.random.choice(FAMILIES), self.random.choice(GIVEN), phone, birth)

    def item(self, account: Account, taken: set[str]) -> Item:
        """Do something for a patient: a code that is not in `taken`."""
        code, text, low, high = self.random.choice([found for found in SERVICES if found[0] not in taken])
        self._items += 1
        quantity = self.random.choice((1, 1, 1, 2, 3))
        price = self.random.randrange(low, high, 50) * quantity
        insurance = price * self.random.choice((50, 70, 80)) // 100
        match self.pays:
            case "all":
                owed = price
            case "part":
                owed = min(price, self.random.choice((1_000, 1_500, 2_000, 2_500, 4_000, 5_550)))
            case "net":
                insurance = self.random.choice((0, insurance, insurance))  # 0 is a filler: nobody knows yet
                owed = price - insurance if insurance else 0
            case "self":
                owed = 0 if account.insured else price
            case _:  # flagged, line by line
                owed = price if self.random.random() < 0.6 else 0
        return Item(code, text, price, owed, insurance, quantity, account.day, f"{self.prefix}T{self._items:06d}")
