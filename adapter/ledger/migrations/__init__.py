"""The schema's history. `upgrade` runs by itself whenever a store is opened to write."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, exc, text

#: The newest revision in versions/. A ledger that is there already starts without Alembic, which costs half a second.
HEAD = "0003"


def upgrade(engine: Engine) -> None:
    """Bring the schema to its newest revision; several processes may call it at once."""
    if revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.connect().execution_options(chartpost_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4307201)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except exc.DBAPIError:
        return None  # nothing is there yet; if it is something worse, the upgrade will say so
