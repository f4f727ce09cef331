"""Which accounts are a patient's: a keyed hash of source, assigning authority and record number, for each in PID-3;
from FHIR also of the patient's address.

What an account is known by follows from its chart, always: `write` keeps the rows in step with `account.chart`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from sqlalchemy import delete, insert, select

from chartpost.adapter.ledger import cursors, sealed
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import account, account_change, account_identity
from chartpost.mappings.model import Identifier
from chartpost.mappings.patients import identifiers

#: Accounts that one transaction of `backfill` looks at.
_AT_ONCE = 500
_CURSOR = "account_identity 2"  # from then on also by the address of a FHIR patient


class Known(Protocol):
    """What is asked of a book."""

    id: int | None
    source: str
    chart: dict[str, str]
    identified: str | None
    changes: list[int]


def mark(chart: Mapping[str, str]) -> str:
    """Return the text of all that an account is known by: where it changes, its rows change."""
    return "\n".join(filter(None, (field(chart), chart.get("Patient.reference"))))


def field(chart: Mapping[str, str]) -> str:
    """Return the text that says whom an account belongs to."""
    return chart.get("PID-3", "")


def keys(source: str, numbers: Iterable[Identifier]) -> frozenset[str]:
    """Return the keyed hashes of record numbers of one source."""
    search = sealed.keyring().search
    return frozenset(search("identity", source, one.authority, one.value) for one in numbers)


def of_chart(source: str, chart: Mapping[str, str]) -> frozenset[str]:
    """Return the keys that an account with this chart is known by."""
    reference = chart.get("Patient.reference", "")
    address = [sealed.keyring().search("patient", source, reference)] if reference else []
    return keys(source, identifiers(field(chart))) | frozenset(address)


def first(source: str, chart: Mapping[str, str]) -> str:
    """Return one of the keys, the same for the same patient: of the first record number, else of the address; or ""."""
    numbers = identifiers(field(chart))[:1]
    found = keys(source, numbers) or of_chart(source, chart)
    return next(iter(found), "")


def accounts(tx: Tx, wanted: Collection[str]) -> list[str]:
    """Return the keys of the accounts that are known by any of these identities."""
    if not wanted:
        return []
    known = select(account_identity.c.account_id).where(account_identity.c.key.in_(list(wanted)))
    return [row.key for row in tx.all(select(account.c.key).where(account.c.id.in_(known)))]


def write(tx: Tx, books: Collection[Known]) -> None:
    """Write down by which identities accounts are known, where they are new or PID-3 changed; and which ADT did it."""
    changed = [book for book in books if book.identified != mark(book.chart)]
    old = [book.id for book in changed if book.identified is not None]
    if old:
        tx.run(delete(account_identity).where(account_identity.c.account_id.in_(old)))
    rows = [{"account_id": book.id, "key": key} for book in changed for key in of_chart(book.source, book.chart)]
    if rows:
        tx.run(insert(account_identity), rows)
    for book in changed:
        book.identified = mark(book.chart)
    if said := [{"account_id": book.id, "message_id": one} for book in books for one in book.changes]:
        tx.insert_new(account_change, said)


def overtaken(tx: Tx, account_id: int, message_id: int) -> bool:
    """Say whether a later message than this one changed whose the account is, or how people are reached."""
    later = (account_change.c.account_id == account_id, account_change.c.message_id > message_id)
    return tx.one(select(account_change.c.message_id).where(*later).limit(1)) is not None


def backfill(store: Store) -> int:
    """Write the identities of accounts from before there were any; once, then never again. Return how many accounts.

    It is done before a door opens, since a merge that is read too early would find nobody.
    """
    done = 0
    while True:
        with store.write() as tx:
            after = cursors.value(tx, _CURSOR)
            if after == "done":
                return done
            columns = (account.c.id, account.c.source, account.c.chart)
            statement = select(*columns).where(account.c.id > int(after or 0)).order_by(account.c.id).limit(_AT_ONCE)
            found = tx.all(statement)
            rows = [{"account_id": row.id, "key": key} for row in found for key in of_chart(row.source, row.chart)]
            if rows:
                tx.insert_new(account_identity, rows)
            done += len(found)
            cursors.put(tx, _CURSOR, str(found[-1].id) if found else "done")
