"""The schema's history. `upgrade` runs by itself whenever a store is opened to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, exc, text

#: The newest revision in versions/. A ledger that is there already starts without Alembic, which costs half a second.
HEAD = "0004"


def upgrade(engine: Engine) -> None:
    """Bring the schema to its newest revision; several processes may call it at once."""
    if revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    opened = engine.connect().execution_options(chartpost_write=True)
    with opened as connection, _tables_may_be_made_anew(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4307201)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _tables_may_be_made_anew(connection: Connection) -> Iterator[None]:
    """SQLite changes a constraint by making the table anew, which its own foreign keys would forbid.

    They can only be switched off outside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        if broken := driver.execute("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"the ledger's tables no longer fit together: {len(broken)} rows refer to nothing")
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except exc.DBAPIError:
        return None  # nothing is there yet; if it is something worse, the upgrade will say so
