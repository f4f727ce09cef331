"""How people are reached: telephone numbers and e-mail addresses, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable

from chartpost.mappings import contacts, er7
from chartpost.mappings.paths import compile_path
from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row
from chartpost.mappings.valuekinds import is_phone, kind_of

__all__ = ["reached"]

#: Segments and fields whose names and numbers are not the patient's, nor the payer's.
_STRANGERS = frozenset(
    [
        "NK1",
        "PV1",
        "PV2",
        "PD1",
        "ROL",
        "PRT",
        "IN1",
        "IN2",
        "IN3",
        "ORC",
        "OBR",
        "OBX",
        "DG1",
        "PR1",
        "EVN",
        "NTE",
        "ACC",
        "FT1",
        "MRG",
        "AL1",
        "RXE",
        "RXA",
        "TXA",
        "SCH",
        "AIS",
        "AIP",
        "AIL",
        "STF",
        "CON",
    ]
)
_WHAT = {"contacts": "numbers and addresses", "phone": "telephone numbers", "email": "e-mail addresses"}
_PATIENT = ("PID-13", "PID-14", "PID-40")
_GUARANTOR = ("GT1-6", "GT1-7")


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
        for transform in ("contacts", "phone", "email"):
            paths = tuple(path for path, how, _ in here if how == transform)
            if paths:
                counts = ", ".join(f"{path} in {count} messages" for path, how, count in here if how == transform)
                whose = "patient" if role == "patient" else "payer"
                what = _WHAT[transform]
                note = f"{what} stand in {counts}"
                draft.rows.append(Row("message", f"{role}.contacts", paths, (transform,), note))
                draft.saw(f"{role}.contacts", ", ".join(paths), "proposed", note)
                if any(path.startswith("Z") for path in paths):
                    draft.ask(f"{', '.join(paths)}: are these the {what} of the {whose}?")


def _read(evidence: Evidence, path: str, region: str) -> int:
    """Return in how many messages the contacts transform finds something at a path."""
    compiled = compile_path(path)
    return sum(
        any(
            contacts.from_xtn(raw, region, case.message.delimiters, case.message.codec)
            for raw in compiled.repetitions(case.whole)
        )
        for case in evidence.cases
    )


def _elsewhere(evidence: Evidence, region: str) -> list[tuple[str, str, int]]:
    """Return where numbers and addresses stand that the shipped map does not read: path, transform, messages."""
    found: list[tuple[str, str, int]] = []
    for path in evidence.whole_paths:
        field = path.partition(".")[0]
        if path[:3] in _STRANGERS or path.count(".") > 1 or field in ("PID-3", "PID-18", "PID-19"):
            continue
        if any(other == field for other, _, _ in found):
            continue
        column = evidence.whole(path)
        if evidence.few(column):
            continue  # the number of the house, or of somebody of it
        mails = column.kinds["e-mail"]
        phones = sum(is_phone(value) and bool(contacts.e164(value, region)) for value in column.given)
        whole = _read(evidence, field, region) if field[0] == "Z" and _typed(evidence, field) else 0
        if whole:
            found.append((field, "contacts", whole))
        elif mails and mails >= 0.5 * column.filled and not _known(evidence, path, region, "email"):
            found.append((path, "email", mails))
        elif (
            phones
            and phones >= 0.8 * column.filled
            and not _known(evidence, path, region, "phone")
            and _calls(column, path)
        ):
            found.append((path, "phone", phones))
    return found


def _typed(evidence: Evidence, field: str) -> bool:
    """Say whether a field is written as an XTN: what it is used for, or its equipment, stands where it should."""
    words = {*evidence.whole(f"{field}.2").given, *evidence.whole(f"{field}.3").given}
    return bool(words & {"PRN", "ORN", "WPN", "NET", "PH", "CP", "Internet", "PRS", "VHN", "EMR", "ASN"})


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
