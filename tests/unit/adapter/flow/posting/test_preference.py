"""A chart is told whether a number may be texted: over MLLP and over FHIR, by the same road as a payment."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
from workbench import configuration, dft, line, unique

from chartpost.adapter.flow.answering import optout
from chartpost.adapter.flow.posting import resend
from chartpost.adapter.flow.posting.preference import untold
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.settings import Destination
from chartpost.adapter.story import story
from chartpost.adapter.views import LISTS
from chartpost.mappings import er7, postingmap, preference
from chartpost.mappings.fhir import versions
from chartpost.mappings.hl7 import conformance
from chartpost.mappings.movement import Unwritable

PHONE = "+16085550171"
MAY = dt.datetime(2026, 5, 4, 15, 0, tzinfo=dt.UTC)
CHART = {"PID-3": "M-1^^^LAKESIDE^MR", "PID-5": "Sample^Silvia"}


def told(**change):
    known = {
        "posting_id": "P00000000001", "control_id": "P00000000001", "granted": False, "number": PHONE, "said_at": MAY,
        "posted_at": MAY, "timezone": "America/Chicago", "facility": "Lakeside Clinic", "chart": CHART,
    }  # fmt: skip
    return preference.Preference(**known | change)


@pytest.mark.parametrize("version", [one for one in postingmap.VERSIONS if one != "2.3"])
def test_the_adt_conforms_in_every_version_that_has_its_structure(version):
    body = preference.hl7(told(), version)
    assert conformance.validate(body) == []
    message = er7.parse(body)
    assert [message.text("MSH", 9, part) for part in (1, 2)] == ["ADT", "A31"]
    observed = [(one.text_of(3), one.text_of(5)) for one in _obx(message)]
    assert observed == [("TEXT-CONSENT", "N"), ("TEXT-NUMBER", PHONE)]


def _obx(message):
    class Segment:
        def __init__(self, segment):
            self.text_of = lambda number: segment.field(number).partition("^")[0]

    return [Segment(one) for one in message.segments if one.name == "OBX"]


@pytest.mark.parametrize(
    "chart", [CHART, {"Patient.reference": "Patient/12"}, {"Patient.identifier": "https://clinic.example.org/mrn|12"}]
)
def test_the_consent_conforms_whatever_the_chart_knows_its_patient_by(chart):
    for granted, kind in ((True, "permit"), (False, "deny")):
        body = preference.fhir(told(chart=chart, granted=granted))
        assert versions.check(body, "Consent", "R4B") == versions.check(body, "Consent", "R4") == []
        assert json.loads(body)["provision"]["type"] == kind


def test_without_a_patient_nothing_is_written():
    with pytest.raises(Unwritable):
        preference.hl7(told(chart={"PID-3": "M1"}), "2.5.1")
    with pytest.raises(Unwritable):
        preference.fhir(told(chart={}))


def test_a_name_of_the_chart_cannot_add_a_segment():
    body = preference.hl7(told(chart=CHART | {"PID-5": "Eve\rOBX|9|ST|TEXT-CONSENT||Y"}), "2.5.1")
    assert len(_obx(er7.parse(body))) == 2


# ------------------------------------------------------------------------------------------------------ with a chart


def telling(other, **how):
    """Return the configuration in which these destinations are told: chart="hl7", fhir="fhir"."""
    kept = configuration(other.ready)
    places = dict(kept.destinations)
    for name, form in how.items():
        places[name] = Destination.model_validate(places[name].options | {"consents": form})
    return kept.model_copy(update={"destinations": places})


_events = itertools.count(1)


def say(live, number, state=REVOKED, origin="reply"):
    with live.store.write() as tx:
        word = Word(state, origin, f"event SM{next(_events)}")
        return optout.take(live.flow, tx, "sms", number, word, notifier="sms")


@pytest.fixture
def asked(live, other):
    """An account at the clinic and here, whose payer is texted at `PHONE`."""
    live.use(telling(other, chart="hl7", fhir="fhir"))
    account = unique("C")
    body = dft(line("CG", "45.00", unique()), account=account, phone=PHONE[2:])
    other.knows(body)
    live.take(body)
    return account


def test_the_chart_hears_of_a_stop_and_of_a_start(live, other, asked):
    say(live, PHONE)
    [posting] = live.rows(tables.posting)
    assert (posting.kind, posting.destination, posting.payment_id) == ("consent", "chart", None)
    assert live.work("post", "deliver") == ["post", "deliver"]
    assert live.one(tables.posting).state == "accepted"
    assert other.chart(asked)["texts"] == {PHONE: False}
    say(live, PHONE, GRANTED)
    live.work("post", "deliver")
    assert other.chart(asked)["texts"] == {PHONE: True}
    assert [row.answer_code for row in live.rows(tables.posting)] == ["AA", "AA"]


def test_a_chart_is_not_told_what_it_says_itself_nor_where_nobody_asked_for_it(live, other, asked):
    for origin in ("chart", "fhir", "csv"):
        with live.store.write() as tx:
            word = Word(REVOKED if origin == "chart" else GRANTED, origin, "M1")
            optout.take(live.flow, tx, "sms", PHONE, word, facilities=["lakeside"])
    assert live.rows(tables.posting) == []
    live.use(configuration(other.ready))
    say(live, PHONE)
    assert live.rows(tables.posting) == []


def test_a_patients_chart_is_told_once_however_many_accounts_there_are(live, other, asked):
    one, other_family = unique("C"), unique("C")
    first = dft(line("CG", "20.00", unique()), account=one, phone=PHONE[2:])
    body = first.replace(f"M-{one}^^^".encode(), f"M-{asked}^^^".encode())
    second = dft(line("CG", "20.00", unique()), account=other_family, phone=PHONE[2:], name="Other^Olga")
    for each in (body, second):
        other.knows(each)
        live.take(each)
    say(live, PHONE)
    assert len(live.rows(tables.posting)) == 2, "two patients, three accounts"
    live.work("post", "deliver")
    assert [other.chart(number)["texts"] for number in (asked, one, other_family)] == [{PHONE: False}] * 3


def test_what_the_chart_refuses_waits_for_a_person_who_may_send_it_again(live, other):
    live.use(telling(other, chart="hl7"))
    live.take(dft(line("CG", "45.00", unique()), account=unique("C"), phone=PHONE[2:]))  # the clinic knows nobody
    say(live, PHONE)
    live.work("post", "deliver")
    posting = live.one(tables.posting)
    assert (posting.state, posting.answer_code) == ("refused", "AE")
    assert "refused" in live.holds()
    again = resend.resend(live.flow, posting.public_id, by="anna")
    assert again.done
    live.work("post", "deliver")
    assert live.one(tables.posting).control_id == f"{posting.public_id}-2"


def test_who_says_the_same_again_is_told_to_the_chart_once(live, other, asked):
    for origin in ("reply", "page", "service", "page"):
        say(live, PHONE, origin=origin)
    live.work("post", "deliver")
    assert len(live.rows(tables.posting)) == 1
    for state in (GRANTED, GRANTED, REVOKED):
        say(live, PHONE, state)
    live.work("post", "deliver")
    assert [row.state for row in live.rows(tables.posting)] == ["accepted"] * 3
    assert other.chart(asked)["texts"] == {PHONE: False}


def test_what_the_chart_refused_is_told_again_when_it_is_said_again(live, other):
    live.use(telling(other, chart="hl7"))
    live.take(dft(line("CG", "45.00", unique()), account=unique("C"), phone=PHONE[2:]))  # the clinic knows nobody
    for _ in range(2):
        say(live, PHONE)
        live.work("post", "deliver")
    assert len(live.rows(tables.posting)) == 2


def test_a_word_that_is_so_no_longer_is_not_sent_again(live, other, asked):
    other.call("/_control/clinic/next?answer=silence")
    say(live, PHONE)
    live.work("post", "deliver")
    say(live, PHONE, GRANTED)
    live.work("post", "deliver")
    first = live.rows(tables.posting)[0]
    assert first.state == "unknown"
    again = resend.resend(live.flow, first.public_id, by="anna", sure=True)
    assert (again.done, "so no longer" in again.text) == (False, True)
    live.work("post", "deliver")
    assert other.chart(asked)["texts"] == {PHONE: True}


def test_silence_is_a_question_for_a_person(live, other, asked):
    other.call("/_control/clinic/next?answer=silence")
    say(live, PHONE)
    live.work("post", "deliver")
    assert live.one(tables.posting).state == "unknown"
    assert "unknown" in live.holds()


def test_a_fhir_chart_gets_a_consent_once(live, other):
    live.use(telling(other, fhir="fhir"))
    number = unique("F")
    patient = {
        "resourceType": "Patient", "id": f"p-{number}", "name": [{"family": "Brand", "given": ["Odile"]}],
        "identifier": [{"system": "https://clinic.example.org/mrn", "value": f"MR-{number}"}],
        "telecom": [{"system": "phone", "value": PHONE, "use": "mobile"}],
    }  # fmt: skip
    made = {
        "resourceType": "Invoice", "id": f"inv-{number}", "status": "issued",
        "identifier": [{"system": "https://clinic.example.org/invoices", "value": number}],
        "subject": {"reference": f"Patient/p-{number}"}, "totalGross": {"value": 40, "currency": "USD"},
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": patient}, {"resource": made}]}
    other.call("/clinic/send-fhir?to=http://127.0.0.1:1", "POST", json.dumps(bundle).encode())
    live.receive(json.dumps(made).encode(), source="fhir_all")
    live.translate()
    live.work("fetch")
    live.translate()
    say(live, PHONE)
    live.work("post", "deliver")
    posting = live.one(tables.posting)
    assert (posting.state, posting.answer_code, posting.content_type) == ("accepted", "201", "application/fhir+json")
    assert other.chart(number)["texts"] == {PHONE: False}
    with live.store.write() as tx:
        tx.run(tables.posting.update().values(state="unknown"))
    resend.resend(live.flow, posting.public_id, by="anna", sure=True)
    live.work("post", "deliver")
    assert live.one(tables.posting).answer_code == "200", "the chart has it already"


def test_lists_and_stories_show_it_beside_the_payments(live, other, asked):
    live.pay(4500)
    say(live, PHONE)
    live.work("post", "deliver")
    with live.store.read() as connection:
        rows = list(LISTS["postings"].rows(connection))
        assert [(row["kind"], row["amount"], row["account"]) for row in rows] == [
            ("payment", "45.00", "A1"), ("consent", "", "A1"),
        ]  # fmt: skip
        for name in (live.request().public_id, live.rows(tables.posting)[-1].public_id):
            moments = [moment.text for moment in story(connection, name) if moment.noun == "posting"]
            assert any(text.startswith("consent to chart") for text in moments), name
            assert PHONE not in " ".join(moments)
        assert all(list(shown.rows(connection)) is not None for shown in LISTS.values())


@pytest.mark.parametrize(
    ("part", "map", "said"),
    [
        ({"type": "mllp", "consents": "fhir"}, "hl7v2-dft-payment", "say none"),
        ({"type": "fhir", "consents": "hl7"}, "fhir-payment-reconciliation", "say fhir"),
        ({"type": "pull", "consents": "fhir"}, "fhir-payment-reconciliation", "nobody carries anything"),
        ({"type": "mllp", "consents": "hl7"}, "hl7v2-dft-payment", ""),
        ({"type": "fhir", "consents": "fhir"}, "fhir-payment-reconciliation", ""),
        ({"type": "mllp"}, "hl7v2-dft-payment", ""),
        ({"type": "mllp", "consents": "loudly"}, "hl7v2-dft-payment", ""),
    ],
)
def test_a_destination_cannot_be_told_in_a_form_that_it_does_not_carry(part, map, said):
    found = untold(part, postingmap.load(map))
    assert said in found if said else not found
