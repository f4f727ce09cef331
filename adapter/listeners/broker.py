"""The broker's door: charges that others publish to `charge.<source>`, committed before they are acknowledged.

What cannot be stored stays in the queue, ahead of what came after it. The answer goes to the `reply_to` that the
publisher gave, or to nobody; a refusal that nobody hears is put into the dead queue, where a person looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import exc

from chartpost.adapter.errors import CannotStore
from chartpost.adapter.flow.door import receive_fhir
from chartpost.adapter.flow.door.receive import Receipt, Receiver, SourceRules
from chartpost.adapter.flow.door.receive_fhir import FhirReceiver
from chartpost.adapter.framing import HEAD, Oversize
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Fate, Intake
from chartpost.adapter.ledger.states import Message
from chartpost.adapter.ledger.store import Clock, utc_now
from chartpost.adapter.listeners.acks import Acks
from chartpost.mappings.fhir.ndjson import as_bundle
from chartpost.queues.consumer import Consumer
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher, Refused
from chartpost.queues.topology import Topology

log = logging.getLogger(__name__)


class Unheard(Exception):
    """A message was refused, and its publisher gave no queue to be told in."""


class NotYet(Exception):
    """A message cannot be judged before an earlier one is worked: it waits in the queue."""


class Judged(NamedTuple):
    """What to store of a message, and whether anything in it is refused."""

    receipts: list[Receipt]
    refused: bool


class Reply(NamedTuple):
    """What is answered."""

    body: bytes
    content_type: str


class Wire(Protocol):
    """What a source's messages are made of: how they are judged, and how they are answered once stored."""

    def judge(self, body: bytes, now: int) -> Judged:
        """Judge a message; `now` is in microseconds since 1970. Raises NotYet or CannotStore."""
        ...

    def answer(self, receipts: Sequence[Receipt], fates: Sequence[Fate]) -> Reply | None:
        """Return the answer, or None where nothing is to be said."""
        ...


class Hl7Wire:
    """Raw HL7 v2 messages, one or a batch in a delivery; the answer is an ACK, or one after the other."""

    def __init__(self, rules: SourceRules, clock: Clock = utc_now) -> None:
        self._max_bytes = rules.max_bytes
        self._receiver = Receiver(rules)
        self._clock = clock
        self._acks = Acks()

    def judge(self, body: bytes, now: int) -> Judged:
        if len(body) > self._max_bytes:
            return Judged([self._receiver.oversize(Oversize(body[:HEAD]), now)], True)
        receipts = self._receiver.receive(body, now)
        return Judged(receipts, any(receipt.problem is not None for receipt in receipts))

    def answer(self, receipts: Sequence[Receipt], fates: Sequence[Fate]) -> Reply | None:
        acks = self._acks.make(receipts, fates, self._clock())
        return Reply(b"".join(acks), "application/hl7-v2") if acks else None


class FhirWire:
    """Invoices, alone, in Bundles or one a line; the answer is an OperationOutcome."""

    def __init__(self, receiver: FhirReceiver) -> None:
        self._receiver = receiver

    def judge(self, body: bytes, now: int) -> Judged:
        try:
            judged = self._receiver.judge(as_bundle(body), now)
        except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:  # it looks into the ledger
            raise CannotStore(f"not judged ({type(error).__name__})") from None
        if not judged.receipts:
            raise NotYet
        return Judged(judged.receipts, judged.status >= 300 or any(done.status >= 300 for done in judged.done))

    def answer(self, receipts: Sequence[Receipt], fates: Sequence[Fate]) -> Reply | None:
        return Reply(receive_fhir.answer(receipts, fates), "application/fhir+json")


class BrokerListener:
    """One source's door. It reads in a thread of its own, one message after the other."""

    def __init__(
        self,
        source: str,
        wire: Wire,
        intake: Intake,
        url: str,
        topology: Topology,
        *,
        on_stored: Callable[[], None] = lambda: None,
        before: Callable[[], None] = lambda: None,
        clock: Clock = utc_now,
    ) -> None:
        """Read `charge.<source>` of `topology`. `intake` is this listener's own.

        `on_stored` is called after every commit that made work for the translator; `before` may hold up each look at
        the broker, which is patient.
        """
        self.source = source
        self._wire = wire
        self._intake = intake
        self._on_stored = on_stored
        self._clock = clock
        self._replies = Publisher(url, topology)
        self._unanswered: tuple[Envelope, Reply | None, bool] | None = None
        # With one in hand the broker keeps the order of the others, and the next reader's too.
        self._consumer = Consumer(
            url, topology, [topology.charge(source)], self._take, prefetch=1,
            later=(CannotStore, NotPublished, NotYet), before=before,
        )  # fmt: skip
        self.received = 0
        self.answered = 0

    def start(self) -> None:
        """Begin to read. Returns at once; an unreachable broker is waited for."""
        self._consumer.start()

    def stop(self) -> None:
        """Finish the message in hand, leave the others in the queue, and let go of broker and database."""
        self._consumer.stop()
        self._replies.close()
        self._intake.close()

    def _take(self, envelope: Envelope) -> None:
        if self._unanswered is None or self._unanswered[0] is not envelope:
            self._unanswered = (envelope, *self._store(envelope.body))
        _, reply, refused = self._unanswered
        told = reply is not None and self._tell(envelope, reply)
        self._unanswered = None
        if refused and not told:
            raise Unheard

    def _store(self, body: bytes) -> tuple[Reply | None, bool]:
        """Return the answer, and whether something is refused. Raises CannotStore or NotYet: nothing was stored."""
        receipts, refused = self._wire.judge(body, micros(self._clock()))
        fates = self._intake.commit([receipt.row for receipt in receipts])
        self.received += 1
        if any(fate.state == Message.RECEIVED for fate in fates):
            self._on_stored()
        return self._wire.answer(receipts, fates), refused

    def _tell(self, envelope: Envelope, reply: Reply) -> bool:
        """Answer, and say whether anybody can have heard it. Raises NotPublished while the broker takes nothing."""
        if not envelope.reply_to:
            return False
        back = Envelope(
            envelope.reply_to,
            reply.body,
            reply.content_type,
            correlation_id=envelope.correlation_id or envelope.message_id,
        )
        try:
            self._replies.reply(back)
        except Refused:
            log.info("source=%s stored, but the queue of the answer is gone, or full", self.source)
            return False
        self.answered += 1
        return True
