"""Invoices that nobody sends are found at their server: all of them, once, whatever is interrupted."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ehr import Ehr, polling
from scripted import Asked, Scripted, says, scripted, silent
from workbench import Workbench, configuration

from chartpost.adapter.flow.door import poll_fhir
from chartpost.adapter.ledger import errands, tables

SOURCE = "fhir_all"

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture
def ehr(server: Scripted, bench: Workbench) -> Ehr:
    bench.use(polling(configuration(), server.url))
    plan(bench)
    return Ehr(server, bench.clock)


def plan(bench: Workbench) -> None:
    with bench.store.write() as tx:
        poll_fhir.plan(tx, SOURCE)


def poll(bench: Workbench, after: float = 60) -> None:
    """Poll once more, `after` seconds, and translate what came."""
    bench.clock.advance(seconds=after)
    assert bench.work("fhir_poll") == ["fhir_poll"]
    bench.translate()


def balances(bench: Workbench) -> list[int]:
    return [row.balance for row in bench.rows(tables.account)]


def errand(bench: Workbench) -> Any:
    return bench.one(tables.errand, kind="fhir_poll")


def test_an_invoice_that_nobody_sent_is_asked_for_and_its_next_state_too(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("17")
    poll(bench)
    [row] = bench.rows(tables.message)
    assert (row.control_id, row.state, row.ack_code, row.source) == ("17", "translated", "", SOURCE)
    assert (balances(bench), bench.request().asked) == ([4500], 4500)
    bench.clock.advance(seconds=10)
    ehr.put("17", "50.00")
    ehr.put("18", "9.00")
    poll(bench)
    ehr.put("17", status="cancelled")
    poll(bench)
    assert balances(bench) == [0, 900]
    assert errand(bench).due_at == bench.clock() + dt.timedelta(seconds=60)


def test_what_is_seen_again_and_again_is_taken_once(bench: Workbench, ehr: Ehr) -> None:
    for number in range(3):
        ehr.put(str(number))
    for _ in range(4):
        poll(bench)
    assert len(bench.rows(tables.message)) == 3
    assert all("ge2026-05-04T14:5" in asked for asked in ehr.asked()[1:]), "the newest, and five minutes before it"


def test_what_came_to_the_door_is_not_found_once_more(bench: Workbench, ehr: Ehr) -> None:
    body = ehr.put("17")
    bench.take(json.dumps(body).encode(), source=SOURCE)
    bench.take(
        json.dumps({key: value for key, value in ehr.put("18").items() if key != "meta"}).encode(), source=SOURCE
    )
    poll(bench)
    assert len(bench.rows(tables.message)) == 2


def test_what_was_read_before_a_newer_state_came_to_the_door_does_not_count(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("17", "45.00")
    bench.clock.advance(seconds=1)
    newer = json.dumps({**ehr.put("17", "99.00"), "totalGross": {"value": 60, "currency": "USD"}}).encode()
    ehr.kept["17"]["meta"]["lastUpdated"] = "2026-05-04T15:00:00.500Z"
    ehr.before = lambda asked: bench.receive(newer, source=SOURCE) and None
    poll(bench)
    assert balances(bench) == [6000]


def test_pages_are_followed_to_their_end_and_a_round_that_breaks_goes_on_at_its_page(
    bench: Workbench, ehr: Ehr
) -> None:
    for number in range(7):
        ehr.put(str(number))
        bench.clock.advance(seconds=1)
    ehr.size = 2
    search = ehr.server.scripts["GET Invoice"][0]
    ehr.server.on("GET Invoice", search, search, says(503), says(429), search)
    poll(bench)
    assert len(bench.rows(tables.message)) == 4, "two pages are stored"
    poll(bench, 1)
    poll(bench, 2)
    assert sorted(row.control_id for row in bench.rows(tables.message)) == list("0123456")
    pages = [asked.partition("&_page=")[2] for asked in ehr.asked()]
    assert pages == ["", "2", "4", "4", "4", "6"]
    assert bench.holds() == []


def test_a_next_page_that_the_server_has_forgotten_is_asked_for_anew(bench: Workbench, ehr: Ehr) -> None:
    for number in range(5):
        ehr.put(str(number))
        bench.clock.advance(seconds=1)
    ehr.size = 2
    search = ehr.server.scripts["GET Invoice"][0]
    ehr.server.on("GET Invoice", search, says(500), says(410), search)
    poll(bench)
    poll(bench, 1)
    assert sorted(row.control_id for row in bench.rows(tables.message)) == list("01234")
    assert bench.holds() == []


@on_sqlite
def test_a_server_without_next_pages_is_read_to_its_end(bench: Workbench, ehr: Ehr) -> None:
    ehr.links = False
    for number in range(60):
        ehr.put(f"{number:03}")
        bench.clock.advance(seconds=1)
    poll(bench)
    assert len(bench.rows(tables.message)) == 60


@on_sqlite
@pytest.mark.parametrize("days", [-3, 3])
def test_the_clock_of_the_server_counts_and_not_ours(bench: Workbench, ehr: Ehr, days: int) -> None:
    ehr.clock = lambda: bench.clock() + dt.timedelta(days=days)
    ehr.put("17")
    bench.clock.advance(hours=2)
    poll(bench)
    bench.clock.advance(seconds=1)
    ehr.put("18")
    poll(bench)
    assert balances(bench) == [4500, 4500]


def test_a_first_look_reaches_back_a_day_and_no_further(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("old")
    bench.clock.advance(hours=25)
    ehr.put("new")
    poll(bench)
    assert [row.control_id for row in bench.rows(tables.message)] == ["new"]


# ------------------------------------------------------------------------------------------------- servers that err


@on_sqlite
def test_a_server_that_is_away_is_asked_later_and_later_and_a_person_is_told(bench: Workbench, ehr: Ehr) -> None:
    search = ehr.server.scripts["GET Invoice"][0]
    ehr.server.on("GET Invoice", says(500))
    ehr.put("17")
    waits = []
    for _ in range(8):
        poll(bench, 120)
        waits.append((errand(bench).due_at - bench.clock()).total_seconds())
        assert bench.holds() == ["not_polled"] * (len(waits) >= poll_fhir.TRIES)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    ehr.server.on("GET Invoice", search)
    poll(bench)
    assert (bench.holds(), balances(bench)) == ([], [4500])


@on_sqlite
@pytest.mark.parametrize(("said", "seconds"), [("120", 120), ("Mon, 04 May 2026 15:11:00 GMT", 600), ("99999", 3600)])
def test_a_server_that_asks_to_be_left_alone_is_left_alone(bench: Workbench, ehr: Ehr, said: str, seconds: int) -> None:
    busy = says(429, Retry_After=said, Date="Mon, 04 May 2026 15:01:00 GMT")
    ehr.server.on("GET Invoice", busy)
    poll(bench)
    assert errand(bench).due_at == bench.clock() + dt.timedelta(seconds=seconds)
    with bench.store.write() as tx:
        poll_fhir.hurry(tx, SOURCE)
    assert errand(bench).due_at == bench.clock() + dt.timedelta(seconds=seconds), "also by whoever is in a hurry"


REFUSALS: dict[str, Any] = {
    "no right": says(403, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}),
    "no Bundle": says(200, {"resourceType": "Patient", "name": [{"family": "Example"}]}),
    "a login page": says(200, b"<html>Silvia Sample</html>"),
    "a Bundle of nonsense": says(200, {"resourceType": "Bundle", "entry": [7]}),
}


@on_sqlite
@pytest.mark.parametrize("script", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_told_at_once_without_what_it_said(bench: Workbench, ehr: Ehr, script: Any) -> None:
    ehr.server.on("GET Invoice", script)
    poll(bench)
    [hold] = bench.rows(tables.hold)
    assert (hold.object, hold.cause) == (f"source:{SOURCE}", "not_polled")
    assert not {"Sample", "Example"} & set(hold.text.replace(",", " ").split())
    assert errand(bench).due_at == bench.clock() + dt.timedelta(seconds=60)


@on_sqlite
def test_a_server_that_passes_over_the_time_bills_nothing_of_long_ago(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("old")
    bench.clock.advance(days=400)
    ehr.filters = False
    poll(bench)
    assert (bench.rows(tables.message), bench.holds()) == ([], ["not_polled"])


@on_sqlite
def test_next_pages_that_lead_in_a_circle_are_left(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("17")
    ehr.next = "Invoice?_page=0&again"
    poll(bench)
    assert (len(ehr.asked()), bench.holds(), balances(bench)) == (2, ["not_polled"], [4500])
    poll(bench)
    assert len(ehr.asked()) <= 5


@on_sqlite
def test_a_next_page_that_is_ever_another_one_and_says_nothing_new_is_left(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("17")

    def ever(asked: Asked) -> None:
        ehr.next = f"Invoice?_lastUpdated=ge2026&token={len(ehr.server.asked)}"

    ehr.before = ever
    poll(bench)
    assert (len(ehr.asked()), bench.holds(), len(bench.rows(tables.message))) == (2, ["not_polled"], 1)


@pytest.mark.parametrize(
    "next", ["https://elsewhere.example.org/fhir?page=2", "http://127.0.0.1:1/x", "http://[", "a b"]
)
@on_sqlite
def test_our_token_goes_to_no_other_server(bench: Workbench, ehr: Ehr, next: str) -> None:
    ehr.put("17")
    ehr.next = next
    for _ in range(2):
        poll(bench)
    assert (bench.holds(), len(bench.rows(tables.message))) == (["not_polled"], 1)


def test_one_invoice_that_cannot_be_taken_is_told_once_and_keeps_no_other_out(bench: Workbench, ehr: Ehr) -> None:
    ehr.put("17")
    poll(bench)
    bench.clock.advance(seconds=1)
    ehr.put("17", identifier=[{"system": "urn:example:others", "value": "A"}])
    ehr.put("18")
    for _ in range(3):
        poll(bench)
    assert (bench.holds(), balances(bench)) == (["not_taken"], [4500, 4500])
    assert [row.state for row in bench.rows(tables.message)].count("ignored") == 1


def test_an_invoice_whose_last_version_is_still_being_worked_waits_for_it(bench: Workbench, ehr: Ehr) -> None:
    bench.receive(b'{"resourceType": "Invoice", "id": "17", "status": "draft"}', source=SOURCE)
    ehr.put("17")
    bench.clock.advance(seconds=60)
    bench.work("fhir_poll")
    assert len(bench.rows(tables.message)) == 1
    bench.translate()
    poll(bench, 2)
    assert balances(bench) == [4500]


# ---------------------------------------------------------------------------------------------- at once, and for ever


def test_a_poll_that_is_asked_for_while_one_is_under_way_is_done_again_after_it(bench: Workbench, ehr: Ehr) -> None:
    def told(asked: Asked) -> None:
        ehr.before = lambda asked: None
        with bench.store.write() as tx:
            poll_fhir.hurry(tx, SOURCE)

    ehr.before = told
    bench.clock.advance(seconds=60)
    assert bench.work("fhir_poll") == ["fhir_poll"]
    assert len(ehr.asked()) == 2


def test_a_source_that_is_no_longer_polled_ends_its_errand(bench: Workbench, ehr: Ehr) -> None:
    bench.use(configuration())
    poll(bench)
    assert (errand(bench).state, ehr.asked()) == ("done", [])


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", [False, True], ids=["before a commit", "after a commit"])
def test_whereever_it_is_killed_nothing_is_lost_and_nothing_counts_twice(
    bench: Workbench, ehr: Ehr, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    for number in range(5):
        ehr.put(str(number))
        bench.clock.advance(seconds=1)
    ehr.size = 2
    bench.clock.advance(seconds=60)
    write, commits = bench.store.write, 0

    @contextmanager
    def deadly(limit: int) -> Iterator[Any]:
        nonlocal commits
        commits += 1
        with write() as tx:
            yield tx
            if commits == limit and not after:
                raise Killed
        if commits == limit:
            raise Killed

    for limit in range(1, 20):
        commits = 0
        monkeypatch.setattr(bench.store, "write", lambda limit=limit: deadly(limit))
        try:
            bench.work("fhir_poll")
            break
        except Killed:
            monkeypatch.setattr(bench.store, "write", write)
            errands.release_leases(bench.store)
    assert limit > 3
    monkeypatch.setattr(bench.store, "write", write)
    bench.translate()
    assert sorted(row.control_id for row in bench.rows(tables.message)) == list("01234")
    assert balances(bench) == [4500] * 5


@on_sqlite
def test_a_server_that_never_answers_is_given_up_in_time(bench: Workbench, server: Scripted) -> None:
    settings = polling(configuration(), server.url)
    place = settings.destinations["ehr"]
    slow = type(place).model_validate(place.options | {"timeout_seconds": 0.2})
    bench.use(settings.model_copy(update={"destinations": {"ehr": slow}}))
    plan(bench)
    server.on("GET Invoice", silent)
    poll(bench)
    assert "no answer" in errand(bench).error
