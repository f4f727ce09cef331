"""`chartpost status`: how it goes, on one screen. Reads the ledger, knocks at the doors, looks at the broker's queues.

Windows of time are cut by the id under which a time begins: no table needs an index by time for it, and a ledger of
years costs no more than one of days.
"""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, create_engine, func, select

from chartpost.adapter.flow import worker
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import maps_in_force, states
from chartpost.adapter.ledger.errands import is_open
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account, errand, hold, message, notice, payment, posting, request
from chartpost.adapter.ports import World
from chartpost.adapter.settings import Settings
from chartpost.adapter.values import Address
from chartpost.adapter.views import View, iso, money
from chartpost.mappings import postingmap
from chartpost.queues.topology import Topology

#: Seconds to wait at a door, and for the broker.
KNOCK = 0.5
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
#: Nouns that reach states, and the time that counts for them.
_NOUNS: Mapping[str, tuple[Table, ColumnElement[Any]]] = {
    "messages": (message, message.c.received_at),
    "notices": (notice, notice.c.created_at),
    "postings": (posting, posting.c.created_at),
}


def status(connection: Connection, settings: Settings, now: dt.datetime) -> View:
    """Return everything as plain values; `connection` only reads."""
    return {
        "at": iso(now),
        "doors": doors(settings),
        "queues": queues(settings),
        "errands": list(errands(connection, now)),
        "states": {name: by_state(connection, *noun, now) for name, noun in _NOUNS.items()},
        "payments": list(payments(connection, now)),
        "requests": list(requests(connection)),
        "holds": list(holds(connection)),
        "destinations": list(destinations(connection, settings)),
        "last": last(connection),
        "maps": list(maps(connection)),
    }


# ------------------------------------------------------------------------------------------------ doors and queues


def doors(settings: Settings) -> list[View]:
    """Say of every configured address whether somebody accepts connections there; null where the port is 0."""
    wanted = {"web": settings.web, "internal": settings.internal}
    wanted |= {f"sources.{name}.listen": source.listen for name, source in settings.mllp().items()}
    with ThreadPoolExecutor(len(wanted)) as threads:
        return [
            {"door": name, "address": str(address), "accepts": accepts}
            for (name, address), accepts in zip(wanted.items(), threads.map(_accepts, wanted.values()), strict=True)
        ]


def _accepts(address: Address) -> bool | None:
    if address.port == 0:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    try:
        socket.create_connection((host, address.port), timeout=KNOCK).close()
    except OSError:
        return False
    return True


def topology(settings: Settings) -> Topology:
    """Return the queues of this configuration, with nothing wired."""
    found = {}
    for name, part in settings.destinations.items():
        with suppress(postingmap.MapError):  # it was changed while we run, and is not in force
            found[name] = postingmap.load(part.options["map"])
    readable = {name: part for name, part in settings.destinations.items() if name in found}
    settings = settings.model_copy(update={"destinations": readable})
    nowhere = Store(create_engine("sqlite://"))
    return worker.topology(Flow(settings, nowhere, World(), link_key=b"", public_url="", maps={}, outbound=found))


def queues(settings: Settings) -> list[View] | None:
    """Return how much waits in each queue of the broker; None for memory://, which nobody else can look into."""
    if settings.broker.startswith("memory://"):
        return None
    from chartpost.queues.publisher import connect

    try:
        connection = connect(settings.broker)
    except Exception as error:  # py-amqp and the socket raise what they like
        return [{"queue": "", "messages": None, "readers": None, "error": f"no connection: {type(error).__name__}"}]
    found: list[View] = []
    try:
        names = topology(settings)
        for queue in names.queues(sorted(names.names), connection):
            try:
                with connection.channel() as channel:
                    told = queue(channel).queue_declare(passive=True)
                found.append({"queue": queue.name, "messages": told.message_count, "readers": told.consumer_count})
            except connection.channel_errors:
                found.append({"queue": queue.name, "messages": None, "readers": None, "error": "is not there"})
    finally:
        connection.collect()
    return [{"error": ""} | one for one in found]


# ------------------------------------------------------------------------------------------------------ the ledger


def errands(connection: Connection, now: dt.datetime) -> Iterator[View]:
    """Work by kind: due now, being worked, due later, and the longest wait of what is due, in seconds."""
    waiting = select(func.count(), func.min(message.c.received_at)).where(message.c.state == states.Message.RECEIVED)
    count, oldest = connection.execute(waiting).one()
    if count:
        yield {"kind": "translate", "due": count, "leased": 0, "later": 0, "late_seconds": _late(now, oldest)}
    for kind in worker.GROUPS:
        of_kind = select(func.count()).where(errand.c.kind == kind, is_open())
        due = (errand.c.state == "due", errand.c.due_at <= now)
        row = {
            "due": connection.scalar(of_kind.where(*due)) or 0,
            "leased": connection.scalar(of_kind.where(errand.c.state == "leased")) or 0,
            "later": connection.scalar(of_kind.where(errand.c.state == "due", errand.c.due_at > now)) or 0,
        }
        if any(row.values()):
            oldest = connection.scalar(select(func.min(errand.c.due_at)).where(errand.c.kind == kind, is_open(), *due))
            yield {"kind": kind, **row, "late_seconds": _late(now, oldest)}


def _late(now: dt.datetime, oldest: dt.datetime | None) -> float:
    return round(max((now - oldest).total_seconds(), 0.0), 1) if oldest else 0.0


def first_since(connection: Connection, table: Table, time: ColumnElement[Any], since: dt.datetime) -> int:
    """Return the smallest id whose time is at or after `since`, one beyond the last if there is none.

    Ids rise with time, so it is found by halving.
    """
    low, high = 1, (connection.scalar(select(func.max(table.c.id))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        at = connection.scalar(select(time).where(table.c.id >= middle).order_by(table.c.id).limit(1))
        if at is not None and at < since:
            low = middle + 1
        else:
            high = middle
    return low


def by_state(connection: Connection, table: Table, time: ColumnElement[Any], now: dt.datetime) -> View:
    """Count what came in the last hour and the last day, by the state that it is in now."""
    found: View = {}
    for name, span in (("hour", HOUR), ("day", DAY)):
        first = first_since(connection, table, time, now - span)
        counted = select(table.c.state, func.count().label("number")).where(table.c.id >= first)
        rows = connection.execute(counted.group_by(table.c.state).order_by(table.c.state))
        found[name] = {row.state: row.number for row in rows}
    return found


def payments(connection: Connection, now: dt.datetime) -> Iterator[View]:
    """Money through providers in the last hour and the last day, by currency."""
    for name, span in (("hour", HOUR), ("day", DAY)):
        first = first_since(connection, payment, payment.c.paid_at, now - span)
        sums = select(payment.c.currency, func.count(), func.sum(payment.c.amount)).where(payment.c.id >= first)
        for currency, count, total in connection.execute(sums.group_by(payment.c.currency)):
            shown = {"amount": money(int(total), currency), "amount_minor": int(total)}
            yield {"within": name, "currency": currency, "payments": count} | shown


def requests(connection: Connection) -> Iterator[View]:
    """Open requests and what they ask for, by currency."""
    sums = (
        select(account.c.currency, func.count(), func.sum(request.c.asked))
        .join(account, account.c.id == request.c.account_id)
        .where(request.c.state == states.Request.OPEN)
        .group_by(account.c.currency)
    )
    for currency, count, total in connection.execute(sums.order_by(account.c.currency)):
        yield {"currency": currency, "open": count, "asked": money(int(total), currency), "asked_minor": int(total)}


def holds(connection: Connection) -> Iterator[View]:
    """Open holds by cause, and since when the oldest waits."""
    counted = select(hold.c.cause, func.count().label("open"), func.min(hold.c.at).label("oldest"))
    of_cause = counted.where(hold.c.state == states.Hold.OPEN).group_by(hold.c.cause)
    for row in connection.execute(of_cause.order_by(func.count().desc(), hold.c.cause)):
        yield {"cause": row.cause, "open": row.open, "oldest": iso(row.oldest)}


def destinations(connection: Connection, settings: Settings) -> Iterator[View]:
    """Each destination: when it last accepted something, its last answer, and how many postings wait for it."""
    for name, part in settings.destinations.items():
        theirs = select(posting).where(posting.c.destination == name).order_by(posting.c.id.desc()).limit(1)
        accepted = connection.execute(theirs.where(posting.c.state == states.Posting.ACCEPTED)).first()
        answered = connection.execute(theirs.where(posting.c.answer_code != "")).first()
        lanes = (errand.c.lane.in_((f"post:{name}", f"deliver:{name}")), is_open())
        yield {
            "destination": name,
            "type": part.type,
            "accepted": iso(accepted.changed_at) if accepted else None,
            "answer": f"{answered.answer_code} {answered.state}" if answered else "",
            "waiting": connection.scalar(select(func.count()).select_from(errand).where(*lanes)),
        }


def maps(connection: Connection) -> Iterator[View]:
    """Each map: where it is in force and since when, and why a changed file is not."""
    for row in maps_in_force.in_force(connection):
        yield {**row, "since": iso(row["since"])}


def last(connection: Connection) -> View:
    """When the newest of each came."""
    newest: Iterable[tuple[str, Table, ColumnElement[Any]]] = (
        ("message", message, message.c.received_at),
        ("notice", notice, notice.c.changed_at),
        ("payment", payment, payment.c.paid_at),
        ("posting", posting, posting.c.changed_at),
    )
    return {
        name: iso(connection.scalar(select(time).order_by(table.c.id.desc()).limit(1))) for name, table, time in newest
    }
