"""Database and broker: reachable, ours to write to, and of the shape that we want. Changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chartpost.adapter import settings
from chartpost.adapter.doctor.finding import Finding, State, drift
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import migrations, sealed
from chartpost.adapter.ledger.store import Store, sqlite_url, utc_now
from chartpost.adapter.ledger.tables import key_mark
from chartpost.adapter.log import masked


def database(url: str, folder: Path) -> Iterator[Finding]:
    """The ledger: reachable, of our schema, writable, made with our keys; and the server's clock."""
    from sqlalchemy import exc

    embedded = url == "sqlite"
    if embedded and not (folder / "chartpost.db").exists():
        yield Finding("database", State.OK, "sqlite; the ledger is made at the first start")
        return
    if not embedded and not url.startswith("postgresql://"):
        yield Finding("database", State.SKIPPED, "no address; see the configuration's problems")
        return
    timed = url if "connect_timeout" in url or embedded else f"{url}{'&' if '?' in url else '?'}connect_timeout=5"
    store = Store.open(sqlite_url(folder.resolve()) if embedded else timed, migrate=False)
    try:
        yield from _ledger(store, folder)
    except exc.DBAPIError as error:
        reason = masked(str(error.orig).strip().partition("\n")[0])
        fix = "check address, user and password" if not embedded else "run as the user that `serve` runs as"
        yield Finding("database", State.PROBLEM, f"does not answer as it should: {reason}", fix)
    finally:
        store.close()


def _ledger(store: Store, folder: Path) -> Iterator[Finding]:
    from sqlalchemy import select, text

    remote = store.dialect == "postgresql"
    with store.engine.connect().execution_options(chartpost_write=True) as connection, connection.begin():
        if remote:
            if connection.scalar(text("SELECT pg_is_in_recovery()")):
                fix = "name the primary server"
                yield Finding("database", State.PROBLEM, "the server is a standby and takes no writes", fix)
                return
            if not connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
                fix = "GRANT CREATE, USAGE on the schema to the user, or make it the database's owner"
                yield Finding("database", State.PROBLEM, "the user may not create tables", fix)
                return
            before = utc_now()
            yield drift("the database", connection.scalar(text("SELECT clock_timestamp()")), before)
        name = f"{store.dialect} {'.'.join(map(str, store.engine.dialect.server_version_info or ()))}"
    found = migrations.revision(store.engine)
    if found is None:
        yield Finding("database", State.OK, f"{name}; tables are made at the first start")
        return
    if found > migrations.HEAD:
        fix = "install the version of chartpost that wrote it, or a newer one"
        text_ = f"{name}: its schema {found} is newer than this program's {migrations.HEAD}"
        yield Finding("database", State.PROBLEM, text_, fix)
        return
    if found < migrations.HEAD:
        fix = "make a backup before the next start of `serve`, which does that"
        text_ = f"{name}: its schema {found} is to be brought to {migrations.HEAD}"
        yield Finding("database", State.WARNING, text_, fix)
        return
    try:
        keys = data_keys(folder, make=False)
    except ConfigurationError:  # said of the data directory
        yield Finding("database", State.OK, f"{name}, schema {found}")
        return
    mark = sealed.Keyring(keys.searching, keys.sealing).search("key mark")
    with store.read() as connection:
        known = connection.scalar(select(key_mark.c.mark))
    if known not in (None, mark):
        fix = f"restore the keys that were made with it into {folder}"
        yield Finding("database", State.PROBLEM, f"{name}: it was written with other keys", fix)
        return
    yield Finding("database", State.OK, f"{name}, schema {found}, takes writes")


def broker(url: str, loaded: settings.Settings | None) -> Iterator[Finding]:
    """The broker: reachable, lets us declare, and holds no queue of ours with other arguments. Leaves nothing there."""
    if url.startswith("memory://"):
        yield Finding("broker", State.OK, "memory://, inside the process")
        return
    if not url.startswith(("amqp://", "amqps://")):
        yield Finding("broker", State.SKIPPED, "no address; see the configuration's problems")
        return
    from chartpost.adapter.status import topology
    from chartpost.queues.publisher import connect

    try:
        connection = connect(url)
    except Exception as error:  # py-amqp and the socket raise what they like
        reason = masked(str(error))[:160] or type(error).__name__
        yield Finding("broker", State.PROBLEM, f"no connection: {reason}", "check address, user, password and vhost")
        return
    try:
        import kombu

        try:
            mine = kombu.Queue(f"chartpost.check.{uuid.uuid4().hex}", exclusive=True, auto_delete=True, durable=False)
            with connection.channel() as channel:
                mine(channel).queue_declare()
                mine(channel).delete()
        except Exception as error:
            fix = "give its user configure, write and read on chartpost.*, posting.*, charge.* and amq.*"
            yield Finding("broker", State.PROBLEM, f"no queue can be declared: {masked(str(error))[:160]}", fix)
            return
        server = connection.connection.server_properties
        name = f"{server.get('product', 'broker')} {server.get('version', '')}".strip()
        there, wrong = _queues(connection, topology(loaded)) if loaded else (0, [])
        for queue in wrong:
            fix = f"empty it, then delete it (`rabbitmqctl delete_queue {queue}`): `serve` makes it anew"
            yield Finding("broker", State.PROBLEM, f"{queue} exists with other arguments than ours", fix)
        if not wrong:
            yield Finding("broker", State.OK, f"{name}; {f'{there} of our queues exist' if there else 'no queue yet'}")
    finally:
        connection.collect()


def _queues(connection: Any, names: Any) -> tuple[int, list[str]]:
    """Return how many of our queues exist, and which of them would refuse to be declared as `serve` does."""
    there, wrong = 0, []
    for queue in names.queues(sorted(names.names), connection):
        try:
            with connection.channel() as channel:
                queue(channel).queue_declare(passive=True)
        except connection.channel_errors:  # not there: `serve` makes it
            continue
        there += 1
        try:
            with connection.channel() as channel:
                queue(channel).queue_declare()
        except connection.channel_errors:
            wrong.append(queue.name)
    return there, wrong
