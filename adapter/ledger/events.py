"""What services told us: kept raw, and applied once."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import event


def store(tx: Tx, provider: str, event_id: str, kind: str, reference: str, raw: bytes) -> bool:
    """Keep what a provider or notifier told; False when it is here already."""
    if tx.one(select(event.c.id).where(event.c.provider == provider, event.c.event_id == event_id)):
        return False
    row = {"provider": provider, "event_id": event_id, "type": str(kind), "reference": reference, "raw": raw}
    tx.run(insert(event), [row | {"state": states.Event.RECEIVED, "at": tx.now}])
    return True


def settle(tx: Tx, provider: str, event_id: str, why_not: str) -> None:
    """Write down that an event had its effect, or why it has none."""
    state = states.Event.IGNORED if why_not else states.Event.APPLIED
    where = (event.c.provider == provider, event.c.event_id == event_id)
    tx.run(update(event).where(*where).values(state=state, reason=why_not))
