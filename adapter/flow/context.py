"""What every step of the flow is given: the configuration, the store, the world, and the keys of links."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chartpost.adapter.flow.wording.template import Catalogue
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
    # An entry of these is exchanged when its file changes (livemaps.py): look a map up once for one message.
    maps: dict[str, Map] = field(repr=False)  #: source name → the map that reads its messages
    outbound: dict[str, PostingMap] = field(repr=False)  #: destination name → the map that writes its postings
    shadows: dict[str, Map] = field(repr=False, default_factory=dict)  #: source name → a map that reads along
    words: dict[str, Catalogue] = field(repr=False, default_factory=dict)  #: facility name → its words; none: ours

    def frozen(self) -> Flow:
        """Return this flow with the maps of this moment, for one piece of work."""
        return replace(self, maps=dict(self.maps), outbound=dict(self.outbound), shadows=dict(self.shadows))

    def source(self, name: str) -> Source:
        return self.settings.sources[name]

    def facility(self, name: str) -> Facility:
        return self.settings.facilities[name]
