"""ADT beside charges: patients get new names and numbers, and one record takes another over."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbench import MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.telling import retell
from chartpost.adapter.ledger import identities, sealed, tables
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.settings import Settings
from chartpost.adapter.story import story
from chartpost.mappings.model import Identifier

_numbers = itertools.count(1)
MOBILE = "^PRN^CP^^1^608^555{}"


def adt(event: str, *segments: str, version: str = "2.5.1") -> bytes:
    number = f"ADT{next(_numbers):05d}"
    head = f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260505||ADT^{event}|{number}|P|{version}"
    return "".join(f"{text}\r" for text in (head, f"EVN|{event}|20260505", *segments)).encode()


def pid(
    number: str, name: str = "", phone: str = "", account: str = "", *, authority: str = "LAKESIDE", more: str = ""
) -> str:
    cx = f"{number}^^^{authority}^MR{more}" if authority else number
    return f"PID|1||{cx}||{name}||||||||{phone}|||||{account}"


def mrg(number: str, account: str = "", *, authority: str = "LAKESIDE") -> str:
    return f"MRG|{number}^^^{authority}^MR||{account}" if authority else f"MRG|{number}||{account}"


def gt1(name: str, phone: str) -> str:
    return f"GT1|1|G1|{name}|||{phone}"


def with_adt(**changes: Any) -> Settings:
    made = configuration(**changes)
    source = made.sources["all"].model_copy(update={"map": "hl7v2-dft-adt"})
    silent = source.model_copy(update={"consent": "none"})
    return made.model_copy(update={"sources": {**made.sources, "adt": source, "silent": silent}})


class Clinic:
    """A bench whose source `adt` sends both."""

    def __init__(self, bench: Workbench, source: str = "adt") -> None:
        self.bench = bench
        self.source = source
        bench.use(with_adt())

    def take(self, *bodies: bytes) -> Any:
        return self.bench.take(*bodies, source=self.source)

    def account(self, number: str = "A-1") -> Any:
        (row,) = [row for row in self.bench.rows(tables.account) if row.number.decode() == number]
        return row

    def phones(self, number: str = "A-1", role: str = "patient") -> list[str]:
        return [contact["value"] for contact in getattr(self.account(number), role)["contacts"]]

    def notices(self) -> list[tuple[str, str]]:
        rows = self.bench.rows(tables.notice)
        return [(row.state, row.recipient.decode() if row.recipient else "") for row in rows]


@pytest.fixture
def clinic(bench: Workbench) -> Iterator[Clinic]:
    made = Clinic(bench)
    yield made
    identities_follow_the_charts(bench)


def identities_follow_the_charts(bench: Workbench) -> None:
    """An account is known by its PID-3, and by nothing else."""
    wanted = {(row.id, key) for row in bench.rows(tables.account) for key in identities.of_chart(row.source, row.chart)}
    assert {(row.account_id, row.key) for row in bench.rows(tables.account_identity)} == wanted


# ------------------------------------------------------------------------------------------- what is read at all


def test_a_map_that_lists_no_adt_refuses_it_as_ever(bench: Workbench) -> None:
    (fate,) = bench.receive(adt("A08", pid("M-A-1")), source="all")
    assert (fate.state, fate.ack_code) == ("ignored", "AR")


@pytest.mark.parametrize("event", ["A08", "A31"])
def test_an_adt_without_an_account_number_is_taken_and_not_held_for_it(clinic: Clinic, event: str) -> None:
    clinic.take(dft(line("CG", "40.00")))
    row = clinic.take(adt(event, pid("M-A-1", "Sample^Sylvia")))
    assert (row.ack_code, row.state, clinic.bench.holds()) == ("AA", "translated", [])
    assert row.reason == "1 account has what it says of the patient now"


def test_an_adt_about_somebody_without_an_account_here_is_ignored_and_kept_nowhere(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    row = clinic.take(adt("A08", pid("M-OTHER", "Other^Olga", MOBILE.format("0142"))))
    assert (row.state, row.reason) == ("ignored", "it concerns no account here")
    assert clinic.account().patient["given"] == "Silvia"


def test_patients_of_another_source_are_left_alone(clinic: Clinic) -> None:
    clinic.bench.take(dft(line("CG", "40.00")), source="all")
    row = clinic.take(adt("A08", pid("M-A-1", "Sample^Sylvia")))
    assert (row.state, clinic.account().patient["given"]) == ("ignored", "Silvia")


def test_a_condition_of_the_map_leaves_an_adt_out(clinic: Clinic, tmp_path: Path) -> None:
    clinic.take(dft(line("CG", "40.00")))
    path = tmp_path / "site.yaml"
    path.write_text("extends: hl7v2-dft-adt\nwhen: {message: \"type == 'DFT^P03'\"}\n")
    made = with_adt()
    changed = made.sources["adt"].model_copy(update={"map": str(path)})
    clinic.bench.use(made.model_copy(update={"sources": {**made.sources, "adt": changed}}))
    row = clinic.take(adt("A08", pid("M-A-1", "Sample^Sylvia")))
    assert row.state == "ignored"
    assert "type ==" in row.reason


# ------------------------------------------------------------------------------------------------ new names, numbers


def test_every_account_of_the_patient_has_the_new_name_and_number_and_its_own_account_fields(clinic: Clinic) -> None:
    same = dft(line("CG", "9.00"), account="A-2").replace(b"M-A-2", b"M-A-1")
    clinic.take(dft(line("CG", "40.00")), same, dft(line("CG", "5.00"), account="A-3"))
    clinic.take(adt("A08", pid("M-A-1", "Sample^Sylvia", MOBILE.format("0142"), "A-2^^^LAKESIDE^AN")))
    for number in ("A-1", "A-2"):
        account = clinic.account(number)
        assert (account.patient["given"], clinic.phones(number)) == ("Sylvia", ["+16085550142"])
        assert (account.chart["PID-5"], account.chart["PID-18"]) == ("Sample^Sylvia", f"{number}^^^LAKESIDE^AN")
    assert clinic.account("A-3").patient["given"] == "Silvia"
    assert [row.balance for row in clinic.bench.rows(tables.account)] == [4000, 900, 500]


def test_an_empty_field_changes_nothing_and_two_quotes_delete(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    empty = clinic.take(adt("A08", pid("M-A-1")))
    assert (empty.state, empty.reason) == ("ignored", "it states what is known already")
    assert clinic.phones() == ["+16085550101"]
    clinic.take(adt("A08", pid("M-A-1", phone='""')))
    assert (clinic.phones(), clinic.account().patient["given"]) == ([], "Silvia")


def test_a_charge_without_a_number_does_not_take_away_the_one_that_an_adt_brought(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00", "A")))
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    without = dft(line("CG", "5.00", "B")).replace(b"^PRN^CP^^1^608^5550101", b"")
    clinic.take(without)
    assert clinic.phones() == ["+16085550142"]
    clinic.take(without.replace(b"|T0", b"|U0").replace(b"B^", b"C^").replace(b"F|||||", b'F|||||""'))
    assert clinic.phones() == []


def test_a_charge_for_another_patient_takes_nothing_of_the_former_ones_along(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00", "A"), guarantor=gt1("Payer^Paula", MOBILE.format("0109"))))
    other = dft(line("CG", "5.00", "B"), name="Other^Olga").replace(b"M-A-1", b"M-9")
    clinic.take(other.replace(b"^PRN^CP^^1^608^5550101", b""))
    account = clinic.account()
    assert (account.patient["given"], account.patient["contacts"], account.guarantor) == ("Olga", [], None)


def test_a_guarantor_changes_on_the_account_that_the_adt_names_and_elsewhere_only_if_it_is_the_same(clinic: Clinic):
    paula, peter = gt1("Payer^Paula", MOBILE.format("0109")), gt1("Payer^Peter", MOBILE.format("0110"))
    for number, guarantor in (("A-1", paula), ("A-2", peter), ("A-3", ""), ("A-4", paula)):
        body = dft(line("CG", "9.00"), account=number, guarantor=guarantor)
        clinic.take(body.replace(f"M-{number}^".encode(), b"M-A-1^"))
    clinic.take(adt("A08", pid("M-A-1", account="A-1"), gt1("PAYER^PAULA", MOBILE.format("0111"))))
    assert [clinic.phones(number, "guarantor") for number in ("A-1", "A-2", "A-4")] == [
        ["+16085550111"], ["+16085550110"], ["+16085550111"],
    ]  # fmt: skip
    assert clinic.account("A-3").guarantor is None
    clinic.take(adt("A31", pid("M-A-1"), gt1("Payer^Pia", MOBILE.format("0112"))))
    assert {clinic.phones(f"A-{n}", "guarantor")[0] for n in range(1, 5)} == {"+16085550112"}


def test_another_guarantor_does_not_inherit_the_number_of_the_former_one(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00"), guarantor=gt1("Payer^Paula", MOBILE.format("0109"))))
    clinic.take(adt("A08", pid("M-A-1"), gt1("Payer^Peter", "")))
    account = clinic.account()
    assert (account.guarantor["given"], account.guarantor["contacts"]) == ("Peter", [])


@pytest.mark.parametrize("number", ["000000000", "999999999", "M-A-1^^^USA^SS", "unknown"])
def test_numbers_that_two_patients_may_share_identify_nobody(clinic: Clinic, number: str) -> None:
    clinic.take(dft(line("CG", "40.00")).replace(b"M-A-1^^^LAKESIDE^MR", f"{number}~M-1^^^LAKESIDE^MR".encode()))
    row = clinic.take(adt("A08", f"PID|1||{number}||Other^Olga"))
    assert (row.state, clinic.account().patient["given"]) == ("ignored", "Silvia")


# ------------------------------------------------------------------------------------------------ who is told, now

NOWHERE = dft(line("CG", "40.00"), phone="", control_id="NOWHERE").replace(b"^PRN^CP^^1^^", b"")


def test_a_request_that_could_be_told_to_nobody_is_told_when_a_number_comes(clinic: Clinic) -> None:
    clinic.take(NOWHERE)
    assert clinic.bench.holds() == ["no_phone"]
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert clinic.bench.holds() == []
    assert clinic.notices() == [("blocked", ""), ("due", "+16085550142")]
    assert [row.subject for row in clinic.bench.rows(tables.errand, state="due")] == [
        clinic.bench.rows(tables.notice)[-1].public_id
    ]


def test_a_charge_that_brings_the_number_does_the_same(clinic: Clinic) -> None:
    clinic.take(NOWHERE)
    clinic.take(dft(line("CG", "1.00", "B")))
    assert (clinic.bench.holds(), clinic.notices()[-1]) == ([], ("due", "+16085550101"))


def test_a_number_that_goes_away_before_it_was_used_is_not_used(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert clinic.notices() == [("blocked", "+16085550101"), ("due", "+16085550142")]
    clinic.take(adt("A08", pid("M-A-1", phone='""')))
    assert (clinic.notices()[-1], clinic.bench.holds()) == (("blocked", "+16085550142"), ["no_phone"])


def test_a_number_that_comes_back_before_anything_was_sent_is_used(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    for phone in ("0142", "0101"):
        clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format(phone))))
    assert clinic.notices()[-1] == ("due", "+16085550101")


def test_a_number_that_the_service_refused_is_not_tried_again(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    notice, request = clinic.bench.one(tables.notice), clinic.bench.request()
    with clinic.bench.store.write() as tx:
        done = {"started_at": tx.now, "ended_at": tx.now, "outcome": "refused"}
        tx.run(tables.attempt.insert(), [done | {"subject": f"notice:{notice.public_id}"}])
        tx.run(tables.notice.update().values(state="blocked"))
        values = {"object": f"request:{request.public_id}", "cause": "notice_refused", "text": "t", "fix": "f"}
        tx.run(tables.hold.insert(), [values | {"state": "open", "at": tx.now}])
    clinic.take(adt("A08", pid("M-A-1", "Sample^Sylvia", MOBILE.format("0101"))))
    assert (clinic.bench.holds(), len(clinic.notices())) == (["notice_refused"], 1)


def test_whoever_was_told_already_is_not_told_again(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    with clinic.bench.store.write() as tx:
        tx.run(tables.notice.update().values(state="sent"))
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert clinic.notices() == [("sent", "+16085550101")]


def test_what_is_being_sent_right_now_is_not_taken_back(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    notice = clinic.bench.one(tables.notice)
    with clinic.bench.store.write() as tx:
        tx.run(tables.attempt.insert(), [{"subject": f"notice:{notice.public_id}", "started_at": tx.now}])
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert clinic.notices() == [("due", "+16085550101")]


def test_a_number_that_failed_is_not_tried_again_and_another_one_is(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    request = clinic.bench.request()
    with clinic.bench.store.write() as tx:
        tx.run(tables.notice.update().values(state="undelivered"))
        values = {"object": f"request:{request.public_id}", "cause": "notice_undelivered", "text": "t", "fix": "f"}
        tx.run(tables.hold.insert(), [values | {"state": "open", "at": tx.now}])
    clinic.take(adt("A08", pid("M-A-1", "Sample^Sylvia", MOBILE.format("0101"))))
    assert (clinic.bench.holds(), len(clinic.notices())) == (["notice_undelivered"], 1)
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert (clinic.bench.holds(), clinic.notices()[-1]) == ([], ("due", "+16085550142"))


@pytest.mark.parametrize("first", ["unknown", "sent", "delivered"])
def test_what_may_have_arrived_keeps_a_new_number_from_being_told_too(clinic: Clinic, first: str) -> None:
    clinic.take(dft(line("CG", "40.00")))
    request = clinic.bench.request()
    with clinic.bench.store.write() as tx:
        tx.run(tables.notice.update().values(state=first))
        values = {"object": f"request:{request.public_id}", "cause": "notice_undelivered", "text": "t", "fix": "f"}
        tx.run(tables.hold.insert(), [values | {"state": "open", "at": tx.now}])
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert (clinic.bench.holds(), len(clinic.notices())) == (["notice_undelivered"], 1)


def test_without_consent_on_file_a_number_that_comes_is_not_texted(bench: Workbench) -> None:
    clinic = Clinic(bench, "silent")
    clinic.take(NOWHERE)
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert (bench.holds(), clinic.notices()) == (["no_consent"], [("blocked", "")])


def test_once_the_request_is_closed_nobody_is_told_of_it(clinic: Clinic) -> None:
    clinic.take(NOWHERE, dft(line("CD", "40.00"), phone="").replace(b"^PRN^CP^^1^^", b""))
    clinic.take(adt("A08", pid("M-A-1", phone=MOBILE.format("0142"))))
    assert [state for state, _ in clinic.notices()] in ([], ["blocked"])


# ------------------------------------------------------------------------------------------------------------ merges


@pytest.mark.parametrize("event", ["A18", "A34", "A40"])
def test_accounts_of_the_prior_record_move_and_keep_number_balance_request_and_link(clinic: Clinic, event: str) -> None:
    clinic.take(dft(line("CG", "40.00")))
    before, request = clinic.account(), clinic.bench.request()
    row = clinic.take(adt(event, pid("M-9", "Sample^Silvia^Q"), mrg("M-A-1")))
    after = clinic.account()
    assert (row.state, row.reason) == ("translated", "1 account has the surviving record now")
    assert after.chart == before.chart | {"PID-3": "M-9^^^LAKESIDE^MR", "PID-5": "Sample^Silvia^Q"}
    assert (after.key, after.balance, clinic.phones()) == (before.key, 4000, ["+16085550101"])
    assert clinic.bench.request() == request
    assert clinic.take(adt("A08", pid("M-9", "Sample^Sylvia"))).state == "translated"
    assert clinic.take(adt("A08", pid("M-A-1", "Late^Lea"))).state == "ignored"
    assert clinic.account().patient["given"] == "Sylvia"


def test_a_merge_that_comes_twice_changes_nothing_the_second_time(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    clinic.take(adt("A40", pid("M-9"), mrg("M-A-1")))
    again = clinic.take(adt("A40", pid("M-9"), mrg("M-A-1")))
    assert (again.state, again.reason) == ("ignored", "it concerns no account here")
    assert len(clinic.bench.rows(tables.account_change)) == 1


def test_one_a40_may_merge_several_pairs_in_their_order(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")), dft(line("CG", "5.00"), account="A-2"))
    row = clinic.take(adt("A40", pid("M-8"), mrg("M-A-1"), pid("M-7"), mrg("M-A-2"), pid("M-9"), mrg("M-8")))
    assert (row.state, row.reason) == ("translated", "2 accounts have the surviving record now")
    assert [clinic.account(n).chart["PID-3"][:3] for n in ("A-1", "A-2")] == ["M-9", "M-7"]


def test_charge_merge_and_news_in_one_batch_are_worked_in_their_order(clinic: Clinic) -> None:
    clinic.take(
        dft(line("CG", "40.00")),
        adt("A40", pid("M-8"), mrg("M-A-1")),
        adt("A40", pid("M-9"), mrg("M-8")),
        adt("A08", pid("M-9", "Sample^Sylvia", MOBILE.format("0142"))),
    )
    account = clinic.account()
    assert (account.chart["PID-3"], account.patient["given"]) == ("M-9^^^LAKESIDE^MR", "Sylvia")
    assert clinic.notices() == [("due", "+16085550142")]
    assert len(clinic.bench.rows(tables.account_change, account_id=account.id)) == 3


def test_a_prior_number_without_an_authority_has_that_of_the_surviving_one(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    assert clinic.take(adt("A40", pid("M-9"), mrg("M-A-1", authority=""))).state == "translated"


def test_the_same_number_of_another_authority_is_another_patient(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    assert clinic.take(adt("A40", pid("M-9"), mrg("M-A-1", authority="HILLSIDE"))).state == "ignored"


def test_a_survivor_that_lists_the_prior_number_too_is_known_by_both(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    merge = pid("M-9", more="~M-A-1^^^LAKESIDE^MR"), mrg("M-A-1")
    assert clinic.take(adt("A40", *merge)).state == "translated"
    assert clinic.account().chart["PID-3"] == "M-9^^^LAKESIDE^MR~M-A-1^^^LAKESIDE^MR"
    assert clinic.take(adt("A40", *merge)).reason == "it states what is known already"


def test_a_merge_without_the_prior_record_is_held_and_says_where(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    row = clinic.take(adt("A40", pid("M-9"), pid("M-8"), "MRG|"))
    assert (row.state, clinic.bench.holds()) == ("held", ["unreadable_line"])
    assert row.reason == "MRG: is missing: it names the prior record; MRG[2]-1: names no prior record"


def test_two_accounts_are_not_merged_by_machine_and_the_patient_moves_once_a_person_says_so(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    row = clinic.take(adt("A40", pid("M-9", account="A-9"), mrg("M-A-1", "A-1")))
    assert (row.state, clinic.bench.holds()) == ("held", ["account_merge"])
    assert clinic.account().chart["PID-3"] == "M-A-1^^^LAKESIDE^MR"
    hold = clinic.bench.one(tables.hold)
    assert release.retry(clinic.bench.flow, hold.id, by="tester", sure=True).done
    clinic.bench.translate()
    assert clinic.account().chart["PID-3"] == "M-9^^^LAKESIDE^MR"


@pytest.mark.parametrize(("prior", "surviving"), [("A-1", "A-1"), ("A-1", ""), ("A-77", "A-9")])
def test_an_account_number_that_is_the_same_or_not_ours_does_not_hold_a_merge(clinic, prior, surviving) -> None:
    clinic.take(dft(line("CG", "40.00")))
    assert clinic.take(adt("A18", pid("M-9", account=surviving), mrg("M-A-1", prior))).state == "translated"


@pytest.mark.parametrize(
    ("event", "cause"), [("A37", "patient_event"), ("A42", "patient_event"), ("A41", "account_merge")]
)
def test_what_nobody_taught_us_waits_for_a_person_if_it_concerns_somebody_here(tmp_path, bench, event, cause) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"extends: hl7v2-dft-adt\nmessages: [DFT^P03, ADT^{event}]\n")
    made = with_adt()
    source = made.sources["adt"].model_copy(update={"map": str(path)})
    bench.use(made.model_copy(update={"sources": {**made.sources, "adt": source}}))
    bench.take(dft(line("CG", "40.00", "A")), source="adt")
    prior = mrg("M-A-1", "A-1" if event == "A41" else "")
    assert bench.take(adt(event, pid("M-8"), mrg("M-7")), source="adt").state == "ignored"
    assert bench.take(adt(event, pid("M-A-1", account="A-1"), prior), source="adt").state == "held"
    assert bench.holds() == [cause]
    assert bench.take(dft(line("CD", "40.00", "A")), source="adt").state == "translated", "it holds no money"


def test_the_trace_of_an_account_and_of_its_request_tells_of_the_merge_and_names_nobody(clinic: Clinic) -> None:
    same = dft(line("CG", "9.00"), account="A-2").replace(b"M-A-2", b"M-A-1")
    clinic.take(dft(line("CG", "40.00")), same)
    row = clinic.take(adt("A40", pid("M-9", "Sample^Sylvia"), mrg("M-A-1")))
    request = clinic.bench.rows(tables.request)[0].public_id
    with clinic.bench.store.read() as connection:
        for name in ("A1", request):
            told = story(connection, name)
            assert f"M{row.id}" in {moment.id for moment in told}
            assert {moment.id for moment in told if moment.noun == "request"} == {request}
            text = " ".join([*(moment.text for moment in told), *(one for moment in told for one in moment.details)])
            assert "surviving record" in text
            assert not any(word in text for word in ("Sylvia", "M-A-1", "M-9"))


def test_a_posting_that_was_written_before_a_merge_stays_and_the_next_one_names_the_survivor(clinic: Clinic) -> None:
    there = {"chart": {"type": "mllp", "address": "127.0.0.1:1", "map": "hl7v2-dft-payment"}}
    made = with_adt(destinations=there)
    source = made.sources["adt"].model_copy(update={"destinations": ["chart"]})
    clinic.bench.use(made.model_copy(update={"sources": {**made.sources, "adt": source}}))
    clinic.take(dft(line("CG", "40.00")))
    clinic.bench.pay(1500)
    clinic.bench.work("post")
    clinic.take(adt("A40", pid("M-9"), mrg("M-A-1")))
    with clinic.bench.store.write() as tx:
        tx.run(tables.card_session.update().values(state="complete"))
    clinic.bench.pay(2500)
    clinic.bench.work("post")
    before, after = (row.body.decode() for row in clinic.bench.rows(tables.posting))
    assert "|M-A-1^^^LAKESIDE^MR|" in before
    assert "|M-9^^^LAKESIDE^MR|" in after
    assert "A-1^^^LAKESIDE^AN" in after


# ------------------------------------------------------------------------------------------------------ the stop list


def dead(number: str = "M-A-1", account: str = "") -> str:
    return pid(number, account=account) + "|" * 12 + "Y"


def test_after_a_death_nobody_is_written_to_about_any_account_and_a_person_knows(clinic: Clinic) -> None:
    same = dft(line("CG", "9.00"), account="A-2").replace(b"M-A-2", b"M-A-1")
    clinic.take(dft(line("CG", "40.00")), same, dft(line("CG", "5.00"), account="A-3"))
    row = clinic.take(adt("A08", dead(account="A-2")))
    assert (row.state, clinic.bench.holds()) == ("held", ["deceased"])
    assert [clinic.account(n).stopped for n in ("A-1", "A-2", "A-3")] == ["deceased", "deceased", ""]
    clinic.bench.work("notify")
    assert [state for state, _ in clinic.notices()] == ["blocked", "blocked", "unknown"], "only A-3 was tried"
    again = clinic.take(adt("A08", dead()))
    assert (again.state, clinic.bench.holds().count("deceased")) == ("ignored", 1)


def test_where_nothing_is_owed_a_death_is_noted_and_waits_for_nobody(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00", "A")), dft(line("CD", "40.00", "A")))
    row = clinic.take(adt("A08", dead()))
    assert (row.state, clinic.bench.holds(), clinic.account().stopped) == ("translated", [], "deceased")


def test_without_yes_a_death_is_not_taken_off_the_list(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")), adt("A08", dead()))
    (hold,) = clinic.bench.rows(tables.hold, cause="deceased")
    said = release.retry(clinic.bench.flow, hold.id, by="tester")
    assert (said.done, "--yes" in said.text, "deceased" in clinic.bench.holds()) == (False, True, True)


def test_a_person_who_says_so_has_the_payer_told_after_all(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")), adt("A08", dead()))
    clinic.bench.work("notify")
    assert sorted(clinic.bench.holds()) == ["account_stopped", "deceased"]
    (hold,) = clinic.bench.rows(tables.hold, cause="deceased")
    assert release.retry(clinic.bench.flow, hold.id, by="tester", sure=True).done
    clinic.bench.translate()
    assert (clinic.account().stopped, clinic.bench.holds()) == ("", [])
    assert clinic.notices()[-1] == ("due", "+16085550101")


def test_a_confidential_visit_stops_the_account_that_it_names_and_no_other(clinic: Clinic) -> None:
    same = dft(line("CG", "9.00"), account="A-2").replace(b"M-A-2", b"M-A-1")
    clinic.take(dft(line("CG", "40.00")), same)
    clinic.take(adt("A08", pid("M-A-1", account="A-2"), "PV1|1|O", "PV2" + "|" * 22 + "Y"))
    assert [clinic.account(n).stopped for n in ("A-1", "A-2")] == ["", "confidential"]


# ------------------------------------------------------------------------------------- what was held meanwhile


def test_a_charge_that_was_held_before_the_merge_does_not_undo_it(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00", "A")))
    held = clinic.take(dft(line("CG", "40.00", "A")))
    clinic.take(adt("A40", pid("M-9", "Sample^Sylvia"), mrg("M-A-1")))
    with clinic.bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == held.id).values(state="received", raw=dft(
            line("CG", "7.00", "B"))))  # fmt: skip
    clinic.bench.translate()
    account = clinic.account()
    assert (account.balance, account.chart["PID-3"], account.patient["given"]) == (4700, "M-9^^^LAKESIDE^MR", "Sylvia")


def test_an_older_adt_does_not_undo_a_newer_one(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    old = clinic.take(adt("A08", pid("M-A-1", "Sample^Anna")))
    clinic.take(adt("A08", pid("M-A-1", "Sample^Berta")))
    with clinic.bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == old.id).values(state="received"))
    clinic.bench.translate()
    assert clinic.account().patient["given"] == "Berta"


def test_an_adt_that_was_held_does_not_undo_what_a_later_charge_says(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    held = clinic.take(adt("A08", pid("M-A-1", "Sample^Anna", MOBILE.format("0142"), account="A-1") + "|" * 12 + "Y"))
    clinic.take(dft(line("CG", "7.00", "B"), phone="6085550143", name="Sample^Berta"))
    (hold,) = clinic.bench.rows(tables.hold, object=f"message:{held.id}")
    assert release.retry(clinic.bench.flow, hold.id, by="tester", sure=True).done
    clinic.bench.translate()
    assert (clinic.account().patient["given"], clinic.phones()) == ("Berta", ["+16085550143"])


@pytest.mark.parametrize("source", ["adt", "all"])
def test_a_charge_that_was_held_does_not_bring_back_a_former_number_and_says_who_pays(bench, source: str) -> None:
    clinic = Clinic(bench, source)
    clinic.take(dft(line("CG", "40.00", "A")))
    clinic.take(dft(line("CG", "40.00", "A"), phone="6085550142", guarantor=gt1("Payer^Paula", MOBILE.format("0144"))))
    clinic.take(dft(line("CG", "7.00", "B"), phone="6085550143"))
    assert release.retry(bench.flow, bench.one(tables.hold, state="open").id, by="tester", sure=True).done
    bench.translate()
    assert (clinic.account().balance, clinic.phones(), clinic.phones(role="guarantor")) == (
        8700, ["+16085550143"], ["+16085550144"],
    )  # fmt: skip


# ---------------------------------------------------------------------------------- whatever comes in whatever order

PATIENTS = ("P1", "P2", "P3", "P4")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.sampled_from(["A", "B", "C"]), st.sampled_from(PATIENTS)),
        st.tuples(st.just("merge"), st.sampled_from(PATIENTS), st.sampled_from(PATIENTS)),
        st.tuples(st.just("news"), st.sampled_from(PATIENTS), st.sampled_from(["0141", "0142", ""])),
        st.tuples(st.just("translate"), st.just(""), st.just("")),
    ),
    max_size=14,
)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_any_merges_each_account_is_known_by_its_survivor_alone_and_no_balance_moved(migrated, steps) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chartpost.db"
        shutil.copy(migrated, path)
        store = Store.open(f"sqlite:///{path}", clock=Clock(MAY), migrate=False)
        bench = Workbench(store, Clock(MAY), with_adt())
        try:
            play(bench, steps)
        finally:
            bench.close()
            store.close()


def play(bench: Workbench, steps: list[tuple[str, str, str]]) -> None:
    """The invented truth: whose each account is, and what it owes."""
    owner: dict[str, str] = {}
    owed: dict[str, int] = {}
    for number, (what, first, second) in enumerate(steps):
        match what:
            case "charge":
                whose = owner.setdefault(first, second)  # an account stays with its patient
                owed[first] = owed.get(first, 0) + 100 + number
                body = dft(line("CG", f"{1 + number / 100:.2f}", f"C{number}"), account=first)
                bench.receive(body.replace(f"M-{first}^".encode(), f"{whose}^".encode()), source="adt")
            case "merge" if first != second:
                bench.receive(adt("A40", pid(second), mrg(first)), source="adt")
                owner.update({account: second for account, whose in owner.items() if whose == first})
            case "news":
                bench.receive(adt("A08", pid(first, phone=MOBILE.format(second) if second else "")), source="adt")
            case "translate":
                bench.translate()
    bench.translate()
    bench.check()
    identities_follow_the_charts(bench)
    found = {row.number.decode(): row for row in bench.rows(tables.account)}
    assert {number: row.balance for number, row in found.items()} == owed
    known = {row.id: number for number, row in found.items()}
    for row in bench.rows(tables.account_identity):
        survivor = Identifier(value=owner[known[row.account_id]], authority="LAKESIDE")
        assert {row.key} == identities.keys("adt", [survivor])
    assert "internal" not in bench.holds()
    assert bench.rows(tables.message, state="received") == []


def test_what_may_settle_a_request_is_a_cause_that_requests_have() -> None:
    """A word that nobody opens would never be closed."""
    code = "".join(path.read_text() for path in Path(retell.__file__).parent.glob("*.py"))
    assert all(code.count(f'"{cause}"') >= 2 for cause in retell._SETTLED)


def test_identities_are_hashes_that_tell_nothing_without_the_key(clinic: Clinic) -> None:
    clinic.take(dft(line("CG", "40.00")))
    (row,) = clinic.bench.rows(tables.account_identity)
    assert len(row.key) == 32
    assert row.key != sealed.Keyring(b"another").search("identity", "adt", "LAKESIDE", "M-A-1")
