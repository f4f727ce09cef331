"""What the ledger knows already of the Invoices that a source sends: by resource id, and by business identifier."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, func, select

from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account, message

#: What their messages have as type.
INVOICE = "Invoice"


class Seen(NamedTuple):
    """An Invoice that came before."""

    message: int  #: the newest message about it; also its version
    id: str  #: the resource id under which it came
    lane: str
    state: str
    booked: bool  #: there is an account in this lane


class Known(NamedTuple):
    """What came before, by resource id and by control key."""

    by_id: Mapping[str, Seen]
    by_key: Mapping[str, Seen]


Look = Callable[[Collection[str], Collection[str]], Known]


def knows_nothing(ids: Collection[str], keys: Collection[str]) -> Known:
    """Look nowhere."""
    return Known({}, {})


class KnownInvoices:
    """Looks in the messages of one source; what was refused has no lane, and is not known."""

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source

    def __call__(self, ids: Collection[str], keys: Collection[str]) -> Known:
        """Return the newest message about each of these resource ids, and of these control keys."""
        with self._store.read() as connection:
            by_id, by_key = (
                connection.execute(self._newest(column, wanted)).all() if wanted else ()
                for column, wanted in ((message.c.control_id, ids), (message.c.control_key, keys))
            )
            lanes = {row.lane for row in (*by_id, *by_key)}
            booked = set(connection.scalars(select(account.c.key).where(account.c.key.in_(lanes)))) if lanes else set()
        return Known(*({row.name: _seen(row, row.lane in booked) for row in rows} for rows in (by_id, by_key)))

    def bodies(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return the newest state of each of these Invoices, as it was stored."""
        newest = self._newest(message.c.control_id, ids).subquery()
        statement = select(message.c.control_id, message.c.raw).where(message.c.id.in_(select(newest.c.id)))
        with self._store.read() as connection:
            return {row.control_id: row.raw for row in connection.execute(statement)} if ids else {}

    def _newest(self, column: Column[str], wanted: Collection[str]) -> Any:
        newest = (
            select(func.max(message.c.id))
            .where(message.c.source == self._source, message.c.type == INVOICE, message.c.lane != "")
            .where(column.in_(wanted))
            .group_by(column)
        )
        columns = (message.c.id, message.c.control_id, message.c.lane, message.c.state, column.label("name"))
        return select(*columns).where(message.c.id.in_(newest))


def _seen(row: Any, booked: bool) -> Seen:
    return Seen(row.id, row.control_id, row.lane, row.state, booked)
