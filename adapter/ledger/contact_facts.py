"""What services said of numbers and addresses, by their keyed hash (consents.key): the kind of line, and dead ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, select, update

from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import contact_fact

#: For so long a word counts: numbers change hands, and mailboxes are mended.
COUNTS = dt.timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one number or address."""

    line: Literal["", "mobile", "landline", "voip", "unknown"] = ""  #: "" before anybody was asked
    dead: str = ""  #: the code with which a service gave it up; "" while messages may arrive


def of(connection: Connection, key: str, now: dt.datetime) -> Fact:
    """Return what is known, of the last half year."""
    columns = (contact_fact.c.line, contact_fact.c.dead)
    statement = select(*columns).where(contact_fact.c.key == key, contact_fact.c.at > now - COUNTS)
    row = connection.execute(statement).first()
    return Fact(*row) if row is not None else Fact()


def learn(tx: Tx, key: str, *, line: str | None = None, dead: str | None = None) -> None:
    """Write down what a service said; what it did not speak of stays, if it still counts."""
    known = of(tx.connection, key, tx.now)
    values = {"line": known.line if line is None else line, "dead": known.dead if dead is None else dead, "at": tx.now}
    tx.insert_new(contact_fact, [values | {"key": key}])
    tx.run(update(contact_fact).where(contact_fact.c.key == key).values(values))


def revive(tx: Tx, key: str) -> None:
    """Forget that a number or address was given up: a message has arrived there."""
    tx.run(update(contact_fact).where(contact_fact.c.key == key, contact_fact.c.dead != "").values(dead=""))


def forget(tx: Tx, keys: Collection[str]) -> None:
    """Forget what was said of these: a person knows better."""
    tx.run(delete(contact_fact).where(contact_fact.c.key.in_(keys)))
