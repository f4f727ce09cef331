"""What a configuration comes to: the ledger, the world outside, the flow, and what each source's door is made of.

Nothing is opened to the outside here, and nothing runs: that is wiring.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chartpost.adapter import figures, plugins
from chartpost.adapter.dropfolder import DropFolder
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.door import found
from chartpost.adapter.flow.door.notified import Subscriptions
from chartpost.adapter.flow.door.receive import SourceRules
from chartpost.adapter.flow.posting import post
from chartpost.adapter.flow.posting.reconciliations import Reconciliations
from chartpost.adapter.flow.wording import template
from chartpost.adapter.keys import Keys
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.store import Store, sqlite_url
from chartpost.adapter.listeners.broker import FhirWire, Hl7Wire, Wire
from chartpost.adapter.listeners.directory import DirectoryListener
from chartpost.adapter.ports import Server, World
from chartpost.adapter.senders.mllp import MllpSender
from chartpost.adapter.settings import FhirRules, FhirSource, Hl7Rules, Settings
from chartpost.adapter.web.fhir import FhirDoor
from chartpost.mappings import mapfile, postingmap
from chartpost.mappings.postingmap import PostingMap

#: Seconds for one application acknowledgement.
ACK_SECONDS = 10.0
#: Where Stripe's own card pages live; a sandbox has its own origin.
CARD_PAGES = "https://checkout.stripe.com"


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
        servers=_servers(settings, senders, lambda fetch, poll: fetch or poll),
        invoices=_servers(settings, senders, lambda fetch, poll: poll or fetch),
        providers=made(plugins.PROVIDERS, settings.providers),
        notifiers=made(plugins.NOTIFIERS, settings.notifiers),
        senders={name: one for name, one in senders.items() if one is not None},
        acks={
            name: MllpSender(source.acks.host, source.acks.port, ACK_SECONDS).push
            for name, source in settings.sources.items()
            if isinstance(source, Hl7Rules) and source.acks is not None
        },
    )


def _servers(settings: Settings, senders: Mapping[str, Any], chosen: Callable[[str, str], str]) -> dict[str, Server]:
    """Return the server of each source of FHIR that has one, of the two that it may name: `fetch` and `poll`."""
    servers = {}
    for name, source in settings.sources.items():
        if isinstance(source, FhirRules):
            poll = source.poll.server if isinstance(source, FhirSource) and source.poll else ""
            servers[name] = senders.get(chosen(source.fetch or "", poll))
    return {name: server for name, server in servers.items() if server is not None}


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
        shadows={
            name: mapfile.load(source.shadow.map)
            for name, source in settings.sources.items()
            if source.shadow is not None and source.shadow.map
        },
        words={
            name: template.read(Path(facility.templates))
            for name, facility in settings.facilities.items()
            if facility.templates is not None
        },
    )


def fhir_doors(flow: Flow) -> dict[str, FhirDoor]:
    """Return the doors of the FHIR face, by source."""
    kinds = {name: part.type for name, part in flow.settings.destinations.items()}
    doors = {}
    for name, source in flow.settings.fhir().items():
        tokens = (token.get_secret_value() for token in (source.token, source.token_previous) if token is not None)
        told = [place for place in source.destinations if _readable(flow.outbound[place], source.version)]
        pull = [place for place in told if kinds[place] == post.PULL]
        reading = Reconciliations(flow.store, name, source.facility, told, pull)
        finder = found.finder(flow, name)
        readable = name in flow.world.invoices
        heard = Subscriptions(flow.store, finder, polled=readable and source.poll is not None, readable=readable)
        doors[name] = FhirDoor(finder, reading, tuple(tokens), heard)
    return doors


def _readable(map: PostingMap, version: str) -> bool:
    """Say whether what a map writes is a PaymentReconciliation in the version that a source's face speaks."""
    return getattr(map, "writes", "") == "PaymentReconciliation" and (map.version == "R5") == (version == "R5")


def wire(flow: Flow, name: str) -> Wire:
    """What a source's messages on the broker, or in files, are made of: its map says."""
    if flow.maps[name].dialect == "fhir":
        return FhirWire(found.finder(flow, name))
    return Hl7Wire(rules(flow, name), flow.store.clock)


def directory(flow: Flow, name: str, on_stored: Callable[[], None], before: Callable[[], None]) -> DirectoryListener:
    """Return the door of a source that is a folder."""
    source = flow.settings.directories()[name]
    path = Path(source.path)
    folder = DropFolder(
        path, path / source.done, path / source.failed, pattern=source.pattern, settle=source.settle,
        most=source.max_bytes, clock=flow.store.clock,
    )  # fmt: skip
    return DirectoryListener(
        name, folder, wire(flow, name), Intake(flow.store, figures.stored), flow.store, every=source.every,
        settle=source.settle, on_stored=on_stored, before=before,
    )  # fmt: skip


def rules(flow: Flow, name: str) -> SourceRules:
    """Return what a source of HL7 v2 may send."""
    source = flow.source(name)
    assert isinstance(source, Hl7Rules)
    return SourceRules(
        source=name, facility=source.facility, map=flow.maps[name], processing_id=source.processing_id,
        charset=source.encoding, dedupe_days=source.dedupe_days, max_bytes=source.max_bytes,
        max_segments=source.max_segments, live=partial(flow.maps.__getitem__, name),
    )  # fmt: skip


def card_pages(settings: Settings) -> list[str]:
    """Return the origins that the pay button may lead to."""
    origins = {CARD_PAGES}
    for part in settings.providers.values():
        url = urlsplit(part.options.get("base_url") or "")
        if url.netloc:
            origins.add(f"{url.scheme}://{url.netloc}")
    return sorted(origins)
