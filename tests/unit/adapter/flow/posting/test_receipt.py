"""Postings that a hospital's engine consumes itself: what it says of them is believed, and its silence is told."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from workbench import configuration, dft, line

from chartpost.adapter.flow.posting import receipt, resend
from chartpost.adapter.ledger import errands, tables
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.senders.broker import Options
from chartpost.adapter.settings import Destination
from chartpost.mappings.receipt import NoReceipt
from chartpost.queues.envelope import Envelope

KEY = "posting.receipt.engine"


@pytest.fixture
def engine(bench):
    """A workbench whose one destination is consumed by somebody else."""
    kept = configuration()
    sources = {name: source.model_copy(update={"destinations": ("engine",)}) for name, source in kept.sources.items()}
    engine = Destination(type="broker", map="hl7v2-dft-payment", alert_after_minutes=30)
    bench.use(kept.model_copy(update={"sources": sources, "destinations": {"engine": engine}}))
    return bench


@pytest.fixture
def posting(engine):
    """One payment whose posting is rendered and due to be handed over."""
    engine.take(dft(line("CG", "40.00")))
    engine.pay(4000)
    assert engine.work("post") == ["post"]
    return engine.one(tables.posting)


def hand_over(engine):
    row = engine.rows(tables.errand, kind="deliver")[-1]
    receipt.handed_over(engine.flow, Errand(row.id, row.kind, row.subject, row.lane, 0))


def ack(code: str, control_id: str, rest: str = "") -> bytes:
    return f"MSH|^~\\&|HIS|LC|CHARTPOST||20260504||ACK^P03^ACK|A1|P|2.5.1\rMSA|{code}|{control_id}\r{rest}".encode()


def say(engine, body: bytes | dict[str, object], correlation_id: str = "", destination: str = "engine") -> None:
    body = json.dumps(body).encode() if isinstance(body, dict) else body
    receipt.run(engine.flow, destination, Envelope(KEY, body, "", correlation_id=correlation_id))


def now(engine):
    return engine.one(tables.posting)


def wait(engine, **span: float) -> list[str]:
    """Let time pass, and do what a worker does with what is due then."""
    engine.clock.advance(**span)
    with engine.store.read() as connection:
        heads = errands.heads(connection, "receipt_due", engine.clock(), 10)
    for head in heads:
        receipt.overdue(engine.flow, errands.claim(engine.store, head.id))
    return engine.holds()


def test_the_default_of_the_options_is_what_the_flow_takes_for_granted():
    assert Options.model_fields["alert_after_minutes"].default == receipt.ALERT_AFTER


def test_once_the_broker_has_it_our_part_is_done_and_a_receipt_is_awaited(engine, posting):
    hand_over(engine)
    assert now(engine).state == "published"
    assert [row.state for row in engine.rows(tables.errand, kind="deliver")] == ["done"]
    assert [row.state for row in engine.rows(tables.errand, kind="receipt_due")] == ["due"]


@pytest.mark.parametrize(("code", "state"), [("AA", "accepted"), ("CA", "received")])
def test_an_acknowledgement_by_msa_2_is_believed_and_kept(engine, posting, code, state):
    hand_over(engine)
    say(engine, ack(code, posting.control_id))
    after = now(engine)
    assert (after.state, after.answer_code, after.answer) == (state, code, ack(code, posting.control_id))
    assert wait(engine, minutes=31) == []


def test_received_comes_before_accepted(engine, posting):
    hand_over(engine)
    for code in ("CA", "AA", "AA", "CA"):
        say(engine, ack(code, posting.control_id))
    assert (now(engine).state, now(engine).answer_code) == ("accepted", "AA")


@pytest.mark.parametrize("name", ["control_id", "posting", "correlation"])
def test_an_engine_may_say_it_in_a_few_words_of_json(engine, posting, name):
    hand_over(engine)
    ids = {"control_id": {"control_id": posting.control_id}, "posting": {"posting": posting.public_id}}
    said = {"state": "accepted", "code": "200"} | ids.get(name, {})
    say(engine, said, posting.control_id if name == "correlation" else "")
    assert (now(engine).state, now(engine).answer_code) == ("accepted", "200")


def test_a_refusal_waits_for_a_person_with_code_and_place_and_without_a_word_of_theirs(engine, posting):
    hand_over(engine)
    say(engine, ack("AE", posting.control_id, "ERR||FT1^1^7|103|E||||Silvia Sample unknown\r"))
    assert now(engine).state == "refused"
    [hold] = engine.rows(tables.hold)
    assert hold.cause == "refused"
    assert "FT1-7 103" in hold.text
    assert "Sample" not in hold.text + now(engine).answer_text


def test_an_outcome_of_a_fhir_server_counts_by_its_correlation_id(engine, posting):
    hand_over(engine)
    wrong = {"severity": "error", "code": "not-found", "expression": ["PaymentReconciliation.request"]}
    say(engine, {"resourceType": "OperationOutcome", "issue": [wrong]}, posting.control_id)
    assert (now(engine).state, now(engine).answer_code) == ("refused", "not-found")


def test_an_engine_that_was_put_right_says_so_and_the_hold_is_settled(engine, posting):
    hand_over(engine)
    say(engine, ack("AE", posting.control_id))
    assert engine.holds() == ["refused"]
    say(engine, ack("AA", posting.control_id))
    assert (now(engine).state, engine.holds()) == ("accepted", [])


def test_a_refusal_of_a_second_copy_changes_nothing_once_it_was_accepted(engine, posting):
    hand_over(engine)
    say(engine, ack("AA", posting.control_id))
    say(engine, ack("AR", posting.control_id))
    assert (now(engine).state, engine.holds()) == ("accepted", [])


def test_silence_is_told_once_its_time_is_over_and_a_late_receipt_settles_it(engine, posting):
    hand_over(engine)
    assert wait(engine, minutes=29) == []
    assert wait(engine, minutes=2) == ["no_receipt"]
    assert now(engine).state == "published"
    say(engine, ack("CA", posting.control_id))
    assert engine.holds() == []
    assert engine.holds("done") == ["no_receipt"]


def test_an_engine_that_is_faster_than_our_own_commit_is_believed(engine, posting):
    say(engine, ack("AA", posting.control_id))
    hand_over(engine)
    assert now(engine).state == "accepted"
    assert wait(engine, hours=2) == []
    assert {row.state for row in engine.rows(tables.errand, kind="deliver")} == {"done"}


def test_an_engines_queue_that_takes_nothing_is_told_until_it_takes_something(engine, posting):
    (found,) = engine.due("deliver")
    for _ in range(2):
        found.refused()
    assert engine.holds() == ["not_reachable"]
    assert "posting.engine.hl7v2" in engine.one(tables.hold).text
    hand_over(engine)
    assert (now(engine).state, engine.holds()) == ("published", [])


def resent(engine, posting):
    """Have the posting refused, and send it again."""
    hand_over(engine)
    say(engine, ack("AE", posting.control_id))
    assert resend.resend(engine.flow, posting.public_id, by="ada").done
    assert engine.work("post") == ["post"]
    assert now(engine).control_id == f"{posting.control_id}-2"


def test_what_was_said_of_an_earlier_copy_does_not_refuse_the_one_that_is_on_its_way(engine, posting):
    """Receipts are delivered at least once, too."""
    resent(engine, posting)
    say(engine, ack("AE", posting.control_id))
    assert (now(engine).state, engine.holds()) == ("due", [])
    hand_over(engine)
    say(engine, ack("CR", posting.control_id))
    assert (now(engine).state, engine.holds()) == ("published", [])
    say(engine, ack("AA", posting.control_id))
    assert now(engine).state == "accepted", "whichever copy it was, the chart has it"


def test_silence_is_counted_from_the_last_copy(engine, posting):
    hand_over(engine)
    engine.clock.advance(minutes=20)
    say(engine, ack("AE", posting.control_id))
    resend.resend(engine.flow, posting.public_id, by="ada")
    engine.work("post")
    hand_over(engine)
    assert wait(engine, minutes=11) == []
    assert wait(engine, minutes=18) == []
    assert wait(engine, minutes=2) == ["no_receipt"]


@pytest.mark.parametrize("name", ["", "nobody", "N" * 300])
def test_a_receipt_for_nothing_that_we_know_is_not_ours(engine, posting, name):
    hand_over(engine)
    with pytest.raises(receipt.UnknownPosting):
        say(engine, ack("AA", name))
    assert now(engine).state == "published"


def test_nobody_speaks_for_the_postings_of_another_destination(engine, posting):
    hand_over(engine)
    with pytest.raises(receipt.UnknownPosting):
        say(engine, ack("AA", posting.control_id), destination="other")
    assert now(engine).state == "published"


def test_what_is_no_receipt_is_not_taken_for_one(engine, posting):
    hand_over(engine)
    with pytest.raises(NoReceipt):
        say(engine, b"thanks!", posting.control_id)
    assert now(engine).state == "published"


def test_a_posting_that_was_told_twice_is_awaited_once(engine, posting):
    hand_over(engine)
    hand_over(engine)
    with engine.store.read() as connection:
        due = connection.scalars(select(tables.errand.c.subject).where(tables.errand.c.kind == "receipt_due")).all()
    assert due == [posting.public_id]
