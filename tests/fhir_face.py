"""The FHIR face over a real ledger, as the tests of the web and of the wire put it together."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from chartpost.adapter.flow.door.found import Finder
from chartpost.adapter.flow.door.notified import Subscriptions
from chartpost.adapter.flow.door.receive_fhir import FhirRules, Version
from chartpost.adapter.flow.posting.reconciliations import Reconciliations
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.invoices import KnownInvoices
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.web.fhir import FhirDoor, FhirFace
from chartpost.adapter.web.fhir_outcome import failed, is_fhir
from chartpost.adapter.web.guard import Guard, security_headers
from chartpost.adapter.web.health import Health
from chartpost.adapter.web.openapi import OpenApi
from chartpost.mappings import mapfile

TOKEN, OLD_TOKEN = "a-token-of-the-tests", "the-token-before"
URL = "http://inside.example.org"


def door(
    store: Store, source: str = "ehr", *, version: Version = "R4", polled: bool = False, readable: bool = False,
    **limits: int,
) -> FhirDoor:  # fmt: skip
    """Make the door of one source; its payments are those for the destination `portal`, which pulls them."""
    rules = FhirRules(source, "lakeside", mapfile.load("fhir-invoice"), version, **limits)
    readings = Reconciliations(store, source, "lakeside", ["portal"], ["portal"])
    known = KnownInvoices(store, source)
    finder = Finder(rules, known, known.bodies)
    heard = Subscriptions(store, finder, polled=polled, readable=readable)
    return FhirDoor(finder, readings, (TOKEN, OLD_TOKEN), heard)


def face(store: Store, committer: Committer, *doors: FhirDoor, url: str = URL) -> Starlette:
    """Make the internal face with these doors (one, called ehr)."""
    by_name = {one.receiver.rules.source: one for one in doors or (door(store),)}

    def select_one() -> Any:
        with store.read() as connection:
            return connection.exec_driver_sql("SELECT 1").scalar()

    def answer_failure(request: Request, status: int, code: str) -> Response:
        return failed(status, code) if is_fhir(request.url.path) else PlainTextResponse(code, status)

    fhir = FhirFace(by_name, committer, public_url=url, clock=store.clock)
    return Starlette(
        routes=[*Health(select_one).routes(), *OpenApi(url).routes(), *fhir.routes()],
        middleware=[Middleware(Guard, headers=security_headers(url, []), failed=answer_failure)],
    )


@contextmanager
def served(store: Store, *doors: FhirDoor) -> Iterator[str]:
    """Serve the face as `chartpost serve` does, in a loop and a thread of its own; yield its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    committer = Committer(Intake(store))
    app = face(store, committer, *doors, url=url)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(10)
        committer.close()
