"""What every step of the flow is given: the configuration, the store, the world, and the keys of links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ports import World
from chartpost.adapter.settings import Facility, Settings, Source
from chartpost.mappings.mapfile import Map
from chartpost.mappings.postingmap import PostingMap

#: What a stored message waits for. Its row is the errand: there is none in the table.
TRANSLATE = "translate"


@dataclass(frozen=True, slots=True)
class Flow:
    """Handed to every door and every errand; holds no state of its own."""

    settings: Settings
    store: Store
    world: World
    link_key: bytes = field(repr=False)
    public_url: str  #: without a slash at the end
    maps: Mapping[str, Map] = field(repr=False)  #: source name → the map that reads its messages
    outbound: Mapping[str, PostingMap] = field(repr=False)  #: destination name → the map that writes its postings

    def source(self, name: str) -> Source:
        return self.settings.sources[name]

    def facility(self, name: str) -> Facility:
        return self.settings.facilities[name]
