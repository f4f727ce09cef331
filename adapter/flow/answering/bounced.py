"""bounced: a mail that came back, over HTTP or through a mail server's pipe: stored and applied in one transaction.

It is about the notice that it names. What will never arrive gives way to the next channel, as a report would have it;
what is only late, and what is no bounce at all, is kept and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import record
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.ledger import events
from chartpost.adapter.ledger.tables import notice
from chartpost.adapter.ports import Bounce, Bouncing, NoticeEvent


def brought(flow: Flow, notifier: str, mail: bytes, headers: Mapping[str, str]) -> None:
    """Take a mail from /hooks/NOTIFIER/bounce. Raises Permanent for who may not bring it, or a notifier of no mail."""
    take(flow, notifier, _reader(flow, notifier).parse_bounce(mail, headers), mail)


def piped(flow: Flow, notifier: str, mail: bytes, to: str = "") -> str:
    """Take a mail that this machine's mail server has for the address `to`; return as `take` does."""
    return take(flow, notifier, _reader(flow, notifier).read_bounce(mail, to), mail)


def take(flow: Flow, notifier: str, told: Bounce, raw: bytes) -> str:
    """Store what came back and apply it, once; return "" when it had an effect, else why it has none."""
    with flow.store.write() as tx:
        if not events.store(tx, notifier, told.event_id, told.report, told.notice, raw):
            return "it is here already"
        notify.lock(tx, told.notice)
        wanted = notice.c.public_id == told.notice, notice.c.notifier == notifier
        found = tx.one(select(notice).where(*wanted).with_for_update())
        if found is None:
            why = "not ours: it names no notice of this system"
        else:
            event = NoticeEvent(told.event_id, found.provider_ref, told.report, told.code)
            why = record.report(flow, tx, found, event)
        events.settle(tx, notifier, told.event_id, why)
        return why


def _reader(flow: Flow, notifier: str) -> Bouncing:
    found: object = flow.world.notifiers[notifier]
    if not isinstance(found, Bouncing):
        raise Permanent(f"notifier {notifier} sends no e-mail of which anything could come back")
    return found
