"""A FHIR Consent that came to a source: whose it is, and what it means for the numbers of that patient's accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.answering import optout
from chartpost.adapter.flow.charges.lines import Verdict, hold
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.flow.telling.reach import SMS
from chartpost.adapter.ledger import identities, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, message
from chartpost.adapter.settings import FhirRules, Source
from chartpost.mappings.fhir import bundle, consented

TYPE = "Consent"


@dataclass(slots=True)
class Stated(Verdict):
    """What a Consent says, before it is known whether that patient has accounts here."""

    granted: bool = False
    known_by: frozenset[str] = frozenset()  #: of the patient (ledger/identities.py)


def read(flow: Flow, row: Any, source: Source) -> Verdict:
    """Read a stored Consent. Raises FhirError."""
    depth = source.max_depth if isinstance(source, FhirRules) else 32
    resource, around = bundle.unpack(row.raw if row.edited is None else row.edited, depth)
    said = consented.read(resource, source.consent_codes if isinstance(source, FhirRules) else ())
    if said.unclear:
        return hold(
            "consent_unclear", f"a Consent about texts cannot be followed: {said.why}",
            "look at it in the chart; record what it means with `chartpost consents set`, then dismiss this",
        )  # fmt: skip
    if said.granted is None:
        return Verdict(states.Message.IGNORED, said.why, [])
    keys = identities.of_chart(row.source, consented.chart(resource, around))
    if not keys:
        return hold("consent_unclear", "a Consent about texts names no patient", "ask the sender to name the patient")
    return Stated(states.Message.IGNORED, "", [], granted=said.granted, known_by=keys)


def applied(flow: Flow, tx: Tx, row: Any, stated: Verdict) -> Verdict:
    """Write down what a Consent says for every number of the patient's accounts; other verdicts stay as they are.

    All accounts of the same transaction are in the ledger by now: a Bundle may bring both.
    """
    if not isinstance(stated, Stated):
        return stated
    mine = select(account).where(account.c.key.in_(identities.accounts(tx, stated.known_by)))
    owners = tx.all(mine.order_by(account.c.id))
    new = sum(_record(flow, tx, row.id, stated.granted, owner) for owner in owners)
    if not owners:
        return Verdict(states.Message.IGNORED, "its patient has no account here yet", [])
    what = "granted" if stated.granted else "revoked"
    count = "1 number" if new == 1 else f"{new} numbers"
    return Verdict(states.Message.TRANSLATED, f"consent to texts {what} for {count}", [])


def _record(flow: Flow, tx: Tx, message_id: int, granted: bool, owner: Any) -> int:
    word = Word(GRANTED if granted else REVOKED, "fhir", f"M{message_id}")
    numbers = consent.contacts(flow, owner, SMS)
    return sum(bool(optout.take(flow, tx, SMS, to, word, facilities=[owner.facility])) for to in numbers)


def earlier(flow: Flow, tx: Tx, books: Iterable[Book]) -> None:
    """Follow the Consents that came before for accounts that are new, or whose people have other numbers now."""
    for book in books:
        known = identities.of_chart(book.source, book.chart)
        if not isinstance(flow.settings.sources.get(book.source), FhirRules) or not known:
            continue
        read_before = message.c.state.in_((states.Message.IGNORED, states.Message.TRANSLATED))
        where = (message.c.type == TYPE, message.c.lane.in_(known), read_before)
        columns = (message.c.id, message.c.source, message.c.raw, message.c.edited)
        for row in tx.all(select(*columns).where(*where).order_by(message.c.id)):
            stated = read(flow, row, flow.source(book.source))
            if isinstance(stated, Stated):
                _record(flow, tx, row.id, stated.granted, book)
