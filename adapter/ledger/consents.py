"""Consent, word by word: append-only, by the keyed hash of a number or address.

A word is what somebody said of one number: granted or revoked, for a facility or for whoever writes through a notifier.
`standing` says which of them counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import consent, notice

GRANTED, REVOKED = "granted", "revoked"
PURPOSE = "billing"
#: Notices that one transaction of `backfill` looks at.
_AT_ONCE = 500
#: What comes from the person, or from staff who give evidence. A revocation by one of these is lifted by these alone.
OWN = frozenset(["reply", "page", "service", "staff"])
#: What comes from a record of the practice, which repeats itself and may be older than the person's own word.
RECORDS = frozenset(["chart", "fhir", "csv"])


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said of one number or address."""

    state: str  #: granted, revoked
    origin: str  #: chart, fhir, csv, staff, page, reply, service
    evidence: str = ""  #: where it can be looked up; no person's data
    by: str = ""
    scope: str = ""  #: "facility:lakeside", "notifier:sms"
    at: dt.datetime | None = None
    words: bytes | None = field(default=None, repr=False)  #: what the person wrote


def key(channel: str, value: str) -> str:
    """Return the keyed hash of a number or address: `notice.recipient_key` is the same."""
    return sealed.keyring().search("recipient", channel, value.casefold())


def facility(name: str) -> str:
    """Return the scope of a facility."""
    return f"facility:{name}"


def notifier(name: str) -> str:
    """Return the scope of whoever writes through a notifier."""
    return f"notifier:{name}"


def standing(history: Iterable[Word]) -> Word | None:
    """Return the word that counts, of words in the order in which they were said; None where there is none. Pure."""
    counts: Word | None = None
    for word in history:
        bound = counts is not None and counts.state == REVOKED and counts.origin in OWN
        if not bound or word.origin in OWN:
            counts = word
    return counts


def history(connection: Connection, channel: str, key: str, scopes: Collection[str] | None = None) -> list[Word]:
    """Return what was said of a number or address, oldest first: in these scopes, or in all."""
    where = [consent.c.key == key, consent.c.channel == channel]
    if scopes is not None:
        where.append(consent.c.scope.in_(list(scopes)))
    columns = (
        consent.c.state, consent.c.origin, consent.c.evidence, consent.c.by, consent.c.scope, consent.c.at,
    )  # fmt: skip
    rows = connection.execute(select(*columns).where(*where).order_by(consent.c.id))
    return [Word(*row) for row in rows]


def add(tx: Tx, channel: str, key: str, scopes: Sequence[str], word: Word) -> list[int]:
    """Write a word down for these scopes, now; return the ids of the rows, [] where it says nothing new.

    What a record repeats is no new row, and neither is a record's "yes" that a person's own "no" outweighs.
    """
    wanted = []
    for scope in scopes:
        said = history(tx.connection, channel, key, [scope])
        known = standing(said)
        if known is not None and _same(known, word):
            continue  # a button that was pressed once more
        if word.origin not in OWN:
            if known is not None and (known.state == word.state or standing([known, word]) is known):
                continue
            if any(_same(one, word) for one in said):
                continue  # the same line of the same record, read once more
        wanted.append(scope)
    rows = [
        {
            "key": key, "channel": channel, "purpose": PURPOSE, "scope": scope, "state": word.state,
            "origin": word.origin, "evidence": word.evidence, "words": word.words, "by": word.by, "at": tx.now,
        }
        for scope in wanted
    ]  # fmt: skip
    return [tx.run(insert(consent).returning(consent.c.id), [row]).scalar_one() for row in rows]


def _same(one: Word, other: Word) -> bool:
    return (one.state, one.origin, one.evidence) == (other.state, other.origin, other.evidence)


def backfill(store: Store) -> int:
    """Give notices of an older version the key of their recipient, by which a STOP finds them. Return how many.

    It is done before a door opens.
    """
    done = 0
    older = (notice.c.recipient_key == "", notice.c.recipient.is_not(None))
    while True:
        with store.write() as tx:
            rows = tx.all(select(notice.c.id, notice.c.channel, notice.c.recipient).where(*older).limit(_AT_ONCE))
            for row in rows:
                whose = {"recipient_key": key(row.channel, row.recipient.decode())}
                tx.run(update(notice).where(notice.c.id == row.id).values(whose))
        done += len(rows)
        if len(rows) < _AT_ONCE:
            return done
