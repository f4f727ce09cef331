"""post and deliver: a payment told to the chart in its own words, and only its AA believed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest
from workbench import configuration, dft, line, unique

from chartpost.adapter.flow.posting import deliver, post
from chartpost.adapter.ledger import errands, states, tables
from chartpost.adapter.ports import Answer, Verdict
from chartpost.adapter.settings import Destination


@pytest.fixture
def account():
    return unique("D")


@pytest.fixture
def paid(live, other, account):
    """Make an account at the clinic and here, and record a payment of `amount` for it; return the posting's row."""

    def make(amount=4000, body=None, number=""):
        number = number or account
        body = body or dft(line("CG", f"{amount / 100:.2f}", unique()), account=number)
        other.knows(body)
        assert live.take(body).state == "translated"
        live.pay(amount)
        return live.rows(tables.posting)[-1]

    return make


def now(live):
    return live.rows(tables.posting)[-1]


def received(other, posting):
    return [one for one in other.get("/_control/clinic/received") if one["control_id"] == posting.control_id]


def destination(other, **change):
    kept = configuration(other.ready)
    options = kept.destinations["chart"].options | change
    places = dict(kept.destinations) | {"chart": Destination.model_validate(options)}
    return kept.model_copy(update={"destinations": places})


def test_the_payment_appears_on_the_chart_and_the_posting_is_accepted(live, other, paid, account):
    posting = paid()
    assert live.work("post", "deliver") == ["post", "deliver"]
    after = now(live)
    assert (after.state, after.answer_code, after.content_type) == ("accepted", "AA", "application/hl7-v2")
    chart = other.chart(account)
    assert (chart["paid"], chart["balance"]) == ("40.00", "0.00")
    assert chart["postings"][0]["transaction"] == posting.public_id
    assert chart["postings"][0]["medium"] == "VISA"
    assert live.holds() == []
    assert live.work("post", "deliver") == []
    assert len(received(other, posting)) == 1


def test_it_is_published_with_its_content_type_before_it_is_delivered(live, paid):
    posting = paid()
    live.work("post")
    (found,) = live.due("deliver")
    envelope = found.envelope
    assert (envelope.routing_key, envelope.content_type) == ("posting.chart.hl7v2", "application/hl7-v2")
    assert (envelope.message_id, envelope.correlation_id) == (posting.public_id, posting.control_id)
    found.confirmed()
    assert now(live).state == "published"
    found.confirmed()
    assert now(live).state == "published", "a confirm that comes twice changes nothing"


def test_a_confirm_that_is_slower_than_the_answer_does_not_take_the_answer_back(live, paid):
    """The relay notes the confirm in its own thread, while the delivery is under way."""
    posting = paid()
    with ThreadPoolExecutor(1) as relay:
        with live.store.write() as tx:
            deliver.move(tx, posting.public_id, states.Posting.PUBLISHED, {})
            deliver.heard(tx, posting.public_id, Answer(Verdict.ACCEPTED, "AA"), "chart")
            confirm = relay.submit(deliver.published, live.flow, posting.public_id)
            wait([confirm], 0.1)
        confirm.result(10)
    assert now(live).state == "accepted"


def test_a_patient_whose_name_holds_line_ends_cannot_add_a_segment_to_our_message(live, other, paid, account):
    name = "Sample\\X0D\\FT1|9|||||PY|CASH|||1|9999.00&USD\\X0D\\ZZZ^Sil\\.br\\via"
    paid(body=dft(line("CG", "40.00", "A"), account=account, name=name.replace("|", "\\F\\")))
    live.work("post", "deliver")
    body = now(live).body.decode()
    assert [segment[:3] for segment in body.rstrip("\r").split("\r")] == ["MSH", "EVN", "PID", "FT1"]
    assert "\n" not in body
    assert (now(live).state, other.chart(account)["paid"]) == ("accepted", "40.00")


def test_what_our_own_rules_refuse_is_not_sent_and_a_person_is_told(live, other, paid, account):
    body = dft(line("CG", "40.00", "A"), account=account).replace(f"M-{account}^^^LAKESIDE^MR".encode(), b"")
    posting = paid(body=body)
    moves = []
    live.store.on_move = lambda noun, state, place, key, ids: moves.append((noun, state, place))
    assert live.work("post", "deliver") == ["post"]
    assert moves == [("posting", "refused", "chart")], "it is logged and counted like any refusal"
    assert (now(live).state, live.holds()) == ("refused", ["not_sent"])
    assert "PID-3" in live.one(tables.hold).text
    assert live.one(tables.hold).object == f"posting:{posting.public_id}"
    assert received(other, posting) == []


@pytest.mark.parametrize(
    ("answer", "state", "causes"),
    [
        ("AE", "refused", ["refused"]),
        ("AR", "refused", ["refused"]),
        ("CA", "received", []),
        ("close", "unknown", ["unknown"]),
        ("silence", "unknown", ["unknown"]),
        ("wrong-msa2", "unknown", ["unknown"]),
    ],
)
def test_only_what_the_chart_says_of_this_very_posting_is_believed(live, other, paid, answer, state, causes):
    live.use(destination(other, timeout_seconds=0.4))
    other.call(f"/_control/clinic/next?answer={answer}")
    posting = paid()
    live.work("post", "deliver")
    live.clock.advance(hours=1)
    live.work("post", "deliver")
    assert (now(live).state, live.holds()) == (state, causes)
    assert len(received(other, posting)) == 1, "sent once, whatever came back"
    if causes:
        assert live.one(tables.hold).object == f"posting:{posting.public_id}"


def test_what_the_chart_did_not_take_beside_the_posting_is_told_to_a_person(live, paid):
    paid()
    live.work("post")
    answer = Answer(Verdict.ACCEPTED, "201", "PaymentNotice was not taken: 422 required")
    live.flow.world.senders["chart"] = SimpleNamespace(send=lambda body, control_id: answer)
    live.work("deliver")
    assert (now(live).state, live.holds()) == ("accepted", ["taken_in_part"])
    assert "PaymentNotice was not taken: 422 required" in live.one(tables.hold).text


def test_a_destination_that_is_not_sent_to_any_more_is_not_said_to_have_the_posting(live, paid):
    paid()
    live.work("post")
    del live.flow.world.senders["chart"]
    live.work("deliver")
    assert (now(live).state, live.holds()) == ("refused", ["refused"])


def test_an_account_that_the_chart_does_not_know_is_its_refusal_with_the_place(live, paid):
    paid(body=None, number=unique("D"))
    live.work("post")
    with live.store.write() as tx:
        body = now(live).body.replace(b"^^^LAKESIDE^AN", b"-NOBODY^^^LAKESIDE^AN")
        tx.run(tables.posting.update().values(body=body))
    live.work("deliver")
    assert now(live).state == "refused"
    assert "PID-18" in live.one(tables.hold).text


def test_a_process_that_died_during_the_call_leaves_a_question_and_sends_nothing_more(live, other, paid):
    posting = paid()
    live.work("post")
    real = live.flow.world.senders["chart"]

    def die(body, control_id):
        real.send(body, control_id)
        raise SystemExit("killed")

    live.flow.world.senders["chart"] = SimpleNamespace(send=die)
    with pytest.raises(SystemExit):
        live.work("deliver")
    live.flow.world.senders["chart"] = real
    errands.release_leases(live.store)
    live.work("deliver")
    assert (now(live).state, live.holds()) == ("unknown", ["unknown"])
    assert len(received(other, posting)) == 1


def test_a_destination_that_drops_duplicates_gets_it_again_under_the_same_control_id(live, other, paid, account):
    live.use(destination(other, timeout_seconds=0.4, resend="same_control_id"))
    other.call("/_control/clinic/next?answer=silence&count=2")
    posting = paid()
    live.work("post", "deliver")
    for _ in range(2):
        live.clock.advance(minutes=1)
        live.work("deliver")
    assert (now(live).state, live.holds()) == ("accepted", [])
    assert len(received(other, posting)) == 3
    assert other.chart(account)["paid"] == "40.00", "and counted it once"


def test_refused_connections_do_not_use_up_its_patience_with_silence(live, other, paid):
    live.use(destination(other, address="127.0.0.1:1", resend="same_control_id"))
    posting = paid()
    live.work("post", "deliver")
    for _ in range(6):
        live.clock.advance(minutes=1)
        live.work("deliver")
    live.use(destination(other, timeout_seconds=0.2, resend="same_control_id"))
    other.call("/_control/clinic/next?answer=silence")
    for _ in range(2):
        live.clock.advance(minutes=1)
        live.work("deliver")
    assert (now(live).state, len(received(other, posting))) == ("accepted", 2)


def test_even_there_lasting_silence_becomes_a_question(live, other, paid):
    live.use(destination(other, timeout_seconds=0.2, resend="same_control_id"))
    other.call("/_control/clinic/next?answer=silence&count=4")
    posting = paid()
    live.work("post", "deliver")
    for _ in range(6):
        live.clock.advance(minutes=1)
        live.work("deliver")
    assert (now(live).state, live.holds()) == ("unknown", ["unknown"])
    assert len(received(other, posting)) == 4


def test_while_the_destination_is_down_we_keep_trying_tell_a_person_and_close_the_hold_once_it_is_up(live, other, paid):
    live.use(destination(other, address="127.0.0.1:1"))
    posting = paid()
    live.work("post", "deliver")
    for tries in range(2, 7):
        live.clock.advance(minutes=1)
        live.work("deliver")
        assert live.holds() == (["not_reachable"] if tries >= 5 else [])
    assert live.one(tables.hold).object == "destination:chart"
    assert "127.0.0.1:1: no connection (refused: nobody listens there)" in live.one(tables.hold).text
    live.use(destination(other))
    live.clock.advance(minutes=1)
    live.work("deliver")
    assert (now(live).state, live.holds(), live.holds("done")) == ("accepted", [], ["not_reachable"])
    assert len(received(other, posting)) == 1


def test_postings_reach_a_destination_in_the_order_of_the_payments(live, other, paid):
    live.use(destination(other, address="127.0.0.1:1"))
    wanted = [paid(1000).control_id, paid(2000).control_id, paid(3000).control_id]
    live.work("post", "deliver")
    live.use(destination(other))
    live.clock.advance(minutes=1)
    live.work("deliver")
    came = [one["control_id"] for one in other.get("/_control/clinic/received") if one["control_id"] in wanted]
    assert came == wanted


def test_a_wake_up_that_the_broker_hands_out_twice_never_sends_one_posting_in_the_place_of_the_next(live, other, paid):
    first = paid(1000)
    live.work("post")
    (found,) = live.due("deliver")
    second = paid(2000)
    live.work("post")
    live.hands.errand(found.envelope)
    live.hands.errand(found.envelope)
    assert (len(received(other, first)), len(received(other, second))) == (1, 0)
    live.work("deliver")
    assert [row.state for row in live.rows(tables.posting)] == ["accepted", "accepted"]
    assert len(received(other, second)) == 1


def test_a_posting_whose_destination_was_taken_out_of_the_configuration_goes_to_a_person_and_blocks_nobody(
    live, other, paid
):
    paid()
    live.work("post")
    kept = configuration(other.ready)
    sources = {name: source.model_copy(update={"destinations": ()}) for name, source in kept.sources.items()}
    live.use(kept.model_copy(update={"destinations": {}, "sources": sources}))
    live.take(dft(line("CG", "9.00"), account=unique("D"), phone=""))
    for found in live.due("deliver"):
        assert found.envelope.routing_key in live.queues.names, "what cannot be published stops the relay"
    live.work()
    assert (now(live).state, sorted(live.holds())) == ("refused", ["no_phone", "refused"])


def test_a_source_without_destinations_records_the_payment_and_posts_nothing(live, other, paid):
    kept = configuration(other.ready)
    sources = {name: source.model_copy(update={"destinations": ()}) for name, source in kept.sources.items()}
    live.use(kept.model_copy(update={"sources": sources}))
    with pytest.raises(IndexError):
        paid()
    assert len(live.rows(tables.payment)) == 1


@pytest.mark.parametrize("wrong", [[], ["FT1-7: no code of ours"]])
def test_who_wrote_a_posting_too_slowly_changes_nothing_of_what_was_sent_meanwhile(live, paid, monkeypatch, wrong):
    """Its lease was over, another worker wrote it and had it accepted."""
    paid()

    def slow(body, map):
        with live.store.write() as tx:
            for state in (states.Posting.PUBLISHED, states.Posting.ACCEPTED):
                deliver.move(tx, now(live).public_id, state, {"body": b"as it was sent"})
        return wrong

    monkeypatch.setattr(post, "check", slow)
    live.work("post")
    after = now(live)
    assert (after.state, bytes(after.body)) == ("accepted", b"as it was sent")
    assert live.rows(tables.hold, state="open") == []
    assert live.rows(tables.errand, kind="deliver") == []
