"""release: what a person decides about a hold. Retried: it is tried again, as if it had come now. Dismissed: left so.

One transaction each, and nothing is called: whoever serves finds the work within a second. Who decided, and why, stays
on the hold. What cannot be done changes nothing and says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from chartpost.adapter.flow import notify
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.ledger import books, errands, states
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import account, errand, event, hold, message, notice, posting, request

#: Holds on a message that do not keep it from counting.
BESIDE = frozenset(["no_application_ack"])
#: Nobody knows whether it happened: trying again may do it twice, so a person must have looked.
IN_DOUBT = frozenset(["unknown", "notice_unknown"])
HL7 = "application/hl7-v2"


@dataclass(frozen=True, slots=True)
class Release:
    """What came of one decision: what happens now, or why nothing does (`done` is False)."""

    id: str  #: "H4", or a posting's public id
    object: str  #: "message:7": what waited
    cause: str
    done: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Word:
    """What the person said."""

    by: str
    note: str = ""
    sure: bool = False  #: they have looked, where nobody knows


class _No(Exception):
    """It cannot be done. Rolls the transaction back."""


def retry(flow: Flow, number: int, *, by: str, sure: bool = False) -> Release:
    """Close hold `number` and try again what waits; `sure` is wanted where it may have happened already."""

    def act(tx: Tx, held: Any) -> str:
        noun, _, key = held.object.partition(":")
        again = _RETRIES.get(noun)
        if again is None:
            raise _No("there is nothing to try again; once the matter is settled, dismiss it")
        return again(flow, tx, held, key, _Word(by, sure=sure))

    return _decide(flow.store, number, act)


def dismiss(store: Store, number: int, *, by: str, why: str) -> Release:
    """Close hold `number` and leave things as they are; a held message is ignored for good, none of it counts."""
    note = " ".join(why.split())

    def act(tx: Tx, held: Any) -> str:
        noun, _, key = held.object.partition(":")
        text = "dismissed"
        if noun == "message" and held.cause not in BESIDE and _message(tx, key).state == states.Message.HELD:
            values = {"state": states.Message.IGNORED, "reason": f"dismissed: {note}", "done_at": tx.now}
            tx.run(update(message).where(message.c.id == int(key)).values(values))
            text = "dismissed; the message is ignored, nothing of it counts"
        _close(tx, held, _Word(by, note))
        return text

    return _decide(store, number, act)


def resend(flow: Flow, posting_id: str, *, by: str, sure: bool = False) -> Release:
    """Render and send a posting once more, and close what waits about it."""
    obj = f"posting:{posting_id}"
    try:
        with flow.store.write() as tx:
            text = _send_again(tx, posting_id, sure)
            _close_all(tx, obj, _Word(by))
    except _No as no:
        return Release(posting_id, obj, "", False, str(no))
    return Release(posting_id, obj, "", True, text)


def open_holds(store: Store, cause: str = "") -> Sequence[int]:
    """Return the numbers of the open holds (of one cause), oldest first: what is released first counts first."""
    statement = select(hold.c.id).where(hold.c.state == states.Hold.OPEN).order_by(hold.c.id)
    with store.read() as connection:
        return connection.scalars(statement.where(hold.c.cause == cause) if cause else statement).all()


def _decide(store: Store, number: int, act: Callable[[Tx, Any], str]) -> Release:
    held: Any = None
    try:
        with store.write() as tx:
            held = tx.one(select(hold).where(hold.c.id == number))
            if held is None:
                raise _No("there is no such hold; `chartpost holds` lists them")
            if held.state != states.Hold.OPEN:
                raise _No("it is done already")
            newest = tx.scalar(select(func.max(hold.c.id)))
            text = act(tx, held)
            waits = _waits_again(tx, held.object, newest)
    except _No as no:
        return Release(f"H{number}", held.object if held else "", held.cause if held else "", False, str(no))
    return Release(f"H{number}", held.object, held.cause, True, f"{text}{waits}")


def _waits_again(tx: Tx, obj: str, newest: int) -> str:
    """Say what opened on the object in this very transaction: the cause is still there."""
    still = select(hold).where(hold.c.object == obj, hold.c.state == states.Hold.OPEN, hold.c.id > newest)
    return "".join(f"; it waits again, {row.cause}: {row.text} (H{row.id})" for row in tx.all(still))


def _close(tx: Tx, held: Any, word: _Word) -> None:
    """Close one hold. Its object is locked by now: everybody takes the object first, so nobody waits in a ring."""
    if _closing(tx, (hold.c.id == held.id,), word) != 1:
        raise _No("somebody else was faster")


def _close_all(tx: Tx, obj: str, word: _Word) -> int:
    return _closing(tx, (hold.c.object == obj,), word)


def _closing(tx: Tx, where: tuple[Any, ...], word: _Word) -> int:
    values = {"state": states.Hold.DONE, "closed_at": tx.now, "closed_by": word.by, "note": word.note}
    return int(tx.run(update(hold).where(*where, hold.c.state == states.Hold.OPEN).values(values)).rowcount)


# ---------------------------------------------------------------------------------------------- what is tried again


def _message(tx: Tx, key: str) -> Any:
    columns = (message.c.state, message.c.source, message.c.lane)
    row = tx.one(select(*columns).where(message.c.id == int(key)).with_for_update())
    if row is None:
        raise _No("there is no such message")
    return row


def _retry_message(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    row = _message(tx, key)
    if held.cause in BESIDE:
        _close(tx, held, word)
        errands.add(tx, "ack", key, f"ack:{row.source}")
        return "its acknowledgement is sent again"
    if row.state != states.Message.HELD:
        raise _No(f"the message is {row.state}, not held")
    source = flow.settings.sources.get(row.source)
    if source is not None and source.share == "balance" and _overtaken(tx, row, int(key)):
        raise _No("a newer message has stated this account's balance since; dismiss it")
    _close(tx, held, word)
    # All or nothing: none of its lines counted, so it is read as if it had come now; what was fetched may have changed.
    blank = {"reason": "", "map": "", "trace": None, "done_at": None, "fetched": None}
    tx.run(update(message).where(message.c.id == int(key)).values(blank | {"state": states.Message.RECEIVED}))
    tx.work.add(TRANSLATE)
    return "the message is read again"


def _overtaken(tx: Tx, row: Any, number: int) -> bool:
    """Say whether a later message of the same account counts: an absolute figure is only true until the next one."""
    later = (message.c.id > number, message.c.source == row.source, message.c.lane == row.lane)
    counted = select(message.c.id).where(*later, message.c.state == states.Message.TRANSLATED)
    return tx.one(counted.limit(1)) is not None


def _retry_posting(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    if held.cause == "invoice_not_settled":
        destination = tx.scalar(select(posting.c.destination).where(posting.c.public_id == key).with_for_update())
        _close(tx, held, word)
        errands.add(tx, "settle", key, f"settle:{destination}")
        return "the chart's Invoice is set to balanced now"
    text = _send_again(tx, key, word.sure)
    _close(tx, held, word)
    _close_all(tx, held.object, word)
    return text


def _send_again(tx: Tx, posting_id: str, sure: bool) -> str:
    row = tx.one(select(posting).where(posting.c.public_id == posting_id).with_for_update())
    if row is None:
        raise _No("there is no such posting; `chartpost postings` lists them")
    state = states.Posting(row.state)
    if _overdue(tx, row):  # given up waiting for its receipt: from here on nobody knows
        states.check(state, states.Posting.UNKNOWN)
        state = states.Posting.UNKNOWN
    if not states.allowed(state, states.Posting.DUE):
        raise _No(f"it is {state}; only what was refused, or is unknown, is sent again")
    if state is states.Posting.UNKNOWN and not sure:
        raise _No(
            "the chart may have it, and would then show the payment twice: look at the account in the chart; "
            "if it is not there, say so with --yes"
        )
    values = {
        "state": states.Posting.DUE, "body": None, "answer_code": "", "answer_text": "", "answer": None,
        "control_id": _control_id(row), "changed_at": tx.now,
    }  # fmt: skip
    tx.run(update(posting).where(posting.c.public_id == posting_id).values(values))
    errands.add(tx, "post", posting_id, f"post:{row.destination}")
    return "it is written anew and sent again"


def _overdue(tx: Tx, row: Any) -> bool:
    """Say whether an engine has the posting, or has not, and a person was told that it does not answer."""
    waits = (hold.c.object == f"posting:{row.public_id}", hold.c.cause == "no_receipt", hold.c.state == "open")
    return bool(row.state == states.Posting.PUBLISHED and tx.one(select(hold.c.id).where(*waits)))


def _control_id(row: Any) -> str:
    """Return MSH-10 for the next try: a new one once a message was answered, "P…-2".

    The corrected message is another message: under the old number a careful receiver repeats its old answer. Where
    nobody answered it stays, and a receiver that drops duplicates drops this one too.
    """
    if row.content_type != HL7 or not row.answer_code or row.state == states.Posting.UNKNOWN:
        return str(row.control_id)
    last = re.fullmatch(rf"{row.public_id}-(\d+)", row.control_id)
    return f"{row.public_id}-{int(last[1]) + 1 if last else 2}"


def _retry_request(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    book = _book_of(tx, key)
    if book is None or book.ask is None or book.ask.public_id != key:
        raise _No("the request is closed: nobody is asked any more; dismiss it")
    if tx.one(select(notice.c.id).where(notice.c.request_id == book.ask.id, notice.c.state == states.Notice.DUE)):
        raise _No("the payer is being told already; see `chartpost notices`")
    if held.cause in IN_DOUBT and not word.sure:
        raise _No("the payer may have got it, and would get it twice: look it up at the service, then say --yes")
    _close(tx, held, word)
    # Several may be open, and the payer is to hear once.
    _close_all(tx, held.object, word)
    notify.plan(flow, tx, [book])
    return "the payer is told again"


def _book_of(tx: Tx, request_id: str) -> books.Book | None:
    """Return the account of a request, locked, with its open request."""
    of_request = select(account.c.key).join(request, request.c.account_id == account.c.id)
    key = tx.scalar(of_request.where(request.c.public_id == request_id))
    return books.load(tx, [key])[key] if key else None


def _retry_event(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    row = tx.one(select(event.c.provider, event.c.state).where(event.c.event_id == key).with_for_update())
    if row is None or row.state != states.Event.RECEIVED:
        raise _No("the event is settled; dismiss it")
    _close(tx, held, word)
    _hurry(tx, "apply", f"{row.provider}/{key}", f"apply:{key}")
    return "the event is applied again"


def _retry_session(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    if held.cause != "not_closed":
        raise _No("the payer may simply try again; dismiss it")
    _close(tx, held, word)
    _hurry(tx, "expire", key, f"expire:{key}")
    return "the card page is closed again"


def _retry_errand(flow: Flow, tx: Tx, held: Any, key: str, word: _Word) -> str:
    row = tx.one(select(errand).where(errand.c.id == int(key)).with_for_update())
    if row is None or row.state != states.Errand.DEAD:
        raise _No("the errand was not given up; dismiss it")
    _close(tx, held, word)
    errands.add(tx, row.kind, row.subject, row.lane)
    return f"{row.kind} is tried again"


def _hurry(tx: Tx, kind: str, subject: str, lane: str) -> None:
    """Make the errand due now, or ask for it where none is open."""
    waiting = (errand.c.kind == kind, errand.c.subject == subject, errand.c.state == states.Errand.DUE)
    tx.run(update(errand).where(*waiting).values(due_at=tx.now))
    errands.add(tx, kind, subject, lane)


_RETRIES: dict[str, Callable[[Flow, Tx, Any, str, _Word], str]] = {
    "message": _retry_message,
    "posting": _retry_posting,
    "request": _retry_request,
    "event": _retry_event,
    "card_session": _retry_session,
    "errand": _retry_errand,
}
