"""edit: a person corrects a held message. What came stays as it came; the corrected text is read in its place.

Drafted first, so that the person sees every difference; then kept with who and why in the transaction that closes the
hold and lets the message be read again. A text that still cannot be read is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.charges import reading
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No, Release, Word, close, decide
from chartpost.adapter.flow.deciding.release import BESIDE, overtaken, read_again
from chartpost.adapter.ledger import holds, sealed, states
from chartpost.adapter.ledger.tables import hold, message
from chartpost.adapter.settings import FhirRules, Hl7Rules, Source
from chartpost.mappings import edits, er7
from chartpost.mappings.edits import Difference
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.model import Reading
from chartpost.mappings.paths import compile_path
from chartpost.mappings.patients import is_about_patients
from chartpost.mappings.read import Unreadable

#: A path, which may have a = in square brackets, and a value.
_SET = re.compile(r"([^=\[]*(?:\[[^\]]*\][^=\[]*)*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Draft:
    """A correction that could be kept."""

    number: int  #: of the hold
    object: str
    body: bytes  #: the corrected text
    differences: tuple[Difference, ...]  #: from what is read now; personal data
    lane: str
    moves: bool  #: it names another account than the message did


def draft(flow: Flow, number: int, *, sets: Sequence[str] = (), text: bytes | None = None) -> Draft:
    """Return what the message of hold `number` would be: with `sets` ("FT1[2]-6=CG"), or with `text` in its place.

    Raises No, which says what is wrong and names no value: nothing to correct, no difference, unreadable, too large.
    """
    row = _row(flow, number)
    source = flow.settings.sources.get(row.source)
    if source is None:
        raise No("its source is no longer in the configuration; put it back first")
    was = row.raw if row.edited is None else row.edited
    fhir = flow.maps[row.source].dialect == "fhir"
    if fhir and sets:
        raise No("a FHIR resource is corrected as a whole: give the corrected one with --file")
    body = text if text is not None else _with(was, sets, _charset(source))
    if len(body) > source.max_bytes:
        raise No(f"the corrected message is larger than {source.max_bytes} bytes, the most that its source may send")
    found = _read(flow, row, source, body)
    if not found.account and not is_about_patients(found.type):
        raise No("the corrected message names no account")
    differ = tuple(_json(was, body, source) if fhir else _fields(was, body, _charset(source)))
    if not differ:
        raise No("it says the same as before: nothing to correct")
    lane = reading.account_key(flow, row.source, found)
    return Draft(number, f"message:{row.id}", body, differ, lane, _moves(flow, row, source, was, lane))


def keep(flow: Flow, made: Draft, *, by: str, why: str) -> Release:
    """Keep a draft: close its hold, and let the message be read again as it now is."""

    def act(tx: Any, held: Any) -> str:
        key = held.object.partition(":")[2]
        row = tx.one(
            select(message.c.state, message.c.source, message.c.lane, message.c.type)
            .where(message.c.id == int(key))
            .with_for_update()
        )  # fmt: skip
        if row.state != states.Message.HELD:
            raise No(f"the message is {row.state}, not held")
        if flow.source(row.source).share == "balance" and overtaken(tx, row, int(key)):
            raise No("a newer message has stated this account's balance since; dismiss it")
        close(tx, held, Word(by, holds.EDITED))
        note = " ".join(why.split())
        # What was waived, was waived for the text as it stood.
        edited = {"edited": made.body, "edited_by": by, "edited_why": note, "waived": ""}
        read_again(tx, key, edited | {"lane": made.lane})
        return "the message is read again, as corrected"

    return decide(flow.store, made.number, act)


def _row(flow: Flow, number: int) -> Any:
    with flow.store.read() as connection:
        held = connection.execute(select(hold).where(hold.c.id == number)).first()
        if held is None:
            raise No("there is no such hold; `chartpost holds` lists them")
        noun, _, key = held.object.partition(":")
        if held.state != states.Hold.OPEN:
            raise No("it is done already")
        if noun != "message" or held.cause in BESIDE:
            raise No("only what holds a message can be settled by correcting it")
        names = ("id", "source", "control_id", "raw", "edited", "lane")
        statement = select(*(message.c[name] for name in names)).where(message.c.id == int(key))
        return connection.execute(statement).one()


def _charset(source: Source) -> str:
    return source.encoding if isinstance(source, Hl7Rules) else "utf-8"


def _with(raw: bytes, sets: Sequence[str], charset: str) -> bytes:
    try:
        found = er7.parse(raw, charset)
        for one in sets:
            match = _SET.fullmatch(one)
            if match is None:
                raise No("--set is a path, = and a value, as in FT1[2]-6=CG")
            found = edits.put(found, compile_path(match[1]), match[2])
        return found.encode()
    except ValueError as error:
        raise No(str(error)) from None


def _read(flow: Flow, row: Any, source: Source, body: bytes) -> Reading:
    try:
        corrected = SimpleNamespace(source=row.source, control_id=row.control_id, raw=row.raw, edited=body)
        return reading.read(flow, corrected, source)
    except Unreadable as error:
        problems = "; ".join(f"{problem.path}: {problem.cause}" for problem in error.problems)
        raise No(f"the corrected message still cannot be read: {problems}") from None
    except ValueError as error:
        raise No(f"the corrected message cannot be read: {error}") from None


def _moves(flow: Flow, row: Any, source: Source, was: bytes, lane: str) -> bool:
    """Say whether the correction takes the message to another account; one that named none may be given any."""
    nowhere = sealed.keyring().search(row.source, source.facility, "")
    if row.lane in (lane, nowhere):
        return False
    try:
        before = _read(flow, row, source, was)
    except No:
        return True
    return bool(before.account) and reading.account_key(flow, row.source, before) != lane


def _fields(was: bytes, now: bytes, charset: str) -> list[Difference]:
    try:
        before = er7.parse(was, charset)
    except er7.Er7Error:  # nothing to compare it with
        return [Difference("the whole message", "", "")]
    return list(edits.differences(before, er7.parse(now, charset)))


def _json(was: bytes, now: bytes, source: Source) -> list[Difference]:
    depth = source.max_depth if isinstance(source, FhirRules) else jsontext.MAX_DEPTH
    after = jsontext.decode(now, depth)
    try:
        before = jsontext.decode(was, depth)
    except jsontext.FhirError:
        return [Difference("the whole resource", "", "")]
    return list(edits.json_differences(before, after, str(after.get("resourceType", "resource"))))
