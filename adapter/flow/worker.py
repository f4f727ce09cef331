"""Workers: woken through Kombu, they claim the errand, do it, and go on with its lane. And what the relay announces."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow import ERRANDS, TRANSLATE
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.charges import translate
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.gate import Gate, Stop
from chartpost.adapter.flow.posting import deliver, post, receipt
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import message, posting
from chartpost.adapter.log import get
from chartpost.queues.envelope import Envelope
from chartpost.queues.relay import Announcement, Relay
from chartpost.queues.topology import Topology

#: Failures that nobody foresaw, before an errand is given up and a person told.
TRIES = 10
#: Seconds of translating for one wake-up. RabbitMQ takes a consumer that is busy for longer than a minute for dead.
SHIFT = 10.0
#: What the relay keeps apart.
GROUPS = (TRANSLATE, *ERRANDS)

log = get(__name__)


def topology(flow: Flow, prefix: str = "chartpost") -> Topology:
    """Return the queues of this configuration."""
    kinds = {name: part.type for name, part in flow.settings.destinations.items()}
    return Topology(
        prefix, GROUPS,
        postings=tuple((name, flow.outbound[name].format) for name, kind in kinds.items() if kind != post.PULL),
        receipts=tuple(name for name, kind in kinds.items() if kind == receipt.BROKER),
        charges=tuple(flow.settings.brokered()),
    )  # fmt: skip


def due(flow: Flow, names: Topology, group: str, limit: int) -> Sequence[Announcement]:
    """Return what is due of one kind: the first errand of every lane; of messages one wake-up for all of them."""
    with flow.store.read() as connection:
        if group == TRANSLATE:
            waiting = select(message.c.id).where(message.c.state == states.Message.RECEIVED).limit(1)
            return [_wake(names, TRANSLATE, TRANSLATE)] if connection.execute(waiting).first() else []
        heads = errands.heads(connection, group, flow.store.clock(), limit)
        if group != "deliver":
            return [_wake(names, group, str(head.id)) for head in heads]
        rows = connection.execute(select(posting).where(posting.c.public_id.in_([head.subject for head in heads])))
        postings = {row.public_id: row for row in rows}
    found = []
    for head in heads:
        row = postings[head.subject]
        # A destination taken out of the configuration has no queue any more; and what was answered meanwhile is not
        # told again. `deliver` will see to both.
        wanted = row.state in (states.Posting.DUE, states.Posting.PUBLISHED)
        there = row.destination in flow.settings.destinations and flow.outbound[row.destination].format
        carried = wanted and there and (row.destination, there) in names.postings
        found.append(_carry(flow, names, head, row) if carried else _wake(names, "deliver", str(head.id)))
    return found


def _wake(names: Topology, kind: str, key: str) -> Announcement:
    envelope = Envelope(names.errand(kind), key.encode(), "text/plain", {"errand": key, "kind": kind}, message_id=key)
    return Announcement(key, envelope)


def _carry(flow: Flow, names: Topology, head: errands.Head, row: Any) -> Announcement:
    """The wake-up of a delivery is the posting itself, with its content type."""
    key = str(head.id)
    headers = {"errand": key, "kind": "deliver", "posting": row.public_id}
    queue = names.posting(row.destination, flow.outbound[row.destination].format)
    envelope = Envelope(queue, row.body, row.content_type, headers, row.public_id, row.control_id)

    def refused() -> None:
        deliver.queue_refuses(flow, row.destination, queue)

    if flow.settings.destinations[row.destination].type == receipt.BROKER:
        return Announcement(key, envelope, lambda: _hand_over(flow, head), refused, ends=True)
    return Announcement(key, envelope, lambda: deliver.published(flow, row.public_id), refused)


def _hand_over(flow: Flow, head: errands.Head) -> None:
    """An engine reads this queue: with the broker's confirm the delivery is done."""
    if (item := errands.claim(flow.store, head.id)) is not None:
        receipt.handed_over(flow, item)


class Worker:
    """Handles deliveries; `relay` is told when a wake-up has been used."""

    def __init__(self, flow: Flow, relay: Relay, gate: Gate, stop: Stop) -> None:
        self._flow = flow
        self._relay = relay
        self._gate = gate
        self._stop = stop

    def translate(self, envelope: Envelope) -> None:
        """Translate what is stored, giving way to the door; what is left after a shift is announced again."""
        try:
            until = time.monotonic() + SHIFT
            while time.monotonic() < until:
                self._gate.wait(self._stop)
                limit = translate.BUSY_BATCH if self._gate.busy else translate.BATCH
                if self._stop.is_set() or not translate.batch(self._flow, limit):
                    return
        except Exception as error:
            log.error("translate.stopped", exc_info=error)
        finally:
            self._relay.returned(TRANSLATE, TRANSLATE)

    def errand(self, envelope: Envelope) -> None:
        """Do the errand of a wake-up, then what else is due in its lane. Never raises: the row is the truth."""
        key, kind = envelope.headers.get("errand", ""), envelope.headers.get("kind", "")
        try:
            self._gate.wait(self._stop)
            item = None if self._stop.is_set() else errands.claim(self._flow.store, int(key))
            while item is not None:
                self._perform(item, envelope.body)
                self._gate.wait(self._stop)
                # A delivery carries the body of one posting; the next one of the lane travels on its own.
                done = self._stop.is_set() or kind == "deliver"
                item = None if done else errands.claim_next(self._flow.store, item.lane)
        except Exception as error:  # the database is away; the lease runs out and the errand is announced again
            log.error("errand.stopped", exc_info=error, errand=key)
        finally:
            if kind in GROUPS:
                self._relay.returned(kind, key)

    def _perform(self, item: Errand, body: bytes) -> None:
        try:
            ERRANDS[item.kind](self._flow, item, body)
        except Transient as error:
            with self._flow.store.write() as tx:
                errands.again(tx, item, tx.now + delay(item.attempts), str(error))
        except Exception as error:
            log.error("errand.failed", exc_info=error, errand=item.id, kind=item.kind, attempts=item.attempts)
            why = f"an unexpected {type(error).__name__}"
            with self._flow.store.write() as tx:
                if item.attempts < TRIES:
                    return errands.again(tx, item, tx.now + delay(item.attempts), why)
                errands.bury(tx, item, why)
                holds.add(
                    tx, f"errand:{item.id}", "gave_up", f"the errand {item.kind} failed {item.attempts} times: {why}",
                    "the log has the place of the failure; report it, and settle the matter by hand",
                )  # fmt: skip
        return None


def share_the_interpreter() -> None:
    """Hand the interpreter lock on after 0.5 ms instead of 5: the door must not wait for a busy worker."""
    sys.setswitchinterval(0.0005)
