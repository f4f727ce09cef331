"""Whom an account belongs to, who pays, and who else may be written to, as the newest message says. Pure.

An empty field changes nothing and `""` deletes (HL7 v2.5.1 §2.5.3); a name is one thing, and so are all contacts of a
person. Another patient or another payer brings everything of their own: nobody is written to at somebody else's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chartpost.adapter.ledger.books import Book
from chartpost.mappings.model import Merge, Party, Reading
from chartpost.mappings.patients import identifiers

Stored = dict[str, Any]  #: a Party as it is kept
People = dict[str, Stored] | None  #: by role
HOUSEHOLD = "household"


def update(book: Book, reading: Reading) -> bool:
    """Take over what charges say of the people; return whether that changed anything."""
    before = _state(book)
    another = _another(book, reading)
    now = {field: text for field, text in reading.chart.items() if text}
    if reading.status or another:
        _replace(book, reading, another)
    else:
        book.patient = renewed(book.patient, reading.patient, reading.deleted)
        book.guarantor = payer(book.guarantor, reading.guarantor, reading.deleted)
        book.others = others(book.others, reading.others, reading.deleted)
    book.chart = now if another and reading.status else book.chart | now
    book.provider = _provider(reading) or ("" if another else book.provider)
    return _note(book, before)


def complete(book: Book, reading: Reading) -> None:
    """Take over from charges that were held meanwhile what nobody has said since: who pays, who else, whose work."""
    book.provider = book.provider or _provider(reading)
    if reading.status:
        return
    if book.guarantor is None:
        book.guarantor = payer(None, reading.guarantor, reading.deleted)
    unknown = {role: party for role, party in reading.others.items() if role not in (book.others or {})}
    book.others = others(book.others, unknown, frozenset())


def renew(book: Book, said: Reading | Merge, guarantor: Party | None = None, *, pays: bool = False) -> bool:
    """Take over what an ADT says of the patient and, with `pays`, of who pays; return whether that changed anything.

    The household is the patient's too. Bills and insurance are those of one account, where the message names one.
    """
    before = _state(book)
    book.patient = renewed(book.patient, said.patient, said.deleted)
    if pays:
        book.guarantor = payer(book.guarantor, guarantor, said.deleted)
    if isinstance(said, Reading):
        here = not said.account or said.account == book.number
        mine = {role: party for role, party in said.others.items() if here or role == HOUSEHOLD}
        gone = said.deleted if here else frozenset(what for what in said.deleted if what.startswith(f"{HOUSEHOLD}."))
        book.others = others(book.others, mine, gone)
    book.chart = book.chart | of_patient(said.chart)
    return _note(book, before)


def of_patient(chart: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that say who the patient is. PID-18 and PV1 name one account and one visit, maybe another."""
    return {field: text for field, text in chart.items() if field.startswith("PID-") and field != "PID-18" and text}


def renewed(stored: Stored, said: Party, deleted: frozenset[str]) -> Stored:
    """Return a person as now known: `said` where it says something, nothing where it is `deleted`, else as stored."""
    now = dict(stored)
    if said.name:
        now |= {"family": said.family, "given": said.given}
    elif f"{said.role}.name" in deleted:
        now |= {"family": "", "given": ""}
    if said.contacts:
        now["contacts"] = [contact.model_dump(mode="json") for contact in said.contacts]
    elif f"{said.role}.contacts" in deleted:
        now["contacts"] = []
    if said.birth_date is not None:
        now["birth_date"] = said.birth_date.isoformat()
    elif f"{said.role}.birth_date" in deleted:
        now["birth_date"] = None
    if said.language or f"{said.role}.language" in deleted:
        now["language"] = said.language
    return now


def payer(stored: Stored | None, said: Party | None, deleted: frozenset[str]) -> Stored | None:
    """Return who pays as now known; one of another name is somebody else."""
    if stored is None or (said is not None and said.name and not same_name(stored, said)):
        return said.model_dump(mode="json") if said is not None else stored
    return renewed(stored, said or Party(role=stored["role"]), deleted)


def others(stored: People, said: Mapping[str, Party], deleted: frozenset[str]) -> People:
    """Return who else is known now, by role: each as a payer, so one of another name is somebody else."""
    before = stored or {}
    now = {role: payer(before.get(role), said.get(role), deleted) for role in {**before, **said}}
    return {role: party for role, party in now.items() if party is not None} or None


def same_name(stored: Mapping[str, Any], said: Party) -> bool:
    """Say whether a stored person has this name."""
    return (stored["family"].casefold(), stored["given"].casefold()) == (said.family.casefold(), said.given.casefold())


def _replace(book: Book, reading: Reading, another: bool) -> None:
    """An Invoice names everybody: who it no longer says pays is asked no more, and of another patient nothing stays."""
    if another or reading.patient.name or reading.patient.contacts:
        book.patient = reading.patient.model_dump(mode="json")
    if reading.guarantor is not None:
        book.guarantor = reading.guarantor.model_dump(mode="json")
    elif another or not reading.missing:
        book.guarantor = None
    told = {role: party.model_dump(mode="json") for role, party in reading.others.items()}
    kept = {} if another or not reading.missing else book.others or {}
    book.others = kept | told or None


def _provider(reading: Reading) -> str:
    """Return whose work it was: of the last line that says so."""
    return next((charge.provider for charge in reversed(reading.charges) if charge.provider), "")


def _another(book: Book, reading: Reading) -> bool:
    """Say whether the account is another patient's now: no record number is the same."""
    if reading.status:
        was, now = (chart.get("Patient.reference", "") for chart in (book.chart, reading.chart))
        return bool(was and now and was != now)
    known, said = (set(map(_number, identifiers(chart.get("PID-3", "")))) for chart in (book.chart, reading.chart))
    return bool(known and said) and not known & said


def _number(one: Any) -> tuple[str, str]:
    return one.value, one.authority


def _state(book: Book) -> tuple[Stored, Stored | None, People, dict[str, str]]:
    return book.patient, book.guarantor, book.others, book.chart


def _note(book: Book, before: tuple[Stored, Stored | None, People, dict[str, str]]) -> bool:
    now = _state(book)
    book.renewed = book.renewed or before[:3] != now[:3]
    return before != now
