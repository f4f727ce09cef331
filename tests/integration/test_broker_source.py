"""Charges that come through the broker: stored before they are acknowledged, answered where an answer is awaited."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
import services
from feeds import Feed
from workbench import dft, line

from chartpost.adapter.flow.door.receive import Receipt, SourceRules
from chartpost.adapter.flow.door.receive_fhir import FhirReceiver, FhirRules
from chartpost.adapter.ledger.intake import Fate, Intake, Row
from chartpost.adapter.ledger.invoices import KnownInvoices
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.broker import FhirWire, Hl7Wire, Judged, NotYet, Reply, Wire
from chartpost.mappings import mapfile
from chartpost.queues.consumer import DEAD_REASON
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import NotPublished, Publisher

EMBEDDED = pytest.param("sqlite", "memory", id="sqlite-memory")
SERVERS = pytest.param(
    "postgresql", "rabbitmq", id="postgresql-rabbitmq", marks=[pytest.mark.postgres, pytest.mark.rabbitmq]
)
both = pytest.mark.parametrize(("store", "broker"), [EMBEDDED, SERVERS], indirect=True)

HL7, FHIR = "application/hl7-v2", "application/fhir+json"
INVOICE = {
    "resourceType": "Invoice", "id": "inv-1", "status": "issued", "subject": {"reference": "Patient/1"},
    "identifier": [{"system": "urn:example:invoice", "value": "I-1"}],
    "totalGross": {"value": 45.00, "currency": "USD"},
}  # fmt: skip


@pytest.fixture(scope="module")
def _vhost() -> Iterator[str]:
    with services.rabbitmq_vhost() as url:
        yield url


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of an embedded broker, or of a real one."""
    return "memory://" if request.param == "memory" else request.getfixturevalue("_vhost")


@pytest.fixture
def feed(store: Store, broker: str) -> Iterator[Feed]:
    made = Feed(store, broker)
    made.listener.start()
    yield made
    made.close()


def msa(envelope: Envelope) -> list[str]:
    return [part.split("\r")[0] for part in envelope.body.decode().split("\rMSA|")[1:]]


@both
def test_a_charge_is_stored_and_then_acknowledged_to_whoever_asked(feed: Feed) -> None:
    answers = feed.collect(feed.answers)
    feed.send(dft(line("CG", "40.00"), control_id="77"), correlation_id="c-1", message_id="m-1")
    answer = answers.take()
    assert (answer.correlation_id, answer.content_type, msa(answer)) == ("c-1", HL7, ["AA|77"])
    [row] = feed.rows()
    assert (row.state, row.control_id, row.ack_code, row.source) == ("received", "77", "AA", feed.name)
    assert feed.woken.acquire(timeout=1), "the translator is told"


@both
def test_who_gives_no_correlation_id_is_answered_under_the_message_id(feed: Feed) -> None:
    answers = feed.collect(feed.answers)
    feed.send(dft(line("CG", "40.00")), message_id="m-1")
    assert answers.take().correlation_id == "m-1"


@both
def test_a_copy_is_answered_like_the_first_and_counted_once(feed: Feed) -> None:
    answers = feed.collect(feed.answers)
    body = dft(line("CG", "40.00"), control_id="77")
    for _ in range(3):
        feed.send(body)
    assert [msa(answers.take()) for _ in range(3)] == [["AA|77"]] * 3
    assert [row.state for row in feed.rows()] == ["received", "duplicate", "duplicate"]


@both
def test_messages_are_stored_in_the_order_in_which_they_were_published(feed: Feed) -> None:
    answers = feed.collect(feed.answers)
    for number in range(30):
        feed.send(dft(line("CG", "40.00"), control_id=f"{number}"))
    assert [msa(answers.take())[0] for _ in range(30)] == [f"AA|{number}" for number in range(30)]
    assert [row.control_id for row in feed.rows()] == [f"{number}" for number in range(30)]


@both
def test_a_batch_is_answered_message_by_message_in_one_body(feed: Feed) -> None:
    answers = feed.collect(feed.answers)
    bodies = [dft(line("CG", "40.00"), control_id=name) for name in "ab"]
    feed.send(b"BHS|^~\\&|HIS\r" + b"".join(bodies) + b"BTS|2\r")
    assert msa(answers.take()) == ["AA|a", "AA|b"]
    assert [row.state for row in feed.rows()] == ["ignored", "received", "received"]


@both
def test_what_is_refused_is_told_to_whoever_asked_and_lies_in_the_dead_queue_where_nobody_did(feed: Feed) -> None:
    answers, dead = feed.collect(feed.answers), feed.collect(feed.topology.dead)
    training = dft(line("CG", "40.00"), control_id="1", processing_id="T")
    feed.send(training)
    assert msa(answers.take()) == ["AR|1"]
    feed.send(b"hello")
    assert msa(answers.take()) == ["AE|"]
    feed.send(b"hello", reply=False)
    feed.send(b"MSH|^~\\&|" + b"x" * 30_000, reply=False)
    buried = [dead.take() for _ in range(2)]
    assert [(len(one.body), one.headers[DEAD_REASON]) for one in buried] == [(5, "Unheard"), (30_009, "Unheard")]
    assert [row.state for row in feed.rows()] == ["ignored", "unreadable", "unreadable", "unreadable"]


@both
def test_a_charge_that_wants_no_answer_is_stored_all_the_same(feed: Feed) -> None:
    feed.send(dft(line("CG", "40.00")), reply=False, content_type="")
    assert feed.woken.acquire(timeout=10)
    assert [row.state for row in feed.rows()] == ["received"]


@both
def test_an_asker_who_left_loses_his_answer_and_nothing_else(feed: Feed) -> None:
    key = feed.topology.charge(feed.name)
    for name in (feed.topology.charge(feed.name), f"gone-{uuid4().hex}"):
        feed.publisher.publish(Envelope(key, dft(line("CG", "40.00")), HL7, reply_to=name))
        assert feed.woken.acquire(timeout=10)
    answers = feed.collect(feed.answers)
    feed.send(dft(line("CG", "40.00"), control_id="9"))
    assert msa(answers.take()) == ["AA|9"]
    assert [row.state for row in feed.rows()] == ["received"] * 3


class Broken(Intake):
    """An intake whose database is away for the first tries."""

    tries = 2

    def _transaction(self, rows: list[Row]) -> list[Fate]:
        self.tries -= 1
        if self.tries >= 0:
            raise OSError("the database is away")
        return super()._transaction(rows)


@both
def test_what_cannot_be_stored_stays_ahead_of_the_others_and_is_stored_once_it_can(store: Store, broker: str) -> None:
    feed = Feed(store, broker)
    feed.listener._intake = Broken(store)
    answers, dead = feed.collect(feed.answers), feed.collect(feed.topology.dead)
    for number in range(3):
        feed.send(dft(line("CG", "40.00"), control_id=f"{number}"))
    feed.listener.start()
    try:
        assert [msa(answers.take())[0] for _ in range(3)] == ["AA|0", "AA|1", "AA|2"]
    finally:
        feed.close()
    assert [row.control_id for row in feed.rows()] == ["0", "1", "2"]
    assert dead.arrived.empty()


@both
def test_an_answer_that_the_broker_does_not_take_is_tried_again_without_storing_twice(
    store: Store, broker: str
) -> None:
    feed = Feed(store, broker)
    answers = feed.collect(feed.answers)
    replies = feed.listener._replies
    feed.listener._replies = Away(replies)  # type: ignore[assignment]
    feed.send(dft(line("CG", "40.00"), control_id="1"))
    feed.listener.start()
    try:
        assert msa(answers.take()) == ["AA|1"]
    finally:
        feed.close()
    assert [row.state for row in feed.rows()] == ["received"]


class Away:
    """A broker that takes no answer at first."""

    def __init__(self, replies: Publisher) -> None:
        self.replies, self.tries = replies, 2

    def reply(self, envelope: Envelope) -> None:
        self.tries -= 1
        if self.tries >= 0:
            raise NotPublished("not now")
        self.replies.reply(envelope)

    def close(self) -> None:
        self.replies.close()


class Patience:
    """A wire that cannot judge at first, and never what says so."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.tries = wire, 2

    def judge(self, body: bytes, now: int) -> Judged:
        if body == b"bug":
            raise KeyError("Silvia Sample")
        self.tries -= 1
        if self.tries >= 0:
            raise NotYet
        return self.wire.judge(body, now)

    def answer(self, receipts: Sequence[Receipt], fates: Sequence[Fate]) -> Reply | None:
        return self.wire.answer(receipts, fates)


@both
def test_a_message_that_must_wait_for_another_waits_and_one_that_trips_us_up_is_kept_for_a_person(
    store: Store, broker: str
) -> None:
    rules = SourceRules("any", "lakeside", mapfile.load("hl7v2-dft"))
    feed = Feed(store, broker, Patience(Hl7Wire(rules)))
    answers, dead = feed.collect(feed.answers), feed.collect(feed.topology.dead)
    for body in (dft(control_id="1"), b"bug", dft(control_id="2")):
        feed.send(body)
    feed.listener.start()
    try:
        assert [msa(answers.take())[0] for _ in range(2)] == ["AA|1", "AA|2"]
        buried = dead.take()
    finally:
        feed.close()
    assert (buried.body, buried.headers[DEAD_REASON]) == (b"bug", "KeyError")


@pytest.fixture
def invoices(store: Store, broker: str) -> Iterator[Feed]:
    feed = Feed(store, broker)
    rules = FhirRules(feed.name, "lakeside", mapfile.load("fhir-invoice"))
    feed.listener._wire = FhirWire(FhirReceiver(rules, KnownInvoices(store, feed.name)))
    feed.listener.start()
    yield feed
    feed.close()


def severities(envelope: Envelope) -> list[str]:
    said = json.loads(envelope.body)
    assert said["resourceType"] == "OperationOutcome"
    return [issue["severity"] for issue in said["issue"]]


@both
def test_an_invoice_is_stored_and_answered_with_an_outcome(invoices: Feed) -> None:
    answers = invoices.collect(invoices.answers)
    invoices.send(json.dumps(INVOICE).encode(), content_type=FHIR, correlation_id="c-1")
    answer = answers.take()
    assert (answer.correlation_id, answer.content_type, severities(answer)) == ("c-1", FHIR, ["information"])
    assert [(row.state, row.type, row.control_id) for row in invoices.rows()] == [("received", "Invoice", "inv-1")]
    assert invoices.woken.acquire(timeout=1)


@both
def test_a_bundle_of_invoices_is_split(invoices: Feed) -> None:
    answers = invoices.collect(invoices.answers)
    others = [INVOICE | {"id": f"inv-{n}", "identifier": [{"system": "urn:x", "value": f"{n}"}]} for n in range(3)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in others]}
    invoices.send(json.dumps(bundle).encode(), content_type=FHIR)
    assert set(severities(answers.take())) == {"information"}
    assert [row.type for row in invoices.rows()] == ["Bundle", "Invoice", "Invoice", "Invoice"]


@both
def test_what_is_no_invoice_is_refused_and_kept_for_a_person_where_nobody_asked(invoices: Feed) -> None:
    answers, dead = invoices.collect(invoices.answers), invoices.collect(invoices.topology.dead)
    patient = b'{"resourceType": "Patient"}'
    invoices.send(patient, content_type=FHIR)
    assert severities(answers.take()) == ["error"]
    for body in (patient, b"MSH|^~\\&|"):
        invoices.send(body, reply=False)
    assert [dead.take().headers[DEAD_REASON] for _ in range(2)] == ["Unheard", "Unheard"]
