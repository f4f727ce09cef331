"""How two readings of one message differ: by another map, or by a changed one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chartpost.mappings.model import Charge, Party, Reading
from chartpost.mappings.read import Unreadable

#: What a map made of a message: a reading, or all reasons why there is none.
Made = Reading | Unreadable


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that came out differently; "" where there is none."""

    target: str
    before: str
    after: str


def differences(before: Made, after: Made) -> list[Difference]:
    """Return what differs, in the order of the targets; [] when both maps mean the same by the message."""
    old, new = dict(_values(before)), dict(_values(after))
    return [
        Difference(target, old.get(target, ""), new.get(target, ""))
        for target in dict.fromkeys([*old, *new])
        if old.get(target, "") != new.get(target, "")
    ]


def _values(made: Made) -> Iterator[tuple[str, str]]:
    """Yield everything that a reading means, as text; its trace is only how it came to that."""
    if isinstance(made, Unreadable):
        for number, problem in enumerate(made.problems, 1):
            yield f"problem {number}", str(problem)
        return
    yield "account", f"{made.namespace}|{made.account}" if made.namespace else made.account
    for name in ("status", "financial_class", "balance", "skipped"):
        yield name, str(getattr(made, name) or "")
    yield from _party("patient", made.patient)
    yield from _party("guarantor", made.guarantor)
    for role, party in made.others.items():
        yield from _party(role, party)
    yield from ((f"consent.{channel}", "yes" if said else "no") for channel, said in made.consent.items())
    yield from ((f"chart.{name}", value) for name, value in made.chart.items())
    yield from ((f"my.{name}", value) for name, value in made.my.items())
    for number, stop in enumerate(made.stops, 1):
        yield f"stop {number}", stop.cause
    for number, line in enumerate(made.ignored, 1):
        yield f"ignored {number}", line
    for charge in made.charges:
        yield from _charge(charge)


def _party(role: str, party: Party | None) -> Iterator[tuple[str, str]]:
    if party is not None:
        yield f"{role}.family", party.family
        yield f"{role}.given", party.given
        yield f"{role}.contacts", ", ".join(contact.value for contact in party.contacts)
        yield f"{role}.birth_date", str(party.birth_date or "")
        yield f"{role}.language", party.language


def _charge(charge: Charge) -> Iterator[tuple[str, str]]:
    values: dict[str, Any] = {name: getattr(charge, name) for name in Charge.model_fields if name != "ordinal"}
    own, payer = values.pop("my"), values.pop("guarantor")
    place = f"charges[{charge.ordinal}]"
    for name, value in values.items():
        yield f"{place}.{name}", "" if value is None else str(value)
    yield from ((f"{place}.my.{name}", value) for name, value in own.items())
    yield from ((f"{place}.{name}", value) for name, value in _party("guarantor", payer))
