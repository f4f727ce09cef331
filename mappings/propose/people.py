"""Who it is, who pays, and how they are reached: names, telephone numbers, e-mail addresses, financial class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chartpost.mappings import contacts, er7
from chartpost.mappings.hl7.structure import name_of
from chartpost.mappings.paths import compile_path
from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row
from chartpost.mappings.valuekinds import is_name, is_phone, kind_of

__all__ = ["financial_class", "names", "reached"]

#: Segments and fields whose names and numbers are not the patient's, nor the payer's.
_STRANGERS = ("NK1", "PV1", "PV2", "PD1", "ROL", "PRT", "IN1", "IN2", "IN3", "ORC", "OBR", "OBX", "DG1", "PR1", "EVN", "NTE",
              "ACC", "FT1", "MRG", "AL1", "RXE", "RXA", "TXA", "SCH", "AIS", "AIP", "AIL", "STF", "CON")  # fmt: skip
_PATIENT = ("PID-13", "PID-14", "PID-40")
_GUARANTOR = ("GT1-6", "GT1-7")
_CLASSES = {
    "SP", "SELF", "SELFPAY", "SELF-PAY", "SELF PAY", "CASH", "COM", "COMM", "COMMERCIAL", "MCR", "MCARE", "MEDICARE", "MCD",
    "MEDICAID", "BCBS", "BC", "BS", "HMO", "PPO", "WC", "TRICARE", "VA", "INS", "INSURED", "PRIVATE", "MC", "MD", "CHAMPUS",
    "CI", "UNINSURED", "GOV", "GOVT", "PVT", "GKV", "PKV",
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
    payer = [place for place in _payer_places(evidence)]
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
        said = f"{_called(field)} is filled in {max(family.filled, given.filled)} of {len(family.values)} messages"
        if given.filled >= 0.3 * max(family.filled, 1) and family.filled:
            if field == standard:
                draft.saw(f"{role}.family", f"{field}.1", "standard", said)
                draft.saw(f"{role}.given", f"{field}.2", "standard", said)
            else:
                _rows(draft, role, (f"{field}.1", ("name",)), (f"{field}.2", ("name",)), f"{said}; {_empty(evidence, standard)}")
            return
        if _share(family, ",") >= 0.6:
            note = f"{said}, as FAMILY, GIVEN in one component"
            _rows(draft, role, (f"{field}.1", ('split "," 1', "name")), (f"{field}.1", ('split "," 2', "name")), note)
            return
        beside = _next(evidence, field)
        if beside and beside != "PID-5":
            note = f"{_called(field)} and {beside} hold names in {family.of} messages; {_empty(evidence, standard)}"
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
        same = [a == b and c in ("", d) for a, b, c, d in zip(family.values, patient[0], given.values, patient[1], strict=True)]
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
            if _are_names(column) and not _few(evidence, column) and (given.filled == 0 or _are_names(given)):
                found.append(path)
    return found


def _are_names(column: Column) -> bool:
    """Say whether a column holds names: mostly words with a capital, and no codes."""
    words = sum(is_name(value.replace(",", " ")) and len(value) > 1 for value in column.given)
    capital = sum(value[:1].isupper() for value in column.given)
    coded = all(len(value) <= 4 and value.isupper() for value in column.counts)
    return column.filled > 0 and min(words, capital) >= 0.9 * column.filled and not coded


def _few(evidence: Evidence, column: Column) -> bool:
    """Say whether a few names come again and again for many patients: those of staff, or no names at all."""
    patients = len({case.message.text("PID", 3) or case.message.text("PID", 5) for case in evidence.cases})
    return column.filled >= 4 and len(column.counts) <= 0.5 * min(patients, column.filled)


def _family(evidence: Evidence, column: Column) -> bool:
    """Say whether a name is now and then the patient's own family name, as a parent's is and a doctor's is not."""
    own = evidence.whole("PID-5.1").values
    return sum(bool(a) and a.partition(",")[0].casefold() == b.partition(",")[0].casefold() for a, b in zip(column.values, own, strict=True)) >= 0.2 * max(column.filled, 1)


# --------------------------------------------------------------------------------------------------------- contacts


def reached(evidence: Evidence, draft: Draft, region: str) -> None:
    """Propose where numbers and addresses stand. `region` (ISO 3166): for numbers without a country code."""
    payer = {row.paths[0][:3] for row in draft.rows if row.target.startswith("guarantor.") and row.paths[0][:1] == "Z"}
    extra = _elsewhere(evidence, region)
    for role, usual, here in (
        ("patient", _PATIENT, [one for one in extra if one[0][:3] not in payer and one[0][:3] != "GT1"]),
        ("guarantor", _GUARANTOR, [one for one in extra if one[0][:3] in payer or one[0][:3] == "GT1"]),
    ):
        filled = [path for path in usual if evidence.whole(path).filled or _read(evidence, path, region)]
        counted = [f"{path} says a number or an address in {_read(evidence, path, region)} messages" for path in filled]
        for path, said in zip(filled, counted, strict=True):
            draft.saw(f"{role}.contacts", path, "standard", said)
        if filled and not any(_read(evidence, path, region) for path in filled) and not here:
            draft.ask(f"{', '.join(filled)}: no number there can be called from {region}. Which country are they of?")
        if not here:
            if not filled:
                draft.saw(f"{role}.contacts", usual[0], "standard", "no number and no address anywhere")
            continue
        draft.rows.append(Row("message", f"{role}.contacts", usual, ("contacts",), "as the shipped map has it"))
        for transform in ("phone", "email"):
            paths = tuple(path for path, how, _ in here if how == transform)
            if paths:
                counts = ", ".join(f"{path} in {count} messages" for path, how, count in here if how == transform)
                what = "telephone numbers" if transform == "phone" else "e-mail addresses"
                note = f"{what} stand in {counts}"
                draft.rows.append(Row("message", f"{role}.contacts", paths, (transform,), note))
                draft.saw(f"{role}.contacts", ", ".join(paths), "proposed", note)
                if any(path.startswith("Z") for path in paths):
                    draft.ask(f"{', '.join(paths)}: are these the {what} of the {'patient' if role == 'patient' else 'payer'}?")


def _read(evidence: Evidence, path: str, region: str) -> int:
    """Return in how many messages the contacts transform finds something at a path."""
    compiled = compile_path(path)
    return sum(
        any(contacts.from_xtn(raw, region, case.message.delimiters, case.message.codec) for raw in compiled.repetitions(case.whole))
        for case in evidence.cases
    )


def _elsewhere(evidence: Evidence, region: str) -> list[tuple[str, str, int]]:
    """Return where numbers and addresses stand that the shipped map does not read: path, transform, messages."""
    found = []
    for path in evidence.whole_paths:
        field = path.partition(".")[0]
        if path[:3] in _STRANGERS or path.count(".") > 1 or (path[:3] == "PID" and field in ("PID-3", "PID-18", "PID-19")):
            continue
        column = evidence.whole(path)
        mails = column.kinds["e-mail"]
        if mails >= 0.5 * column.filled and mails and not _known(evidence, path, region, "email"):
            found.append((path, "email", mails))
            continue
        phones = sum(is_phone(value) and bool(contacts.e164(value, region)) for value in column.given)
        if phones >= 0.8 * column.filled and phones and not _known(evidence, path, region, "phone") and _calls(column, path):
            found.append((path, "phone", phones))
    return found


def _calls(column: Column, path: str) -> bool:
    """Say whether numbers are written for calling: with signs between, or where the standard has a telephone."""
    if path.startswith(("PID-13", "PID-14", "PID-40", "GT1-6", "GT1-7")):
        return True
    bare = sum(value.isdigit() for value in column.given)
    return bare < 0.5 * column.filled or all(len(value) in (10, 11) for value in column.given if value.isdigit())


def _known(evidence: Evidence, path: str, region: str, what: str) -> bool:
    """Say whether the shipped rows find these values already."""
    field = path.partition(".")[0]
    if field not in (*_PATIENT, *_GUARANTOR):
        return False
    compiled, whole = compile_path(path), compile_path(field)
    for case in evidence.cases:
        value = compiled.get(case.whole)
        if not value or value is er7.NULL or kind_of(value) not in ("e-mail", "phone", "identifier", "integer", "text"):
            continue
        wanted = contacts.email(value) if what == "email" else contacts.phone(value, region)
        got: Iterable[str] = [
            one.value for raw in whole.repetitions(case.whole)
            for one in contacts.from_xtn(raw, region, case.message.delimiters, case.message.codec)
        ]  # fmt: skip
        if wanted and wanted.value not in got and "." in path:
            return False
    return True


# --------------------------------------------------------------------------------------------------- financial class


def financial_class(evidence: Evidence, draft: Draft) -> None:
    """Propose where the financial class stands."""
    usual = evidence.whole("PV1-20")
    if usual.filled:
        draft.saw("financial_class", "PV1-20", "standard", f"{_called('PV1-20')} is filled in {usual.of} messages")
        draft.share.append("share: self_pay   # with self_pay_classes: the classes of PV1-20 that pay themselves")
        return
    taken = {path for row in draft.rows for path in row.paths}
    for path in (path for path in evidence.whole_paths if path[:1] == "Z" or path == "PV1-18"):
        column = evidence.whole(path)
        known = sum(count for value, count in column.counts.items() if value.upper() in _CLASSES)
        if path in taken or not column.filled or known < 0.5 * column.filled or column.fill < 0.3:
            continue
        note = f"{_called(path)} holds words for classes of payers in {column.of} messages; PV1-20 is empty"
        draft.rows.append(Row("message", "financial_class", (path,), (), note))
        draft.saw("financial_class", path, "proposed", note)
        draft.share.append(f"share: self_pay   # with self_pay_classes: the classes of {path} that pay themselves")
        return
    draft.saw("financial_class", "PV1-20", "standard", "PV1-20 is empty, and no other field names classes of payers")


def _called(path: str) -> str:
    name = name_of(path.partition("[")[0], "2.5.1") if not path.startswith("Z") else None
    return f"{path} ({name})" if name else path
