"""translate: what stored messages mean for accounts. Read in memory, then one transaction for a batch.

All or nothing for each message: its lines become entries together, or it is held with its cause and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select, update

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow.asking import accounts, ask
from chartpost.adapter.flow.charges import (
    chargeitem,
    fhirconsent,
    guard,
    invoice,
    patients,
    people,
    reading,
    restate,
    shadow,
    stops,
)
from chartpost.adapter.flow.charges.lines import SHOWN, Verdict, hold, judge
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.door import acknowledge, inspect
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import books, errands, holds, reversals, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.log import get
from chartpost.mappings import er7
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.model import Money, Reading
from chartpost.mappings.read import Unreadable

#: Messages of one transaction. While the door is busy they are few, because it waits for the transaction to end.
BATCH, BUSY_BATCH = 10, 4
#: What is looked at again once the rows are locked.
_OURS = ("id", "waived", "edited_by", "edited_why")

_COLUMNS = (
    message.c.id, message.c.source, message.c.raw, message.c.lane, message.c.ack_code, message.c.control_id,
    message.c.type, message.c.fetched, message.c.edited, message.c.waived, message.c.edited_by, message.c.edited_why,
    message.c.received_at, message.c.control_key,
)  # fmt: skip
# What every batch runs is made once (ledger/books.py).
_WAITING = message.c.state == states.Message.RECEIVED
_NEXT = select(*_COLUMNS).where(_WAITING).order_by(message.c.id).limit(bindparam("limit"))
_STILL = (
    select(*(message.c[name] for name in _OURS))
    .where(message.c.id.in_(bindparam("ids", expanding=True)), _WAITING)
    .with_for_update()
)
_DONE = (
    update(message)
    .where(message.c.id == bindparam("which"))
    .values({
        name: bindparam(f"new_{name}") for name in ("state", "reason", "map", "trace", "done_at", "shadow")
    })
)  # fmt: skip

log = get(__name__)


def batch(flow: Flow, limit: int = BATCH) -> int:
    """Translate the next `limit` stored messages, oldest first; return how many there were."""
    with flow.store.read() as connection:
        rows = connection.execute(_NEXT, {"limit": limit}).all()
    if not rows:
        return 0
    flow = flow.frozen()  # what reads a message is what it remembers
    readings = [(row, _read(flow, row)) for row in rows]
    along = {row.id: shadow.along(flow, row, found) for row, found in readings} if flow.shadows else {}
    try:
        with flow.store.write() as tx:
            _settle(flow, tx, readings, along)
    except Transient:
        raise
    except Exception as error:  # one of them, and nobody knows which
        log.error("translate.batch_failed", exc_info=error)
        for row, found in readings:
            _settle_alone(flow, row, found, along)
    return len(rows)


#: What another map made of messages, by id (shadow.along).
Along = Mapping[int, dict[str, Any] | None]


def _settle_alone(flow: Flow, row: Any, found: Reading | Verdict, along: Along) -> None:
    """Settle one message; what the ledger cannot take waits for a person, and the feed goes on."""
    try:
        with flow.store.write() as tx:
            _settle(flow, tx, [(row, found)], along)
    except Transient:
        raise
    except Exception as error:
        log.error("translate.failed", exc_info=error, message_id=row.id)
        text = f"an unexpected {type(error).__name__} while it was written to the ledger"
        with flow.store.write() as tx:
            _settle(flow, tx, [(row, hold("internal", text, "report this with the log line"))], along)


def _read(flow: Flow, row: Any) -> Reading | Verdict:
    """Read one message through its source's map; a Verdict when it cannot be read, or is nothing for us."""
    source = flow.settings.sources.get(row.source)
    if source is None:
        return hold("unknown_source", "its source is no longer in the configuration", "put the source back")
    try:
        if row.type == fhirconsent.TYPE:
            return fhirconsent.read(flow, row, source)
        found = reading.read(flow, row, source, reading.fetched(row.fetched))
        if found.missing and row.fetched is None and row.source in flow.world.servers:
            return Verdict(states.Message.FETCHING, "the resources that it refers to are fetched first", [])
        return found
    except Unreadable as error:
        problems = error.problems[:SHOWN]
        text = "; ".join(f"{problem.path}: {problem.cause}" for problem in problems)
        fixes = dict.fromkeys(problem.fix for problem in problems if problem.fix)
        if len(error.problems) > SHOWN:
            text += f"; and {len(error.problems) - SHOWN} more"
        return hold("unreadable_line", text, "; ".join(fixes) or "correct the message or the map", like=error.problems)
    except (er7.Er7Error, FhirError) as error:
        return hold("unreadable", str(error), "ask the sender to correct the message and send it again")
    except Exception as error:  # a bug of ours must not stop the feed: the message waits, and the log says where
        log.error("translate.failed", exc_info=error, message_id=row.id)
        return _bug(error)


def _bug(error: Exception) -> Verdict:
    name = type(error).__name__
    return hold("internal", f"an unexpected {name} on our side", "report this with the log line", like=[name])


def _settle(flow: Flow, tx: Tx, readings: list[tuple[Any, Reading | Verdict]], along: Along) -> None:
    # Another process may have been faster: what it settled is not settled again, and what a person has changed since it
    # was read here is read anew.
    still = {tuple(row) for row in tx.all(_STILL, {"ids": [row.id for row, _ in readings]})}
    waiting = [(row, found) for row, found in readings if tuple(getattr(row, name) for name in _OURS) in still]
    keyed = [(row, found, _key(flow, row, found)) for row, found in waiting]
    if not keyed:
        return
    keys = {key for _, _, key in keyed if key} | patients.concerned(flow, tx, waiting)
    shelf = books.load(tx, keys)
    shelf |= shadow.books(flow, tx, (row for row, _ in waiting), shelf)
    held = books.held_lanes(tx, {row.lane for row, _, _ in keyed})
    opened = guard.load(flow, tx, {row.source for row, _, _ in keyed})
    verdicts: list[tuple[Any, Verdict]] = []
    touched: dict[str, Book] = {}
    for row, found, key in keyed:
        if shadow.is_dry(flow, row.source):
            verdict = _try(flow, tx, row, found, key, shelf)
        elif isinstance(found, Verdict):
            verdict = found
        elif patients.is_about_patients(found.type):
            verdict = patients.apply(flow, tx, row, found, shelf, touched)
        else:
            verdict = _apply(flow, tx, row, found, key, shelf, held, touched, opened)
        if verdict.state is states.Message.HELD and not patients.is_about_patients(row.type):
            held[row.lane] = min(row.id, held.get(row.lane, row.id))
        verdict.shadow = verdict.shadow or along.get(row.id)
        verdicts.append((row, verdict))
    fhirconsent.earlier(flow, tx, [book for book in touched.values() if book.id is None or book.renewed])
    accounts.write(flow, tx, touched.values())
    verdicts = [(row, fhirconsent.applied(flow, tx, row, verdict)) for row, verdict in verdicts]
    guard.save(tx, opened)
    _write(flow, tx, verdicts)
    for row, verdict in verdicts:
        tx.moved("message", verdict.state, row.source, row.lane, message=f"M{row.id}", control_id=row.control_id)
    acknowledge.ask_for(flow, tx, (row for row, _ in verdicts))
    inspect.ask_for(flow, tx, (row.source for row, _ in verdicts))


def _try(flow: Flow, tx: Tx, row: Any, found: Reading | Verdict, key: str, shelf: dict[str, Book]) -> Verdict:
    """See what a message of a source that is only tried would do: its book changes in memory, and is not written."""
    if isinstance(found, Verdict):
        return shadow.told(flow, found, None, ())
    if patients.is_about_patients(found.type):
        text = "it would be looked whose accounts it concerns"
        return shadow.told(flow, Verdict(states.Message.IGNORED, text, []), None, ())
    before = len(shelf[key].entries) if key in shelf else 0
    verdict = _apply(flow, tx, row, found, key, shelf, {}, {}, {})
    book = shelf.get(key)
    return shadow.told(flow, verdict, book, book.entries[before:] if book is not None else ())


def _key(flow: Flow, row: Any, found: Reading | Verdict) -> str:
    return "" if isinstance(found, Verdict) or not found.account else reading.account_key(flow, row.source, found)


def _apply(
    flow: Flow, tx: Tx, row: Any, found: Reading, key: str, shelf: dict[str, Book], held: dict[str, int],
    touched: dict[str, Book], opened: Mapping[str, guard.Opened],
) -> Verdict:  # fmt: skip
    """Decide on one readable message, and change its book if it counts."""
    source = flow.source(row.source)
    trace = [line._asdict() for line in found.trace]
    trace += [{"target": "ignored", "path": "", "raw": "", "value": why} for why in found.ignored]
    if found.skipped:
        return Verdict(states.Message.IGNORED, found.skipped, trace)
    if not found.status and not found.charges and source.share != "balance":
        return Verdict(states.Message.IGNORED, "it has no charge lines: nothing to bill", trace)
    if not key:
        return _no_account(found, trace)
    if len({charge.guarantor or found.guarantor for charge in found.charges}) > 1:
        return hold(
            "several_guarantors", "its lines name different guarantors for one account",
            "bill each guarantor through an account of their own, or correct the message", trace,
        )  # fmt: skip
    book = shelf.get(key) or _new_book(flow, row, found, key)
    if found.type == chargeitem.TYPE:
        decided = chargeitem.judge(tx, row, found, source, book)
    elif found.status:
        decided = invoice.judge(tx, row, found, source, book, flow.facility(book.facility).timezone)
    elif source.share == "balance":
        decided = restate.restate(tx, row, found, book, flow.facility(book.facility).timezone)
    else:
        waits, rule = held.get(row.lane, row.id) < row.id, flow.maps[row.source].same_reference
        decided = judge(tx, row, found, source, book, held=waits, same_reference=rule)
    stop = stops.judge(book, found, row.waived, decided)
    if book.stopped and (stop is not None or key in shelf):
        shelf[key] = touched[key] = book
    decided = stop or decided
    if isinstance(decided, Verdict):
        decided.trace = trace + decided.trace
        return decided
    counted, notes = decided
    trace += notes
    if not counted and not (found.status and key in shelf):
        if key in shelf and not shadow.is_dry(flow, row.source) and not patients.overtaken(flow, tx, row, book):
            consent.said(tx, flow, row, found, book)
        return Verdict(states.Message.IGNORED, "nothing in it is the patient's to pay here", trace)
    if counted and (waits := guard.judge(flow, tx, row, found, book, counted, opened)) is not None:
        reversals.pair(book.lines)  # what its lines would have taken back stays
        waits.trace = trace
        return waits
    if patients.overtaken(flow, tx, row, book):
        people.complete(book, found)
    else:
        people.update(book, found)
        if not shadow.is_dry(flow, row.source):
            consent.said(tx, flow, row, found, book)
    if not counted:  # but whoever could not be reached may be, by now
        touched[key] = book
        return Verdict(states.Message.IGNORED, "it states what was counted already", trace)
    stops.lift(book, {stop.cause for stop in found.stops} & set(row.waived.split()))
    for cause, kind, amount, more in counted:
        book.add(cause, kind, amount, tx.now, message_id=row.id, **more)
    reversals.pair(book.lines)
    shelf[key] = touched[key] = book
    facility = flow.facility(book.facility)
    what = ask.follow(book, flow.link_key, tx.now, facility, gather=True)
    total = sum(amount for _, _, amount, _ in counted)
    sum_of_lines = Money(minor=abs(total), currency=book.currency)
    signed = f"{'-' if total < 0 else '+'}{sum_of_lines}"
    lines = f"{len({cause.split(':')[2] for cause, *_ in counted})} of {len(found.charges)} lines count"
    reason = f"{found.status}, {signed}" if found.status else f"{lines}, {signed}"
    return Verdict(states.Message.TRANSLATED, f"{reason}; {what}" if what else reason, trace)


def _no_account(found: Reading, trace: list[dict[str, Any]]) -> Verdict:
    where, number = "PID-18 and PV1-19 are empty", "PID-18"
    if found.type == chargeitem.TYPE:
        where = number = "ChargeItem.account"
        where += " is empty, or leads nowhere outside its Bundle"
    return hold(
        "no_account", f"it names no account: {where}",
        f"ask the sender to fill {number}, or point the map's account at the right field", trace,
    )  # fmt: skip


def _new_book(flow: Flow, row: Any, reading: Reading, key: str) -> Book:
    source = flow.source(row.source)
    return Book(
        key=key, source=row.source, facility=source.facility, number=reading.account,
        currency=flow.facility(source.facility).currency,
        patient=reading.patient.model_dump(mode="json"), guarantor=None, chart=dict(reading.chart),
    )  # fmt: skip


def _write(flow: Flow, tx: Tx, verdicts: list[tuple[Any, Verdict]]) -> None:
    for row, verdict in verdicts:
        if verdict.state is states.Message.FETCHING:
            errands.add(tx, "fetch", str(row.id), f"fetch:{row.source}:{row.lane}")
    rows = [
        {
            "which": row.id, "new_state": verdict.state, "new_reason": verdict.reason, "new_trace": verdict.trace,
            "new_shadow": verdict.shadow, "new_map": flow.maps[row.source].label if row.source in flow.maps else "",
            "new_done_at": None if verdict.state is states.Message.FETCHING else tx.now,
        }
        for row, verdict in verdicts
    ]  # fmt: skip
    tx.run(_DONE, rows)
    for row, verdict in verdicts:
        if verdict.state is states.Message.HELD:
            like = holds.likeness(verdict.cause, row.source, verdict.like)
            holds.add(tx, f"message:{row.id}", verdict.cause, verdict.reason, verdict.fix, like)
