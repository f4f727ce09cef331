"""release: what a person decides about a hold. Retried: it is tried again, as if it had come now. Dismissed: left so.

One transaction each, and nothing is called: whoever serves finds the work within a second. Who decided, and why, stays
on the hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import or_, select, update

from chartpost.adapter.flow.asking import accounts, ask, limits
from chartpost.adapter.flow.charges import guard, reading, restate, stops, typed
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.flow.deciding.decide import No, Release, Word, close, close_all, decide
from chartpost.adapter.flow.posting.resend import retry_posting
from chartpost.adapter.flow.requests import recipients
from chartpost.adapter.flow.telling import dead_ends, notify
from chartpost.adapter.ledger import books, errands, holds, states
from chartpost.adapter.ledger.store import Store, Tx
from chartpost.adapter.ledger.tables import account, errand, event, hold, message, notice, request
from chartpost.mappings.patients import is_about_patients

#: Holds on a message that do not keep it from counting.
BESIDE = frozenset(["no_application_ack"])
#: Nobody knows whether it happened: trying again may do it twice, so a person must have looked.
IN_DOUBT = frozenset(["unknown", "no_receipt", "notice_unknown"])
#: Somebody would be written to whom we were told to leave alone.
STOPPED = "account_stopped"
#: Rules that a person who has looked may set aside for one message; beside them the stops of its map.
WAIVABLE = frozenset([guard.OLD, guard.MANY, "same_line", "maybe_echo", "account_merge", restate.DOUBT, typed.MAYBE])


def retry(flow: Flow, number: int, *, by: str, sure: bool = False) -> Release:
    """Close hold `number` and try again what waits; `sure` is wanted where it may have happened already.

    With `sure` a message is also read without the rule that held it, if that is one of `WAIVABLE` or a stop of its map.
    """

    def act(tx: Tx, held: Any) -> str:
        noun, _, key = held.object.partition(":")
        again = _RETRIES.get(noun)
        if again is None:
            raise No("there is nothing to try again; once the matter is settled, dismiss it")
        return again(flow, tx, held, key, Word(by, sure=sure))

    return decide(flow.store, number, act)


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
        close(tx, held, Word(by, note))
        return text

    return decide(store, number, act)


def open_holds(store: Store, cause: str = "", like: int = 0, only: Sequence[int] = ()) -> list[int]:
    """Return the numbers of the open holds (of one cause; like hold number `like`), in the order of release.

    Messages come first and in the order in which they arrived, whatever the numbers of their holds: one may lean on an
    earlier one. `only` keeps of them these, and adds those of these that are not open.
    """
    statement = select(hold.c.id, hold.c.object).where(hold.c.state == states.Hold.OPEN)
    with store.read() as connection:
        if like:
            one = connection.execute(select(hold.c.cause, hold.c.likeness).where(hold.c.id == like)).first()
            if one is None:
                return []
            statement = statement.where(hold.c.cause == one.cause, hold.c.likeness == one.likeness)
        if cause:
            statement = statement.where(hold.c.cause == cause)
        rows = connection.execute(statement.order_by(hold.c.id)).all()
    numbers = [row.id for row in sorted(rows, key=lambda row: _arrival(row.object))]
    if not only:
        return numbers
    return [number for number in numbers if number in set(only)] + sorted(set(only) - set(numbers))


def _arrival(obj: str) -> tuple[bool, int]:
    noun, _, key = obj.partition(":")
    return (False, int(key)) if noun == "message" else (True, 0)


# ---------------------------------------------------------------------------------------------- what is tried again


def _message(tx: Tx, key: str) -> Any:
    columns = (message.c.state, message.c.source, message.c.lane, message.c.waived, message.c.type)
    row = tx.one(select(*columns).where(message.c.id == int(key)).with_for_update())
    if row is None:
        raise No("there is no such message")
    return row


def _retry_message(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    row = _message(tx, key)
    if held.cause in BESIDE:
        close(tx, held, word)
        errands.add(tx, "ack", key, f"ack:{row.source}")
        return "its acknowledgement is sent again"
    if row.state != states.Message.HELD:
        raise No(f"the message is {row.state}, not held")
    source = flow.settings.sources.get(row.source)
    if source is not None and source.share == "balance" and overtaken(tx, row, int(key)):
        raise No("a newer message has stated this account's balance since; dismiss it")
    stopping = (word.sure or is_about_patients(row.type)) and held.cause in _stops(flow, tx, key)
    if stopping and not word.sure:  # its accounts are stopped already: it would have nothing more to do
        raise No(f"it still says so ({held.cause}); if the payer may be told, say --yes; else dismiss it")
    waives = word.sure and (stopping or held.cause in WAIVABLE)
    close(tx, held, Word(word.by, holds.WAIVED) if waives else word)
    read_again(tx, key, {"waived": " ".join(sorted({*row.waived.split(), held.cause}))} if waives else {})
    return f"the message is read again, {held.cause} waived" if waives else "the message is read again"


def read_again(tx: Tx, key: str, more: dict[str, Any]) -> None:
    """Let a held message be read as if it had come now: none of its lines counted, and what was fetched may differ."""
    blank = {"reason": "", "map": "", "trace": None, "done_at": None, "fetched": None}
    values = blank | more | {"state": states.Message.RECEIVED}
    tx.run(update(message).where(message.c.id == int(key)).values(values))
    tx.work.add(TRANSLATE)


def _stops(flow: Flow, tx: Tx, key: str) -> set[str]:
    """Return the causes for which the message's map says that nobody may be asked."""
    columns = (message.c.source, message.c.control_id, message.c.raw, message.c.edited, message.c.fetched)
    row = tx.one(select(*columns).where(message.c.id == int(key)))
    if row is None or row.source not in flow.settings.sources:
        return set()
    try:
        found = reading.read(flow, row, flow.source(row.source), reading.fetched(row.fetched))
    except ValueError:  # whatever cannot be read has no stops, and translation says what is wrong with it
        return set()
    return {stop.cause for stop in found.stops}


def overtaken(tx: Tx, row: Any, number: int) -> bool:
    """Say whether a later message of the same account counts: an absolute figure is only true until the next one.

    What an ADT says is no figure.
    """
    if is_about_patients(row.type):
        return False
    later = (message.c.id > number, message.c.source == row.source, message.c.lane == row.lane)
    counts = or_(message.c.state == states.Message.TRANSLATED, message.c.reason == restate.STANDS)
    counted = select(message.c.id).where(*later, counts, message.c.type.not_like("ADT%"))
    return tx.one(counted.limit(1)) is not None


def _retry_request(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    if wants_answer(held.cause):
        raise No("the payer said something, and telling them again is no answer: once it is settled, dismiss it")
    book = _book_of(tx, key)
    if book is None or book.ask is None or book.ask.public_id != key:
        raise No("the request is closed: nobody is asked any more; dismiss it")
    telling = (notice.c.request_id == book.ask.id, notice.c.purpose == "request", notice.c.state == states.Notice.DUE)
    if tx.one(select(notice.c.id).where(*telling).limit(1)):
        raise No("the payer is being told already; see `chartpost notices`")
    if held.cause in IN_DOUBT and not word.sure:
        raise No("the payer may have got it, and would get it twice: look it up at the service, then say --yes")
    if book.stopped and not word.sure:
        raise No(f"nobody is written to about this account ({book.stopped}); if the payer may be told, say --yes")
    if word.sure and held.cause in dead_ends.CAUSES and book.ask.id is not None:
        dead_ends.forget(tx, book.ask.id)
    close(tx, held, word)
    # Several may be open, and the payer is to hear once.
    close_all(tx, held.object, word)
    if book.stopped:
        stops.lift(book, {book.stopped})
        ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility))  # its link may be withdrawn
        books.flush(tx, [book])
    if book.ask is not None and (book.ask.said or {}).get("recipients"):  # whoever of them was told is not told twice
        return recipients.renew(flow, tx, book, doubtful=held.cause in IN_DOUBT)
    notify.plan(flow, tx, [book])
    return "the payer is told again"


def wants_answer(cause: str) -> bool:
    """Say whether a payer waits for a person's word: the same message again is none."""
    return cause.startswith("payer_") or cause in ("identity_locked", "stop_perhaps")


def _book_of(tx: Tx, request_id: str) -> books.Book | None:
    """Return the account of a request, locked, with its open request."""
    of_request = select(account.c.key).join(request, request.c.account_id == account.c.id)
    key = tx.scalar(of_request.where(request.c.public_id == request_id))
    return books.load(tx, [key])[key] if key else None


def _retry_event(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    row = tx.one(select(event.c.provider, event.c.state).where(event.c.event_id == key).with_for_update())
    if row is None or row.state != states.Event.RECEIVED:
        raise No("the event is settled; dismiss it")
    close(tx, held, word)
    errands.hurry(tx, "apply", f"{row.provider}/{key}", f"apply:{key}")
    return "the event is applied again"


def _retry_session(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    if held.cause != "not_closed":
        raise No("the payer may simply try again; dismiss it")
    close(tx, held, word)
    errands.hurry(tx, "expire", key, f"expire:{key}")
    return "the card page is closed again"


def _retry_errand(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    row = tx.one(select(errand).where(errand.c.id == int(key)).with_for_update())
    if row is None or row.state != states.Errand.DEAD:
        raise No("the errand was not given up; dismiss it")
    close(tx, held, word)
    errands.add(tx, row.kind, row.subject, row.lane)
    return f"{row.kind} is tried again"


def _retry_account(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    owner = tx.scalar(select(account.c.key).where(account.c.id == int(key)))
    if owner is None or held.cause != limits.REVIEW:
        raise No("there is nothing to try again; once the matter is settled, dismiss it")
    if not word.sure:
        raise No("nobody is asked for it before a person has looked: if the amount is right, say --yes")
    book = books.load(tx, [owner])[owner]
    book.approved = ask.wanted(book)
    close(tx, held, word)
    what = ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility))
    accounts.write(flow, tx, [book])
    return what or "the amount is approved"


_RETRIES: dict[str, Callable[[Flow, Tx, Any, str, Word], str]] = {
    "message": _retry_message,
    "posting": retry_posting,
    "request": _retry_request,
    "event": _retry_event,
    "card_session": _retry_session,
    "errand": _retry_errand,
    "account": _retry_account,
}
