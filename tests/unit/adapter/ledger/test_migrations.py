"""The schema's history leads to exactly the tables of the code, on both databases, however often it is run."""

from __future__ import annotations

import threading

import pytest
import services
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.migrations import upgrade
from chartpost.adapter.ledger.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
    else:
        with services.postgres_database() as url:
            yield url


def test_the_migrations_and_the_tables_agree_and_a_second_run_changes_nothing(url):
    store = Store.open(url)
    try:
        for _ in range(2):
            with store.engine.connect() as connection:
                context = MigrationContext.configure(connection, opts={"compare_server_default": False})
                assert compare_metadata(context, tables.metadata) == []
            upgrade(store.engine)
    finally:
        store.close()


def test_every_index_that_a_promise_rests_on_is_there(url):
    """Uniqueness that only holds for open rows is not compared by Alembic on every database."""
    store = Store.open(url)
    try:
        catalogue = "sqlite_master" if store.dialect == "sqlite" else "pg_indexes"
        name, text = ("name", "sql") if store.dialect == "sqlite" else ("indexname", "indexdef")
        with store.read() as connection:
            found = dict(connection.exec_driver_sql(f"SELECT {name}, {text} FROM {catalogue}").all())
    finally:
        store.close()
    for index in ("uq_request_open", "uq_card_part_live", "uq_hold_open", "uq_errand_open"):
        assert "UNIQUE" in found[index].upper()
        assert "WHERE" in found[index].upper(), f"{index} covers open rows only"


def test_several_processes_may_migrate_at_once(url):
    stores, failures = [], []

    def start():
        try:
            stores.append(Store.open(url))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert failures == []
