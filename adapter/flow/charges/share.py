"""The patient's share of a line, by the rule that the source states. Pure; it is never guessed (design decision 7).

A charge that is not said to be the patient's is recorded on the trace and never asked for. A credit, adjustment or
payment from elsewhere counts if it passes the same rule or takes a counted line back; otherwise a person decides. What
the patient paid elsewhere, and the map says so, counts under every rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chartpost.adapter.ledger.reversals import Line, match
from chartpost.adapter.settings import ShareRule
from chartpost.mappings.chain import Rejected
from chartpost.mappings.conditions import CHARGE, charge_values, compile_condition
from chartpost.mappings.model import Charge, Kind, Reading

Rule = Literal["all", "copay", "self_pay", "net_of_insurance", "balance"] | ShareRule


@dataclass(frozen=True, slots=True)
class Share:
    """What one line means for the account: an amount (minor units, signed), or none; and why."""

    amount: int | None
    why: str
    problem: str = ""  #: not "": the whole message is held for this
    fix: str = ""
    takes_back: bool = False  #: a counted line, exactly: that is what tells it from one sent twice


def share(rule: Rule, charge: Charge, reading: Reading, self_pay_classes: Sequence[str]) -> Share:
    """Return what the rule alone says of a line; `amount` None means that the rule does not count it."""
    amount = charge.amount.minor
    if charge.kind is Kind.PATIENT_PAYMENT and rule != "balance":
        return Share(amount, "the patient paid it elsewhere")
    if isinstance(rule, ShareRule):
        return _by_condition(rule, charge, reading)
    match rule:
        case "all":
            return Share(amount, "this source bills patients only (share: all)")
        case "copay":
            if charge.kind is Kind.COPAY:
                return Share(amount, "a co-payment (share: copay)")
            return Share(None, f"a {charge.kind} is not the patient's here (share: copay)")
        case "self_pay":
            if reading.financial_class and reading.financial_class in self_pay_classes:
                return Share(amount, "a self-pay visit (share: self_pay)")
            return Share(None, "the visit's financial class is not self-pay (share: self_pay)")
        case "net_of_insurance":
            if charge.insurance is None or charge.insurance.minor <= 0:
                return Share(None, "it states no insurance amount (share: net_of_insurance)")
            if charge.insurance.currency != charge.amount.currency:
                return _two_currencies(charge.insurance.currency, charge.amount.currency)
            sign = 1 if amount >= 0 else -1
            return Share(sign * max(0, abs(amount) - charge.insurance.minor), "amount less insurance")
        case "balance":
            return Share(None, "this source restates the balance (share: balance)")


def _two_currencies(insurance: str, line: str) -> Share:
    text = f"its insurance amount is in {insurance}, another currency than the line's ({line})"
    return Share(None, text, text, "ask the sender which currency it means, or state it in the map: money USD")


def _by_condition(rule: ShareRule, charge: Charge, reading: Reading) -> Share:
    """Return what a site's own rule says. More than the line, or the other sign, is never what it means."""
    values = charge_values(reading, charge)
    try:
        if not compile_condition(rule.when, CHARGE).holds(values):
            return Share(None, f"the patient's is only what is `{rule.when}` (share)")
        amount = charge.amount.minor
        if rule.amount is not None:
            told = compile_condition(rule.amount, CHARGE)
            covered = charge.insurance
            if covered is not None and covered.currency != charge.amount.currency and "insurance" in told.names:
                return _two_currencies(covered.currency, charge.amount.currency)
            amount = told.amount(values)
    except Rejected as error:
        return Share(None, error.cause, error.cause, error.fix)
    if amount and (abs(amount) > abs(charge.amount.minor) or (amount < 0) != (charge.amount.minor < 0)):
        text = f"`{rule.amount}` gives more than the line, or the other sign"
        return Share(None, text, text, "correct `share` of the source; then retry this hold")
    return Share(amount, f"`{rule.when}` (share)")


def judge(
    rule: Rule, charge: Charge, reading: Reading, self_pay_classes: Sequence[str], line: Line, counted: Sequence[Line]
) -> Share:
    """Return what a line means for the account whose counted lines are `counted`; `line` is the line itself.

    Marks the line that it takes back.
    """
    own = share(rule, charge, reading, self_pay_classes)
    if charge.kind is Kind.ADJUSTMENT and charge.amount.minor > 0 and rule != "balance":
        return Share(
            None, own.why, "an adjustment with a positive amount: sites disagree whether it raises or lowers",
            "say so in the map's table: give its code the meaning charge or credit",
        )  # fmt: skip
    if charge.amount.minor >= 0 or rule == "balance":
        return own
    # The ledger knows the patient's part only, so that is what a line takes back.
    line.amount = charge.amount.minor if own.amount is None else own.amount
    if match(line, counted):
        why = own.why if own.amount is not None else "takes a counted line back"
        return Share(line.amount, why, takes_back=True)
    if own.amount is not None:
        return own
    return Share(
        None, own.why, f"a {charge.kind} that neither passes the rule of the source nor takes a counted line back",
        "if it lowers what the patient owes, credit the account by hand; else dismiss the hold",
    )  # fmt: skip
