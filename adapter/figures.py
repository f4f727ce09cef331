"""What happens here, told twice: a line in the log, and a figure for Prometheus (/metrics of the internal face).

`moved` is called after the commit of every move of a noun (Tx.moved). Its `correlation` is the same from the frame at
the door to the posting in the chart: the head of the account's keyed hash, which names nobody.

What waits (holds, errands, open requests) is counted in the ledger whenever somebody asks: every process says the same.
"""

from __future__ import annotations

import collections
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select

from chartpost.adapter import log as logs
from chartpost.adapter.ledger import maps_in_force
from chartpost.adapter.ledger.errands import is_open
from chartpost.adapter.ledger.intake import Fate, Row
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import account, errand, hold, message, request

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each figure, which says when this process first counted it
REGISTRY = CollectorRegistry()
MOVES = Counter(
    "chartpost_moves", "Moves of messages, requests, notices, payments and postings, by the state they reached.",
    ("noun", "state", "place"), registry=REGISTRY,
)  # fmt: skip
PAID = Counter(
    "chartpost_paid_minor_units", "Money that moved through a provider, in minor units.",
    ("provider", "currency"), registry=REGISTRY,
)  # fmt: skip
ANSWERS = Counter(
    "chartpost_door_answers", "Messages stored at a door, by what was answered (an ACK code, or an HTTP status).",
    ("source", "code"), registry=REGISTRY,
)  # fmt: skip
COMMITS = Histogram(
    "chartpost_door_commit_seconds", "How long the doors' commits take; all messages that wait share one.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5), registry=REGISTRY,
)  # fmt: skip

log = logs.get("chartpost.flow")


def correlation(key: str) -> str:
    """Return the correlation id of an account's key, or of a lane, which is the same."""
    return key[:12]


def moved(noun: str, state: str, place: str, key: str, ids: dict[str, Any]) -> None:
    """Tell of one move (Store.on_move). Of a payment, `currency` and `minor` (units) are counted and not logged."""
    MOVES.labels(noun, state, place).inc()
    if (minor := ids.pop("minor", None)) is not None:
        PAID.labels(place, ids.pop("currency")).inc(minor)
    log.info(f"{noun}.{state}", correlation=correlation(key), where=place, **ids)


def stored(rows: Sequence[Row], fates: Sequence[Fate], seconds: float) -> None:
    """Count one commit at a door (ledger/intake.Observe)."""
    COMMITS.observe(seconds)
    codes = ((row.source, fate.ack_code) for row, fate in zip(rows, fates, strict=True))
    for (source, code), count in collections.Counter(codes).items():
        ANSWERS.labels(source, code).inc(count)


class LedgerCollector(Collector):
    """What waits in the ledger, as gauges."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[Metric]:
        """Name nothing in advance: the database is not asked before somebody wants figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Count now."""
        with self._store.read() as connection:
            yield from waiting(connection, self._store.clock())


def waiting(connection: Connection, now: dt.datetime) -> list[Metric]:
    """Return what waits: messages to translate, errands, open holds, open requests and what they ask for."""
    messages = GaugeMetricFamily("chartpost_messages_waiting", "Messages stored and not translated yet.")
    received = select(func.count()).select_from(message).where(message.c.state == "received")
    messages.add_metric([], connection.scalar(received) or 0)
    open_errands = (errand.c.kind, func.count(), func.min(errand.c.due_at))
    errands = GaugeMetricFamily("chartpost_errands_open", "Errands that are due or being done.", labels=["kind"])
    late = GaugeMetricFamily(
        "chartpost_errand_late_seconds", "How long the errand that is due longest has waited.", labels=["kind"]
    )
    for kind, count, due_at in connection.execute(select(*open_errands).where(is_open()).group_by(errand.c.kind)):
        errands.add_metric([kind], count)
        late.add_metric([kind], max(0.0, (now - due_at).total_seconds()))
    holds = GaugeMetricFamily("chartpost_holds_open", "Open holds: what waits for a person.", labels=["cause"])
    for cause, count in connection.execute(
        select(hold.c.cause, func.count()).where(hold.c.state == "open").group_by(hold.c.cause)
    ):
        holds.add_metric([cause], count)
    asks = GaugeMetricFamily("chartpost_requests_open", "Open requests.", labels=["currency"])
    asked = GaugeMetricFamily("chartpost_asked_minor_units", "What they ask for.", labels=["currency"])
    of_currency = (
        select(account.c.currency, func.count(), func.sum(request.c.asked))
        .join(account, account.c.id == request.c.account_id)
        .where(request.c.state == "open")
        .group_by(account.c.currency)
    )
    for currency, count, total in connection.execute(of_currency):
        asks.add_metric([currency], count)
        asked.add_metric([currency], int(total or 0))
    refused = GaugeMetricFamily(
        "chartpost_map_refused", "Whether a map's changed file is refused, by the map in force.",
        labels=["use", "place", "map"],
    )  # fmt: skip
    for row in maps_in_force.in_force(connection):
        refused.add_metric([row["use"], row["place"], row["map"]], float(bool(row["refused"])))
    return [messages, errands, late, holds, asks, asked, refused]
