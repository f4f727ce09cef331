"""Who it is, who pays, and of which financial class they are."""

from __future__ import annotations

from collections.abc import Sequence

from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row, called
from chartpost.mappings.valuekinds import is_name

__all__ = ["CLASSES", "financial_class", "names"]

CLASSES = {
    "SP", "SELF", "SELFPAY", "SELF-PAY", "SELF PAY", "CASH", "COM", "COMM", "COMMERCIAL", "MCR", "MCARE", "MEDICARE",
    "MCD", "MEDICAID", "BCBS", "BC", "BS", "HMO", "PPO", "WC", "TRICARE", "VA", "INS", "INSURED", "PRIVATE", "MC", "MD",
    "CHAMPUS", "CI", "UNINSURED", "GOV", "GOVT", "PVT", "GKV", "PKV",
}  # fmt: skip


def names(evidence: Evidence, draft: Draft) -> None:
    """Propose where the patient's and the payer's name stand."""
    if _nicknames(evidence):
        note = "a repetition of PID-5 is of type L, the legal name, and not always the first"
        for target, part in (("family", 1), ("given", 2)):
            paths = (f"PID-5[7=L].{part}", f"PID-5.{part}")
            draft.rows.append(Row("message", f"patient.{target}", paths, ("name",), note))
            draft.saw(f"patient.{target}", ", ".join(paths), "proposed", note)
    else:
        _name(evidence, draft, "patient", _patient_places(evidence))
    payer = _payer_places(evidence)
    if payer:
        _name(evidence, draft, "guarantor", payer)
    else:
        draft.saw("guarantor.family", "GT1-3.1", "standard", "GT1-3 is empty: the patient is the payer")


def _name(evidence: Evidence, draft: Draft, role: str, places: Sequence[str]) -> None:
    """Propose the rows of one person's name: the first place that holds names."""
    standard = "PID-5" if role == "patient" else "GT1-3"
    for field in places:
        family, given = evidence.whole(f"{field}.1"), evidence.whole(f"{field}.2")
        if not family.filled and not given.filled:
            continue
        said = f"{called(field)} is filled in {max(family.filled, given.filled)} of {len(family.values)} messages"
        if given.filled >= 0.3 * max(family.filled, 1) and family.filled:
            if field == standard:
                draft.saw(f"{role}.family", f"{field}.1", "standard", said)
                draft.saw(f"{role}.given", f"{field}.2", "standard", said)
            else:
                _rows(
                    draft,
                    role,
                    (f"{field}.1", ("name",)),
                    (f"{field}.2", ("name",)),
                    f"{said}; {_empty(evidence, standard)}",
                )
            return
        if _share(family, ",") >= 0.6:
            note = f"{said}, as FAMILY, GIVEN in one component"
            _rows(draft, role, (f"{field}.1", ('split "," 1', "name")), (f"{field}.1", ('split "," 2', "name")), note)
            return
        beside = _next(evidence, field)
        if beside and beside != "PID-5":
            note = f"{called(field)} and {beside} hold names in {family.of} messages; {_empty(evidence, standard)}"
            _rows(draft, role, (f"{field}.1", ("name",)), (f"{beside}.1", ("name",)), note)
            draft.ask(f"{field}, {beside}: which is the family name, which the given name?")
            return
        if _share(family, " ") >= 0.6:
            note = f"{said}, given and family name in one component"
            _rows(draft, role, (f"{field}.1", ('split " " -1', "name")), (f"{field}.1", ('split " " 1', "name")), note)
            draft.ask(f"{field}: does the family name stand last there, or first?")
            return
        if field == standard:
            draft.saw(f"{role}.family", f"{field}.1", "standard", said + ", without a given name")
        else:
            _rows(draft, role, (f"{field}.1", ("name",)), None, f"{said}; {_empty(evidence, standard)}")
        return
    draft.saw(f"{role}.family", f"{standard}.1", "standard", f"{standard} is empty in every message")


def _rows(
    draft: Draft, role: str, family: tuple[str, tuple[str, ...]], given: tuple[str, tuple[str, ...]] | None, note: str
) -> None:
    for target, place in (("family", family), ("given", given)):
        if place is not None:
            draft.rows.append(Row("message", f"{role}.{target}", (place[0],), place[1], note))
            draft.saw(f"{role}.{target}", place[0], "proposed", note)


def _share(column: Column, mark: str) -> float:
    return sum(mark in value.strip() for value in column.given) / column.filled if column.filled else 0.0


def _empty(evidence: Evidence, standard: str) -> str:
    column = evidence.whole(f"{standard}.1")
    return f"{standard} is filled in {column.of}" if column.filled else f"{standard} is empty"


def _next(evidence: Evidence, field: str) -> str:
    """Return the field behind another where both hold single names; Z segments often have one name a field."""
    if not field.startswith("Z"):
        return ""
    name, _, number = field.partition("-")
    other = f"{name}-{int(number) + 1}"
    column = evidence.whole(f"{other}.1")
    return other if column.filled and _are_names(column) else ""


def _patient_places(evidence: Evidence) -> list[str]:
    """Return where the patient's name could stand, the likeliest first."""
    usual = evidence.whole("PID-5.1")
    return ["PID-5"] if usual.filled else ["PID-5", "PID-9", *_named_fields(evidence)]


def _nicknames(evidence: Evidence) -> bool:
    """Say whether another name stands before the legal one (HL7 table 0200)."""
    first, second = evidence.whole("PID-5.7"), evidence.whole("PID-5[2].7")
    return any(a and a != "L" and b == "L" for a, b in zip(first.values, second.values, strict=True))


def _payer_places(evidence: Evidence) -> list[str]:
    usual = evidence.whole("GT1-3.1")
    if usual.filled or any(line.own("GT1") for case in evidence.cases for line in case.lines):
        return ["GT1-3"]
    patient = evidence.whole("PID-5.1").values, evidence.whole("PID-5.2").values
    found = []
    if not evidence.whole("PID-5.1").filled:
        return []
    for field in _named_fields(evidence):
        family, given = evidence.whole(f"{field}.1"), evidence.whole(f"{field}.2")
        if not given.filled and _share(family, ",") < 0.6 and not _next(evidence, field):
            continue  # one word could be anything
        other = _next(evidence, field)
        first = evidence.whole(f"{other}.1").values if other else given.values
        known = zip(family.values, patient[0], first, patient[1], strict=True)
        same = [a == b and c in ("", d) for a, b, c, d in known]
        near = [path for path in evidence.whole_paths if path[:3] == field[:3] and "." not in path]
        called = any(evidence.whole(path).are("phone", "e-mail") >= 0.5 for path in near)
        if not all(same) and (called or _family(evidence, family)):
            found.append(field)
    return found


def _named_fields(evidence: Evidence) -> list[str]:
    """Return the fields of Z segments that hold names of people: different ones, of letters only."""
    found = []
    for path in evidence.whole_paths:
        if path.startswith("Z") and "." not in path and (column := evidence.whole(path)).fill >= 0.5:
            given = evidence.whole(f"{path}.2")
            if _are_names(column) and not evidence.few(column) and (given.filled == 0 or _are_names(given)):
                found.append(path)
    return found


def _are_names(column: Column) -> bool:
    """Say whether a column holds names: mostly words with a capital, and no codes."""
    words = sum(is_name(value.replace(",", " ")) and len(value) > 1 for value in column.given)
    capital = sum(value[:1].isupper() for value in column.given)
    coded = all(len(value) <= 4 and value.isupper() for value in column.counts)
    return column.filled > 0 and min(words, capital) >= 0.9 * column.filled and not coded


def _family(evidence: Evidence, column: Column) -> bool:
    """Say whether a name is now and then the patient's own family name, as a parent's is and a doctor's is not."""
    own = evidence.whole("PID-5.1").values
    return sum(
        bool(a) and a.partition(",")[0].casefold() == b.partition(",")[0].casefold()
        for a, b in zip(column.values, own, strict=True)
    ) >= 0.2 * max(column.filled, 1)


# --------------------------------------------------------------------------------------------------- financial class


def financial_class(evidence: Evidence, draft: Draft) -> None:
    """Propose where the financial class stands."""
    usual = evidence.whole("PV1-20")
    if usual.filled:
        draft.saw("financial_class", "PV1-20", "standard", f"{called('PV1-20')} is filled in {usual.of} messages")
        draft.share.append("share: self_pay   # with self_pay_classes: the classes of PV1-20 that pay themselves")
        return
    taken = {path for row in draft.rows for path in row.paths}
    for path in (path for path in evidence.whole_paths if path[:1] == "Z" or path == "PV1-18"):
        column = evidence.whole(path)
        known = sum(count for value, count in column.counts.items() if value.upper() in CLASSES)
        if path in taken or not column.filled or known < 0.5 * column.filled or column.fill < 0.3:
            continue
        note = f"{called(path)} holds words for classes of payers in {column.of} messages; PV1-20 is empty"
        draft.rows.append(Row("message", "financial_class", (path,), (), note))
        draft.saw("financial_class", path, "proposed", note)
        draft.share.append(f"share: self_pay   # with self_pay_classes: the classes of {path} that pay themselves")
        return
    draft.saw("financial_class", "PV1-20", "standard", "PV1-20 is empty, and no other field names classes of payers")
