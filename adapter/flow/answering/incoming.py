"""incoming: a person has answered a text. Stored, understood and obeyed in one transaction, then the service hears 200.

STOP counts from that moment on. What a machine cannot answer waits for a person, beside the request it is about; the
words are in the event, sealed, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.flow.answering import optout, replies
from chartpost.adapter.flow.answering.replies import Kind, Reply
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling.reach import SMS
from chartpost.adapter.ledger import consents, events, holds, states
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, event, notice, request
from chartpost.adapter.log import get
from chartpost.adapter.ports import Incoming, Listening
from chartpost.mappings import contacts

log = get(__name__)

_STATE = {Kind.STOP: REVOKED, Kind.STOP_PERHAPS: REVOKED, Kind.START: GRANTED}
_READ = "`chartpost trace {event} --reveal` shows the words"


def incoming(
    flow: Flow, notifier: str, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[str, bytes]:  # fmt: skip
    """Take a text that a person wrote; return content type and body of the answer. Raises Permanent: not authentic."""
    service: object = flow.world.notifiers[notifier]
    if not isinstance(service, Listening):
        raise Permanent("this notifier takes no texts")
    told = _known(flow, notifier, service.parse_incoming(url, body, headers))
    found = replies.understand(told.text)
    try:
        with flow.store.write() as tx:
            answer = _take(flow, tx, notifier, told, found, body) if _store(tx, notifier, told, found, body) else ""
    except Transient:
        raise
    except Exception as error:
        # Whatever we cannot do for a text: that somebody wants no more of them is kept, and a person reads the rest.
        log.error("text.not_applied", exc_info=error, notifier=notifier)
        with flow.store.write() as tx:
            if _store(tx, notifier, told, found, body):
                _only_keep(tx, notifier, told, found)
        answer = ""
    return service.reply(answer)


def _known(flow: Flow, notifier: str, told: Incoming) -> Incoming:
    """Return the text with its sender as numbers are known here (E.164): not every gateway writes them so."""
    facility = _any_facility(flow, notifier)
    sender = contacts.e164(told.sender, facility.region if facility is not None else "")
    return replace(told, sender=sender) if sender else told


def _take(flow: Flow, tx: Tx, notifier: str, told: Incoming, found: Reply, body: bytes) -> str:
    """Do what the text asks for; return what is answered, "" for nothing."""
    about = _about(tx, notifier, told.sender)
    state, done = _STATE.get(found.kind), ""
    before = consents.history(tx.connection, SMS, consents.key(SMS, told.sender), [consents.notifier(notifier)])
    if state is not None:
        words = None if found.kind is Kind.START else told.text.encode()
        word = Word(state, "reply", f"event {told.event_id}", words=words)
        optout.take(flow, tx, SMS, told.sender, word, notifier=notifier)
        done = f"consent {state}"
    if found.kind in (Kind.QUESTION, Kind.STOP_PERHAPS):
        _for_a_person(tx, told, found, about)
        done = f"{done}; a person reads it" if done else "a person reads it"
    _settle(
        tx, notifier, told, done or ("answered" if found.kind is Kind.HELP else "a reaction to our own text"), about
    )
    stands = consents.standing(before)
    if told.answered or (state == REVOKED and stands is not None and stands.state == REVOKED):
        return ""  # a machine that answers our last word with another stop hears no more
    facility = flow.facility(about.facility) if about is not None else _any_facility(flow, notifier)
    if facility is None:
        return ""
    language = found.language or (about.language if about is not None else "") or facility.languages[0]
    return replies.answer(found.kind, facility.message_name, facility.contact, language)


def _about(tx: Tx, notifier: str, sender: str) -> Any:
    """Return the newest request that this number was written to about, if it can be through this notifier; or None."""
    key = consents.key(SMS, sender)
    columns = (notice.c.public_id, notice.c.language, notice.c.notifier, request.c.public_id.label("request"))
    rows = tx.all(
        select(*columns, account.c.facility, account.c.source)
        .join(request, request.c.id == notice.c.request_id)
        .join(account, account.c.id == request.c.account_id)
        .where(notice.c.recipient_key == key, notice.c.channel == SMS)
        .order_by(request.c.id.desc(), notice.c.id.desc())
        .limit(50)
    )
    return next((row for row in rows if row.notifier == notifier), rows[0] if rows else None)


def _any_facility(flow: Flow, notifier: str) -> Any:
    """Return the first facility that writes through a notifier: it answers whoever nobody has written to."""
    return next((one for one in flow.settings.facilities.values() if notifier in one.notifiers), None)


def _for_a_person(tx: Tx, told: Incoming, found: Reply, about: Any) -> None:
    obj = f"request:{about.request}" if about is not None else f"event:{told.event_id}"
    like = about.source if about is not None else ""
    read = _READ.format(event=about.request if about is not None else told.event_id)
    if found.kind is Kind.QUESTION:
        cause, text = "payer_wrote", "somebody answered a text with words of their own"
        fix = f"{read}; answer by phone or mail, then dismiss this"
    else:
        cause, text = "stop_perhaps", "an answer to a text may mean that no more are wanted, and was taken so"
        fix = f"{read}; if it meant something else, record the consent anew with `chartpost consents set` and say why"
    holds.add(tx, obj, cause, text, fix, holds.likeness(cause, like))


def _only_keep(tx: Tx, notifier: str, told: Incoming, found: Reply) -> None:
    if _STATE.get(found.kind) == REVOKED:
        word = Word(REVOKED, "reply", f"event {told.event_id}", words=told.text.encode())
        consents.add(tx, SMS, consents.key(SMS, told.sender), [consents.notifier(notifier)], word)
    text = "a text that somebody sent could not be worked; a stop in it counts all the same"
    fix = f"{_READ.format(event=told.event_id)}; do what it asks for by hand, and report the log line"
    holds.add(tx, f"event:{told.event_id}", "text_not_applied", text, fix)


def _store(tx: Tx, notifier: str, told: Incoming, found: Reply, body: bytes) -> bool:
    """Keep the text; False when it is here already."""
    return events.store(tx, notifier, told.event_id, f"text:{found.kind}", "", body)


def _settle(tx: Tx, notifier: str, told: Incoming, done: str, about: Any) -> None:
    where = (event.c.provider == notifier, event.c.event_id == told.event_id)
    reference = about.public_id if about is not None else ""
    tx.run(update(event).where(*where).values(state=states.Event.APPLIED, reason=done, reference=reference))
