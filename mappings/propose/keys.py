"""What tells things apart: the account, and the reference of a line."""

from __future__ import annotations

import re

from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row, called

__all__ = ["account", "reference"]

#: Where account and visit numbers stand beside PID-18 and PV1-19, the likeliest first.
_ELSEWHERE = (
    "PID-3[5=AN].1", "PID-3[5=VN].1", "PV1-50", "PV1-5", "PID-4", "PID-2", "IN1-49", "PV1-47.1", "PV1-39", "PID-19",
)  # fmt: skip
#: Where a line's own number stands beside FT1-2.
_OWN_NUMBERS = ("FT1-23", "FT1-3", "FT1-14", "FT1-31")
_FILLER = re.compile(r"0+|(\w)\1{3,}|unknown|none|n/?a|test|null", re.IGNORECASE)
_NUMBERS = ("integer", "identifier", "code", "amount", "phone")


def account(evidence: Evidence, draft: Draft) -> None:
    """Propose where the account number stands."""
    first, second = evidence.whole("PID-18"), evidence.whole("PV1-19")
    good = [column for column in (first, second) if column.filled and not _shared(evidence, column)]
    for column in (first, second):
        if column.filled and column not in good:
            draft.ask(f"{column.path} is the same for different patients: is it a number of the site, or of a form?")
    together = sum(bool(a or b) for a, b in zip(first.values, second.values, strict=True))
    if good and len(good) == sum(1 for one in (first, second) if one.filled) and together >= 0.5 * len(first.values):
        for column in (first, second):
            draft.saw("account", column.path, "standard", f"{called(column.path)} is filled in {column.of} messages")
        if first.filled and together > first.filled:
            draft.ask("PID-18 is sometimes empty, and PV1-19 then counts as the account: is that one bill, or two?")
        if together < len(first.values):
            draft.ask(
                f"{len(first.values) - together} messages have neither PID-18 nor PV1-19. Where is their account?"
            )
        return
    found = [column for column in (*good, *_numbers(evidence)) if column.fill >= 0.5]
    if not found:
        draft.ask("Which field says what belongs on one bill? No account or visit number is filled.")
        for column in (first, second):
            draft.saw("account", column.path, "standard", f"{column.path} is filled in {column.of} messages")
        return
    chosen = found[0]
    why = _because(evidence, chosen)
    draft.account = tuple(
        dict.fromkeys(column.path for column in (chosen, *(one for one in good if one is not chosen)))
    )
    draft.account_note = (
        f"{called(chosen.path)} is filled in {chosen.of} messages{why}; {_said(first)} and {_said(second)}"
    )
    draft.saw("account", ", ".join(draft.account), "proposed", draft.account_note)
    for column in found[1:5]:
        draft.saw("account", column.path, "alternative", f"{called(column.path)} is filled in {column.of} messages")
    draft.ask(f"Is {chosen.path} the number of what is billed together, the same for as long as the bill is open?")
    field = chosen.path.partition(".")[0].partition("[")[0]
    if field not in ("PID-18", "PV1-19", "PID-3") and not field.startswith("FT1"):
        note = f"the account stands in {field}; a chart that wants it back in PID-18 needs target chart.PID-18"
        instead = (f"{{target: chart.PID-18, path: {field}, transform: verbatim}}",)
        draft.rows.append(Row("message", f"chart.{field}", (field,), ("verbatim",), note, instead=instead))


def _said(column: Column) -> str:
    return f"{column.path} is {'empty' if not column.filled else 'shared by different patients'}"


def _shared(evidence: Evidence, column: Column) -> bool:
    """Say whether one number stands for patients that are different people: then it is no account of theirs."""
    if column.counts and all(_FILLER.fullmatch(value) for value in column.counts):
        return True
    patients: dict[str, set[str]] = {}
    for case, value in zip(evidence.cases, column.values, strict=True):
        if value:
            patients.setdefault(value, set()).add(case.message.text("PID", 3) or case.message.text("PID", 5))
    everybody = set().union(*patients.values()) if patients else set()
    return len(patients) == 1 and len(everybody) >= 3


def _numbers(evidence: Evidence) -> list[Column]:
    """Return the columns that could be an account, the likeliest first."""
    found = [evidence.whole(path) for path in _ELSEWHERE]
    found = [column for column in found if _is_number(evidence, column)]
    line = evidence.line("FT1-2")
    if line.fill >= 0.9 and _of_message(evidence, line) and evidence.several:
        found.insert(0, evidence.whole("FT1-2"))
    taken = {column.path for column in found}
    for path in evidence.whole_paths:
        if path.startswith("Z") and path not in taken:
            column = evidence.whole(path)
            if column.fill >= 0.8 and _is_number(evidence, column) and _steady(evidence, column):
                found.append(column)
    if not found and line.fill >= 0.9 and _of_message(evidence, line) and len(line.counts) < line.filled:
        found.append(evidence.whole("FT1-2"))
    if _is_number(evidence, evidence.whole("PID-3")):
        found.append(evidence.whole("PID-3"))
    return found


def _is_number(evidence: Evidence, column: Column) -> bool:
    """Say whether a column holds numbers of something: with digits, three characters or more, and not all the same."""
    if not column.filled or column.are(*_NUMBERS) < 0.9 or _shared(evidence, column):
        return False
    if any(len(value) < 3 or not any(char.isdigit() for char in value) for value in column.counts):
        return False
    return not all("." in value and value.replace(".", "").isdigit() for value in column.counts)


def _steady(evidence: Evidence, column: Column) -> bool:
    """Say whether different patients have different numbers, and a patient few."""
    patients = {case.message.text("PID", 3) or case.message.text("PID", 5) for case in evidence.cases}
    if len(column.counts) < min(2, len(patients)):
        return False
    return len(column.counts) >= 0.6 * len(patients) and not _same(column, evidence.whole("PID-3"))


def _same(a: Column, b: Column) -> bool:
    return all(x == y for x, y in zip(a.values, b.values, strict=True) if x)


def _of_message(evidence: Evidence, line: Column) -> bool:
    """Say whether all lines of a message have the same value."""
    found: dict[int, set[str]] = {}
    for owner, value in zip(evidence.owners, line.values, strict=True):
        if value:
            found.setdefault(id(owner), set()).add(value)
    return all(len(values) == 1 for values in found.values())


def _because(evidence: Evidence, column: Column) -> str:
    if column.path == "FT1-2":
        return ", the same on all lines of a message"
    return ", the patient's own number: all charges of a person go on one bill" if column.path == "PID-3" else ""


def reference(evidence: Evidence, draft: Draft) -> None:
    """Propose what tells two equal lines apart."""
    usual = evidence.line("FT1-2")
    if usual.filled and _unique(evidence, usual):
        draft.saw("reference", "FT1-2", "standard", f"{called('FT1-2')} is filled in {usual.of} lines, each its own")
        return
    shared = usual.filled and evidence.several and _of_message(evidence, usual)
    said = (
        "is empty"
        if not usual.filled
        else "is the same on all lines of a message"
        if shared
        else "comes more than once"
    )
    taken = {path for row in draft.rows for path in row.paths} | set(draft.account)
    for path in (*_OWN_NUMBERS, *(path for path in evidence.line_paths if path.startswith("Z"))):
        column = evidence.line(path)
        if path in taken or column.fill < 0.8 or not evidence.tells(path) or not _unique(evidence, column):
            continue
        if column.are("integer", "identifier", "code") < 0.9 or any(len(value) < 3 for value in column.counts):
            continue
        if len(column.counts) < 3 and usual.filled:
            continue
        note = f"{called(path)} is filled in {column.of} lines, each its own; FT1-2 {said}"
        draft.rows.append(Row("charge", "reference", (path,), (), note, instead=("{target: reference, path: FT1-2}",)))
        draft.saw("reference", path, "proposed", note)
        return
    draft.saw("reference", "FT1-2", "standard", f"{called('FT1-2')} {said}, and nothing else is each line's own")
    if usual.filled and shared:
        draft.ask("FT1-2 is the same on all lines of a message. How can two equal lines be told apart, and a copy?")
    elif usual.filled:
        draft.ask(
            "FT1-2 comes in more than one message: does the later line replace the earlier, take it back, or is it one "
            "more? (`corrections: same_reference`)"
        )


def _unique(evidence: Evidence, column: Column) -> bool:
    """Say whether nearly every line has its own value."""
    return column.filled > 0 and len(column.counts) >= 0.95 * column.filled
