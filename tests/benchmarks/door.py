"""The product's MLLP door by itself: its listener, its committer, its database, and nobody who translates."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from chartpost.adapter.flow.door.receive import SourceRules
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.committer import Committer
from chartpost.adapter.listeners.mllp import MllpListener
from chartpost.mappings import mapfile


async def main() -> None:
    url = sys.argv[1] if "://" in sys.argv[1] else f"sqlite:///{sys.argv[1]}/chartpost.db"
    committer = Committer(Intake(Store.open(url)))
    rules = SourceRules(source="his", facility="lakeside", map=mapfile.load("hl7v2-dft"))
    listener = MllpListener(rules, committer, Gate())
    await listener.start("127.0.0.1:0")
    print(f"ready mllp={listener.address}", flush=True)
    await asyncio.Event().wait()


uvloop.run(main())
