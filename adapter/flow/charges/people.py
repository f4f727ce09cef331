"""Whom an account belongs to and who pays, as the newest message says. Pure: changes the book in memory.

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
    book.chart = now if another and reading.status else book.chart | now
    return _note(book, before)


def complete(book: Book, reading: Reading) -> None:
    """Take over from charges that were held meanwhile who pays, if nobody has said that since."""
    if book.guarantor is None and not reading.status:
        book.guarantor = payer(None, reading.guarantor, reading.deleted)


def renew(book: Book, said: Reading | Merge, guarantor: Party | None = None, *, pays: bool = False) -> bool:
    """Take over what an ADT says of the patient and, with `pays`, of who pays; return whether that changed anything."""
    before = _state(book)
    book.patient = renewed(book.patient, said.patient, said.deleted)
    if pays:
        book.guarantor = payer(book.guarantor, guarantor, said.deleted)
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
    return now


def payer(stored: Stored | None, said: Party | None, deleted: frozenset[str]) -> Stored | None:
    """Return who pays as now known; one of another name is somebody else."""
    if stored is None or (said is not None and said.name and not same_name(stored, said)):
        return said.model_dump(mode="json") if said is not None else stored
    return renewed(stored, said or Party(role="guarantor"), deleted)


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


def _another(book: Book, reading: Reading) -> bool:
    """Say whether the account is another patient's now: no record number is the same."""
    if reading.status:
        was, now = (chart.get("Patient.reference", "") for chart in (book.chart, reading.chart))
        return bool(was and now and was != now)
    known, said = (set(map(_number, identifiers(chart.get("PID-3", "")))) for chart in (book.chart, reading.chart))
    return bool(known and said) and not known & said


def _number(one: Any) -> tuple[str, str]:
    return one.value, one.authority


def _state(book: Book) -> tuple[Stored, Stored | None, dict[str, str]]:
    return book.patient, book.guarantor, book.chart


def _note(book: Book, before: tuple[Stored, Stored | None, dict[str, str]]) -> bool:
    book.renewed = book.renewed or before[:2] != _state(book)[:2]
    return before != _state(book)
