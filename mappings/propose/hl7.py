"""A proposal for charges of HL7 v2: each part looks at the same evidence, the ones that take places first."""

from __future__ import annotations

import re

from chartpost.mappings import er7
from chartpost.mappings.dialect import HL7V2
from chartpost.mappings.mapfile import load
from chartpost.mappings.patients import MERGES, UPDATES
from chartpost.mappings.profile import safe_type
from chartpost.mappings.propose import keys, kinds, money, parts, people, reached, things
from chartpost.mappings.propose.lines import Evidence
from chartpost.mappings.propose.model import Candidate, Draft, Row, listed

__all__ = ["draft"]


def draft(messages: list[er7.Message], region: str) -> Draft:
    """Return the proposal for these messages. `region` (ISO 3166): for telephone numbers without a country code."""
    made = Draft()
    evidence = Evidence.of(messages)
    _types(evidence, made)
    if not evidence.cases:
        made.ask("No message holds an FT1: are these the messages with charges?")
        return made
    amount = money.amounts(evidence, made)
    kinds.kinds(evidence, made, amount)
    keys.account(evidence, made)
    things.service_date(evidence, made)
    things.code(evidence, made)
    keys.reference(evidence, made)
    things.description(evidence, made)
    people.names(evidence, made)
    reached.reached(evidence, made, region)
    people.financial_class(evidence, made)
    parts.balance(evidence, made)
    _chart(evidence, made)
    _processing(evidence, made)
    _in_order(made)
    return made


def _types(evidence: Evidence, made: Draft) -> None:
    """Propose the message types: those of the shipped map, and others that bring charges."""
    known = load("hl7v2-dft").messages
    counts: dict[str, int] = {}
    for case in evidence.cases:
        counts[case.type] = counts.get(case.type, 0) + 1
    good = {type for type in counts if HL7V2.messages.fullmatch(type)}
    for type, count in counts.items():
        said = f"{count} messages with charges"
        if type not in good:
            made.ask(
                f"{count} messages with charges have in MSH-9 what is no type: {safe_type(type)}. Which should it be?"
            )
            continue
        if type.startswith("ADT"):
            made.ask(f"{type} brings FT1 in {count} messages. ADT is read for patients only: send charges as DFT^P03.")
            continue
        made.saw("messages", type, "standard" if type in known else "proposed", said)
    more = sorted(type for type in good if type not in known and not type.startswith("ADT"))
    if more:
        made.messages = (*sorted(known), *more)
    for type, count in evidence.others.items():
        if type in UPDATES | MERGES:
            made.saw(
                "messages",
                type,
                "alternative",
                f"{count} messages; read for names and telephone numbers, if it is listed",
            )
        else:
            made.saw("messages", safe_type(type), "alternative", f"{count} messages without charges; left out")


def _chart(evidence: Evidence, made: Draft) -> None:
    """Tell what would be handed back to the chart."""
    for field in ("PID-3", "PID-5", "PID-18", "PV1-19"):
        column = evidence.whole(field)
        filled = column if column.filled or field != "PID-5" else evidence.whole("PID-5.2")
        if filled.filled:
            made.saw(f"chart.{field}", field, "standard", f"{field} is filled in {filled.of} messages")
    if not evidence.whole("PID-3").filled:
        for field in ("PID-2", "PID-4"):
            if (column := evidence.whole(field)).filled:
                note = f"PID-3 is empty; {field} is filled in {column.of} messages"
                made.rows.append(Row("message", "chart.PID-3", (field,), ("verbatim",), note))
                made.saw("chart.PID-3", field, "proposed", note)
                return
        made.ask(
            "PID-3 is empty: by which number does the chart know the patient? Payments cannot be posted without one."
        )


def _processing(evidence: Evidence, made: Draft) -> None:
    codes = {case.message.text("MSH", 11) for case in evidence.cases}
    if other := sorted(code for code in codes if code in ("T", "D")):
        made.ask(f"MSH-11 is {listed(other)} in some messages: for training or tests. A source of P refuses them.")
    states = evidence.whole("PID-30")
    if states.filled and not re.fullmatch("[YN]+", "".join(states.counts)):
        made.ask("PID-30 is filled, and not with Y or N: how does the site say that a patient has died?")


_ORDER = (
    "messages", "account", "kind", "amount", "unit_price", "quantity", "insurance", "reference", "service_date", "code",
    "description", "patient.family", "patient.given", "patient.contacts", "guarantor.family", "guarantor.given",
    "guarantor.contacts", "financial_class", "balance",
)  # fmt: skip


def _in_order(made: Draft) -> None:
    def place(target: str) -> int:
        return _ORDER.index(target) if target in _ORDER else len(_ORDER)

    made.candidates.sort(key=lambda one: (place(one.target), ("proposed", "standard", "alternative").index(one.choice)))
    made.rows.sort(key=lambda row: (row.section != "message", place(row.target)))
    seen: set[Candidate] = set()
    made.candidates = [one for one in made.candidates if not (one in seen or seen.add(one))]  # type: ignore[func-returns-value]
