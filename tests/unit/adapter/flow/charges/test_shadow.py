"""What is only tried counts nothing and asks nobody, and shows what would have been."""

from __future__ import annotations

import pytest
from workbench import configuration, dft, line

from chartpost.adapter import shadows
from chartpost.adapter.flow.deciding import edit, release
from chartpost.adapter.flow.posting import resend
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import SourceShadow

SITE = "extends: hl7v2-dft\nwithout: [patient.contacts]\ntables: {kinds: {codes: {CO: charge}}}\n"


def with_source(bench, **changes):
    settings = configuration()
    source = settings.sources["copay"].model_copy(update=changes)
    bench.use(settings.model_copy(update={"sources": {"copay": source}}))
    shadows.over(bench.flow)


def of_source(bench):
    with bench.store.read() as connection:
        return shadows.of_source(connection, "copay")


# --------------------------------------------------------------------------------------------------- a whole source


@pytest.fixture
def dry(bench):
    with_source(bench, shadow=SourceShadow(days=14))
    return bench


def nothing_happened(bench):
    assert [bench.rows(table) for table in (tables.account, tables.entry, tables.request, tables.notice)] == [[]] * 4
    assert bench.rows(tables.errand) == []


def test_a_source_that_is_only_tried_counts_nothing_asks_nobody_and_says_what_would_be(dry):
    row = dry.take(dft(line("CO", "25.00")), source="copay")
    assert (row.state, row.ack_code) == ("ignored", "AA")
    assert row.reason == "shadow: would count: 1 of 1 lines count, +25.00 USD; request opened, told by sms"
    nothing_happened(dry)


def test_what_would_wait_for_a_person_does_not_wait_and_is_counted_by_its_cause(dry):
    row = dry.take(dft(line("ZB", "25.00")), source="copay")
    assert row.state == "ignored"
    assert row.reason.startswith("shadow: would be held (unreadable_line): ")
    assert dry.holds() == []
    assert of_source(dry)["would"] == {"unreadable_line": 1}


def test_a_later_message_goes_on_from_what_an_earlier_one_would_have_counted(dry):
    dry.take(dft(line("CO", "25.00", date="20260504")), source="copay")
    row = dry.take(dft(line("CO", "15.00", date="20260505")), source="copay")
    assert "request raised from 25.00 to 40.00 USD" in row.reason
    row = dry.take(dft(line("CO", "-25.00", date="20260504")), source="copay")
    assert "request lowered from 40.00 to 15.00 USD" in row.reason
    nothing_happened(dry)


def test_messages_of_one_batch_go_on_from_one_another_too(dry):
    first = dft(line("CO", "25.00", date="20260504"))
    row = dry.take(first, dft(line("CO", "15.00", date="20260505")), source="copay")
    assert "request raised from 25.00 to 40.00 USD" in row.reason


def test_the_report_says_what_would_have_been_asked_in_all_and_names_nobody(dry):
    dry.take(dft(line("CO", "25.00")), dft(line("CO", "5.00"), account="A-2", phone=""), source="copay")
    dry.take(dft(line("CO", "15.00", date="20260505")), source="copay")
    found = of_source(dry)
    assert (found["messages"], found["requests"], found["asked"]) == (3, 2, {"USD": "45.00"})
    assert found["told"] == {"sms": 1, "no_phone": 1}
    assert "Sample" not in str(found)
    assert "6085550101" not in str(found)


def test_once_the_trial_is_over_a_person_is_told_once_and_nothing_goes_live_by_itself(dry):
    dry.clock.advance(days=14)
    shadows.over(dry.flow)
    shadows.over(dry.flow)
    assert dry.holds() == ["shadow_over"]
    assert dry.one(tables.hold).object == "source:copay"
    assert dry.take(dft(line("CO", "25.00")), source="copay").state == "ignored"
    with_source(dry, shadow=None)
    assert dry.holds() == []
    assert dry.take(dft(line("CO", "26.00"), account="A-2"), source="copay").state == "translated"


def test_a_second_trial_does_not_go_on_from_the_first(dry):
    dry.take(dft(line("CO", "25.00")), source="copay")
    with_source(dry, shadow=None)
    dry.clock.advance(days=1)
    with_source(dry, shadow=SourceShadow(days=14))
    row = dry.take(dft(line("CO", "15.00")), source="copay")
    assert "+15.00 USD; request opened" in row.reason


# ---------------------------------------------------------------------------------------------- a map reads along


@pytest.fixture
def along(bench, tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    with_source(bench, shadow=SourceShadow(days=14, map=str(tmp_path / "site.yaml")))
    return bench


def test_only_the_map_in_force_counts_and_what_the_other_one_means_is_kept_by_target(along):
    row = along.take(dft(line("CO", "25.00")), source="copay")
    assert (row.state, row.map.partition("@")[0]) == ("translated", "hl7v2-dft")
    assert along.one(tables.account).balance == 2500
    found = of_source(along)
    assert (found["messages"], found["differ"]) == (1, 1)
    targets = {one["target"]: one["examples"] for one in found["targets"]}
    assert set(targets) == {"patient.contacts", "charges[].kind", "the patient's share"}
    assert set(map(tuple, targets.values())) == {(f"M{row.id}",)}


def test_what_both_maps_mean_alike_differs_in_nothing(along):
    row = along.take(dft(line("CG", "25.00"), phone=""), source="copay")
    assert row.shadow["differences"] == []
    assert (of_source(along)["messages"], of_source(along)["differ"]) == (1, 0)


def test_a_map_that_fails_while_it_reads_along_stops_nothing(along, monkeypatch):
    monkeypatch.setattr("chartpost.adapter.mapdiff.made", lambda *_: 1 // 0)
    row = along.take(dft(line("CO", "25.00")), source="copay")
    assert row.state == "translated"
    assert row.shadow["differences"][0]["after"] == "an unexpected ZeroDivisionError"


# ------------------------------------------------------------------------------------------------- a destination


def with_chart(bench, shadow):
    chart = {"type": "mllp", "address": "127.0.0.1:1", "map": "hl7v2-dft-payment"}
    settings = configuration(destinations={"chart": chart | ({"shadow": shadow} if shadow else {})})
    source = settings.sources["all"].model_copy(update={"destinations": ("chart",)})
    bench.use(settings.model_copy(update={"sources": {"all": source}}))
    shadows.over(bench.flow)


@pytest.fixture
def paid(bench):
    """50.00 of 70.00 are paid by card, and the chart is not told."""
    with_chart(bench, {"days": 14})
    bench.take(dft(line("CG", "70.00")))
    bench.pay(5000, "pi_first")
    bench.work("post")
    return bench


def of_chart(bench):
    with bench.store.read() as connection:
        return shadows.of_destination(connection, "chart")


def test_a_destination_that_is_only_tried_is_sent_nothing_and_its_posting_is_written_and_kept(paid):
    row = paid.one(tables.posting)
    assert (row.state, row.body[:4]) == ("shadowed", b"MSH|")
    assert paid.due("deliver") == []
    found = of_chart(paid)
    assert (found["postings"], found["typed"], found["refused"]) == (1, 0, 0)


def test_a_payment_that_a_person_typed_counts_no_second_time_and_the_report_knows_it(paid):
    row = paid.take(dft(line("PY", "-50.00", "CARD", ref="CH1")))
    assert (row.state, paid.one(tables.account).balance) == ("ignored", 2000)
    assert "typed by a person" in str(row.trace)
    assert of_chart(paid)["typed"] == 1
    assert of_chart(paid)["list"][0]["typed"] == f"M{row.id}, line 1"


def test_two_equal_payments_are_typed_twice_and_a_third_line_waits_for_a_person(paid):
    paid.take(dft(line("CG", "30.00", "XRAY")))
    paid.pay(5000, "pi_second")
    paid.work("post")
    both = paid.take(dft(line("PY", "-50.00", "CARD", ref="CH1"), line("PY", "-50.00", "CARD", ref="CH2")))
    assert (both.state, of_chart(paid)["typed"], paid.one(tables.account).balance) == ("ignored", 2, 0)
    assert paid.take(dft(line("PY", "-50.00", "CARD", ref="CH3"))).state == "held"
    assert paid.one(tables.account).balance == 0


def test_a_line_that_names_our_payment_with_another_amount_is_no_echo_and_waits(paid):
    row = paid.take(dft(line("PY", "-5.00", "CARD", payment_ref="pi_first")))
    assert (row.state, paid.holds()) == ("held", ["typed_differs"])
    assert paid.one(tables.account).balance == 2000


def test_a_payment_of_another_amount_waits_until_a_person_says_that_it_is_another_one(paid):
    row = paid.take(dft(line("PY", "-5.00", "CASH", ref="CH9")))
    assert (row.state, paid.holds()) == ("held", ["maybe_typed"])
    (hold,) = paid.rows(tables.hold, state="open")
    assert release.retry(paid.flow, hold.id, by="ada", sure=True).done
    paid.translate()
    assert paid.one(tables.account).balance == 1500


def test_a_message_that_is_read_again_finds_the_payment_that_it_told_of_before(paid):
    row = paid.take(dft(line("PY", "-50.00", "CARD", ref="CH1"), line("ZZ", "1.00")))
    assert row.state == "held"
    (hold,) = paid.rows(tables.hold, state="open")
    made = edit.draft(paid.flow, hold.id, sets=["FT1[2]-6=CG"])
    assert edit.keep(paid.flow, made, by="ada", why="a typing error").done
    paid.translate()
    assert paid.one(tables.account).balance == 2100


def test_what_was_in_shadow_is_sent_only_once_the_destination_is_live_and_a_person_has_looked(paid):
    number = paid.one(tables.posting).public_id
    assert "only tried" in resend.resend(paid.flow, number, by="ada", sure=True).text
    with_chart(paid, None)
    assert "may have been typed" in resend.resend(paid.flow, number, by="ada").text
    assert resend.resend(paid.flow, number, by="ada", sure=True).done
    paid.work("post")
    assert paid.one(tables.posting).state == "due"
    assert [found.envelope.body[:4] for found in paid.due("deliver")] == [b"MSH|"]


def test_after_its_days_a_person_is_told_and_the_destination_is_still_sent_nothing(paid):
    paid.clock.advance(days=15)
    shadows.over(paid.flow)
    assert paid.holds() == ["shadow_over"]
    paid.pay(2000, "pi_second")
    paid.work("post")
    assert [row.state for row in paid.rows(tables.posting)] == ["shadowed", "shadowed"]
