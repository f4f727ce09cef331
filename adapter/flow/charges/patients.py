"""What an ADT means for accounts: patients get new names, numbers and addresses, and one record takes another over.

No money moves: balances, requests, links and card pages go on. A posting that was written before names the prior
record, one that is written after the one that stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chartpost.adapter.flow.asking import ask
from chartpost.adapter.flow.charges import people, stops
from chartpost.adapter.flow.charges.lines import Verdict, hold
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import identities, sealed, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.mappings.model import Identifier, Merge, Reading, Stop
from chartpost.mappings.patients import MERGES, UPDATES, identifiers, is_about_patients

__all__ = ["apply", "concerned", "is_about_patients", "overtaken"]

#: The cause of the stop list that is the patient's, not an account's.
DECEASED = "deceased"
_NOBODY = "it concerns no account here"


def concerned(flow: Flow, tx: Tx, readings: Iterable[tuple[Any, Any]]) -> set[str]:
    """Return the keys of the accounts that the ADT among these messages may concern, to be loaded with the others."""
    keys: set[str] = set()
    known: set[str] = set()
    for row, found in readings:
        if isinstance(found, Reading) and is_about_patients(found.type):
            known |= identities.of_chart(row.source, found.chart)
            for merge in found.merges:
                known |= identities.of_chart(row.source, merge.chart) | identities.keys(row.source, merge.prior)
                keys |= {_key(flow, row, number) for number in (merge.account, merge.prior_account) if number}
    return keys | set(identities.accounts(tx, known))


def overtaken(flow: Flow, tx: Tx, row: Any, book: Book) -> bool:
    """Say whether a later message has said who the people of an account are: this one was held meanwhile."""
    if any(line.message_id > row.id for line in book.lines):
        return True
    follows = row.source in flow.maps and any(is_about_patients(type) for type in flow.maps[row.source].messages)
    return follows and book.id is not None and identities.overtaken(tx, book.id, row.id)


def apply(flow: Flow, tx: Tx, row: Any, found: Reading, shelf: dict[str, Book], touched: dict[str, Book]) -> Verdict:
    """Decide on one ADT, and change the books that it concerns."""
    trace = [line._asdict() for line in found.trace]
    if found.skipped:
        return Verdict(states.Message.IGNORED, found.skipped, trace)
    if found.type not in UPDATES | MERGES:
        return _for_a_person(flow, row, found, shelf, trace)
    if found.type in MERGES:
        waived = "account_merge" in row.waived.split()
        if not waived and any(_merges_accounts(flow, row, one, shelf) for one in found.merges):
            return hold(
                "account_merge", "it also merges an account here into another, and accounts are not merged by machine",
                "settle both accounts by hand; `retry --yes` then moves the patient's accounts and merges none", trace,
            )  # fmt: skip
        mine, changed = _merge(row, found, shelf)
        done = "the surviving record"
    else:
        mine = list(_accounts(row, identifiers(found.chart.get("PID-3", "")), shelf))
        changed, waits = _stop(flow, tx, row, found, mine)
        if waits:
            _note(row, changed, touched)
            return hold(
                waits[0].cause, "; ".join(stop.text or stop.cause for stop in waits) + ": nobody is written to",
                "if the payer is to be told all the same, retry with --yes; else settle it by other means and dismiss",
                trace,
            )  # fmt: skip
        newest = [book for book in mine if not overtaken(flow, tx, row, book)]
        changed += [book for book in newest if people.renew(book, found, found.guarantor, pays=_pays(book, found))]
        for book in newest:
            consent.said(tx, flow, row, found, book)
        done = "what it says of the patient"
    number = _note(row, changed, touched)
    if not number:
        return Verdict(states.Message.IGNORED, "it states what is known already" if mine else _NOBODY, trace)
    how_many = "1 account has" if number == 1 else f"{number} accounts have"
    return Verdict(states.Message.TRANSLATED, f"{how_many} {done} now", trace)


def _note(row: Any, changed: Iterable[Book], touched: dict[str, Book]) -> int:
    """Have the books written, with the message that changed them; return how many they are."""
    books = {book.key: book for book in changed}
    for book in books.values():
        if row.id not in book.changes:
            book.changes.append(row.id)
    touched.update(books)
    return len(books)


def _stop(flow: Flow, tx: Tx, row: Any, found: Reading, mine: Iterable[Book]) -> tuple[list[Book], list[Stop]]:
    """Ask nobody any more where a rule of the map says so, or somebody again where a person has lifted it.

    Return the accounts that this changed, and the stops that a person must know of: something is owed there. A death
    concerns every account of the patient, any other cause the one that the message names.
    """
    changed: list[Book] = []
    waits: dict[str, Stop] = {}
    for book in mine:
        named = not found.account or book.number == found.account
        said = found.model_copy(update={"stops": [one for one in found.stops if named or one.cause == DECEASED]})
        before = book.stopped, book.patient_only
        stops.lift(book, {stop.cause for stop in said.stops} & set(row.waived.split()))
        if (book.stopped, book.patient_only) != before:
            facility = flow.facility(book.facility)
            if book.ask is None and book.closed:  # its link showed too much: another one
                ask.follow(book, flow.link_key, tx.now, facility, gather=True)
        if not book.stopped and (still := stops.waiting(book, said, row.waived)):
            stops.mark(book, still)
            if book.ask is not None or book.balance > 0:
                waits |= {stop.cause: stop for stop in still}
        if (book.stopped, book.patient_only) != before:
            changed.append(book)
    return changed, list(waits.values())


def _merge(row: Any, found: Reading, shelf: dict[str, Book]) -> tuple[list[Book], list[Book]]:
    """Move accounts, pair by pair in their order; return those that are concerned and those that changed."""
    mine: dict[str, Book] = {}
    changed: dict[str, Book] = {}
    for merge in found.merges:
        for book in _accounts(row, merge.prior, shelf):
            mine[book.key] = book
            if people.renew(book, merge):
                changed[book.key] = book
    return list(mine.values()), list(changed.values())


def _accounts(row: Any, numbers: Iterable[Identifier], shelf: dict[str, Book]) -> Iterator[Book]:
    """Yield the accounts of a source's patient, those of this very transaction included."""
    wanted = {(one.value, one.authority) for one in numbers}
    for book in shelf.values():
        own = identifiers(identities.field(book.chart)) if book.source == row.source else ()
        if any((one.value, one.authority) in wanted for one in own):
            yield book


def _pays(book: Book, found: Reading) -> bool:
    """Say whether GT1 speaks for this account: the one that the message names, or all where it names none.

    Two accounts of a patient may have different payers. Of the same payer each account has the same number.
    """
    if not found.account or book.number == found.account:
        return True
    payer = found.guarantor
    return book.guarantor is not None and payer is not None and people.same_name(book.guarantor, payer)


def _merges_accounts(flow: Flow, row: Any, merge: Merge, shelf: dict[str, Book]) -> bool:
    """Say whether MRG-3 and PID-18 name two accounts, the prior one ours (HL7 v2.5.1 §3.3.35, .41)."""
    differ = bool(merge.account and merge.prior_account) and merge.account != merge.prior_account
    return differ and _key(flow, row, merge.prior_account) in shelf


def _for_a_person(
    flow: Flow, row: Any, found: Reading, shelf: dict[str, Book], trace: list[dict[str, Any]]
) -> Verdict:  # fmt: skip
    """Hold what nobody taught us, if it concerns somebody here: links, moves, and merges that are taken back."""
    numbers = [*identifiers(found.chart.get("PID-3", "")), *(one for merge in found.merges for one in merge.prior)]
    named = [number for merge in found.merges for number in (merge.account, merge.prior_account) if number]
    ours = any(_key(flow, row, number) in shelf for number in named)
    if not ours and not any(_accounts(row, numbers, shelf)):
        return Verdict(states.Message.IGNORED, _NOBODY, trace)
    if any(merge.prior_account for merge in found.merges):
        return hold(
            "account_merge", f"{found.type} merges or moves an account here, which is not done by machine",
            "settle both accounts by hand, then dismiss this", trace,
        )  # fmt: skip
    return hold(
        "patient_event", f"{found.type} concerns a patient of accounts here, and is not followed by machine",
        "compare the accounts with the chart, then dismiss this; if such messages mean nothing here, "
        "take the type out of the map's messages", trace,
    )  # fmt: skip


def _key(flow: Flow, row: Any, number: str) -> str:
    return sealed.keyring().search(row.source, flow.source(row.source).facility, number)
