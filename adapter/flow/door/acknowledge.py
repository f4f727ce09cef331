"""ack: the application acknowledgement of enhanced mode, a message of its own to the address that the source names.

MSH-15 got its CA at the door. MSH-16 asks for the application's word, which is said once the message is translated or
held: both times AA, because a business problem is ours to solve (HL7 v2.5.1 §2.9.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from chartpost.adapter.flow.attempt import attempt, close
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import errands, holds
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import attempt as attempts
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.settings import Hl7Rules
from chartpost.mappings.hl7.ack import application_ack, application_wanted
from chartpost.mappings.hl7.header import NoHeader, peek

#: Tries before a person is told that the address takes no acknowledgements.
TRIES = 10


def ask_for(flow: Flow, tx: Tx, rows: Iterable[Any]) -> None:
    """Ask for the acknowledgements that these messages (id, source, raw, ack_code) want."""
    for row in rows:
        source = flow.settings.sources.get(row.source)
        if not isinstance(source, Hl7Rules) or source.acks is None or row.ack_code not in ("", "CA"):
            continue
        try:
            wanted = application_wanted(peek(row.raw))
        except NoHeader:
            continue
        # A message that a person released is translated again, and was acknowledged when it was held.
        if wanted and not tx.one(select(attempts.c.id).where(attempts.c.subject == f"ack:{row.id}").limit(1)):
            errands.add(tx, "ack", str(row.id), f"ack:{row.source}")


def run(flow: Flow, errand: Errand) -> None:
    """Send the acknowledgement of the message whose id is the errand's subject. Harmless to repeat."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(message.c.raw, message.c.source).where(message.c.id == int(errand.subject))
        ).one()
    push = flow.world.acks.get(row.source)
    if push is None:
        with flow.store.write() as tx:
            return errands.done(tx, errand)
    body = application_ack(peek(row.raw), "AA", control_id=public_id("K"), now=flow.store.clock())
    tried = attempt(flow.store, f"ack:{errand.subject}", lambda: push(body), repeatable=True)
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.outcome == "done":
            return errands.done(tx, errand)
        if errand.attempts < TRIES:
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        errands.bury(tx, errand, tried.detail)
        holds.add(
            tx, f"message:{errand.subject}", "no_application_ack",
            f"its application acknowledgement could not be delivered: {tried.detail}",
            "check the address under the source's acks, and tell the sender that the message was taken",
        )  # fmt: skip
    return None
