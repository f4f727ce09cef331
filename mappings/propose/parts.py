"""What of the money is whose: the patient's part, what insurance pays, the balance of the account."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations

from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row
from chartpost.mappings.valuekinds import written

__all__ = ["balance", "insurance", "patients_part"]

_NEEDED = 0.5  #: of the messages, for a place to be taken for the balance
_AGREES = 0.9  #: of the lines in which all have a number


def _less(part: Column, whole: Column) -> bool:
    """Say whether one is a part of the other: never more, and less somewhere."""
    pairs = [(a, b) for a, b in zip(part.numbers, whole.numbers, strict=True) if a is not None and b is not None]
    real = [(abs(a), abs(b)) for a, b in pairs]
    return bool(real) and all(a <= b for a, b in real) and any(0 < a < b for a, b in real)


def patients_part(evidence: Evidence, whole: Column, rest: Sequence[Column], draft: Draft) -> Column | None:
    """Return the column of a Z segment that seems to be the patient's part of the whole, if there is one."""
    parts = [
        column for column in rest
        if column.path.startswith("Z") and evidence.per_line(column.path) and _money(column) and _less(column, whole)
    ]  # fmt: skip
    covered = evidence.line("FT1-15")
    if not parts:
        return None
    if any(covered.numbers):
        for column in parts:
            said = "is a part of it" + (", what FT1-15 leaves of it" if _sum(whole, column, covered) else "")
            draft.saw("amount", column.path, "alternative", f"{column.path} {said}")
        return None
    pair = next(((a, b) for a, b in combinations(parts, 2) if _sum(whole, a, b)), None)
    if pair is None and len(parts) > 1:
        for column in parts:
            draft.saw("amount", column.path, "alternative", f"{column.path} is a part of {whole.path}")
        draft.ask(
            f"{_named(parts)} are parts of {whole.path}: which is what the patient owes, which what insurance pays?"
        )
        return None
    chosen = parts[0] if pair is None else min(pair, key=lambda one: sum(abs(n) for n in one.numbers if n is not None))
    if pair is not None:
        other = next(one for one in pair if one is not chosen)
        draft.saw("insurance", other.path, "alternative", f"{other.path} and {chosen.path} add up to {whole.path}")
        draft.ask(f"{other.path} and {chosen.path} add up to {whole.path}: which of them does the patient owe?")
    else:
        draft.ask(f"{chosen.path} is a part of {whole.path}: is it what the patient owes? If not, ask for that field.")
    draft.share.append(f"share: all   # if {chosen.path} is what the patient owes")
    return chosen


def _money(column: Column) -> bool:
    """Say whether a column is money rather than a number: with decimals, or large."""
    return any("." in value or "," in value for value in column.given) or all(
        number is None or number == 0 or abs(number) >= 100 for number in column.numbers
    )


def _sum(whole: Column, a: Column, b: Column) -> bool:
    told = [
        (w, x, y)
        for w, x, y in zip(whole.numbers, a.numbers, b.numbers, strict=True)
        if w and x is not None and y is not None
    ]
    return bool(told) and sum(abs(w) == abs(x) + abs(y) for w, x, y in told) >= _AGREES * len(told)


def _named(columns: Sequence[Column]) -> str:
    return ", ".join(column.path for column in columns)


def insurance(evidence: Evidence, draft: Draft, amount: Column, rest: Sequence[Column]) -> None:
    usual = evidence.line("FT1-15")
    if amount.path == "FT1-15":
        draft.without.append("insurance")
    elif usual.filled and usual.numeric < 1:
        draft.without.append("insurance")
        draft.saw(
            "insurance", "FT1-15", "alternative", f"FT1-15 is filled in {usual.of} lines, and not always an amount"
        )
        draft.ask("FT1-15 does not always hold an amount. What does it say?")
    elif any(usual.numbers):
        steps = written(usual.given).steps
        same = draft.path_of("amount", "") and next(row.transforms for row in draft.rows if row.target == "amount")
        steps = same or steps
        draft.saw("insurance", "FT1-15", "standard", f"FT1-15 is an amount in {usual.of} lines")
        if steps != ("money",):
            note = f"FT1-15 is an amount in {usual.of} lines, written as the amounts are"
            draft.rows.append(Row("charge", "insurance", ("FT1-15",), steps, note))
        draft.share.append("share: net_of_insurance   # FT1-15 says what insurance pays")
        if any(
            a is not None and b is not None and abs(b) > abs(a)
            for a, b in zip(amount.numbers, usual.numbers, strict=True)
        ):
            draft.ask(f"FT1-15 is larger than {amount.path} in some lines: is it really what insurance pays of them?")
    elif usual.filled:
        draft.saw("insurance", "FT1-15", "standard", "FT1-15 is always 0: a filler?")
        draft.ask("FT1-15 is always 0: does insurance pay nothing, or does nobody fill it in?")


def balance(evidence: Evidence, draft: Draft) -> None:
    """Propose where the account's balance stands, if anywhere."""
    usual = evidence.whole("PV1-46")
    if usual.filled and usual.numeric == 1 and any(usual.numbers):
        how = written(usual.given)
        note = f"PV1-46 (Current Patient Balance) is an amount in {usual.of} messages"
        draft.rows.append(Row("message", "balance", ("PV1-46",), how.steps, note))
        draft.saw("balance", "PV1-46", "proposed", note)
        draft.share.append("share: balance   # PV1-46 says what is owed now")
        draft.ask("Is PV1-46 what the patient owes now, after insurance and payments?")
        return
    taken = {path for row in draft.rows for path in row.paths}
    steps = next((row.transforms for row in draft.rows if row.target == "amount"), ("money",))
    minor = any("minor" in step for step in steps)
    owed = evidence.line(draft.path_of("amount", "FT1-11")).numbers
    for path in evidence.whole_paths:
        column = evidence.whole(path)
        decimals = all("." in value or "," in value for value in column.given)
        if minor and all(abs(one) >= 100 for one in column.numbers if one):
            decimals = decimals or (column.are("integer") == 1 and not evidence.few(column))
        if not path.startswith("Z") or path in taken or not decimals or column.numeric < 1 or column.fill < _NEEDED:
            continue
        if evidence.several and evidence.per_line(path):
            continue
        totals = _totals(evidence, owed)
        same = sum(a == b for a, b in zip(totals, column.numbers, strict=True) if b is not None)
        what = f"{path} is an amount in {column.of} messages"
        if same >= _AGREES * column.filled:
            draft.saw("balance", path, "alternative", f"{what}, and the sum of the lines")
            continue
        note = f"{what}, and not the sum of their lines"
        if not any(row.target == "balance" for row in draft.rows):
            draft.rows.append(Row("message", "balance", (path,), steps if minor else ("money",), note))
            draft.saw("balance", path, "proposed", note)
            draft.share.append(f"share: balance   # if {path} is what the patient owes now")
        else:
            draft.saw("balance", path, "alternative", note)
        draft.ask(f"What does {path} say: what the patient owes now, what was charged in all, or what was paid?")


def _totals(evidence: Evidence, amounts: Sequence[Decimal | None]) -> list[Decimal]:
    found, at = [], 0
    for case in evidence.cases:
        found.append(sum((one for one in amounts[at : at + len(case.lines)] if one is not None), Decimal(0)))
        at += len(case.lines)
    return found
