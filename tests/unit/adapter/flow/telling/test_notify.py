"""notify: one neutral SMS, once, through the real Twilio SDK to a real other side."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from workbench import configuration, dft, line, unique

from chartpost.adapter.errors import Ambiguous, Permanent
from chartpost.adapter.flow.paying import pay, record
from chartpost.adapter.flow.telling import allowed, notify
from chartpost.adapter.ledger import errands, tables

_last = iter(range(2, 96))


@pytest.fixture
def phone():
    """A number that no other test of this process writes to."""
    return f"60855501{next(_last):02d}"


def owing(live, phone, **change):
    live.take(dft(line("CG", "40.00", "ECHO"), account=unique("N"), phone=phone, **change))
    return live.request()


def state(live):
    return live.one(tables.notice).state


def test_the_payer_gets_one_neutral_message_with_a_link_that_opens_the_request(live, other, phone):
    request = owing(live, phone, name="Canary^Carla")
    live.work()
    live.work()
    (sms,) = other.texts("+1" + phone)
    assert sms["body"].startswith("Lakeside: ")
    assert "STOP" in sms["body"]
    (address,) = sms["links"]
    said = sms["body"].replace(address, "")
    assert not any(word in said for word in ("Canary", "Carla", "40", "ECHO", "2026", "Clinic"))
    assert pay.look(live.flow, address.rpartition("/")[2]).owed.minor == request.asked
    live.check()
    other.hooks.until(lambda: state(live) == "delivered")


def test_the_guarantors_mobile_comes_before_the_patients(live, other, phone):
    guarantor = f"GT1|1|G1|Payer^Paula|||^PRN^PH^^1^608^5550101~^PRN^CP^^1^608^{phone[3:]}"
    owing(live, "6085550196", guarantor=guarantor)
    live.work()
    assert len(other.texts("+1" + phone)) == 1


@pytest.mark.parametrize("mode", ["normal", "reversed", "twice"])
def test_reports_may_come_in_any_order_and_more_than_once(live, other, phone, mode):
    other.call(f"/_control/twilio/callbacks?mode={mode}")
    owing(live, phone)
    live.work()
    notice = live.one(tables.notice).public_id
    other.hooks.until(lambda: len(live.rows(tables.event, reference=notice)) == 3)
    assert (state(live), live.holds()) == ("delivered", [])


def test_a_report_that_is_faster_than_our_own_record_is_believed(live, other, phone):
    owing(live, phone)
    real = live.flow.world.notifiers["sms"]

    def slow(text):
        sent = real.send(text)
        other.hooks.until(lambda: state(live) == "delivered")
        return sent

    live.flow.world.notifiers["sms"] = SimpleNamespace(send=slow, parse_report=real.parse_report)
    live.work()
    notice = live.one(tables.notice)
    assert notice.state == "delivered"
    assert notice.provider_ref.startswith("SM")


def test_a_report_answers_a_call_whose_answer_was_lost_even_before_we_know_that_it_was_lost(live, other, phone):
    owing(live, phone)
    real = live.flow.world.notifiers["sms"]

    def cut(text):
        real.send(text)
        other.hooks.until(lambda: state(live) == "delivered")
        raise Ambiguous("no answer")

    live.flow.world.notifiers["sms"] = SimpleNamespace(send=cut, parse_report=real.parse_report)
    live.work()
    assert (state(live), live.holds()) == ("delivered", [])


@pytest.mark.parametrize("fault", ["drop", "500"])
def test_a_message_of_which_nobody_knows_is_never_sent_again_by_machine(live, other, phone, fault):
    other.call("/_control/twilio/callbacks?mode=hold")
    other.call(f"/_control/twilio/next?answer={fault}")
    asked = len(other.get("/_control/twilio/requests"))
    owing(live, phone)
    live.work()
    live.clock.advance(hours=1)
    live.work()
    assert len(other.get("/_control/twilio/requests")) == asked + 1
    assert (state(live), live.holds()) == ("unknown", ["notice_unknown"])
    assert "not sent again" in live.one(tables.hold).fix


def test_a_late_report_closes_the_question(live, other, phone):
    other.call("/_control/twilio/callbacks?mode=hold")
    other.call("/_control/twilio/next?answer=drop")
    owing(live, phone)
    live.work()
    (sms,) = other.texts("+1" + phone)
    other.call(f"/_control/twilio/callback?sid={sms['sid']}&status=delivered")
    assert (state(live), live.holds(), live.holds("done")) == ("delivered", [], ["notice_unknown"])


def test_a_process_that_died_during_the_call_leaves_a_question_and_no_second_message(live, other, phone):
    owing(live, phone)
    real = live.flow.world.notifiers["sms"]

    def die(text):
        real.send(text)
        raise SystemExit("killed")

    live.flow.world.notifiers["sms"] = SimpleNamespace(send=die)
    other.call("/_control/twilio/callbacks?mode=hold")
    with pytest.raises(SystemExit):
        live.work()
    assert state(live) == "due"
    live.flow.world.notifiers["sms"] = real
    errands.release_leases(live.store)
    live.work()
    assert (state(live), live.holds()) == ("unknown", ["notice_unknown"])
    assert len(other.texts("+1" + phone)) == 1


def test_a_call_that_was_cut_off_stays_a_question_even_if_the_request_is_settled_meanwhile(live, other, phone):
    owing(live, phone)
    real = live.flow.world.notifiers["sms"]

    def die(text):
        raise SystemExit("killed")

    live.flow.world.notifiers["sms"] = SimpleNamespace(send=die)
    with pytest.raises(SystemExit):
        live.work()
    live.flow.world.notifiers["sms"] = real
    errands.release_leases(live.store)
    live.take(dft(line("CD", "40.00", "ECHO"), account=live.one(tables.account).number.decode()))
    live.work()
    assert live.request().state == "settled"
    assert (state(live), live.holds(), other.texts("+1" + phone)) == ("unknown", ["notice_unknown"], [])


@pytest.mark.parametrize(
    ("table", "change", "state_after", "held"),
    [
        # The process before us died in the call; its message went out, and the report of that comes in right now.
        (tables.notice, {"state": "sent"}, "sent", []),
        (tables.account, {"stopped": "deceased"}, "blocked", ["account_stopped"]),
        (tables.request, {"state": "cancelled"}, "blocked", []),
    ],
)
def test_what_is_committed_just_before_our_call_stops_the_call(
    live, other, phone, monkeypatch, table, change, state_after, held
):
    owing(live, phone)
    trying = notify.attempt

    def meanwhile(*arguments, **named):
        with live.store.write() as tx:
            tx.run(table.update().values(**change))
        return trying(*arguments, **named)

    monkeypatch.setattr(notify, "attempt", meanwhile)
    live.work()
    live.clock.advance(minutes=1)
    live.work()
    assert (state(live), live.holds(), other.texts("+1" + phone)) == (state_after, held, [])
    assert live.rows(tables.attempt) == []
    assert live.rows(tables.errand, kind="notify")[0].state == "done"


def test_whoever_stops_an_account_while_we_look_has_to_wait_until_the_attempt_is_on_record(live, phone, monkeypatch):
    owing(live, phone)
    judging, stopped = allowed.judge, threading.Event()

    def stop():
        with live.store.write() as tx:
            tx.run(tables.account.update().values(stopped="deceased"))
            assert live.rows(tables.attempt), "what was begun is known to whoever comes after"
        stopped.set()

    person = threading.Thread(target=stop)

    def judge(*arguments):
        verdict = judging(*arguments)
        person.start()
        assert not stopped.wait(0.3), "a stop came between our look and our attempt"
        return verdict

    monkeypatch.setattr(allowed, "judge", judge)
    live.work("notify")
    person.join(10)
    assert stopped.is_set()


def test_while_the_service_cannot_be_reached_we_try_again_and_send_once(live, other, phone):
    owing(live, phone)
    away = dict(other.ready) | {"http": "http://127.0.0.1:1"}
    real = live.flow.world
    live.use(configuration(away))
    for _ in range(3):
        assert live.work() == ["notify"]
        assert state(live) == "due"
        live.clock.advance(seconds=60)
    assert [row.outcome for row in live.rows(tables.attempt)] == ["transient"] * 3
    live.use(configuration(other.ready))
    assert set(real.notifiers) == {"sms"}
    live.work()
    assert len(other.texts("+1" + phone)) == 1
    other.hooks.until(lambda: state(live) == "delivered")


def test_whoever_said_stop_is_not_written_to(live, other, phone):
    def say(word):
        form = urlencode({"number": "+1" + phone, "sender": "+16085550100", "body": word}).encode()
        other.call("/inbox/reply", body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})

    say("STOP")
    try:
        owing(live, phone)
        live.work()
        told = live.one(tables.notice)
        assert (told.state, told.code, live.holds()) == ("blocked", "21610", ["opted_out"])
        assert live.request().state == "open", "the debt is still there; a person decides how to tell"
    finally:
        say("START")


def test_a_landline_is_reported_as_not_delivered(live, other):
    owing(live, "6085550199")
    live.work()
    other.hooks.until(lambda: state(live) == "undelivered")
    assert live.holds() == ["notice_undelivered"]
    assert "30006" in live.one(tables.hold).text


def test_a_number_that_is_none_is_refused_without_being_repeated_in_our_books(live):
    owing(live, "6085550198")
    live.work()
    assert (state(live), live.holds()) == ("blocked", ["notice_refused"])
    told = " ".join(str(row) for row in (*live.rows(tables.hold), *live.rows(tables.attempt)))
    assert "5550198" not in told


@pytest.mark.parametrize(
    ("source", "phone", "cause"), [("no_consent", "6085550197", "no_consent"), ("all", "", "no_phone")]
)
def test_without_consent_or_a_number_nobody_is_written_to_and_a_person_is_told(live, other, source, phone, cause):
    asked = len(other.get("/_control/twilio/requests"))
    live.take(dft(line("CG", "40.00"), account=unique("N"), phone=phone), source=source)
    live.work()
    assert (state(live), live.holds()) == ("blocked", [cause])
    assert live.rows(tables.attempt) == []
    assert len(other.get("/_control/twilio/requests")) == asked


def test_a_request_that_was_settled_before_its_notice_left_is_not_announced(live, other, phone):
    owing(live, phone)
    live.take(dft(line("CD", "40.00", "ECHO"), account=live.one(tables.account).number.decode()))
    live.work()
    assert ([row.state for row in live.rows(tables.notice)], other.texts("+1" + phone)) == (["blocked"], [])
    assert live.holds() == []


def test_a_forged_report_is_refused_and_leaves_no_trace(live, phone):
    owing(live, phone)
    url = f"{live.flow.public_url}/hooks/sms/status?notice=N1"
    with pytest.raises(Permanent):
        record.notice_report(live.flow, "sms", url, b"MessageSid=SM1&MessageStatus=sent", {"X-Twilio-Signature": "no"})
    assert live.rows(tables.event) == []
