"""The values that cross the wire boundary: what a map reads from a message, and what a map writes into one.

Pure data, frozen. Amounts are integers of minor units (cents) with their ISO 4217 code; never a float.
"""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from babel.numbers import list_currencies
from pydantic import BaseModel, ConfigDict, SkipValidation


class Value(BaseModel):
    """Base of all values here: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: ISO 4217 minor units where they are not 2. CLDR's digits, which Babel knows, are about shops: it has none for RSD.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_MINOR_UNITS = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


@lru_cache(maxsize=256)
def exponent(currency: str) -> int:
    """Return the number of minor-unit digits of an ISO 4217 code: 2 for USD, 0 for JPY, 3 for KWD.

    Raises ValueError for what is no currency code.
    """
    if currency not in list_currencies():
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code")
    return _MINOR_UNITS.get(currency, 2)


class Money(Value):
    """An exact amount: `minor` units (may be negative) of `currency` (ISO 4217)."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> Money:
        """Make money from a decimal amount of major units.

        Raises ValueError when the amount has more digits than the currency has minor units: 12.345 USD is refused,
        12.3400 USD is 12.34.
        """
        scaled = amount.scaleb(exponent(currency))
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{amount} has more decimals than {currency} has")
        return cls(minor=int(scaled), currency=currency)

    @property
    def amount(self) -> Decimal:
        """The amount in major units, with exactly the currency's number of decimals."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class Contact(Value):
    """One way to reach a person."""

    kind: Literal["phone", "email"]
    value: str  #: E.164 (+16085550148) or an e-mail address
    mobile: bool | None = None  #: None: the sender did not say


#: Who may be written to about an account.
Role = Literal["patient", "guarantor", "household", "bill_to", "insured"]
ROLES: tuple[Role, ...] = get_args(Role)


class Party(Value):
    """A person in a message: the patient, the guarantor who pays, or who else may be written to."""

    role: Role
    family: str = ""
    given: str = ""
    contacts: tuple[Contact, ...] = ()  #: in the order in which they should be tried
    birth_date: dt.date | None = None  #: by which somebody shows who they are
    language: str = ""  #: ISO 639-1, in lower case; "" when the sender did not say

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}".strip()


class Kind(enum.StrEnum):
    """What a line of money means, after the map's table has spoken (HL7 table 0017 is user-defined)."""

    CHARGE = "charge"  #: full price before insurance
    CREDIT = "credit"  #: takes a charge back
    ADJUSTMENT = "adjustment"  #: lowers when negative; positive is ambiguous between sites
    COPAY = "copay"  #: the patient's own part, still owed
    PAYMENT = "payment"  #: money already paid elsewhere (the desk, an insurer)
    PATIENT_PAYMENT = "patient_payment"  #: the same, and it is certain that the patient paid it
    VOID = "void"  #: takes back every counted line with the same Transaction ID (FT1-2)
    REPLACEMENT = "replacement"  #: takes them back too, and is a charge itself


class Charge(Value):
    """One line read from a message. `amount` is signed once: positive raises what is owed, negative lowers it.

    However many signs the sender used (negative amount, negative quantity, a credit type), they count as one.
    """

    #: 1-based position of the FT1 in the message, with which it is the line's identity. An Invoice has its total as 1,
    #: and as 2 the patient's own part of that total, where its sender says one
    ordinal: int
    kind: Kind
    amount: Money
    insurance: Money | None = None  #: FT1-15, what insurance is expected to cover; None when empty
    reference: str = ""  #: FT1-2 Transaction ID, often empty or the same on every line
    payment_reference: str = ""  #: FT1-30 Payment Reference ID (v2.5+)
    service_date: dt.date | None = None  #: FT1-4, in the site's own calendar
    code: str = ""  #: FT1-7.1
    provider: str = ""  #: FT1-20.1, whose work it was; the same id as in the configuration's users
    description: str = ""  #: FT1-7.2, FT1-8; health information: never leaves for a provider or an SMS
    guarantor: Party | None = None  #: who pays this line, where a P11 says so inside the FT1's own group
    my: dict[str, str] = {}  #: the site's own values (targets `my.…` under `charge:`), for conditions


class Problem(Value):
    """One reason why a message cannot be read, or a posting not be written, and what to do about it."""

    path: str  #: where: "FT1[2]-11.1"
    cause: str  #: what is wrong: fields, codes and rules; never a value of a person
    fix: str = ""  #: what a person can do

    def __str__(self) -> str:
        return f"{self.path}: {self.cause}" + (f" ({self.fix})" if self.fix else "")


class Identifier(Value):
    """A chart identifier as it came, to be written back unchanged (CX: components .1, .4, .5)."""

    value: str
    authority: str = ""
    type: str = ""


class TraceLine(NamedTuple):
    """Where one value came from, for `chartpost trace`. There are thirty in a message, so it is a bare tuple."""

    target: str  #: "charges[1].amount"
    path: str  #: the path that had a value: "FT1[1]-11.1", or "" for a default
    raw: str  #: as it stood in the message
    value: str  #: after the transforms


class Stop(NamedTuple):
    """Why nobody may be asked for this, by a rule of the map: a person decides."""

    cause: str  #: a word: deceased, confidential, collections …
    text: str  #: one sentence without a person's data


class Merge(Value):
    """One patient record that another takes over (ADT A18, A34, A40): MRG has the prior one, PID the one that stays."""

    prior: tuple[Identifier, ...]  #: MRG-1
    patient: Party  #: who stays
    chart: dict[str, str] = {}  #: fields of that PID, as in Reading
    deleted: frozenset[str] = frozenset()  #: as in Reading
    account: str = ""  #: PID-18.1
    prior_account: str = ""  #: MRG-3.1


class Reading(Value):
    """All that a map found in one message that concerns money. Either whole or not at all."""

    type: str = ""  #: "DFT^P03", "Invoice"
    account: str = ""  #: account number; "" when the message has none (it is then held)
    namespace: str = ""  #: the system of a FHIR identifier: together with the number it names the account
    status: str = ""  #: of a FHIR Invoice: draft, issued, balanced, cancelled, entered-in-error; "" for a DFT
    patient: Party
    guarantor: Party | None = None
    others: dict[str, Party] = {}  #: who else may be written to, by role: household, bill_to, insured
    #: whether those who may be asked agreed to be written to, by channel (sms, email), where the message says so
    consent: dict[str, bool] = {}
    #: what the chart needs to find the patient again: ER7 text of fields in standard delimiters, keyed "PID-3",
    #: "PID-5", "PID-18", "PV1-19"; from FHIR also "Invoice.id", "Invoice.identifier" and "Patient.identifier"
    #: ("system|value"), "Patient.reference", "Account.reference" ("Patient/12" or an absolute URL)
    chart: dict[str, str] = {}
    financial_class: str = ""  #: PV1-20.1
    balance: Money | None = None  #: an absolute account balance, where the map reads one
    charges: tuple[Charge, ...] = ()
    my: dict[str, str] = {}  #: the site's own values (targets `my.…` under `message:`), for conditions
    skipped: str = ""  #: not "": by a condition of the map the whole message is nothing for us, for this reason
    stops: tuple[Stop, ...] = ()
    #: what `""` deletes, by role: "patient.name", "patient.contacts", "guarantor.birth_date" … Empty is no change
    deleted: frozenset[str] = frozenset()
    merges: tuple[Merge, ...] = ()  #: of an ADT that says so
    ignored: tuple[str, ...] = ()  #: lines left out, each with its reason
    missing: tuple[str, ...] = ()  #: FHIR references ("Patient/12") that say more of the payer, and were not at hand
    trace: SkipValidation[tuple[TraceLine, ...]] = ()  #: checking thirty lines again costs as much as reading them


class Posting(Value):
    """One movement of money to be told to one destination."""

    kind: Literal["payment", "refund", "dispute"]
    posting_id: str  #: 12 characters, fits FT1-2
    control_id: str  #: MSH-10 of the message that carries it (20 characters at most)
    amount: Money  #: positive: what moved
    paid_at: dt.datetime  #: aware, UTC
    posted_at: dt.datetime  #: aware, UTC
    timezone: str  #: IANA zone of the facility: dates on the wire are local
    medium: str  #: "card/visa", "card/mastercard", …: the map's table turns it into the site's code
    provider_reference: str  #: the provider's id of the payment: FT1-30 from 2.5
    account: str
    predecessor: str = ""  #: the posting that told this destination of the payment that is taken back
    batch: str = ""  #: FT1-3: under which control total the destination finds it
    facility: str = ""  #: its name as people know it
    chart: dict[str, str] = {}  #: as in Reading
    sending: tuple[str, str] = ("CHARTPOST", "")  #: MSH-3, MSH-4
    receiving: tuple[str, str] = ("", "")  #: MSH-5, MSH-6
    processing_id: str = "P"  #: MSH-11
