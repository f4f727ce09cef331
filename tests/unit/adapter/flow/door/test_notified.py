"""A server that notifies: what it brings is taken, what it only names is read, and what never came is seen."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ehr import Ehr, polling
from fhir_face import TOKEN, URL, door, face
from notices import FORMS, NOON, notice
from scripted import Scripted, says, scripted
from starlette.testclient import TestClient
from workbench import Workbench, configuration

from chartpost.adapter.flow.door import notified, poll_fhir
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.listeners.committer import Committer
from chartpost.mappings.fhir.notification import EVENT, HANDSHAKE, HEARTBEAT

SOURCE = "fhir_all"
OBJECT = f"subscription:{SOURCE}/Subscription/3"

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
every_form = pytest.mark.parametrize("form", FORMS)


class Door:
    """The face of a source, the flow behind it, and the server before it."""

    def __init__(self, bench: Workbench, ehr: Ehr, *, polled: bool, readable: bool) -> None:
        self.bench, self.ehr = bench, ehr
        self.committer = Committer(Intake(bench.store))
        one = door(bench.store, SOURCE, polled=polled, readable=readable)
        self.client = TestClient(face(bench.store, self.committer, one), base_url=URL)

    def __call__(self, body: Any = b"", path: str = "", method: str = "POST", **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"authorization": f"Bearer {TOKEN}"} | ({"content-type": "application/fhir+json"} if content else {})
        return self.client.request(method, f"/fhir/{SOURCE}{path}", content=content, headers=said | headers)

    def hears(self, *args: Any, form: str = "R4", minute: int = 0, **more: Any) -> Any:
        answer = self(notice(form, *args, at=NOON + dt.timedelta(minutes=minute), **more))
        assert answer.status_code == 200, answer.text
        return answer

    def balances(self) -> list[int]:
        self.bench.work("notified", "fhir_poll")
        self.bench.translate()
        return [row.balance for row in self.bench.rows(tables.account)]

    def polls(self) -> bool:
        """Say whether the source is to be polled now."""
        return bool(self.bench.due("fhir_poll"))

    def numbers(self) -> str:
        return str(self.bench.one(tables.cursor, name=OBJECT).value)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture
def ehr(server: Scripted, bench: Workbench) -> Ehr:
    return Ehr(server, bench.clock)


@pytest.fixture
def polled(bench: Workbench, ehr: Ehr) -> Iterator[Door]:
    """A source whose server is polled, and was just now."""
    bench.use(polling(configuration(), ehr.server.url))
    with bench.store.write() as tx:
        poll_fhir.plan(tx, SOURCE)
    bench.work("fhir_poll")
    made = Door(bench, ehr, polled=True, readable=True)
    yield made
    made.committer.close()


@pytest.fixture
def read(bench: Workbench, ehr: Ehr) -> Iterator[Door]:
    """A source whose server is read and not polled."""
    bench.use(polling(configuration(), ehr.server.url, poll=None))
    made = Door(bench, ehr, polled=False, readable=True)
    yield made
    made.committer.close()


@pytest.fixture
def deaf(bench: Workbench, ehr: Ehr) -> Iterator[Door]:
    """A source that only takes what it is sent."""
    made = Door(bench, ehr, polled=False, readable=False)
    yield made
    made.committer.close()


# ---------------------------------------------------------------------------------------------- R4: criteria, rest-hook


@on_sqlite
@pytest.mark.parametrize("endpoint", ["", "/"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_payload_is_taken_at_whatever_the_server_adds_to_the_endpoint(deaf: Door, endpoint: str, method: str) -> None:
    for status in (201, 200):
        answer = deaf(deaf.ehr.put("17"), f"{endpoint}/Invoice/17", method)
        assert answer.status_code == status
    assert deaf.balances() == [4500]


def test_a_payload_at_the_endpoint_itself_is_the_state_of_its_invoice(deaf: Door) -> None:
    assert deaf(deaf.ehr.put("17")).status_code == 201
    assert deaf(deaf.ehr.put("17", "50.00"), "/").status_code == 200
    assert deaf.balances() == [5000]


@on_sqlite
@pytest.mark.parametrize("content_type", ["", "application/fhir+json", "text/plain", "application/fhir+xml"])
@pytest.mark.parametrize("endpoint", ["", "/"])
def test_an_empty_post_has_the_source_polled_at_once(polled: Door, content_type: str, endpoint: str) -> None:
    polled.ehr.put("17")
    assert not polled.polls()
    answer = polled(b"", endpoint, **({"content-type": content_type} if content_type else {}))
    assert answer.status_code == 200
    assert polled.polls()
    assert polled.balances() == [4500]


def test_an_empty_post_where_nothing_is_polled_is_refused_and_kept(deaf: Door) -> None:
    assert deaf(b"").status_code == 400
    assert [row.state for row in deaf.bench.rows(tables.message)] == ["unreadable"]
    assert deaf(b"", authorization="Bearer wrong").status_code == 401


# --------------------------------------------------------------------------------------------- topics, by notifications


@on_sqlite
@every_form
def test_handshake_and_heartbeat_are_answered_and_leave_nothing_but_how_far_was_heard(deaf: Door, form: str) -> None:
    for kind in (HANDSHAKE, HEARTBEAT):
        answer = deaf.hears(kind, counted=0, form=form, status="requested" if kind == HANDSHAKE else "active")
        assert answer.json()["issue"][0]["severity"] == "information"
    assert deaf.numbers().startswith("[0,")
    assert (deaf.bench.rows(tables.message), deaf.bench.holds()) == ([], [])


@every_form
def test_what_a_notification_brings_is_taken_and_the_same_event_twice_counts_once(deaf: Door, form: str) -> None:
    said = {"counted": 1, "brings": (deaf.ehr.put("17"),), "form": form}
    for _ in range(2):
        deaf.hears(EVENT, (1, "Invoice/17"), **said)
        assert deaf.balances() == [4500]
    whole, charge = deaf.bench.rows(tables.message)
    assert (whole.type, whole.state, whole.reason) == (
        "Bundle",
        "ignored",
        "a notification of 1 new states of Invoices",
    )
    assert (charge.state, charge.parent_id) == ("translated", whole.id)
    assert deaf.bench.holds() == []


@every_form
def test_what_a_notification_only_names_is_read_as_it_is_now(read: Door, form: str) -> None:
    read.ehr.put("17")
    focus = "http://its.own.name.example.org/fhir/Invoice/17/_history/1"
    read.hears(EVENT, (1, focus), counted=1, form=form)
    read.ehr.put("17", "50.00")
    assert read.balances() == [5000]
    read.hears(EVENT, (2, "Invoice/17"), counted=2, minute=1, form=form)
    assert read.balances() == [5000]
    assert sum(row.type == "Invoice" for row in read.bench.rows(tables.message)) == 1
    assert read.bench.holds() == []


@on_sqlite
@every_form
def test_a_notification_without_payload_has_the_source_polled_at_once(polled: Door, form: str) -> None:
    polled.ehr.put("17")
    polled.hears(EVENT, (1, ""), counted=1, form=form)
    assert polled.polls()
    assert polled.balances() == [4500]
    polled.hears(EVENT, (2, "Encounter/4"), counted=2, minute=1, form=form)
    assert polled.polls(), "of something that an Invoice may depend on"


def test_an_invoice_that_was_deleted_is_not_read(read: Door) -> None:
    said = notice("R4", EVENT, (1, "Invoice/17"), counted=1)
    said["entry"].append({"fullUrl": "https://x.example.org/Invoice/17", "request": {"method": "DELETE", "url": "a"}})
    assert read(said).status_code == 200
    read.hears(EVENT, (2, "Invoice/18"), counted=2, minute=1)
    assert (read.balances(), [one.path for one in read.ehr.server.asked]) == ([], ["Invoice/18"])
    assert read.bench.holds() == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_server_whose_count_stands_still_or_begins_anew_loses_no_invoice(deaf: Door, number: int) -> None:
    for minute, id in enumerate(["17", "18", "18"]):
        brings = (deaf.ehr.put(id) if id not in deaf.ehr.kept else deaf.ehr.kept[id],)
        deaf.hears(EVENT, (number, f"Invoice/{id}"), counted=number, brings=brings, minute=minute)
    assert deaf.balances() == [4500, 4500]


def test_a_late_event_does_not_bring_back_what_was_before(deaf: Door) -> None:
    before = deaf.ehr.put("17")
    deaf.bench.clock.advance(seconds=1)
    after = deaf.ehr.put("17", "60.00")
    deaf.hears(HANDSHAKE, counted=0)
    deaf.hears(EVENT, (2, "Invoice/17"), counted=2, brings=(after,), minute=2)
    deaf.hears(EVENT, (1, "Invoice/17"), counted=1, brings=(before,), minute=1)
    assert (deaf.balances(), deaf.bench.holds()) == ([6000], [])


def test_several_events_in_one_notification_are_taken_in_the_order_of_their_states(deaf: Door) -> None:
    first = deaf.ehr.put("17")
    deaf.bench.clock.advance(seconds=1)
    second = deaf.ehr.put("17", "60.00")
    deaf.hears(EVENT, (1, "Invoice/17"), (2, "Invoice/17"), counted=2, brings=(second, first))
    assert deaf.balances() == [6000]


# --------------------------------------------------------------------------------------------------------------- gaps


def test_a_gap_has_the_source_polled_and_nobody_is_bothered(polled: Door, caplog: Any) -> None:
    polled.hears(HANDSHAKE, counted=0)
    lost = polled.ehr.put("16")
    polled.hears(EVENT, (2, "Invoice/17"), counted=2, brings=(polled.ehr.put("17"),))
    assert lost
    assert polled.polls()
    assert polled.balances() == [4500, 4500]
    assert polled.bench.holds() == []


def test_where_nothing_is_polled_a_gap_waits_for_a_person_until_it_is_filled(deaf: Door) -> None:
    deaf.hears(HANDSHAKE, counted=0)
    late = deaf.ehr.put("16")
    deaf.hears(EVENT, (3, "Invoice/17"), counted=3, brings=(deaf.ehr.put("17"),), minute=3)
    [hold] = deaf.bench.rows(tables.hold)
    assert (hold.object, hold.cause) == (OBJECT, "events_missed")
    assert "events 1 to 2 never came" in hold.text
    deaf.hears(EVENT, (1, "Invoice/16"), counted=3, brings=(late,), minute=1)
    assert deaf.bench.holds() == ["events_missed"]
    deaf.hears(EVENT, (2, "Invoice/17"), counted=3, minute=2, brings=(deaf.ehr.kept["17"],))
    assert (deaf.bench.holds(), deaf.balances()) == ([], [4500, 4500])


def test_a_heartbeat_shows_what_never_came(deaf: Door) -> None:
    deaf.hears(HANDSHAKE, counted=0)
    deaf.hears(HEARTBEAT, counted=1)
    assert deaf.bench.holds() == ["events_missed"]


def test_a_count_that_begins_anew_has_the_source_polled(polled: Door) -> None:
    polled.hears(EVENT, (1, "Invoice/17"), counted=1, brings=(polled.ehr.put("17"),))
    assert not polled.polls()
    polled.hears(HANDSHAKE, counted=0)
    assert polled.polls()


def test_a_count_that_begins_anew_is_told_where_nothing_is_polled(deaf: Door) -> None:
    deaf.hears(EVENT, (1, "Invoice/17"), counted=1, brings=(deaf.ehr.put("17"),))
    deaf.hears(HANDSHAKE, counted=0)
    assert deaf.bench.holds() == ["events_missed"]
    deaf.hears(EVENT, (1, "Invoice/18"), counted=1, brings=(deaf.ehr.put("18"),), minute=1)
    assert deaf.balances() == [4500, 4500]


def test_changes_that_nobody_can_read_wait_for_a_person(deaf: Door) -> None:
    for number, focus in ((1, ""), (2, "Invoice/17")):
        deaf.hears(EVENT, (number, focus), counted=number, minute=number)
    [hold] = deaf.bench.rows(tables.hold)
    assert (hold.cause, "does not bring" in hold.text) == ("events_missed", True)


def test_a_subscription_that_has_ended_is_told_until_it_is_heard_of_again(deaf: Door) -> None:
    deaf.hears(HANDSHAKE, counted=0)
    for status in ("error", "off"):
        deaf.hears(HEARTBEAT, counted=0, status=status)
        assert deaf.bench.holds() == ["subscription_ended"]
    deaf.hears(HEARTBEAT, counted=0, subscription="Subscription/4")
    assert deaf.bench.holds() == ["subscription_ended"], "another one"
    deaf.hears(HEARTBEAT, counted=0)
    assert deaf.bench.holds() == []


# ------------------------------------------------------------------------------------------------------------- failures


@on_sqlite
def test_a_server_that_cannot_be_read_now_is_read_later(read: Door) -> None:
    read.ehr.put("17")
    script = read.ehr.server.scripts["GET Invoice/17"][0]
    read.ehr.server.on("GET Invoice/17", says(503, Retry_After="100"))
    read.hears(EVENT, (1, "Invoice/17"), counted=1)
    for _ in range(notified.TRIES):
        read.bench.clock.advance(seconds=100)
        read.bench.work("notified")
    assert read.bench.holds() == ["not_read"]
    read.ehr.server.on("GET Invoice/17", script)
    read.bench.clock.advance(seconds=100)
    assert (read.balances(), read.bench.holds()) == ([4500], [])


def test_a_refusal_keeps_no_other_invoice_out(read: Door) -> None:
    read.ehr.put("18")
    read.ehr.server.on("GET Invoice/17", says(403))
    read.hears(EVENT, (1, "Invoice/17"), (2, "Invoice/18"), counted=2)
    assert (read.balances(), read.bench.holds()) == ([4500], ["not_read"])


def test_one_invoice_that_cannot_be_taken_keeps_no_other_out(deaf: Door) -> None:
    deaf.hears(EVENT, (1, "Invoice/17"), counted=1, brings=(deaf.ehr.put("17"),))
    deaf.balances()
    deaf.bench.clock.advance(seconds=1)
    other = deaf.ehr.put("17", identifier=[{"system": "urn:example:others", "value": "A"}])
    brings = (other, deaf.ehr.put("18"))
    deaf.hears(EVENT, (2, "Invoice/17"), (3, "Invoice/18"), counted=3, brings=brings, minute=1)
    assert (deaf.balances(), deaf.bench.holds()) == ([4500, 4500], ["not_taken"])


def test_what_cannot_be_judged_yet_is_not_heard_and_has_to_come_again(deaf: Door) -> None:
    deaf.hears(HANDSHAKE, counted=0)
    assert deaf({"resourceType": "Invoice", "id": "17", "status": "draft"}, "/Invoice/17", "PUT").status_code == 201
    said = notice("R4", EVENT, (1, "Invoice/17"), counted=1, brings=(deaf.ehr.put("17"),))
    assert deaf(said).status_code == 503
    assert deaf.numbers().startswith("[0,")
    deaf.bench.translate()
    assert deaf(said).status_code == 200
    assert deaf.balances() == [4500]


@on_sqlite
def test_what_cannot_be_stored_is_not_heard(deaf: Door) -> None:
    deaf.hears(HANDSHAKE, counted=0)
    with deaf.bench.store.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    said = notice("R4", EVENT, (1, "Invoice/17"), counted=1, brings=(deaf.ehr.put("17"),))
    assert deaf(said).status_code in (500, 503)
    assert deaf.numbers().startswith("[0,")
    with deaf.bench.store.write() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER full")
    assert deaf(said).status_code == 200
    assert deaf.balances() == [4500]


@on_sqlite
@pytest.mark.parametrize("entry", [[7], "x", [{"resource": 7}]])
def test_a_notification_with_nonsense_in_it_is_refused(deaf: Door, entry: Any) -> None:
    said = notice("R5", EVENT, (1, "Invoice/17"), counted=1)
    said["entry"] = [*said["entry"], *(entry if isinstance(entry, list) else [entry])]
    assert deaf(said).status_code == 400
