"""The database: one engine, write transactions one at a time on SQLite, and what is told after each commit.

SQLAlchemy sync, used from threads. SQLite runs in WAL mode with FULL synchronisation and BEGIN IMMEDIATE, all write
transactions of the process behind one lock; PostgreSQL runs READ COMMITTED and locks the account rows it changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Row, Table, create_engine, event, exc, insert, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from chartpost.adapter.errors import Transient
from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.tables import key_mark
from chartpost.adapter.ledger.turns import NoTurns, Turns

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """Return the time now, aware."""
    return dt.datetime.now(dt.UTC)


#: Noun, state, place, key of the account, ids.
Move = tuple[str, str, str, str, dict[str, Any]]


class Tx:
    """One write transaction: its connection, its one idea of now, whether it made work, and what moved in it."""

    def __init__(self, connection: Connection, now: dt.datetime, owner: str = "") -> None:
        self.connection = connection
        self.now = now
        self.owner = owner
        #: The kinds of errands that were added or freed: the relay is woken for them after the commit.
        self.work: set[str] = set()
        #: What moved, to be told after the commit.
        self.moves: list[Move] = []

    def moved(self, noun: str, state: str, place: str, key: str, **ids: Any) -> None:
        """Note that a noun reached a state: `place` is its source, channel, provider or destination, `key` the lane."""
        self.moves.append((noun, state, place, key, ids))

    def run(self, statement: Executable, rows: Sequence[dict[str, Any]] | None = None) -> Any:
        """Execute a statement, in bulk when `rows` are given."""
        return self.connection.execute(statement, rows) if rows is not None else self.connection.execute(statement)

    def insert_new(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, leaving out those that a unique index of the table has already."""
        if self.connection.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as pg_insert

            self.run(pg_insert(table).on_conflict_do_nothing(), rows)
        else:
            self.run(sqlite_insert(table).on_conflict_do_nothing(), rows)

    def one(self, statement: Executable) -> Row[Any] | None:
        """Return the first row, or None."""
        return self.connection.execute(statement).first()

    def scalar(self, statement: Executable) -> Any:
        """Return the first column of the first row, or None."""
        return self.connection.scalar(statement)

    def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Return all rows; `values` are those of the statement's own parameters."""
        return self.connection.execute(statement, values).all()


class Store:
    """The ledger's database. Make it with `Store.open`."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self.clock = clock
        #: Held around every write transaction, also by the door's raw statements.
        self.turns = Turns() if self.dialect == "sqlite" else NoTurns()
        #: Who leases errands here: one data directory of one host.
        self.owner = ""
        #: Called after a commit that made work: wakes the relay. Must be cheap and must not raise.
        self.on_work: Callable[[Iterable[str]], None] = lambda kinds: None
        #: Called after the commit for everything that moved in it: logs and counts (figures.py). Must not raise.
        self.on_move: Callable[[str, str, str, str, dict[str, Any]], None] = lambda *move: None

    @classmethod
    def open(cls, url: str, *, readonly: bool = False, clock: Clock = utc_now, migrate: bool = True) -> Store:
        """Open `sqlite:///PATH` or `postgresql://…`, bringing its schema up to date unless it is opened to read."""
        if url.startswith("sqlite"):
            engine = _sqlite(url, readonly)
        else:
            engine = create_engine(url, pool_size=16, max_overflow=8, pool_pre_ping=True, hide_parameters=True)
        if migrate and not readonly:
            from chartpost.adapter.ledger.migrations import upgrade

            upgrade(engine)
        return cls(engine, clock)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Run one write transaction; commit at the end, roll back on any exception.

        Raises Transient when the database cannot be reached or stays locked.
        """
        try:
            with self.turns.worker(), self.engine.connect() as connection:
                connection = connection.execution_options(chartpost_write=True)
                with connection.begin():
                    tx = Tx(connection, self.clock(), self.owner)
                    yield tx
        except (exc.OperationalError, exc.InterfaceError) as error:
            raise Transient(f"the database did not answer ({type(error.orig).__name__})") from None
        if tx.work:
            self.on_work(tx.work)
        for noun, state, place, key, ids in tx.moves:
            self.on_move(noun, state, place, key, ids)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run reads on one consistent snapshot."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def has_our_keys(self) -> bool:
        """Say whether the ledger was written with the keys in force; a new ledger takes them for its own."""
        mark = sealed.keyring().search("key mark")
        with self.write() as tx:
            known = tx.scalar(select(key_mark.c.mark))
            if known is None:
                tx.run(insert(key_mark), [{"mark": mark}])
            return known in (None, mark)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def sqlite_url(data: Path) -> str:
    """Return the URL of the embedded database of a data directory."""
    return f"sqlite:///{data / 'chartpost.db'}"


def _sqlite(url: str, readonly: bool) -> Engine:
    if readonly:
        path = url.removeprefix("sqlite:///")
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
    engine = create_engine(url, pool_size=16, max_overflow=8, hide_parameters=True, connect_args={"timeout": 5})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        # SQLAlchemy says when a transaction begins, not the driver.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        if not readonly:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=1000")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("chartpost_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
