"""translate: what stored messages mean for accounts. All or nothing, in order, nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow.charges import reading, share, translate
from chartpost.adapter.ledger import tables


def balance(bench: Workbench, number: int = 0) -> int:
    return int(bench.rows(tables.account)[number].balance)


# ------------------------------------------------------------------------------------------------- the plain story


def test_charges_become_entries_a_balance_and_a_request_with_its_notice(bench):
    row = bench.take(dft(line("CG", "80.00", "A"), line("CG", "20.50", "B")))
    assert (row.state, row.map) == ("translated", bench.flow.maps["all"].label)
    assert "2 of 2 lines count" in row.reason
    assert [(entry.kind, entry.amount, entry.message_id) for entry in bench.rows(tables.entry)] == [
        ("charge", 8000, row.id), ("charge", 2050, row.id),
    ]  # fmt: skip
    request = bench.request()
    assert (balance(bench), request.state, request.asked) == (10050, "open", 10050)
    (wanted,) = bench.rows(tables.errand)
    assert (wanted.kind, wanted.subject) == ("notify", bench.one(tables.notice).public_id)


def test_a_request_is_raised_lowered_and_settled_silently_under_the_same_link(bench):
    first = bench.take(dft(line("CG", "40.00", "A")))
    opened = bench.request()
    raised = bench.take(dft(line("CG", "10.00", "B")))
    lowered = bench.take(dft(line("CD", "10.00", "B")))
    settled = bench.take(dft(line("CD", "40.00", "A")))
    assert [row.reason.partition("; ")[2].split(" from")[0] for row in (first, raised, lowered, settled)] == [
        "request opened", "request raised", "request lowered", "request settled",
    ]  # fmt: skip
    now = bench.one(tables.request)
    assert (now.token_hash, now.state, now.asked) == (opened.token_hash, "settled", 0)
    assert now.closed_at is not None
    assert [row.kind for row in bench.rows(tables.errand)] == ["notify"], "nobody is written to again"


def test_a_new_debt_after_a_settled_one_is_a_new_request(bench):
    bench.take(dft(line("CG", "40.00", "A")), dft(line("CD", "40.00", "A")), dft(line("CG", "7.00", "B")))
    assert [(row.state, row.asked) for row in bench.rows(tables.request)] == [("settled", 0), ("open", 700)]


@pytest.mark.parametrize(
    ("source", "lines", "owed"),
    [
        ("copay", [line("CG", "800.00", "A"), line("CO", "45.00")], 4500),
        ("net_of_insurance", [line("CG", "100.00", insurance="80.00")], 2000),
        ("all", [line("CG", "100.00", "A"), line("AJ", "-15.00", "B")], 8500),
        ("all", [line("CG", "-40.00", "A", quantity=-1), line("CG", "90.00", "B")], 5000),
    ],
)
def test_each_rule_asks_for_its_share_and_several_signs_count_once(bench, source, lines, owed):
    bench.take(dft(*lines), source=source)
    assert balance(bench) == owed


def test_self_pay_looks_at_the_visit(bench):
    pv1 = "PV1|1|O" + "|" * 18 + "{}^20260504"
    insured = bench.take(dft(line("CG", "90.00"), account="A-2", pv1=pv1.format("MC")), source="self_pay")
    paying = bench.take(dft(line("CG", "90.00"), account="A-3", pv1=pv1.format("SP")), source="self_pay")
    assert (insured.state, paying.state) == ("ignored", "translated")
    assert len(bench.rows(tables.account)) == 1


def test_what_is_not_the_patients_is_on_the_trace_and_not_on_the_account(bench):
    row = bench.take(dft(line("CG", "800.00")), source="copay")
    assert (row.state, row.reason) == ("ignored", "nothing in it is the patient's to pay here")
    assert any("not counted" in note["value"] for note in row.trace)
    assert bench.rows(tables.account) == []


def test_a_message_without_charge_lines_is_ignored_and_says_so(bench):
    row = bench.take(dft())
    assert (row.state, row.reason) == ("ignored", "it has no charge lines: nothing to bill")


# ------------------------------------------------------------------------------------------------- nothing twice


def test_the_same_line_under_a_new_control_id_is_held_because_nobody_can_tell_a_resend_from_a_second_service(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    again = bench.take(dft(line("CG", "40.00", "A")))
    assert (again.state, balance(bench), bench.holds()) == ("held", 4000, ["same_line"])


def test_a_payment_at_the_desk_sent_twice_lowers_the_balance_once(bench):
    bench.take(dft(line("CG", "40.00", "A"), line("CG", "30.00", "B")))
    bench.take(dft(line("PY", "25.00", "CASH")))
    again = bench.take(dft(line("PY", "25.00", "CASH")))
    assert (again.state, balance(bench), bench.holds()) == ("held", 4500, ["same_line"])


def test_the_same_line_with_another_transaction_id_is_another_service(bench):
    bench.take(dft(line("CG", "40.00", "A", ref="TX1")))
    bench.take(dft(line("CG", "40.00", "A", ref="TX2")))
    assert (balance(bench), bench.holds()) == (8000, [])


def test_the_same_transaction_id_again_is_held(bench):
    bench.take(dft(line("CG", "40.00", "A", ref="TX1")))
    assert bench.take(dft(line("CG", "40.00", "A", ref="TX1"))).state == "held"


def test_two_equal_lines_in_one_message_are_two_films(bench):
    bench.take(dft(line("CG", "40.00", "FILM"), line("CG", "40.00", "FILM")))
    assert (balance(bench), bench.holds()) == (8000, [])


def test_what_was_taken_back_may_be_charged_again_under_another_transaction_id_or_in_the_same_message(bench):
    for kind, ref in (("CG", "T1"), ("CD", "T1"), ("CG", "T2")):
        bench.take(dft(line(kind, "40.00", "A", ref=ref)))
    bench.take(dft(line("CD", "40.00", "A", ref="T2"), line("CG", "40.00", "A", ref="T2")))
    assert (balance(bench), bench.holds()) == (4000, [])


@pytest.mark.parametrize("ref", ["", "T1"])
def test_an_old_message_sent_once_more_does_not_charge_again_what_was_taken_back_since(bench, ref):
    for kind in ("CG", "CD", "CG"):
        bench.take(dft(line(kind, "40.00", "A", ref=ref)))
    assert (balance(bench), bench.holds()) == (0, ["same_line"])


def test_what_the_patient_paid_lowers_the_request_although_an_earlier_message_waits(bench, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("extends: hl7v2-dft\ntables: {kinds: {codes: {PP: patient_payment}}}\n", "utf-8")
    own = bench.flow.settings.sources["all"].model_copy(update={"map": str(path)})
    bench.use(configuration(sources={"all": own.model_dump(mode="json")}))
    bench.take(dft(line("CG", "40.00", "A")))
    bench.take(dft(line("ZB", "9.00", "B")))
    assert bench.take(dft(line("PP", "15.00", "DESK"))).state == "translated"
    assert (balance(bench), bench.holds()) == (2500, ["unreadable_line"])


def test_a_line_is_taken_back_once_whether_the_messages_come_in_one_batch_or_in_many(bench):
    """share copay: a credit counts only if it takes a counted line back, so a second one must not."""
    charge, back = line("CO", "25.00"), line("CD", "25.00")
    bench.receive(dft(charge, back, account="ONE"), dft(back, account="ONE"), source="copay")
    bench.translate()
    for lines in ((charge, back), (back,)):
        bench.take(dft(*lines, account="TWO"), source="copay")
    assert [row.state for row in bench.rows(tables.message)] == ["translated", "held"] * 2
    assert [row.balance for row in bench.rows(tables.account)] == [0, 0]


def test_one_bad_line_holds_the_whole_message(bench):
    row = bench.take(dft(line("CG", "40.00", "A"), line("ZB", "1.00", "B"), line("CG", "12,5o", "C")))
    assert (row.state, bench.rows(tables.account), bench.holds()) == ("held", [], ["unreadable_line"])
    hold = bench.one(tables.hold)
    assert hold.object == f"message:{row.id}"
    assert "ZB" in hold.text
    assert "12,5o" in hold.text, "every problem is told at once"
    assert hold.fix


def test_an_unclear_credit_holds_its_charges_too_and_leaves_no_mark_on_what_it_might_have_taken_back(bench):
    bench.take(dft(line("CO", "25.00", "A")), source="copay")
    held = bench.take(dft(line("CD", "25.00", "A"), line("CD", "3.00", "B")), source="copay")
    assert (held.state, balance(bench), bench.holds()) == ("held", 2500, ["unclear_credit"])
    hold = bench.one(tables.hold)
    assert "FT1[2]" in hold.text
    assert "credit" in hold.fix


def test_a_positive_adjustment_is_held_with_the_fix_in_the_map(bench):
    bench.take(dft(line("AJ", "5.00")))
    assert "map's table" in bench.one(tables.hold).fix


# ------------------------------------------------------------------------------------------------- order in a lane


def test_a_credit_behind_a_held_message_waits_for_it_unless_it_takes_back_just_what_is_counted(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    bench.take(dft(line("ZB", "9.00", "B")))
    behind = bench.take(dft(line("CD", "9.00", "B")))
    exact = bench.take(dft(line("CD", "40.00", "A")))
    charge = bench.take(dft(line("CG", "2.00", "C")))
    assert (behind.state, exact.state, charge.state, balance(bench)) == ("held", "translated", "translated", 200)
    assert bench.holds() == ["unreadable_line", "behind_held"]


def test_a_held_message_stops_nobody_elses_credit(bench):
    bench.take(dft(line("ZB", "9.00"), account="A-1"))
    assert bench.take(dft(line("CG", "5.00"), line("CD", "5.00"), account="A-2")).state == "translated"


def test_what_waits_behind_a_message_does_not_hold_that_message_back_once_it_is_released(bench):
    first = bench.take(dft(line("CG", "40.00", "A"), line("CD", "15.00", "A"), line("ZB", "9.00", "B")))
    second = bench.take(dft(line("CD", "40.00", "A")))
    assert (first.state, second.state) == ("held", "held")
    kinds = bench.flow.maps["all"].tables["kinds"]
    more = replace(kinds, codes={**kinds.codes, "ZB": "charge"})
    mended = replace(bench.flow.maps["all"], tables={"kinds": more})
    bench.flow = replace(bench.flow, maps={**bench.flow.maps, "all": mended})
    with bench.store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == first.id).values(state="received"))
    bench.translate()
    assert bench.one(tables.message, id=first.id).state == "translated"


# ------------------------------------------------------------------------------------------------- many at once


def test_one_batch_serves_several_accounts_and_one_account_several_times(bench):
    bodies = [dft(line("CG", f"{n}.00", f"X{n}"), account=f"A-{n % 3}") for n in range(1, 24)]
    bench.receive(*bodies)
    assert translate.batch(bench.flow) == translate.BATCH
    bench.translate()
    owed = {row.number: row.balance for row in bench.rows(tables.account)}
    wanted = {f"A-{k}".encode(): sum(n for n in range(1, 24) if n % 3 == k) * 100 for k in range(3)}
    assert owed == wanted
    assert len(bench.rows(tables.request)) == 3


def test_a_request_opened_and_settled_in_one_batch_writes_to_nobody(bench):
    bench.receive(dft(line("CG", "40.00", "A")), dft(line("CD", "40.00", "A")))
    bench.translate()
    assert bench.work() == []
    assert (bench.one(tables.request).state, bench.rows(tables.notice)) == ("settled", [])


def test_a_bug_in_the_reader_holds_its_message_and_the_rest_of_the_batch_goes_on(bench, monkeypatch):
    read = reading.read_dft

    def broken(message, *rest, **named):
        if message.text("PID", 18) == "A-2":
            raise ZeroDivisionError("a bug")
        return read(message, *rest, **named)

    monkeypatch.setattr(reading, "read_dft", broken)
    bench.receive(*(dft(line("CG", "5.00"), account=f"A-{n}") for n in (1, 2, 3)))
    bench.translate()
    assert [row.state for row in bench.rows(tables.message)] == ["translated", "held", "translated"]
    assert bench.holds() == ["internal"]


def test_what_the_ledger_cannot_take_is_held_and_the_rest_of_the_batch_goes_on(bench, monkeypatch):
    judging = share.judge

    def broken(rule, charge, *rest):
        if charge.code == "BAD":
            raise ZeroDivisionError("a bug")
        return judging(rule, charge, *rest)

    monkeypatch.setattr(share, "judge", broken)
    bench.receive(*(dft(line("CG", "5.00", code), account=code) for code in ("A", "BAD", "C")))
    bench.translate()
    assert [row.state for row in bench.rows(tables.message)] == ["translated", "held", "translated"]
    assert bench.holds() == ["internal"]


def test_a_nul_byte_in_a_field_neither_stops_the_feed_nor_is_it_lost(bench):
    bench.receive(
        dft(line("CG", "5.00", "A", ref="T\0X")),
        dft(line("Z\0", "5.00", "A")),
        dft(line("CG", "7.00", "B"), account="A-2"),
    )
    bench.translate()
    states = [row.state for row in bench.rows(tables.message)]
    assert set(states[:2]) <= {"translated", "held", "unreadable"}
    assert states[2] == "translated"


def test_while_the_database_is_away_messages_wait(bench, monkeypatch):
    bench.receive(dft(line("CG", "5.00")))

    def away(*_):
        raise Transient("the database did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(translate, "_settle", away)
        with pytest.raises(Transient):
            translate.batch(bench.flow)
    assert bench.one(tables.message).state == "received"
    bench.translate()
    assert bench.one(tables.message).state == "translated"


def test_what_another_process_settled_meanwhile_is_left_alone(bench, monkeypatch):
    bench.receive(dft(line("CG", "5.00", "A")), dft(line("ZB", "5.00", "A")))
    reading, nested = translate._read, []

    def slow(flow, row):
        if not nested:
            nested.append(row.id)
            translate.batch(flow)
        return reading(flow, row)

    monkeypatch.setattr(translate, "_read", slow)
    bench.translate()
    assert [row.state for row in bench.rows(tables.message)] == ["translated", "held"]
    assert (balance(bench), bench.holds()) == (500, ["unreadable_line"])


# ------------------------------------------------------------------------------------------------- held and ignored


def test_without_an_account_number_the_message_is_held(bench):
    row = bench.take(dft(line("CG", "5.00"), account=""))
    assert (row.state, bench.holds()) == ("held", ["no_account"])


def test_another_currency_than_the_accounts_is_held(bench):
    row = bench.take(dft(line("CG", "5.00&EUR")))
    assert (row.state, bench.holds()) == ("held", ["currency"])
    assert "EUR" in bench.one(tables.hold).text


def test_a_message_whose_source_was_taken_out_of_the_configuration_is_held(bench):
    bench.receive(dft(line("CG", "5.00")))
    kept = configuration()
    bench.use(kept.model_copy(update={"sources": {"copay": kept.sources["copay"]}}))
    bench.translate()
    assert (bench.one(tables.message).state, bench.holds()) == ("held", ["unknown_source"])


def test_a_changed_duplicate_is_held_at_the_door_and_counts_nothing(bench):
    bench.take(dft(line("CG", "5.00"), control_id="SAME"))
    row = bench.take(dft(line("CG", "6.00"), control_id="SAME"))
    assert (row.state, balance(bench), bench.holds()) == ("held", 500, ["changed_duplicate"])


def test_the_newest_message_says_who_pays_and_an_empty_field_changes_nothing(bench):
    guarantor = "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550109"
    bench.take(dft(line("CG", "5.00", "A"), guarantor=guarantor))
    bench.take(dft(line("CG", "6.00", "B"), name="Sample^Sylvia"))
    account = bench.one(tables.account)
    assert account.guarantor["given"] == "Paula"
    assert account.patient["given"] == "Sylvia"
    assert account.chart["PID-18"] == "A-1^^^LAKESIDE^AN"


# ------------------------------------------------------------------------------------------- payments from elsewhere


def test_a_payment_at_the_desk_settles_the_open_request(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    row = bench.take(dft(line("PY", "40.00", "CASH")))
    assert (row.state, bench.one(tables.request).state, balance(bench)) == ("translated", "settled", 0)


@pytest.mark.parametrize("echo", ["FT1-30", "FT1-2"])
def test_our_own_posting_echoed_by_the_chart_counts_nothing(bench, echo):
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(4000, "pi_1")
    with bench.store.write() as tx:
        tx.run(
            tables.posting.insert(),
            [
                {
                    "public_id": "P00000000001", "payment_id": 1, "destination": "chart", "kind": "payment",
                    "state": "accepted", "control_id": "P00000000001", "created_at": tx.now, "changed_at": tx.now,
                }
            ],
        )  # fmt: skip
    named = {"payment_ref": "pi_1"} if echo == "FT1-30" else {"ref": "P00000000001"}
    row = bench.take(dft(line("PY", "40.00", "VISA", **named)))
    assert (row.state, balance(bench), bench.holds()) == ("ignored", 0, [])
    assert any("our own posting" in note["value"] for note in row.trace)


def test_a_payment_of_the_amount_of_one_of_ours_without_a_reference_is_held_or_the_balance_falls_twice(bench):
    bench.take(dft(line("CG", "40.00", "A"), line("CG", "10.00", "B")))
    bench.pay(4000, "pi_1")
    row = bench.take(dft(line("PY", "40.00", "VISA")))
    assert (row.state, balance(bench), bench.holds()) == ("held", 1000, ["maybe_echo"])


def test_a_payment_of_ours_on_another_account_is_no_echo_here(bench):
    bench.take(dft(line("CG", "40.00", "A"), account="A-2"))
    bench.pay(4000, "pi_1")
    bench.take(dft(line("CG", "40.00", "A"), account="A-3"))
    assert bench.take(dft(line("PY", "40.00", "CASH"), account="A-3")).state == "translated"


def test_a_credit_after_payment_leaves_the_account_in_credit_for_a_person_and_a_new_charge_uses_it_up(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(4000, "pi_1")
    assert (bench.one(tables.request).state, balance(bench)) == ("paid", 0)
    bench.take(dft(line("CD", "40.00", "A")))
    assert (balance(bench), bench.holds()) == (-4000, ["credit_balance"])
    bench.take(dft(line("CG", "50.00", "B")))
    assert (balance(bench), bench.holds(), bench.request().asked) == (1000, [], 1000)


# ------------------------------------------------------------------------------------------------- share: balance


@pytest.fixture
def restating(bench, tmp_path):
    """A source whose messages state what is owed now, in PV1-46."""
    path = tmp_path / "site.yaml"
    path.write_text("extends: hl7v2-dft\nmessage:\n  - {target: balance, path: PV1-46, transform: money}\n")
    kept = configuration()
    source = kept.sources["all"].model_copy(update={"share": "balance", "map": str(path)})
    bench.use(kept.model_copy(update={"sources": {"all": source}}))

    def state(amount: str):
        return bench.take(dft(line("CG", "999.00", unique()), pv1="PV1|1|O" + "|" * 44 + amount))

    return state


def test_a_restated_balance_becomes_the_difference_as_one_entry(bench, restating):
    assert [restating(amount).state for amount in ("80.00", "50.00", "50.00")] == [
        "translated",
        "translated",
        "ignored",
    ]
    assert [(entry.kind, entry.amount) for entry in bench.rows(tables.entry)] == [("balance", 8000), ("balance", -3000)]
    assert (bench.one(tables.request).asked, balance(bench)) == (5000, 5000)


def test_a_restated_zero_settles_and_no_balance_changes_nothing(bench, restating):
    restating("80.00")
    assert restating("").state == "ignored"
    restating("0.00")
    assert (bench.one(tables.request).state, balance(bench)) == ("settled", 0)


def test_a_balance_stated_while_a_payment_of_ours_is_on_its_way_is_held(bench, restating):
    restating("80.00")
    bench.pay(3000)
    with bench.store.write() as tx:
        tx.run(
            tables.posting.insert(),
            [
                {
                    "public_id": "P1", "payment_id": 1, "destination": "chart", "kind": "payment", "state": "published",
                    "control_id": "P1", "created_at": tx.now, "changed_at": tx.now,
                }
            ],
        )  # fmt: skip
    assert (restating("80.00").state, balance(bench), bench.holds()) == ("held", 5000, ["balance_in_doubt"])
