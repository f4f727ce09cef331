"""The two resources that say what is billed, each with its statuses: a map of FHIR reads the one or the other.

An Invoice states a whole. A ChargeItem states one line of an account, and says which account that is.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BILLED", "CHARGE_ITEM", "INVOICE", "Billed", "billed"]


class Billed(NamedTuple):
    """What tells one of them from the other."""

    name: str  #: the type of the resource
    article: str  #: "an Invoice", for sentences
    statuses: tuple[str, ...]  #: those that we take; any other one is a person's to judge
    asks: frozenset[str]  #: those that say that its amount counts
    unpriced: str  #: what is wrong where one of these states no amount
    fix: str


#: Value set invoice-status, the same in R4, R4B and R5. A total is never made from lines: the signs of deductions vary.
INVOICE = Billed(
    "Invoice", "an Invoice",
    ("draft", "issued", "balanced", "cancelled", "entered-in-error"), frozenset({"issued"}),
    "an issued Invoice without a total", "send totalGross or totalNet; it is never made from the lines",
)  # fmt: skip
#: Value set chargeitem-status, the same in R4, R4B and R5. `unknown` is left out: who sends it does not know either.
CHARGE_ITEM = Billed(
    "ChargeItem", "a ChargeItem",
    ("planned", "billable", "billed", "not-billable", "aborted", "entered-in-error"), frozenset({"billable", "billed"}),
    "no amount: priced elsewhere",
    "price it in the sending system (priceOverride; in R5 totalPriceComponent or unitPriceComponent), or map the "
    "element that carries its price",
)  # fmt: skip
BILLED = {one.name: one for one in (INVOICE, CHARGE_ITEM)}


def billed(messages: frozenset[str]) -> Billed:
    """Return what a map of FHIR with these `messages` reads."""
    return CHARGE_ITEM if CHARGE_ITEM.name in messages else INVOICE
