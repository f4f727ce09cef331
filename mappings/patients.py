"""Read an ADT: what it says of a patient, by the same rows under `message:` that read charges. Pure.

    A01 A04 A05 A08 A28 A31    names, contacts and identifiers as they are now (HL7 v2.5.1 §3.3.1, .8, .31)
    A18 A34 A40                one record takes another over: MRG-1 names the prior one, PID the one that stays
                               (§3.3.18, .34, .40; A40 may hold several pairs of PID and MRG)

An empty field changes nothing, `""` deletes (§2.5.3). A name is one thing, and so are all of a person's contacts: a
message that brings one contact brings the list. Who sends only the new number means that the others are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chartpost.mappings import er7
from chartpost.mappings.mapfile import Map, Row
from chartpost.mappings.model import ROLES, Identifier, Merge, Party, Problem, Reading
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.rows import Rows
from chartpost.mappings.transforms import Context

UPDATES = frozenset(["ADT^A01", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A28", "ADT^A31"])
MERGES = frozenset(["ADT^A18", "ADT^A34", "ADT^A40"])

#: Identifiers that are no record number (HL7 table 0203): families share an insurance number, forms are filled with a
#: social security number of nines, and accounts and visits have columns of their own.
_OTHERS = "AN ANC AND ANON ANT BA BC BR CC CY DL DP EN HC MA MB MC MCD MCR MI NIIP PC PPN SB SN SS SSN TAX VN WC WCN"
_NOT_OF_A_RECORD = frozenset(_OTHERS.split())
#: What a form has where a number was demanded and nobody knew one.
_FILLER = re.compile(r"0+|(\w)\1{3,}|unknown|none|n/?a|test", re.IGNORECASE)


def is_about_patients(type: str) -> bool:
    """Say whether a message of this type (MSH-9, as in `ADT^A08`) is read here."""
    return type.startswith("ADT^")


def identifiers(text: str) -> tuple[Identifier, ...]:
    """Return the record numbers in a CX field in standard delimiters, such as PID-3 (HL7 v2.5.1 §2.A.14).

    Left out are numbers of other things (table 0203: SS, DL, AN …) and fillers: two patients may have the same.
    """
    found: dict[tuple[str, str], Identifier] = {}
    for cx in text.split(er7.STANDARD.repetition):
        value, authority, other, type = (_part(cx, *place) for place in ((1, 1), (4, 1), (4, 2), (5, 1)))
        if value and type.upper() not in _NOT_OF_A_RECORD and not _FILLER.fullmatch(value):
            one = Identifier(value=value, authority=authority or other, type=type)
            found.setdefault((one.value, one.authority), one)
    return tuple(found.values())


def _part(cx: str, component: int, subcomponent: int) -> str:
    text = er7.part(cx, er7.STANDARD, component, subcomponent)
    return "" if text == er7.NULL_TEXT else er7.unescape(text).strip()


def deleted(rows: Iterable[Row], message: er7.Message, scope: Any) -> frozenset[str]:
    """Return what `""` deletes of the people in a message: "patient.contacts", "guarantor.name", "insured.name" …

    A value beside it is stronger: a mobile in PID-40 stays when PID-13 is deleted.
    """
    if not any(er7.NULL_TEXT in segment.text for segment in message.segments):
        return frozenset()
    said: dict[str, set[bool]] = {}
    for row in rows:
        role, _, target = row.target.partition(".")
        if role in ROLES:
            what = f"{role}.{'name' if target in ('family', 'given') else target}"
            values = [path.get(scope) for path in row.paths]
            said.setdefault(what, set()).update(value is er7.NULL for value in values if value is not None)
    return frozenset(what for what, nulls in said.items() if nulls == {True})


class PatientReader(Rows):
    """Reads one ADT; `problems` says why it cannot."""

    def __init__(self, message: er7.Message, map: Map, context: Context) -> None:
        super().__init__(map, context)
        self.message = message

    def reading(self, type: str, account: str, path: AnyPath | None) -> Reading:
        """Return what the message says; `account` stood at `path`. It counts only while `problems` is empty."""
        if path is not None:
            self.note("account", path.located(self.message), path.raw(self.message), account)
        groups = _groups(self.message)
        if not groups:
            self.problems.append(Problem(path="PID", cause="is missing: it says whom the message is about"))
        merges = [self.merge(group, type in MERGES) for group in groups if type in MERGES or group.segment("MRG")]
        first = groups[0] if groups else _Group(self.message, None, None)
        patient, guarantor = (self.party(role, first, "") for role in ("patient", "guarantor"))
        values = {
            row.target: self.value(replace(row, required=False), first, row.target)  # of charges, not of an ADT
            for row in self.map.rest
            if row.shape != "verbatim"
        }
        found = Reading.model_construct(
            type=type,
            account=account,
            patient=patient or Party(role="patient"),
            guarantor=guarantor,
            others=self.others(first),
            consent=self.consent(values),
            chart=self.chart(first),
            financial_class=values.get("financial_class") or "",
            balance=values.get("balance"),
            my={name[3:]: value or "" for name, value in values.items() if name.startswith("my.")},
            deleted=deleted(self.map.message, self.message, first),
            merges=tuple(merge for merge in merges if merge is not None),
            trace=tuple(self.trace),
        )
        return self.conditioned(found)

    def chart(self, scope: Any) -> dict[str, str]:
        """Return the fields that the chart knows the patient by; those of a visit may be missing in an ADT."""
        rows = (
            row if row.target.startswith("chart.PID-") else replace(row, required=False)
            for row in self.map.message
            if row.shape == "verbatim"
        )
        return {row.target.removeprefix("chart."): text for row in rows if (text := self.verbatim(row, scope))}

    def merge(self, group: _Group, needed: bool) -> Merge | None:
        """Read one pair of PID and MRG; None when it does not say who takes over whom, and that is `needed`."""
        mrg = group.segment("MRG")
        prior = identifiers(self.field(mrg, 1)) if mrg is not None else ()
        chart = self.chart(group)
        stays = identifiers(chart.get("PID-3", ""))
        if needed and mrg is None:
            self.problems.append(Problem(path=group.place("MRG"), cause="is missing: it names the prior record"))
        elif needed and not prior:
            self.problems.append(Problem(path=f"{group.place('MRG')}-1", cause="names no prior record"))
        if needed and not stays:
            fix = "it is read by the map's row chart.PID-3"
            self.problems.append(Problem(path=f"{group.place('PID')}-3", cause="names no record that stays", fix=fix))
        if mrg is None or (needed and not (stays and prior)):
            return None
        self.note("merge.prior", f"{group.place('MRG')}-1", mrg.field(1), ", ".join(one.value for one in prior))
        return Merge(
            prior=_by_authority(prior, stays),
            patient=self.party("patient", group, "") or Party(role="patient"),
            chart=chart,
            deleted=deleted(self.map.message, self.message, group),
            account=self.number(group.segment("PID"), 18),
            prior_account=self.number(mrg, 3),
        )

    def field(self, segment: er7.Segment, number: int) -> str:
        """Return a field in standard delimiters, all its repetitions."""
        return er7.recode(segment.field(number), segment.delimiters, er7.STANDARD, self.message.codec)

    def number(self, segment: er7.Segment | None, number: int) -> str:
        """Return the number in the first repetition of a CX field."""
        text = self.field(segment, number) if segment is not None else ""
        return _part(text.partition(er7.STANDARD.repetition)[0], 1, 1)


def _by_authority(prior: tuple[Identifier, ...], stays: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    """Give prior numbers without an authority that of the record that stays: many senders leave it out in MRG-1."""
    authorities = {one.authority for one in stays}
    if len(authorities) != 1:
        return prior
    (authority,) = authorities
    return tuple(one if one.authority else one.model_copy(update={"authority": authority}) for one in prior)


class _Group:
    """One PID and what follows up to the next one; before the first PID stands what all of them share."""

    __slots__ = ("_message", "_own", "codec", "delimiters", "number")

    def __init__(self, message: er7.Message, begin: int | None, end: int | None, number: int = 1) -> None:
        self.number = number
        self.codec, self.delimiters = message.codec, message.delimiters
        self._message = message
        self._own: dict[str, list[er7.Segment]] = {}
        for segment in message.segments[begin:end] if begin is not None else ():
            self._own.setdefault(segment.name, []).append(segment)

    def segment(self, name: str, occurrence: int = 1) -> er7.Segment | None:
        """Return a segment of the group, else one that stands before the first PID."""
        own = self._own.get(name)
        if own is not None:
            return own[occurrence - 1] if occurrence <= len(own) else None
        found = self._message.segment(name, occurrence)
        first = self._message.segment("PID")
        return found if found is None or first is None or found.ordinal < first.ordinal else None

    def place(self, name: str) -> str:
        """Return how a segment of this group is called in problems: `MRG`, `MRG[2]`."""
        return name if self.number == 1 else f"{name}[{self.number}]"


def _groups(message: er7.Message) -> list[_Group]:
    starts = [segment.ordinal - 1 for segment in message.all("PID")]
    ends = [*starts[1:], None] if starts else []
    return [_Group(message, *span, number) for number, span in enumerate(zip(starts, ends, strict=True), start=1)]
