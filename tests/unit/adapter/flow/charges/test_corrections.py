"""Corrections of what was charged: voids, replacements, and the same Transaction ID (FT1-2) again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from workbench import Workbench, dft, line

from chartpost.adapter.flow.charges import corrections
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.requests import change
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.reversals import Line, pair
from chartpost.mappings import mapfile
from chartpost.mappings.model import Charge, Kind, Money, Party, Reading

CODES = "{VD: void, RP: replacement, PP: patient_payment}"


@pytest.fixture
def correcting(bench):
    """Returns a function that gives every source a map with the codes VD, RP and PP, and a word on corrections."""

    def use(rule: str = "add") -> Workbench:
        text = f"extends: hl7v2-dft\ntables:\n  kinds: {{codes: {CODES}}}\ncorrections: {{same_reference: {rule}}}\n"
        site = mapfile.parse(text, "site.yaml")
        hl7 = {name for name, map in bench.flow.maps.items() if map.dialect == "hl7v2"}
        bench.flow = replace(bench.flow, maps={**bench.flow.maps, **dict.fromkeys(hl7, site)})
        return bench

    return use


def balance(bench: Workbench) -> int:
    rows = bench.rows(tables.account)
    return int(rows[0].balance) if rows else 0


def entries(bench: Workbench) -> list[tuple[str, int]]:
    return [(row.kind, row.amount) for row in bench.rows(tables.entry)]


# ----------------------------------------------------------------------------------------------------------- voids


def test_a_void_takes_back_what_was_counted_whatever_amount_it_states(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1"), line("CG", "10.00", "B", ref="T2")))
    row = bench.take(dft(line("VD", "999.00", "Z", ref="T1")))
    assert (row.state, row.reason) == (
        "translated",
        "1 of 1 lines count, -40.00 USD; request lowered from 50.00 to 10.00 USD",
    )
    assert entries(bench) == [("charge", 4000), ("charge", 1000), ("void", -4000)]
    assert bench.one(tables.request).asked == 1000


def test_a_void_needs_no_amount(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("VD", "", ref="T1")))
    assert balance(bench) == 0


def test_only_the_patients_part_is_taken_back(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "100.00", "A", ref="T1", insurance="80.00")), source="net_of_insurance")
    bench.take(dft(line("VD", "100.00", "A", ref="T1")), source="net_of_insurance")
    assert entries(bench) == [("charge", 2000), ("void", -2000)]


def test_what_a_credit_took_back_before_is_not_taken_back_twice(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("CD", "40.00", "A", ref="C1")))
    assert bench.take(dft(line("VD", "", ref="T1"))).state == "translated"
    assert balance(bench) == 0
    bench.take(dft(line("VD", "", ref="C1")))
    assert balance(bench) == 0, "the charge behind the credit was voided too"


def test_a_void_of_a_payment_that_a_person_here_had_recorded_too_makes_it_owed_again(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "100.00", "A", ref="T1")))
    name = bench.request().public_id
    change.settle(bench.flow, name, method="cheque", amount=Decimal("30.00"), by="anna")
    bench.take(dft(line("PY", "-30.00", ref="T2")))
    assert balance(bench) == 7000
    bench.take(dft(line("VD", "", ref="T2")))
    assert (balance(bench), bench.request().asked, entries(bench)[-1]) == (10000, 10000, ("void", 3000))
    bench.take(dft(line("VD", "", ref="T2")))
    bench.take(dft(line("PY", "-30.00", ref="T3")))
    assert balance(bench) == 7000, "the cheque bounced once, and then there was another"


def test_a_void_of_a_charge_leaves_a_payment_under_its_number_that_was_recorded_here(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "100.00", "A", ref="T1"), line("CG", "50.00", "B", ref="T2")))
    change.settle(bench.flow, bench.request().public_id, method="cash", amount=Decimal("30.00"), by="anna")
    bench.take(dft(line("PY", "-30.00", ref="T1")))
    bench.take(dft(line("VD", "", ref="T1")))
    assert (balance(bench), entries(bench)[-1]) == (2000, ("void", -10000))


def test_a_void_sent_twice_takes_back_once(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("VD", "", ref="T1")))
    again = bench.take(dft(line("VD", "", ref="T1")))
    assert (again.state, balance(bench), bench.holds()) == ("ignored", 0, [])
    assert any("taken back already" in note["value"] for note in again.trace)


def test_what_was_voided_is_not_charged_again_when_the_old_message_is_sent_again(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("VD", "", ref="T1")))
    assert bench.take(dft(line("CG", "40.00", "A", ref="T1"))).state == "held"
    assert (balance(bench), bench.holds()) == (0, ["same_line"])


@pytest.mark.parametrize("order", [1, -1])
def test_a_void_and_its_new_charge_may_stand_in_either_order_in_one_message(correcting, order):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.take(dft(*[line("VD", "40.00", "A", ref="T1"), line("CG", "30.00", "A", ref="T1")][::order]))
    assert (balance(bench), bench.holds()) == (3000, [])


def test_a_charge_that_its_own_message_voids_is_not_asked_for(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1"), line("VD", "40.00", "A", ref="T1")))
    assert balance(bench) == 0


def test_after_payment_a_void_leaves_the_money_as_credit(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.pay(4000)
    bench.take(dft(line("VD", "", ref="T1")))
    assert (balance(bench), bench.holds()) == (-4000, ["credit_balance"])


def test_a_desk_payment_that_bounced_is_owed_again(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("PY", "40.00", "CASH", ref="P1")))
    assert balance(bench) == 0
    bench.take(dft(line("VD", "", ref="P1")))
    assert (balance(bench), bench.request().state) == (4000, "open")


@pytest.mark.parametrize(("source", "state"), [("copay", "ignored"), ("net_of_insurance", "ignored"), ("all", "held")])
def test_voiding_what_never_counted_matters_only_where_it_would_have_counted(correcting, source, state):
    bench = correcting()
    row = bench.take(dft(line("VD", "40.00", "A", ref="T1")), source=source)
    assert row.state == state
    assert bench.holds() == (["nothing_to_void"] if state == "held" else [])


def test_a_void_that_came_before_its_charge_is_retried_after_it(correcting):
    bench = correcting()
    bench.take(dft(line("VD", "40.00", "A", ref="T1")), dft(line("CG", "40.00", "A", ref="T1")))
    assert (balance(bench), bench.holds()) == (4000, ["nothing_to_void"])
    assert release.retry(bench.flow, 1, by="a person").done
    bench.translate()
    assert (balance(bench), bench.holds(), entries(bench)[-1]) == (0, [], ("void", -4000))


@pytest.mark.parametrize("ref", ["", "A-1"])
def test_a_correction_that_names_no_line_of_its_own_is_held(correcting, ref):
    """Some senders put the account number into every FT1-2: a void of it would take back everything."""
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref=ref)))
    bench.take(dft(line("VD", "40.00", "A", ref=ref)), dft(line("RP", "30.00", "A", ref=ref)))
    assert (balance(bench), bench.holds()) == (4000, ["no_reference"] * 2)


@pytest.mark.parametrize("kind", ["VD", "RP"])
def test_a_correction_behind_a_held_message_waits_for_it(correcting, kind):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("??", "9.00", "B", ref="T2")))
    row = bench.take(dft(line(kind, "30.00", "A", ref="T1")))
    assert (row.state, balance(bench)) == ("held", 4000)
    assert bench.holds() == ["unreadable_line", "behind_held"]


def test_a_held_message_leaves_no_mark_on_what_its_void_would_have_taken_back(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.receive(dft(line("VD", "", ref="T1"), line("AJ", "5.00", "B")), dft(line("CD", "40.00", "A", ref="T1")))
    bench.translate()
    assert [row.state for row in bench.rows(tables.message)] == ["translated", "held", "translated"]
    assert (balance(bench), bench.holds()) == (0, ["unclear_credit"])


# ---------------------------------------------------------------------------------------------------- replacements


def test_a_replacement_takes_back_and_counts_itself_with_two_entries(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    row = bench.take(dft(line("RP", "30.00", "A", ref="T1")))
    assert row.reason == "1 of 1 lines count, -10.00 USD; request lowered from 40.00 to 30.00 USD"
    assert entries(bench) == [("charge", 4000), ("void", -4000), ("charge", 3000)]
    assert [row.cause for row in bench.rows(tables.entry)][1:] == [f"message:{row.id}:1:void", f"message:{row.id}:1"]


def test_a_replacement_of_a_co_payment_is_one_and_of_a_charge_it_is_none(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "800.00", "A", ref="T1"), line("CO", "45.00", ref="T2")), source="copay")
    bench.take(dft(line("RP", "700.00", "A", ref="T1"), line("RP", "40.00", ref="T2")), source="copay")
    assert balance(bench) == 4000


def test_replaced_by_two_lines_both_count(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.take(dft(line("RP", "25.00", "A", ref="T1"), line("RP", "25.00", "A", ref="T1")))
    assert balance(bench) == 5000


def test_a_replacement_with_nothing_to_replace_is_a_charge(correcting):
    bench = correcting()
    bench.take(dft(line("RP", "25.00", "A", ref="T1")))
    assert entries(bench) == [("charge", 2500)]


def test_replaced_and_replaced_back_is_what_it_was_and_the_same_again_changes_nothing(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    for amount in ("30.00", "40.00", "40.00"):
        row = bench.take(dft(line("RP", amount, "A", ref="T1")))
    assert (balance(bench), row.state, bench.holds()) == (4000, "ignored", [])


def test_an_older_replacement_that_waited_does_not_replace_a_newer_one(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.receive(dft(line("RP", "35.00", "A", ref="T1")), dft(line("RP", "30.00", "A", ref="T1")))
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == 2).values(state="fetching"))
    bench.translate()
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == 2).values(state="received"))
    bench.translate()
    late = bench.one(tables.message, id=2)
    assert (late.state, balance(bench)) == ("ignored", 3000)
    assert any("M3 has stated" in note["value"] for note in late.trace)


def test_a_replacement_in_another_currency_is_held_and_takes_nothing_back(correcting):
    bench = correcting()
    bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    bench.take(dft(line("RP", "30.00&EUR", "A", ref="T1")))
    assert (balance(bench), bench.holds()) == (4000, ["currency"])


# --------------------------------------------------------------------------------- the same Transaction ID again


def test_without_a_word_on_it_the_same_number_again_is_as_before(correcting):
    bench = correcting("add")
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("CG", "30.00", "A", ref="T1")))
    assert balance(bench) == 7000


@pytest.mark.parametrize(
    ("rule", "owed", "held"), [("replace", 3000, []), ("void", 0, []), ("hold", 4000, ["same_reference"])]
)
def test_the_same_number_again_means_what_the_map_says(correcting, rule, owed, held):
    bench = correcting(rule)
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("CG", "30.00", "A", ref="T1")))
    assert (balance(bench), bench.holds()) == (owed, held)


@pytest.mark.parametrize("rule", ["add", "replace", "void", "hold"])
def test_the_same_number_twice_in_one_message_is_two_lines(correcting, rule):
    bench = correcting(rule)
    bench.take(dft(line("CG", "40.00", "FILM", ref="T1"), line("CG", "40.00", "FILM", ref="T1")))
    assert (balance(bench), bench.holds()) == (8000, [])


@pytest.mark.parametrize("rule", ["add", "replace", "void", "hold"])
def test_a_credit_or_a_payment_of_the_same_number_is_no_correction_but_what_it_says(correcting, rule):
    bench = correcting(rule)
    bench.take(dft(line("CG", "40.00", "A", ref="T1")), dft(line("CD", "15.00", "A", ref="T1")))
    bench.take(dft(line("PY", "5.00", "CASH", ref="T1")))
    assert (balance(bench), bench.holds()) == (2000, [])


def test_an_old_message_sent_again_replaces_itself_by_itself(correcting):
    bench = correcting("replace")
    for _ in range(3):
        row = bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    assert (row.state, balance(bench), entries(bench)) == ("ignored", 4000, [("charge", 4000)])


def test_a_third_line_of_a_number_that_was_voided_by_its_second_is_held(correcting):
    bench = correcting("void")
    for _ in range(3):
        bench.take(dft(line("CG", "40.00", "A", ref="T1")))
    assert (balance(bench), bench.holds()) == (0, ["same_reference"])


def test_where_every_line_has_the_account_number_a_correction_by_it_is_held(correcting):
    bench = correcting("replace")
    bench.take(dft(line("CG", "40.00", "A", ref="A-1")), dft(line("CG", "30.00", "B", ref="A-1")))
    assert (balance(bench), bench.holds()) == (4000, ["no_reference"])


# ---------------------------------------------------------------------------------------- paid by the patient elsewhere


@pytest.mark.parametrize("source", ["all", "copay", "net_of_insurance", "self_pay"])
def test_what_the_patient_paid_elsewhere_lowers_whatever_the_rule_says(correcting, source):
    bench = correcting()
    pv1 = "PV1|1|O" + "|" * 18 + "SP"
    bench.take(dft(line("CO", "45.00", insurance="0.01"), pv1=pv1), source=source)
    before = balance(bench)
    bench.take(dft(line("PP", "20.00", "CASH")), source=source)
    assert balance(bench) == before - 2000
    assert bench.holds() == []


def test_what_the_patient_paid_through_us_is_known_before_it_lowers_twice(correcting):
    bench = correcting()
    bench.take(dft(line("CO", "45.00")), source="copay")
    bench.pay(2000, "pi_1")
    assert bench.take(dft(line("PP", "20.00", payment_ref="pi_1")), source="copay").state == "ignored"
    assert bench.take(dft(line("PP", "20.00")), source="copay").state == "held"
    assert (balance(bench), bench.holds()) == (2500, ["maybe_echo"])


def test_a_payment_at_the_desk_does_not_let_the_same_charge_count_again(bench):
    """share: all. A charge that was paid and is sent again under a new control id is asked for by nobody."""
    bench.take(dft(line("CG", "40.00", "A")), dft(line("PY", "40.00", "CASH")))
    assert bench.take(dft(line("CG", "40.00", "A"))).state == "held"
    assert (balance(bench), bench.holds()) == (0, ["same_line"])


def test_a_person_may_say_that_a_line_like_one_before_is_another(bench):
    bench.take(dft(line("CG", "40.00", "A")), dft(line("CG", "40.00", "A")))
    assert release.retry(bench.flow, 1, by="a person", sure=True).done
    bench.translate()
    assert (balance(bench), bench.holds()) == (8000, [])


# ------------------------------------------------------------------------------------------------------------ pure


def charge(kind: Kind, minor: int = 100) -> Charge:
    return Charge(ordinal=1, kind=kind, amount=Money(minor=minor, currency="USD"), reference="T1")


def find(kind: Kind, rule: str, *before: Line):
    lines = list(before)
    pair(lines)
    reading = Reading(account="A-1", patient=Party(role="patient"))
    own = Line(100, str(kind), "T1", "like", "", 5)
    return corrections.find(charge(kind), own, reading, rule, lines, held=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("rule", ["add", "replace", "void", "hold"])
def test_every_kind_has_a_meaning_under_every_word_and_takes_back_no_more_than_is_left(kind, rule):
    found = find(kind, rule, Line(40, "charge", "T1", "", "A", 1), Line(-40, "credit", "", "", "A", 2))
    assert found.problem is None or all(found.problem)
    assert found.amount == 0, "the credit took it back before"
