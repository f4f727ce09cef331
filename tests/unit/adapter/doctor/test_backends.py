"""What `chartpost check` sees of database and broker: real ones, asked and left as they were."""

from __future__ import annotations

import shutil
import sqlite3
import uuid

import kombu
import psycopg
import pytest
import services

from chartpost.adapter import settings
from chartpost.adapter.doctor import backends
from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.store import Store

RABBIT = "amqp://guest:guest@127.0.0.1:5672//"


@pytest.fixture
def data(tmp_path, migrated):
    """A data directory with keys and an empty ledger that knows them."""
    folder = tmp_path / "data"
    keys = data_keys(folder)
    shutil.copy(migrated, folder / "chartpost.db")
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(f"sqlite:///{folder / 'chartpost.db'}", migrate=False)
    assert store.has_our_keys()
    store.close()
    sealed.use(sealed.Keyring())
    return folder


@pytest.fixture
def postgres(_postgres):
    """A migrated database whose ledger knows no keys yet."""
    with psycopg.connect(_postgres, autocommit=True) as server:
        server.execute("TRUNCATE key_mark")
    return _postgres


def told(findings):
    return [(one.what, str(one.state)) for one in findings]


def test_a_ledger_of_ours_is_well_and_takes_writes(data):
    (found,) = backends.database("sqlite", data)
    assert (str(found.state), "takes writes" in found.text) == ("ok", True)


def test_no_ledger_yet_is_well(tmp_path):
    assert told(backends.database("sqlite", tmp_path)) == [("database", "ok")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("version", "state"), [("0001", "warning"), ("9999", "problem")])
def test_an_older_schema_is_a_warning_and_a_newer_one_a_problem(data, version, state):
    with sqlite3.connect(data / "chartpost.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    assert told(backends.database("sqlite", data)) == [("database", state)]


def test_a_ledger_that_was_written_with_other_keys_is_a_problem(data):
    (data / "searching.key").write_text("ab" * 32)
    (found,) = backends.database("sqlite", data)
    assert (str(found.state), "other keys" in found.text) == ("problem", True)


def test_a_file_that_is_no_database_is_a_problem(data):
    (data / "chartpost.db").write_bytes(b"this is no database" * 100)
    assert told(backends.database("sqlite", data)) == [("database", "problem")]


@pytest.mark.postgres
def test_postgresql_is_asked_for_its_schema_and_its_time(postgres, tmp_path):
    data_keys(tmp_path / "data")
    clock, ledger = backends.database(postgres, tmp_path / "data")
    assert "agrees" in clock.text
    assert "takes writes" in ledger.text


@pytest.mark.postgres
def test_a_user_who_may_not_create_tables_is_a_problem(postgres, tmp_path):
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE ROLE {role} LOGIN")
        try:
            url = postgres.replace("postgres@", f"{role}@")
            (found,) = backends.database(url, tmp_path)
            assert "may not create tables" in found.text
        finally:
            server.execute(f"DROP ROLE {role}")


@pytest.mark.postgres
def test_a_server_that_refuses_is_a_problem_without_the_password(tmp_path):
    services.require("PostgreSQL", services.POSTGRES)
    (found,) = backends.database("postgresql://postgres:secretword@127.0.0.1:5432/no_such_database", tmp_path)
    assert str(found.state) == "problem"
    assert "no_such_database" in found.text
    assert "secretword" not in found.text + found.fix


def test_memory_needs_no_broker():
    assert told(backends.broker("memory://", None)) == [("broker", "ok")]


def test_a_broker_that_is_not_there_is_a_problem():
    (found,) = backends.broker("amqp://guest:secretword@127.0.0.1:1//", None)
    assert str(found.state) == "problem"
    assert "secretword" not in found.text + found.fix


@pytest.mark.rabbitmq
def test_rabbitmq_is_asked_whether_we_may_declare_and_nothing_is_left_there():
    services.require("RabbitMQ", services.RABBITMQ)
    (found,) = backends.broker(RABBIT, None)
    assert (str(found.state), "RabbitMQ" in found.text) == ("ok", True)


@pytest.mark.rabbitmq
def test_a_queue_of_ours_with_other_arguments_is_named_with_its_remedy():
    services.require("RabbitMQ", services.RABBITMQ)
    name = f"strange{uuid.uuid4().hex[:8]}"
    loaded = settings.load(None, {})
    destinations = {name: loaded.destinations["chart"]}
    loaded = loaded.model_copy(update={"destinations": destinations})
    queue = f"posting.{name}.hl7v2"
    with kombu.Connection(RABBIT) as connection, connection.channel() as channel:
        kombu.Queue(queue, durable=True)(channel).queue_declare()
        try:
            found = backends.broker(RABBIT, loaded)
            (mine,) = [one for one in found if queue in one.text]
            assert (str(mine.state), queue in mine.fix) == ("problem", True)
        finally:
            kombu.Queue(queue)(channel).delete()
