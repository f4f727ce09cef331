"""A chart says in a Z segment whether somebody may be texted: read by the site's own map, kept by number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from workbench import configuration, dft, line

from chartpost.adapter.flow.answering import optout
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.ports import Sent

RIDGE = str(Path(__file__).parents[5] / "samples" / "maps" / "ridge.yaml")
PHONE = "+16085550165"


@pytest.fixture
def ridge(bench):
    """A source whose consent is recorded by number, read by the map of Ridge Family Practice."""
    source = bench.flow.settings.sources["all"].model_dump() | {"consent": "recorded", "map": RIDGE}
    dry = source | {"shadow": {"days": 30}}
    bench.use(configuration(sources={"all": source, "dry": dry}))
    sms = SimpleNamespace(channel="sms", send=lambda text: Sent(text.reference))
    bench.hands._flow = bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers={"sms": sms}))
    return bench


def charged(said="", number=1, **change):
    body = dft(line("CG", "45.00", ref=f"R{number}"), account=f"Z-{number}", phone=PHONE[2:], **change)
    return body + f"ZCN|1|{said}|TCPA\r".encode() if said else body


def words(bench):
    return [(row.state, row.origin, row.evidence) for row in bench.rows(tables.consent)]


def test_a_yes_is_kept_with_its_message_and_the_request_goes_out(ridge):
    ridge.take(charged("G"))
    assert words(ridge) == [("granted", "chart", "M1")]
    ridge.take(charged("G", 2))
    assert len(words(ridge)) == 1, "said again it is no new row"
    ridge.work("notify")
    assert [row.state for row in ridge.rows(tables.notice)] == ["sent", "sent"]


def test_without_a_word_nobody_is_texted_and_a_later_yes_mends_it(ridge):
    ridge.take(charged())
    ridge.work("notify")
    assert (ridge.one(tables.notice).state, ridge.holds()) == ("blocked", ["no_consent"])
    ridge.take(charged("G", 1, control_id="SECOND").replace(b"|R1|", b"|R9|"))
    assert ridge.rows(tables.notice)[-1].state == "due"
    assert ridge.holds() == []


def test_a_no_is_kept_even_where_nothing_in_the_message_counts(ridge):
    ridge.take(charged("G"))
    silent = charged("R", 1, control_id="THIRD").replace(b"|CG|", b"|CO|").replace(b"45.00", b"0.00")
    ridge.take(silent)
    assert words(ridge)[-1][:2] == ("revoked", "chart")
    ridge.work("notify")
    assert ridge.rows(tables.notice)[0].state == "blocked"


def test_a_persons_stop_is_not_lifted_by_the_chart(ridge):
    ridge.take(charged("G"))
    with ridge.store.write() as tx:
        optout.take(ridge.flow, tx, "sms", PHONE, Word(REVOKED, "reply", "event SM1"), notifier="sms")
    ridge.take(charged("G", 2))
    ridge.work("notify")
    assert [row.state for row in ridge.rows(tables.notice)] == ["blocked", "blocked"]
    assert ridge.holds() == ["opted_out", "opted_out"]


def test_a_confidential_accounts_word_is_about_the_patient_alone(ridge):
    guarantor = "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550166"
    ridge.take(charged("G", guarantor=guarantor))
    assert len(words(ridge)) == 2, "the guarantor's number and the patient's"
    with ridge.store.write() as tx:
        tx.run(tables.account.update().values(patient_only=True))
    ridge.take(charged("R", 1, control_id="FOURTH").replace(b"|R1|", b"|R9|"))
    assert [word[0] for word in words(ridge)] == ["granted", "granted", "revoked"]


def test_a_source_that_is_only_tried_says_nothing(ridge):
    ridge.take(charged("G"), source="dry")
    assert words(ridge) == []


def test_what_staff_record_stands_until_they_say_otherwise(ridge):
    with ridge.store.write() as tx:
        optout.take(ridge.flow, tx, "sms", PHONE, Word(REVOKED, "staff", "call"), facilities=["lakeside"])
    ridge.take(charged("G"))
    assert [word[:2] for word in words(ridge)] == [("revoked", "staff")]
    with ridge.store.write() as tx:
        optout.take(ridge.flow, tx, "sms", PHONE, Word(GRANTED, "staff", "form"), facilities=["lakeside"])
    ridge.work("notify")
    assert ridge.one(tables.notice).state == "sent"
