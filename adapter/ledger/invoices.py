"""What the ledger knows already of the Invoices or ChargeItems of a source: by resource id, and by identifier."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, Row, func, select

from chartpost.adapter.ledger.sealed import keyring
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account, entry, message

#: What their messages have as type.
INVOICE, CHARGE_ITEM = "Invoice", "ChargeItem"


def item_reference(control_key: str) -> str:
    """Return what the entries of a ChargeItem have as reference: a keyed hash of what it is known by."""
    return keyring().search("chargeitem", control_key)


class Seen(NamedTuple):
    """An Invoice or ChargeItem that came before."""

    message: int  #: the newest message about it; also its version
    id: str  #: the resource id under which it came
    lane: str
    state: str
    booked: bool  #: there is an account in this lane; of a ChargeItem: something of it is counted there
    key: str = ""  #: of a ChargeItem: its control key


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

    def __init__(self, store: Store, source: str, type: str = INVOICE) -> None:
        """`type`: what the source's map reads, INVOICE or CHARGE_ITEM."""
        self._store, self._source, self._type = store, source, type

    def __call__(self, ids: Collection[str], keys: Collection[str]) -> Known:
        """Return the newest message about each of these resource ids, and of these control keys."""
        with self._store.read() as connection:
            by_id, by_key = (
                connection.execute(self._newest(column, wanted)).all() if wanted else ()
                for column, wanted in ((message.c.control_id, ids), (message.c.control_key, keys))
            )
            wanted = self._booked([*by_id, *by_key])
            booked = {tuple(row) for row in connection.execute(wanted)} if by_id or by_key else set()
        return Known(*({row.name: self._seen(row, booked) for row in rows} for rows in (by_id, by_key)))

    def _booked(self, rows: Collection[Row[Any]]) -> Any:
        """Select the lanes in which there is an account; of ChargeItems also whose entries come to something."""
        lanes = {row.lane for row in rows}
        if self._type == INVOICE:
            return select(account.c.key).where(account.c.key.in_(lanes))
        items = {item_reference(row.control_key) for row in rows}
        counted = select(account.c.key, entry.c.reference).join(entry, entry.c.account_id == account.c.id)
        counted = counted.where(account.c.key.in_(lanes), entry.c.reference.in_(items))
        return counted.group_by(account.c.key, entry.c.reference).having(func.sum(entry.c.amount) != 0)

    def _seen(self, row: Any, booked: Collection[tuple[Any, ...]]) -> Seen:
        seen = Seen(row.id, row.control_id, row.lane, row.state, (row.lane,) in booked)
        if self._type == INVOICE:
            return seen
        mine = (row.lane, item_reference(row.control_key))
        return seen._replace(booked=mine in booked, key=row.control_key)

    def bodies(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return the newest state of each of these Invoices, as it was stored."""
        newest = self._newest(message.c.control_id, ids).subquery()
        statement = select(message.c.control_id, message.c.raw).where(message.c.id.in_(select(newest.c.id)))
        with self._store.read() as connection:
            return {row.control_id: row.raw for row in connection.execute(statement)} if ids else {}

    def _newest(self, column: Column[str], wanted: Collection[str]) -> Any:
        newest = (
            select(func.max(message.c.id))
            .where(message.c.source == self._source, message.c.type == self._type, message.c.lane != "")
            .where(column.in_(wanted))
            .group_by(column)
        )
        named = column.label("name")
        columns = (
            message.c.id, message.c.control_id, message.c.control_key, message.c.lane, message.c.state, named,
        )  # fmt: skip
        return select(*columns).where(message.c.id.in_(newest))
