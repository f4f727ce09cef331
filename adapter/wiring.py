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
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy import text

from chartpost.adapter import figures, plugins, smart
from chartpost.adapter import log as logs
from chartpost.adapter.doors import Doors, url_of
from chartpost.adapter.errors import ConfigurationError, Transient
from chartpost.adapter.flow import TRANSLATE, post, receipt, receive_fhir, worker
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.flow.receive import SourceRules
from chartpost.adapter.flow.receive_fhir import FhirReceiver
from chartpost.adapter.flow.reconciliations import Reconciliations
from chartpost.adapter.keys import Keys, data_keys
from chartpost.adapter.ledger import errands, sealed
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.invoices import KnownInvoices
from chartpost.adapter.ledger.store import Store, sqlite_url
from chartpost.adapter.listeners.broker import BrokerListener, FhirWire, Hl7Wire, Wire
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.listeners.mllp import MllpListener
from chartpost.adapter.neighbour import Neighbour
from chartpost.adapter.ports import World
from chartpost.adapter.senders.mllp import MllpSender
from chartpost.adapter.settings import FhirRules, Hl7Rules, Settings
from chartpost.adapter.web.app import internal_app, web_app
from chartpost.adapter.web.fhir import FhirDoor, FhirFace
from chartpost.adapter.web.metrics import figure_routes
from chartpost.adapter.web.openapi import OpenApi
from chartpost.mappings import mapfile, postingmap
from chartpost.mappings.postingmap import PostingMap
from chartpost.queues.consumer import Consumer, Handler
from chartpost.queues.publisher import POLLING_INTERVAL, Publisher
from chartpost.queues.relay import Announcement, Due, Relay
from chartpost.queues.topology import Topology

#: Threads for errands that call the outside: one slow service must not stop the others.
ERRAND_THREADS = 3
#: Seconds between two looks into memory:// of those who talk to the outside: what they wait for takes longer anyway.
PATIENT_INTERVAL = 0.02
#: Seconds for one application acknowledgement.
ACK_SECONDS = 10.0
#: Where Stripe's own card pages live; a sandbox has its own origin.
CARD_PAGES = "https://checkout.stripe.com"

log = logs.get(__name__)


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
        store = open_store(settings, data)
        stack.callback(store.close)
        if not store.has_our_keys():
            raise ConfigurationError([f"{data}: its keys are not those of this ledger; restore the keys made with it"])
        store.owner = f"{socket.gethostname()}:{data.resolve()}"
        store.on_move = figures.moved
        errands.release_leases(store)
        if neighbour is not None:
            settings = settings.resolve_sandbox(neighbour.ready())
        flow = make_flow(settings, keys, store, settings.public_url or url_of(opened.web))
        import uvloop

        return uvloop.run(_House(flow, opened).run())


def open_store(settings: Settings, data: Path) -> Store:
    """Open the ledger that the configuration names."""
    return Store.open(sqlite_url(data) if settings.database == "sqlite" else settings.database)


def world(settings: Settings) -> World:
    """Make every provider, notifier and sender of the configuration."""

    def made(group: str, configured: dict[str, Any]) -> dict[str, Any]:
        return {
            name: plugins.load(group, part.type)(plugins.options_model(group, part.type).model_validate(part.options))
            for name, part in configured.items()
        }

    senders = made(plugins.SENDERS, settings.destinations)
    return World(
        servers={
            name: senders[source.fetch]
            for name, source in settings.sources.items()
            if isinstance(source, FhirRules) and source.fetch in senders
        },
        providers=made(plugins.PROVIDERS, settings.providers),
        notifiers=made(plugins.NOTIFIERS, settings.notifiers),
        senders={name: one for name, one in senders.items() if one is not None},
        acks={
            name: MllpSender(source.acks.host, source.acks.port, ACK_SECONDS).push
            for name, source in settings.sources.items()
            if isinstance(source, Hl7Rules) and source.acks is not None
        },
    )


def make_flow(settings: Settings, keys: Keys, store: Store, public_url: str) -> Flow:
    """Put together what every step is given."""
    return Flow(
        settings=settings,
        store=store,
        world=world(settings),
        link_key=keys.link,
        public_url=public_url,
        maps={name: mapfile.load(source.map) for name, source in settings.sources.items()},
        outbound={name: postingmap.load(part.options["map"]) for name, part in settings.destinations.items()},
    )


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
            MllpListener(_rules(flow, name), committer, self.gate, clock=self.store.clock) for name in doors.mllp
        ]
        internal = url_of(doors.internal)
        more = [*FhirFace(_fhir_doors(flow), committer, public_url=internal).routes(), *OpenApi(internal).routes()]
        more += figure_routes(self.store)
        servers = [
            _web_server(web_app(flow, public_url=flow.public_url, card_page_origins=_card_pages(flow.settings))),
            _web_server(internal_app(self._select_one, more, public_url=internal)),
        ]
        serving = [
            asyncio.create_task(server.serve(sockets=[door]))
            for server, door in zip(servers, (doors.web, doors.internal), strict=True)
        ]
        for reader in readers:
            reader.start()
        relay.start()
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
        await asyncio.to_thread(_stop_all, readers)
        committer.close()
        publisher.close()
        log.info("drained")
        return 0

    def _machinery(self, flow: Flow) -> tuple[Relay, list[Consumer | BrokerListener], Publisher]:
        """Relay, publisher, and all that read queues: everything that goes through Kombu."""
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

        consumers: list[Consumer | BrokerListener] = [
            consumer([names.errand(TRANSLATE)], hands.translate, POLLING_INTERVAL)
        ]
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
                name, _wire(flow, name), Intake(self.store, figures.stored), url, names,
                on_stored=lambda: relay.wake((TRANSLATE,)), before=self._gate, clock=self.store.clock,
            )
            for name in names.charges
        ]  # fmt: skip
        with self.store.write() as tx:
            for provider in flow.settings.providers:
                errands.add(tx, "poll", provider, f"poll:{provider}")
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


def _fhir_doors(flow: Flow) -> dict[str, FhirDoor]:
    kinds = {name: part.type for name, part in flow.settings.destinations.items()}
    doors = {}
    for name, source in flow.settings.fhir().items():
        tokens = (token.get_secret_value() for token in (source.token, source.token_previous) if token is not None)
        told = [place for place in source.destinations if _readable(flow.outbound[place], source.version)]
        pull = [place for place in told if kinds[place] == post.PULL]
        reading = Reconciliations(flow.store, name, source.facility, told, pull)
        doors[name] = FhirDoor(_fhir_receiver(flow, name), reading, tuple(tokens))
    return doors


def _readable(map: PostingMap, version: str) -> bool:
    """Say whether what a map writes is a PaymentReconciliation in the version that a source's face speaks."""
    return getattr(map, "writes", "") == "PaymentReconciliation" and (map.version == "R5") == (version == "R5")


def _fhir_receiver(flow: Flow, name: str) -> FhirReceiver:
    source = flow.source(name)
    assert isinstance(source, FhirRules)
    rules = receive_fhir.FhirRules(
        name, source.facility, flow.maps[name], source.version, source.max_bytes, source.max_depth
    )
    return FhirReceiver(rules, KnownInvoices(flow.store, name))


def _wire(flow: Flow, name: str) -> Wire:
    """What a source's messages on the broker are made of: its map says."""
    if flow.maps[name].dialect == "fhir":
        return FhirWire(_fhir_receiver(flow, name))
    return Hl7Wire(_rules(flow, name), flow.store.clock)


def _rules(flow: Flow, name: str) -> SourceRules:
    source = flow.source(name)
    assert isinstance(source, Hl7Rules)
    return SourceRules(
        source=name, facility=source.facility, map=flow.maps[name], processing_id=source.processing_id,
        charset=source.encoding, dedupe_days=source.dedupe_days, max_bytes=source.max_bytes,
        max_segments=source.max_segments,
    )  # fmt: skip


def _card_pages(settings: Settings) -> list[str]:
    origins = {CARD_PAGES}
    for part in settings.providers.values():
        url = urlsplit(part.options.get("base_url") or "")
        if url.netloc:
            origins.add(f"{url.scheme}://{url.netloc}")
    return sorted(origins)


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


def _stop_all(readers: list[Consumer | BrokerListener]) -> None:
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
