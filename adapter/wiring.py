"""Wiring knows everyone; nobody knows wiring. `serve` opens every door, says so, and drains when told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import text

from chartpost.adapter import assembly, figures, livemaps, smart
from chartpost.adapter import log as logs
from chartpost.adapter.doors import Doors, url_of
from chartpost.adapter.errors import ConfigurationError, Transient
from chartpost.adapter.flow import TRANSLATE, worker
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.door import poll_fhir
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.flow.posting import receipt
from chartpost.adapter.flow.telling import staff_digest
from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import consents, errands, identities, sealed
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.listeners.broker import BrokerListener
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.listeners.directory import DirectoryListener
from chartpost.adapter.listeners.mllp import MllpListener
from chartpost.adapter.livemaps import LiveMaps
from chartpost.adapter.neighbour import Neighbour
from chartpost.adapter.settings import Settings
from chartpost.adapter.web.api.face import ApiFace
from chartpost.adapter.web.app import internal_app, web_app
from chartpost.adapter.web.fhir import FhirFace
from chartpost.adapter.web.metrics import figure_routes
from chartpost.adapter.web.openapi import OpenApi
from chartpost.queues.consumer import Consumer, Handler
from chartpost.queues.publisher import POLLING_INTERVAL, Publisher
from chartpost.queues.relay import Announcement, Due, Relay
from chartpost.queues.topology import Topology

#: Threads for errands that call the outside: one slow service must not stop the others.
ERRAND_THREADS = 3
#: Seconds between two looks into memory:// of those who talk to the outside: what they wait for takes longer anyway.
PATIENT_INTERVAL = 0.02

log = logs.get(__name__)

Reader = Consumer | BrokerListener | DirectoryListener


def serve(settings: Settings, data: Path) -> int:
    """Run every role in this process until SIGTERM or SIGINT; return the exit code. Raises ConfigurationError."""
    worker.share_the_interpreter()
    keys = data_keys(data)
    with ExitStack() as stack:
        stack.enter_context(_only_one(data))
        opened = Doors.open(settings)
        # It starts on another core while we open the ledger.
        neighbour = stack.enter_context(Neighbour(settings, opened)) if settings.sandbox else None
        sealed.use(sealed.Keyring(keys.searching, keys.sealing))
        smart.use(data)
        store = assembly.open_store(settings, data)
        stack.callback(store.close)
        if not store.has_our_keys():
            raise ConfigurationError([f"{data}: its keys are not those of this ledger; restore the keys made with it"])
        identities.backfill(store)
        consents.backfill(store)
        store.owner = f"{socket.gethostname()}:{data.resolve()}"
        store.on_move = figures.moved
        errands.release_leases(store)
        if neighbour is not None:
            settings = settings.resolve_sandbox(neighbour.ready())
        flow = assembly.make_flow(settings, keys, store, settings.public_url or url_of(opened.web))
        if problems := livemaps.unproven(flow):
            raise ConfigurationError(problems)
        import uvloop

        return uvloop.run(_House(flow, opened).run())


class _House:
    """One process with all roles."""

    def __init__(self, flow: Flow, doors: Doors) -> None:
        self.flow = flow
        self.store = flow.store
        self.doors = doors
        self.gate = Gate()
        self.stopping = threading.Event()

    async def run(self) -> int:
        flow, doors = self.flow, self.doors
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        relay, readers, publisher = self._machinery(flow)
        committer = Committer(Intake(self.store, figures.stored), on_stored=lambda: relay.wake((TRANSLATE,)))
        listeners = [
            MllpListener(assembly.rules(flow, name), committer, self.gate, clock=self.store.clock)
            for name in doors.mllp
        ]
        internal = url_of(doors.internal)
        more = [
            *FhirFace(assembly.fhir_doors(flow), committer, public_url=internal).routes(),
            *ApiFace(flow).routes(),
            *OpenApi(internal).routes(),
        ]
        more += figure_routes(self.store)
        servers = [
            _web_server(
                web_app(flow, public_url=flow.public_url, card_page_origins=assembly.card_pages(flow.settings))
            ),
            _web_server(internal_app(self._select_one, more, public_url=internal)),
        ]
        serving = [
            asyncio.create_task(server.serve(sockets=[door]))
            for server, door in zip(servers, (doors.web, doors.internal), strict=True)
        ]
        for reader in readers:
            reader.start()
        relay.start()
        live = LiveMaps(flow, self.stopping, self._gate)
        live.start()
        for listener, door in zip(listeners, doors.mllp.values(), strict=True):
            await listener.start(door)
        while not all(server.started for server in servers):
            await asyncio.sleep(0.005)
        mllp = ",".join(listener.address for listener in listeners)
        print(f"ready web={url_of(doors.web)} internal={url_of(doors.internal)} mllp={mllp}", flush=True)
        await stop.wait()

        # Drain: no new message, no new page; what is in hand is finished, what is due stays due.
        log.info("draining")
        self.stopping.set()
        for listener in listeners:
            await listener.stop()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        relay.stop()
        await asyncio.to_thread(_stop_all, [*readers, live])
        committer.close()
        publisher.close()
        log.info("drained")
        return 0

    def _machinery(self, flow: Flow) -> tuple[Relay, list[Reader], Publisher]:
        """Relay, publisher, and all that read queues or folders in threads of their own."""
        url = flow.settings.broker
        names = worker.topology(flow)
        publisher = Publisher(url, names)
        relay = Relay(publisher, worker.GROUPS, self._due(flow, names), single=[TRANSLATE])
        self.store.on_work = relay.wake
        hands = worker.Worker(flow, relay, self.gate, self.stopping)
        wakes = [names.errand(kind) for kind in names.errands if kind != TRANSLATE]

        def consumer(queues: list[str], handle: Handler, interval: float) -> Consumer:
            return Consumer(
                url, names, queues, handle, prefetch=1, later=(Transient,), before=self._gate, interval=interval
            )

        consumers: list[Reader] = [consumer([names.errand(TRANSLATE)], hands.translate, POLLING_INTERVAL)]
        consumers += [consumer(wakes, hands.errand, PATIENT_INTERVAL) for _ in range(ERRAND_THREADS)]
        consumers += [
            consumer([names.posting(*pair)], hands.errand, PATIENT_INTERVAL)
            for pair in names.postings
            if pair[0] not in names.receipts  # an engine reads those
        ]
        consumers += [
            consumer([names.receipt(name)], partial(receipt.run, flow, name), PATIENT_INTERVAL)
            for name in names.receipts
        ]
        consumers += [
            BrokerListener(
                name, assembly.wire(flow, name), Intake(self.store, figures.stored), url, names,
                on_stored=lambda: relay.wake((TRANSLATE,)), before=self._gate, clock=self.store.clock,
            )
            for name in names.charges
        ]  # fmt: skip
        consumers += [
            assembly.directory(flow, name, lambda: relay.wake((TRANSLATE,)), self._gate)
            for name in flow.settings.directories()
        ]
        with self.store.write() as tx:
            for provider in flow.settings.providers:
                errands.add(tx, "poll", provider, f"poll:{provider}")
            for name, source in flow.settings.fhir().items():
                if source.poll is not None:
                    poll_fhir.plan(tx, name)
            staff_digest.begin(flow, tx)
        return relay, consumers, publisher

    def _due(self, flow: Flow, names: Topology) -> Due:
        def due(group: str, limit: int) -> Sequence[Announcement]:
            self._gate()
            return worker.due(flow, names, group, limit)

        return due

    def _gate(self) -> None:
        self.gate.wait(self.stopping)

    def _select_one(self) -> object:
        with self.store.read() as connection:
            return connection.execute(text("SELECT 1")).scalar()


def _web_server(app: Any) -> uvicorn.Server:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=10,
        proxy_headers=True,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    return server


def _no_signals() -> Any:
    """The house handles signals; uvicorn would take them for itself."""
    return ExitStack()


def _stop_all(readers: Sequence[Reader | LiveMaps]) -> None:
    threads = [threading.Thread(target=reader.stop) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _only_one(data: Path) -> ExitStack:
    """Lock the data directory: two processes on one SQLite file would each believe to be alone."""
    stack = ExitStack()
    handle = stack.enter_context((data / "lock").open("w"))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError([f"{data}: another chartpost runs on this data directory; stop it first"]) from None
    return stack
