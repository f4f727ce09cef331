"""People answer texts: the service's sandbox as a process, the real SDK, the ledger on both databases."""

from __future__ import annotations

import uuid
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from workbench import configuration, dft, line

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.answering import incoming, optout
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import consents, tables
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.notifiers.twilio import TwilioNotifier
from chartpost.adapter.ports import Incoming
from chartpost.adapter.story import story

SENDER = "+16085550100"
PHONE = "+16085550142"


@pytest.fixture
def phone() -> str:
    """A number of this test's own: the sandbox is shared."""
    return f"608555{int(uuid.uuid4().hex[:6], 16) % 9000 + 1000:04d}".replace("5550", "5551")


@pytest.fixture(autouse=True)
def _telling(request):
    """Tell the sandbox where texts go, for as long as a test runs with it."""
    if "other" not in request.fixturenames:
        yield
        return
    other = request.getfixturevalue("other")
    other.call(f"/_control/twilio/inbound?url={other.hooks.url}/hooks/sms/incoming")
    yield
    other.call("/_control/twilio/inbound?url=")
    other.call("/_control/twilio/optout?by=service")


def say(other, phone, words):
    """Type an answer on a phone; return once we have heard of it."""
    heard = len([path for path, _ in other.hooks.answers if path.endswith("/incoming")])
    form = urlencode({"number": "+1" + phone, "sender": SENDER, "body": words}).encode()
    other.call("/inbox/reply", body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    other.hooks.until(lambda: len([path for path, _ in other.hooks.answers if path.endswith("/incoming")]) > heard)


def answers(other, phone):
    return [sms["body"] for sms in other.texts("+1" + phone) if sms["direction"] == "outbound-reply"]


def allowed(bench, number=PHONE, channel="sms", facility="lakeside", source="all"):
    with bench.store.read() as connection:
        return consent.why_not(
            connection, bench.flow, source=source, facility=facility, notifier=channel, channel=channel,
            recipient=number,
        )  # fmt: skip


class Listens:
    """A service that says what it is told to."""

    channel = "sms"

    def __init__(self) -> None:
        self.told = Incoming("SM1", PHONE, SENDER, "STOP")

    def parse_incoming(self, url, body, headers):
        if not body:
            raise Permanent("not authentic")
        return self.told

    def reply(self, text):
        return "text/plain", text.encode()


@pytest.fixture
def heard(bench):
    """Write to us: `heard("STOP")` returns what is answered."""
    service = Listens()
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers={"sms": service}))

    def write(words, number=PHONE, id=""):
        service.told = Incoming(id or f"SM{uuid.uuid4().hex}", number, SENDER, words)
        return incoming.incoming(bench.flow, "sms", "https://pay.example.org/hooks/sms/incoming", b"x", {})[1].decode()

    return write


# ------------------------------------------------------------------------------------------------------ with no wire


def test_stop_counts_at_once_and_takes_back_what_is_due(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    assert bench.one(tables.notice).state == "due"
    assert heard("stop please") == (
        "Lakeside: you will get no more text messages from us. Reply START to get them again."
    )
    assert bench.one(tables.notice).state == "blocked"
    assert bench.holds() == ["opted_out"]
    assert allowed(bench) is not None
    bench.work("notify")
    assert bench.one(tables.notice).state == "blocked", "the errand finds nothing to do"
    words = {row.scope: (row.state, row.origin, row.words) for row in bench.rows(tables.consent)}
    assert words == dict.fromkeys(("notifier:sms", "facility:lakeside"), ("revoked", "reply", b"stop please"))


@pytest.mark.parametrize("number", ["16085550142", "608 555 0142", "(608) 555-0142", "+1 608-555-0142"])
def test_a_stop_counts_however_a_gateway_writes_the_number(bench, heard, number):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    heard("STOP", number)
    assert bench.one(tables.notice).state == "blocked"
    assert allowed(bench) is not None


def test_the_same_text_told_again_changes_nothing_and_is_not_answered_again(bench, heard):
    assert heard("STOP", id="SM1")
    assert heard("STOP", id="SM1") == ""
    assert len(bench.rows(tables.consent)) == 2
    assert len(bench.rows(tables.event)) == 1


def test_a_machine_that_answers_our_last_word_with_a_stop_of_its_own_is_not_answered_without_end(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    automatic = "I am driving. Reply STOP to get no more of these"
    assert heard(automatic)
    assert heard(automatic) == ""
    assert heard("START")
    assert heard("STOP")


def test_what_may_be_a_stop_is_not_answered_by_writing_once_more(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    heard("wrong number")
    (number,) = [row.id for row in bench.rows(tables.hold) if row.cause == "stop_perhaps"]
    assert not release.retry(bench.flow, number, by="anna").done


def test_the_chart_repeats_its_yes_and_a_stop_stands(bench, heard):
    heard("no more")
    for origin in ("chart", "fhir", "csv"):
        with bench.store.write() as tx:
            assert not optout.take(bench.flow, tx, "sms", PHONE, Word(GRANTED, origin), facilities=["lakeside"])
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    bench.work("notify")
    assert bench.one(tables.notice).state == "blocked"
    assert bench.holds() == ["opted_out"]


def test_start_tells_whoever_could_not_be_told(bench, heard):
    heard("STOP")
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    bench.work("notify")
    assert bench.holds() == ["opted_out"]
    assert "STOP" in heard("START")
    assert allowed(bench) is None
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "due"]
    assert bench.holds() == []


def test_a_number_that_belongs_to_two_families_is_texted_for_neither(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:], account="A-1"))
    bench.take(dft(line("CG", "20.00"), phone=PHONE[2:], account="A-2", name="Other^Olga"))
    bench.take(dft(line("CG", "20.00"), phone="6085550143", account="A-3", name="Third^Tara"))
    heard("STOP")
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "blocked", "due"]
    assert bench.holds() == ["opted_out", "opted_out"]


def test_a_question_waits_for_a_person_and_its_words_are_nowhere_but_in_the_event(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    assert heard("Is this for Silvia's knee?") == ""
    hold, event = bench.one(tables.hold), bench.one(tables.event)
    assert (hold.cause, hold.object) == ("payer_wrote", f"request:{bench.request().public_id}")
    assert (event.type, event.state) == ("text:question", "applied")
    assert event.reference == bench.one(tables.notice).public_id
    shown = f"{hold.text} {hold.fix} {hold.likeness} {event.reason} {event.type}"
    assert "knee" not in shown
    assert PHONE not in shown
    assert allowed(bench) is None


def test_what_may_mean_stop_is_taken_for_it_and_a_person_looks(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]))
    assert heard("I will stop by tomorrow").startswith("Lakeside: you will get no more")
    assert allowed(bench) is not None
    assert sorted(bench.holds()) == ["opted_out", "stop_perhaps"]


def test_a_stop_of_somebody_we_never_wrote_to_counts_too(bench, heard):
    heard("STOP", number="+16085550177")
    assert allowed(bench, "+16085550177") is not None
    assert bench.holds() == []
    heard("who are you?", number="+16085550177")
    assert bench.holds() == ["payer_wrote"]
    assert bench.one(tables.hold).object.startswith("event:SM")
    with bench.store.read() as connection:
        for name in ("H1", bench.rows(tables.event)[-1].event_id):
            told = [moment for moment in story(connection, name, reveal=True) if moment.noun == "event"]
            assert [moment.details for moment in told] == [("x",)], "who reads the hold finds the words"


def test_spanish_is_answered_in_spanish_and_help_names_the_office(bench, heard):
    bench.use(configuration(facilities={"lakeside": _clinic(contact="(608) 555-0100")}))
    service = Listens()
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers={"sms": service}))
    service.told = Incoming("SM7", PHONE, SENDER, "AYUDA")
    said = incoming.incoming(bench.flow, "sms", "", b"x", {})[1].decode()
    assert said.startswith("Lakeside: mensajes de texto")
    assert "(608) 555-0100" in said
    assert bench.rows(tables.consent) == []


def test_a_tap_on_our_own_words_is_no_stop(bench, heard):
    assert heard("Liked “Lakeside: you have a balance. Reply STOP to opt out.”") == ""
    assert bench.rows(tables.consent) == bench.rows(tables.hold) == []


def test_what_is_not_authentic_leaves_nothing(bench, heard):
    with pytest.raises(Permanent):
        incoming.incoming(bench.flow, "sms", "", b"", {})
    assert bench.rows(tables.event) == bench.rows(tables.consent) == []
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers={"sms": SimpleNamespace(channel="sms")}))
    with pytest.raises(Permanent):
        incoming.incoming(bench.flow, "sms", "", b"x", {})


def test_a_stop_counts_even_where_its_effects_fail(bench, heard, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(optout, "follow", fails)
    assert heard("STOP") == ""
    assert allowed(bench) is not None
    assert bench.holds() == ["text_not_applied"]
    assert bench.one(tables.event).state == "received"


def test_mail_needs_no_consent_and_can_be_taken_back(bench):
    assert allowed(bench, "payer@example.org", "email", source="no_consent") is None
    with bench.store.write() as tx:
        optout.take(bench.flow, tx, "email", "Payer@example.org", Word(REVOKED, "page"), facilities=["lakeside"])
    assert allowed(bench, "payer@example.org", "email") == consent.OPTED_OUT["email"]
    assert allowed(bench, "payer@example.org", "email", facility="hilltop") is None


def test_a_source_says_whose_consent_counts(bench):
    sources = {name: source.model_dump() for name, source in bench.flow.settings.sources.items()}
    bench.use(configuration(sources={"all": sources["all"] | {"consent": "recorded"}}))
    assert allowed(bench) == consent.NOT_RECORDED
    with bench.store.write() as tx:
        optout.take(bench.flow, tx, "sms", PHONE, Word(GRANTED, "staff", "form"), facilities=["lakeside"])
    assert allowed(bench) is None
    assert allowed(bench, source="gone") is not None


# --------------------------------------------------------------------------------------------------- with the sandbox


def _clinic(**more):
    return {
        "name": "Lakeside Clinic", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
        "currency": "USD", "provider": "card", "notifiers": ["sms"], "quiet": "none", **more,
    }  # fmt: skip


def test_a_stop_in_the_payers_own_words_is_answered_by_us_and_ends_the_texts(live, other, phone):
    live.take(dft(line("CG", "45.00"), phone=phone, account=phone))
    live.work("notify")
    say(other, phone, "please stop texting me")
    other.hooks.until(lambda: answers(other, phone))
    assert answers(other, phone) == [
        "Lakeside: you will get no more text messages from us. Reply START to get them again."
    ]
    live.take(dft(line("CG", "20.00"), phone=phone, account=phone + "-2"))
    live.work("notify")
    assert len([sms for sms in other.texts("+1" + phone) if sms["direction"] == "outbound-api"]) == 1
    assert live.holds() == ["opted_out"]


def test_the_services_own_word_is_answered_once_by_the_service(live, other, phone):
    live.take(dft(line("CG", "45.00"), phone=phone, account=phone))
    live.work("notify")
    say(other, phone, "STOP")
    assert len(answers(other, phone)) == 1
    assert answers(other, phone)[0].startswith("You have successfully been unsubscribed")
    assert allowed(live, "+1" + phone) is not None
    say(other, phone, "START")
    assert len(answers(other, phone)) == 2
    assert allowed(live, "+1" + phone) is None


def test_where_the_service_keeps_silent_we_answer(live, other, phone):
    other.call("/_control/twilio/optout?by=ours")
    notifiers = live.flow.settings.model_dump()["notifiers"]
    live.use(configuration(other.ready, notifiers={"sms": notifiers["sms"] | {"opt_out": "ours"}}))
    other.hooks.flow = live.flow
    live.take(dft(line("CG", "45.00"), phone=phone, account=phone))
    live.work("notify")
    say(other, phone, "ALTO")
    say(other, phone, "HELP")
    other.hooks.until(lambda: len(answers(other, phone)) == 2)
    assert [said[:30] for said in answers(other, phone)] == [
        "Lakeside: no recibirá más mens", "Lakeside: text messages about ",
    ]  # fmt: skip


def test_a_number_that_the_service_keeps_from_us_is_revoked_by_it(live, other, phone):
    form = urlencode({"number": "+1" + phone, "sender": SENDER, "body": "STOP"}).encode()
    other.call("/_control/twilio/inbound?url=http://127.0.0.1:9/nobody")  # the text itself gets lost
    other.call("/inbox/reply", body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    live.take(dft(line("CG", "45.00"), phone=phone, account=phone))
    live.work("notify")
    told = live.one(tables.notice)
    assert (told.state, told.code, live.holds()) == ("blocked", "21610", ["opted_out"])
    assert {(row.state, row.origin, row.evidence) for row in live.rows(tables.consent)} == {
        ("revoked", "service", f"notice {told.public_id}")
    }
    live.take(dft(line("CG", "20.00"), phone=phone, account=phone + "-2"))
    live.work("notify")
    asked = [one for one in other.get("/_control/twilio/requests") if one["params"].get("To") == "+1" + phone]
    assert len(asked) == 1, "the service is not asked again"


def test_a_forged_text_is_refused_and_leaves_nothing(live, other, phone):
    notifier = live.flow.world.notifiers["sms"]
    assert isinstance(notifier, TwilioNotifier)
    body = urlencode({"MessageSid": "SM1", "From": "+1" + phone, "To": SENDER, "Body": "STOP"}).encode()
    url = f"{other.hooks.url}/hooks/sms/incoming"
    assert other.hooks.answer("/hooks/sms/incoming", body, {"X-Twilio-Signature": "x"})[0] == 400
    with pytest.raises(Permanent):
        notifier.parse_incoming(url, body, {})
    assert live.rows(tables.event) == live.rows(tables.consent) == []


def test_a_stop_finds_what_an_older_version_wrote(bench, heard):
    bench.take(dft(line("CG", "45.00"), phone=PHONE[2:]), dft(line("CG", "45.00"), account="A-2", phone="6085550143"))
    with bench.store.write() as tx:
        tx.run(tables.notice.update().values(recipient_key=""))
    assert [consents.backfill(bench.store) for _ in range(2)] == [2, 0]
    heard("STOP")
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "due"]


def test_consents_are_found_by_number_whoever_asks():
    assert consents.key("sms", PHONE) == consents.key("sms", PHONE)
    assert consents.key("email", "A@example.org") == consents.key("email", "a@EXAMPLE.org")
    assert consents.key("email", PHONE) != consents.key("sms", PHONE)
