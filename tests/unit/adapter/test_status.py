"""`chartpost status`: figures of a ledger, doors and queues; reads only."""

from __future__ import annotations

import datetime as dt
import io
import json
import socket
import uuid

import pytest
import services
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert
from workbench import configuration, dft, line

from chartpost.adapter import settings, status
from chartpost.adapter.commands import look
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.columns import Utc

START = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
CLOCKS = Table("clocks", MetaData(), Column("id", Integer, primary_key=True), Column("at", Utc))


@pytest.fixture
def now(bench):
    """Read the whole status of the bench's ledger."""

    def read():
        with bench.store.read() as connection:
            return status.status(connection, bench.flow.settings, bench.clock())

    return read


def test_an_empty_ledger_has_a_status_and_it_is_plain_json(now):
    shown = now()
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["errands"], shown["holds"], shown["requests"], shown["queues"]) == ([], [], [], None)
    assert shown["last"] == {"message": None, "notice": None, "payment": None, "posting": None}


def test_what_waits_is_counted_by_kind_and_how_late_it_is(bench, now):
    bench.receive(dft(line("CG", "1.00")), dft(line("CG", "2.00"), account="A-2"))
    bench.clock.advance(seconds=7)
    (waiting,) = now()["errands"]
    assert waiting == {"kind": "translate", "due": 2, "leased": 0, "later": 0, "late_seconds": 7.0}
    bench.translate()
    bench.clock.advance(seconds=3)
    (waiting,) = now()["errands"]
    assert waiting == {"kind": "notify", "due": 2, "leased": 0, "later": 0, "late_seconds": 3.0}


def test_messages_are_counted_by_state_within_an_hour_and_a_day(bench, now):
    bench.take(dft(line("CG", "1.00")))
    bench.clock.advance(hours=2)
    bench.take(dft(line("ZB", "1.00"), account="A-2"))
    assert now()["states"]["messages"] == {"hour": {"held": 1}, "day": {"held": 1, "translated": 1}}
    bench.clock.advance(hours=23)
    assert now()["states"]["messages"] == {"hour": {}, "day": {"held": 1}}


def test_open_requests_payments_and_holds_come_with_their_totals(bench, now):
    bench.take(dft(line("CG", "40.00")), dft(line("CG", "2.50"), account="A-2"), dft(line("ZB", "1"), account="A-3"))
    bench.pay(250)
    shown = now()
    assert shown["requests"] == [{"currency": "USD", "open": 1, "asked": "40.00", "asked_minor": 4000}]
    assert shown["payments"] == [
        {"within": within, "currency": "USD", "payments": 1, "amount": "2.50", "amount_minor": 250}
        for within in ("hour", "day")
    ]
    assert [(row["cause"], row["open"]) for row in shown["holds"]] == [("unreadable_line", 1)]


def test_a_destination_tells_what_waits_for_it_and_what_it_said_last(live, other):
    account = f"S{uuid.uuid4().hex[:8].upper()}"
    body = dft(line("CG", "40.00"), account=account)
    other.knows(body)
    live.take(body)
    live.pay(1000)

    def chart():
        with live.store.read() as connection:
            rows = status.destinations(connection, live.flow.settings)
            return next(row for row in rows if row["destination"] == "chart")

    assert (chart()["waiting"], chart()["answer"], chart()["accepted"]) == (1, "", None)
    live.work("post", "deliver")
    assert (chart()["waiting"], chart()["answer"]) == (0, "AA accepted")
    assert chart()["accepted"]


def test_a_door_that_nobody_opened_says_so_and_one_without_a_port_cannot_be_knocked_at():
    with socket.create_server(("127.0.0.1", 0)) as door:
        web = f"127.0.0.1:{door.getsockname()[1]}"
        shown = status.doors(configuration(web=web, internal="127.0.0.1:1"))
    assert [(row["door"], row["accepts"]) for row in shown][:2] == [("web", True), ("internal", False)]
    assert {row["accepts"] for row in shown[2:]} == {None}


@pytest.mark.rabbitmq
def test_queues_tell_their_depth_and_a_broker_that_is_away_is_said():
    services.require("RabbitMQ", services.RABBITMQ)
    loaded = settings.load(None, {"CHARTPOST_BROKER": "amqp://guest:guest@127.0.0.1:5672//"})
    shown = status.queues(loaded)
    assert {"queue", "messages", "readers", "error"} == set(shown[0])
    assert "posting.chart.hl7v2" in {row["queue"] for row in shown}
    away = loaded.model_copy(update={"broker": "amqp://guest:guest@127.0.0.1:1//"})
    (row,) = status.queues(away)
    assert row["error"].startswith("no connection")


def printed(shown):
    """The page for people, as a pipe gets it."""
    screen = Console(width=10_000, file=io.StringIO())
    screen.print(look._page(shown))
    return screen.file.getvalue()


def test_the_page_names_a_queue_that_holds_something_or_that_nobody_reads(now):
    def queue(name, messages=0, readers=1):
        return {"queue": name, "messages": messages, "readers": readers, "error": ""}

    quiet = [queue(f"chartpost.errand.{number}") for number in range(12)] + [queue("chartpost.dead", readers=0)]
    assert "all 13 are empty and read" in printed(now() | {"queues": quiet})
    loud = [queue("posting.engine.hl7v2", readers=0), queue("chartpost.dead", messages=2, readers=0)]
    page = printed(now() | {"queues": quiet + loud})
    assert "posting.engine.hl7v2" in page
    assert "chartpost.dead" in page
    assert "chartpost.errand" not in page


def test_the_page_begins_with_what_waits_for_a_person_and_fits_a_screen(bench, now):
    bench.take(dft(line("CG", "40.00")), dft(line("ZB", "1"), account="A-3"))
    bench.pay(250)
    lines = printed(now()).splitlines()
    assert lines[2] == "holds"
    assert "unreadable_line" in lines[4]
    assert any("payments" in one and "1: 2.50 USD" in one for one in lines)
    assert len(lines) <= 40


@given(
    gaps=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 90)), max_size=30),
    since=st.integers(-10, 2000),
)
@hypothesis_settings(deadline=None, max_examples=60)
def test_the_id_with_which_a_time_begins_is_the_one_that_looking_at_every_row_finds(gaps, since):
    engine = create_engine("sqlite://")
    rows, number, minutes = [], 0, 0
    for step, later in gaps:
        number, minutes = number + step, minutes + later
        rows.append({"id": number, "at": START + dt.timedelta(minutes=minutes)})
    when = START + dt.timedelta(minutes=since)
    with engine.connect() as connection:
        CLOCKS.create(connection)
        if rows:
            connection.execute(insert(CLOCKS), rows)
        first = status.first_since(connection, CLOCKS, CLOCKS.c.at, when)
    assert [row["id"] for row in rows if row["id"] >= first] == [row["id"] for row in rows if row["at"] >= when]
    engine.dispose()


def test_every_noun_with_states_is_counted():
    assert set(status._NOUNS) == {"messages", "notices", "postings"}
    assert all("state" in table.c for table, _ in status._NOUNS.values())
    assert tables.payment.c.get("state") is None, "payments are counted by their currency"
