"""The stop list: nobody is asked, nobody is told, and a person lifts it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.paying import pay
from chartpost.adapter.ledger import tables
from chartpost.mappings import mapfile

GUARANTOR = "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550109"
SAME_PHONE = "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550101"


def stopped(cause: str, *lines: str, **more: str) -> bytes:
    """A DFT of a patient who has died (PID-30), or of a confidential visit (PV2-22)."""
    text = dft(*(lines or [line("CG", "40.00", "A")]), **more).decode()
    if cause == "deceased":
        return text.replace("^^^LAKESIDE^AN\r", "^^^LAKESIDE^AN" + "|" * 12 + "Y\r", 1).encode()
    return text.replace("FT1|1|", "PV2|" + "|" * 21 + "Y\rFT1|1|", 1).encode()


def account(bench: Workbench):
    return bench.one(tables.account)


def sure(bench: Workbench, cause: str) -> str:
    """Let a person who has looked retry the newest open hold of this cause; return what is said."""
    number = bench.rows(tables.hold, cause=cause, state="open")[-1].id
    said = release.retry(bench.flow, number, by="a person", sure=True)
    assert said.done, said.text
    bench.translate()
    return said.text


@pytest.mark.parametrize("cause", ["deceased", "confidential"])
def test_a_message_with_a_stop_waits_and_its_account_is_known_as_stopped(bench, cause):
    row = bench.take(stopped(cause))
    assert (row.state, bench.holds()) == ("held", [cause])
    assert (account(bench).stopped, account(bench).balance) == (cause, 0)
    assert "--yes" in bench.one(tables.hold).fix
    assert bench.rows(tables.request) == []


def test_what_is_no_matter_here_is_not_held_for_a_stop_and_makes_no_account(bench):
    row = bench.take(stopped("deceased", line("CG", "40.00", "A")), source="copay")
    assert (row.state, bench.holds(), bench.rows(tables.account)) == ("ignored", [], [])


def test_an_account_is_stopped_even_by_a_message_of_which_nothing_counts(bench):
    bench.take(dft(line("CO", "40.00")), source="copay")
    assert bench.take(stopped("deceased", line("CG", "800.00", "A")), source="copay").state == "ignored"
    assert account(bench).stopped == "deceased"


def test_later_charges_count_and_nobody_is_told_of_them(bench):
    bench.take(stopped("deceased"), dft(line("CG", "7.00", "B")))
    assert (account(bench).balance, sorted(bench.holds())) == (700, ["account_stopped", "deceased"])
    assert bench.one(tables.notice).state == "blocked"
    assert bench.work("notify") == []


def test_a_notice_that_is_due_is_not_sent_once_the_account_is_stopped(bench):
    bench.take(dft(line("CG", "7.00", "B")))
    bench.take(stopped("deceased"))
    assert bench.work("notify") == ["notify"]
    assert (bench.one(tables.notice).state, bench.holds()) == ("blocked", ["deceased", "account_stopped"])


def test_a_link_that_somebody_has_stays_payable(bench):
    bench.take(dft(line("CG", "7.00", "B")), stopped("deceased"))
    view = pay.look(bench.flow, bench.token())
    assert (view.state, view.owed.minor) == ("open", 700)


def test_a_person_who_has_looked_lifts_the_stop_by_its_message(bench):
    bench.take(stopped("deceased"))
    sure(bench, "deceased")
    assert (account(bench).stopped, account(bench).balance, bench.holds()) == ("", 4000, [])
    assert bench.one(tables.notice).state == "due"


def test_without_yes_the_message_waits_again(bench):
    bench.take(stopped("deceased"))
    assert release.retry(bench.flow, 1, by="a person").done
    bench.translate()
    assert (account(bench).stopped, bench.holds()) == ("deceased", ["deceased"])


def test_a_person_lifts_the_stop_by_what_waits_on_the_request_and_says_so(bench):
    bench.take(stopped("deceased"), dft(line("CG", "7.00", "B")))
    release.dismiss(bench.store, bench.one(tables.hold, cause="deceased").id, by="a person", why="told by the desk")
    number = bench.rows(tables.hold, cause="account_stopped")[0].id
    assert "--yes" in release.retry(bench.flow, number, by="a person").text
    sure(bench, "account_stopped")
    assert (account(bench).stopped, bench.holds()) == ("", [])
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "due"]


def test_once_its_message_is_let_go_the_payer_who_was_to_be_told_before_it_is_told(bench):
    bench.take(dft(line("CG", "7.00", "B")), stopped("deceased"))
    bench.work("notify")
    assert sorted(bench.holds()) == ["account_stopped", "deceased"]
    sure(bench, "deceased")
    assert (account(bench).balance, bench.holds()) == (4700, [])
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "due"]


def test_several_stops_are_lifted_one_by_one(bench):
    both = stopped("deceased").replace(b"FT1|1|", b"PV2|" + b"|" * 21 + b"Y\rFT1|1|", 1)
    bench.take(both)
    sure(bench, "deceased")
    assert (account(bench).stopped, bench.holds()) == ("confidential", ["confidential"])
    sure(bench, "confidential")
    assert (account(bench).stopped, account(bench).balance, bench.holds()) == ("", 4000, [])


def test_a_held_message_of_a_stop_takes_nothing_back(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    bench.receive(stopped("deceased", line("CD", "40.00", "A"), line("CG", "1.00", "B")), dft(line("CG", "40.00", "A")))
    bench.translate()
    assert (account(bench).balance, bench.holds()) == (4000, ["deceased", "same_line"])


@pytest.mark.parametrize("kind", ["CD", "PY"])
def test_what_only_lowers_counts_so_that_a_link_does_not_show_too_much(bench, kind):
    bench.take(dft(line("CG", "40.00", "A")))
    row = bench.take(stopped("deceased", line(kind, "15.00", "A")))
    assert (row.state, account(bench).stopped) == ("translated", "deceased")
    assert pay.look(bench.flow, bench.token()).owed.minor == 2500


def test_a_rule_of_the_site_stops_by_its_own_values(bench):
    text = (
        "extends: hl7v2-dft\nstop:\n"
        "  - {when: financial_class == 'COLL', cause: collections, text: the account is with an agency}\n"
    )
    bench.flow = replace(bench.flow, maps={**bench.flow.maps, "all": mapfile.parse(text, "site.yaml")})
    bench.take(dft(line("CG", "40.00", "A"), pv1="PV1|1|O" + "|" * 18 + "COLL"))
    held = bench.one(tables.hold)
    assert (held.cause, held.text, account(bench).stopped) == (
        "collections", "the account is with an agency", "collections",
    )  # fmt: skip
    bench.take(stopped("deceased", account="A-2"))
    assert bench.holds() == ["collections", "deceased"], "the shipped rules go on"


# ---------------------------------------------------------------------------------------------------- confidential


def test_after_a_confidential_visit_only_the_patient_is_told(bench):
    bench.take(stopped("confidential", guarantor=GUARANTOR))
    sure(bench, "confidential")
    assert (account(bench).patient_only, account(bench).stopped) == (True, "")
    assert bench.one(tables.notice).recipient == b"+16085550101"


def test_it_is_decided_once_for_the_account_and_stays_so(bench):
    bench.take(stopped("confidential", guarantor=GUARANTOR))
    sure(bench, "confidential")
    bench.take(stopped("confidential", line("CG", "9.00", "B")), dft(line("CG", "1.00", "C"), guarantor=GUARANTOR))
    assert (account(bench).balance, account(bench).patient_only, bench.holds()) == (5000, True, [])


def test_a_number_that_the_guarantor_has_too_is_no_own_number(bench):
    bench.take(stopped("confidential", guarantor=SAME_PHONE))
    sure(bench, "confidential")
    assert bench.holds() == ["no_contact"]
    assert "guarantor" in bench.one(tables.hold, state="open").fix
    assert bench.one(tables.notice).recipient is None


def test_a_link_that_the_guarantor_has_shows_nothing_more(bench):
    bench.take(dft(line("CG", "7.00", "B"), guarantor=GUARANTOR))
    assert bench.one(tables.notice).recipient == b"+16085550109"
    old = bench.token()
    bench.take(stopped("confidential", guarantor=GUARANTOR))
    sure(bench, "confidential")
    assert pay.look(bench.flow, old).state == "cancelled"
    assert [(row.state, row.asked) for row in bench.rows(tables.request)] == [("cancelled", 0), ("open", 4700)]
    assert bench.rows(tables.notice)[-1].recipient == b"+16085550101"
    assert bench.work("notify") != []
    assert bench.rows(tables.notice)[0].state == "blocked", "what was due to the guarantor"


def test_lifted_by_the_request_it_is_confidential_all_the_same(bench):
    bench.take(dft(line("CG", "7.00", "B"), guarantor=GUARANTOR), stopped("confidential", guarantor=GUARANTOR))
    bench.work("notify")
    sure(bench, "account_stopped")
    assert (account(bench).patient_only, account(bench).stopped) == (True, "")
    assert [(row.state, row.asked) for row in bench.rows(tables.request)] == [("cancelled", 0), ("open", 700)]
    assert bench.rows(tables.notice)[-1].recipient == b"+16085550101"


def test_gathered_charges_of_a_stopped_account_are_told_to_nobody(bench):
    kept = configuration()
    facility = kept.facilities["lakeside"].model_copy(update={"gather_hours": 4})
    bench.use(kept.model_copy(update={"facilities": {"lakeside": facility}}))
    bench.take(dft(line("CG", "7.00", "B")), stopped("deceased"))
    bench.clock.advance(hours=5)
    bench.work("gather", "notify")
    assert (bench.one(tables.notice).state, bench.holds()) == ("blocked", ["deceased", "account_stopped"])
