"""Schemathesis reads what the OpenAPI document says of /api, and tries it, and what it does not say, on the face."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from apis import users
from hypothesis import settings
from schemathesis import openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)
from starlette.applications import Starlette
from workbench import MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.ledger.store import Store
from chartpost.adapter.web.api.face import ApiFace
from chartpost.adapter.web.bursts import Bursts
from chartpost.adapter.web.openapi import document

AUTH = {"Authorization": "Bearer token-of-administrator-here"}
CONFIG: dict[str, Any] = {"generation": {"deterministic": True}}
schema = openapi.from_dict(document("http://127.0.0.1"), config=SchemathesisConfig.from_dict(CONFIG))
schema = schema.include(path_regex="^/api/").exclude(path="/api/status")  # which knocks at doors that are not there


@pytest.fixture(scope="module")
def bench(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    path = tmp_path_factory.mktemp("ledger") / "chartpost.db"
    shutil.copy(migrated, path)
    store = Store.open(f"sqlite:///{path}", clock=Clock(MAY), migrate=False)
    made = Workbench(store, Clock(MAY), configuration(users=users()))
    for number in range(3):
        made.take(dft(line("CG", "45.00"), account=f"A-{number}"))
    yield made
    made.check()
    made.close()
    store.close()


@pytest.fixture(scope="module")
def url(bench: Workbench) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=ApiFace(bench.flow, Bursts(burst=10**9)).routes())
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@schema.parametrize()
@settings(max_examples=20, derandomize=True, database=None, deadline=None)
def test_the_api_answers_as_the_document_says_it_does(case: Any, url: str) -> None:
    # What a schema allows may still name nothing that is there, or ask for what cannot be.
    excluded = [positive_data_acceptance]
    headers = case.meta.components.get(ParameterLocation.HEADER) if case.meta is not None else None
    if headers is not None and headers.mode.is_negative:
        excluded.append(negative_data_rejection)  # a token that was left out on purpose is put back here
    if case.method == "HEAD":
        excluded.append(unsupported_method)
    case.call_and_validate(url, headers=AUTH, excluded_checks=excluded)
