"""The payments of one FHIR source as PaymentReconciliations, for a chart that reads them instead of being told.

What is read are the very bytes of the posting, with its id and version added. Where a destination is of type pull,
reading is how the posting arrives: what was handed out is then `received`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, false, func, insert, select, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.invoices import INVOICE
from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account, attempt, message, payment, posting
from chartpost.mappings.fhir import jsontext

CONTENT_TYPE = "application/fhir+json"
#: The system of a posting's identifier (mappings/library/fhir-payment-reconciliation.yaml).
SYSTEM = "urn:chartpost:posting"
#: What has left the house, or may be fetched. What is refused is not a fact for a chart to read.
_SHOWN = (states.Posting.PUBLISHED, states.Posting.RECEIVED, states.Posting.ACCEPTED, states.Posting.UNKNOWN)

_JOINED = posting.join(payment, payment.c.id == posting.c.payment_id).join(
    account, account.c.id == payment.c.account_id
)


class Reference(NamedTuple):
    """An Invoice, as a search names it: by the resource id, or by "system|value" of its business identifier."""

    id: str = ""
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. Every one of the conditions must hold; in each, one of its values."""

    ids: Sequence[frozenset[str]] = ()
    invoices: Sequence[frozenset[Reference]] = ()
    since: Sequence[dt.datetime] = ()  #: changed at or after
    before: Sequence[dt.datetime] = ()  #: changed before
    after: str = ""  #: the id that ended the page before this one
    count: int = 50


class Found(NamedTuple):
    """One posting, as a chart reads it."""

    id: str
    version: str  #: changes with its content
    updated: dt.datetime
    resource: dict[str, Any]


class Page(NamedTuple):
    """A part of what was found; `after` continues it, "" where nothing is left."""

    total: int
    found: list[Found]
    after: str


class UnknownPage(LookupError):
    """A search was to go on after a posting that is not there."""


class Reconciliations:
    """The postings of one source for these destinations; those of `pull` arrive by being read."""

    def __init__(
        self, store: Store, source: str, facility: str, destinations: Iterable[str], pull: Iterable[str] = ()
    ) -> None:
        self._store, self._source, self._facility = store, source, facility
        self._destinations, self._pull = frozenset(destinations), frozenset(pull)

    def read(self, id: str, *, handing_out: bool = True) -> Found | None:
        """Return one by its id. Without `handing_out` (HEAD) nobody has received it."""
        found = self.search(Search(ids=(frozenset({id}),)), handing_out=handing_out).found
        return found[0] if found else None

    def search(self, wanted: Search, *, handing_out: bool = True) -> Page:
        """Return a page, oldest first. Raises UnknownPage."""
        with self._store.read() as connection:
            conditions = [*self._ours(), *self._conditions(wanted)]
            total = connection.scalar(select(func.count()).select_from(_JOINED).where(*conditions)) or 0
            if wanted.after:
                start = connection.scalar(select(posting.c.id).where(posting.c.public_id == wanted.after))
                if start is None:
                    raise UnknownPage
                conditions.append(posting.c.id > start)
            columns = (posting.c.public_id, posting.c.body, posting.c.changed_at)
            rows = connection.execute(
                select(*columns).select_from(_JOINED).where(*conditions).order_by(posting.c.id).limit(wanted.count + 1)
            ).all()
        page = rows[: wanted.count]
        if handing_out and self._pull and page:
            self._handed_out([row.public_id for row in page])
        more = bool(page) and len(rows) > len(page)
        return Page(total, [_found(row) for row in page], page[-1].public_id if more else "")

    def _handed_out(self, ids: Sequence[str]) -> None:
        """Note what has just been read. `changed_at` stays: it is `lastUpdated`, and a poller must not chase itself."""
        fresh = [
            posting.c.public_id.in_(ids),
            posting.c.destination.in_(self._pull),
            posting.c.state == states.Posting.PUBLISHED,
        ]
        with self._store.read() as connection:
            if connection.execute(select(posting.c.id).where(*fresh).limit(1)).first() is None:
                return
        columns = (posting.c.public_id, posting.c.destination, account.c.key)
        with self._store.write() as tx:
            rows = tx.all(select(*columns).select_from(_JOINED).where(*fresh).with_for_update(of=posting))
            if not rows:
                return
            read = [row.public_id for row in rows]
            tx.run(update(posting).where(posting.c.public_id.in_(read)).values(state=states.Posting.RECEIVED))
            done = {"started_at": tx.now, "ended_at": tx.now, "outcome": "done", "detail": "read by its chart"}
            tx.run(insert(attempt), [done | {"subject": f"posting:{id}"} for id in read])
            for row in rows:
                tx.moved("posting", states.Posting.RECEIVED, row.destination, row.key, posting=row.public_id)

    def _ours(self) -> list[ColumnElement[bool]]:
        return [
            account.c.source == self._source,
            posting.c.destination.in_(self._destinations),
            posting.c.content_type == CONTENT_TYPE,
            posting.c.state.in_(_SHOWN),
            posting.c.body.is_not(None),
        ]

    def _conditions(self, wanted: Search) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [posting.c.public_id.in_(ids) for ids in wanted.ids]
        found += [self._about(references) for references in wanted.invoices]
        found += [posting.c.changed_at >= when for when in wanted.since]
        found += [posting.c.changed_at < when for when in wanted.before]
        return found

    def _about(self, references: frozenset[Reference]) -> ColumnElement[bool]:
        """What is said of these Invoices: their accounts are the lanes of their messages."""
        by_id = [reference.id for reference in references if reference.id]
        lanes = [
            keyring().search(self._source, self._facility, reference.identifier)
            for reference in references
            if reference.identifier
        ]
        named = select(message.c.lane).where(
            message.c.source == self._source, message.c.type == INVOICE, message.c.control_id.in_(by_id)
        )
        return (account.c.key.in_(lanes) if lanes else false()) | (account.c.key.in_(named) if by_id else false())


def _found(row: Any) -> Found:
    """Add id and version to the resource; everything else is as it was posted, digit by digit."""
    version = hashlib.sha256(row.body).hexdigest()[:16]
    resource = jsontext.decode(row.body)
    meta = resource.get("meta", {}) | {"versionId": version, "lastUpdated": instant(row.changed_at)}
    head = {"resourceType": resource["resourceType"], "id": row.public_id, "meta": meta}
    return Found(
        row.public_id, version, row.changed_at, head | {name: resource[name] for name in resource if name not in head}
    )


def instant(when: dt.datetime) -> str:
    """Return a time as FHIR's instant, to the microsecond: a search for what is newer must not find it again."""
    return when.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
