"""Fixtures that several parts of the tests share: databases, a workbench, and the sandbox as a real process."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # services.py and workbench.py, for every test

import services
from workbench import MAY, Clock, Hooks, Other, Workbench, configuration

from chartpost.adapter.ledger import sealed, tables
from chartpost.adapter.ledger.store import Store

# Machines differ, and a busy one is slow: how long an example may take says nothing here.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
# structlog's own default draws every exception with all its variables: half a second each.
_LOGGING = {"processors": [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]}
structlog.configure(**_LOGGING)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger as a file, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    store = Store.open(f"sqlite:///{path}")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """A migrated database of this worker's own."""
    with services.postgres_database() as url:
        Store.open(url).close()
        yield url


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is told to move."""
    return Clock(MAY)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty ledger on each database."""
    if request.param == "sqlite":
        path = tmp_path / "chartpost.db"
        shutil.copy(request.getfixturevalue("migrated"), path)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)
    else:
        store = Store.open(request.getfixturevalue("_postgres"), clock=clock, migrate=False)
        # TRUNCATE makes every file anew, which takes thirty times as long as deleting the few rows of a test.
        emptied = [f"DELETE FROM {table.name}" for table in reversed(tables.metadata.sorted_tables)]
        counted = [table.name for table in tables.metadata.sorted_tables if "id" in table.c]
        emptied += [f"ALTER SEQUENCE {name}_id_seq RESTART" for name in counted]
        with store.write() as tx:
            tx.connection.exec_driver_sql("; ".join(emptied))
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _as_new() -> Iterator[None]:
    """No test inherits another's keys, nor a logger that a plugin has silenced for the whole process."""
    yield
    sealed.use(sealed.Keyring())
    structlog.reset_defaults()
    structlog.configure(**_LOGGING)
    logging.getLogger("stripe").disabled = False


@pytest.fixture
def bench(store: Store, clock: Clock) -> Iterator[Workbench]:
    """A flow with nothing outside. What must be true of every ledger is checked at the end."""
    made = Workbench(store, clock, configuration())
    yield made
    made.check()
    made.close()


@pytest.fixture(scope="session")
def hooks() -> Iterator[Hooks]:
    """The web server that the sandbox calls back."""
    made = Hooks()
    yield made
    made.close()


@pytest.fixture(scope="session")
def _sandbox(hooks: Hooks) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "chartpost.adapter.sandbox", "--with-parent"]
    command += ["--stripe-webhook", f"{hooks.url}/hooks/card"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
def other(_sandbox: dict[str, str], hooks: Hooks) -> Iterator[Other]:
    """The other side: a card provider, an SMS service and a clinic in a process of their own."""
    made = Other(_sandbox, hooks)
    yield made
    made.calm()


@pytest.fixture
def live(store: Store, clock: Clock, other: Other, hooks: Hooks) -> Iterator[Workbench]:
    """A flow between real counterparts, through the real SDKs. Its clock runs with theirs."""
    clock.start = None
    made = Workbench(store, clock, configuration(other.ready), hooks.url)
    hooks.flow = made.flow
    yield made
    hooks.let_go()
    made.check()
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, for tests that look at pages."""
    path = services.require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
