"""Which line took which back is found again from the entries alone. Pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.ledger.reversals import Line, left, match, pair, transaction, void


def line(amount: int, kind: str = "charge", ref: str = "", item: str = "", message: int = 1) -> Line:
    return Line(amount, kind, ref, "", item, message)


def paired(*lines: Line) -> list[Line]:
    pair(lines)
    return list(lines)


def test_a_credit_takes_back_and_a_payment_pays_and_only_the_first_makes_a_line_undone():
    charge, payment, credit = paired(line(40, item="A"), line(-40, "payment"), line(-40, "credit", item="A"))
    assert (charge.paid_by, charge.taken_by, charge.reversed) == (payment, credit, True)


def test_a_payment_alone_does_not_undo_what_it_pays():
    charge, _ = paired(line(40), line(-40, "payment"))
    assert not charge.reversed


def test_two_payments_of_one_amount_pay_two_lines_and_a_third_pays_none():
    first, second, *payments = paired(line(25), line(25), *(line(-25, "patient_payment") for _ in range(3)))
    assert [first.paid_by, second.paid_by] == payments[:2]
    assert payments[2].takes is None


def test_a_void_takes_back_what_is_left_of_its_transaction():
    charge, part, other = paired(line(40, ref="T"), line(-15, "credit", ref="T"), line(7, ref="U"))
    assert left([charge, part]) == 25
    assert transaction([charge, part, other], "T", 2) == [charge, part]


def test_what_a_credit_of_another_number_took_back_is_not_taken_back_again():
    charge, _ = paired(line(40, ref="T", item="A"), line(-40, "credit", ref="C", item="A"))
    assert left([charge]) == 0


def test_a_voided_credit_lets_its_charge_count_again_but_not_a_charge_that_was_voided_too():
    charge, credit = paired(line(40, ref="T", item="A"), line(-40, "credit", ref="C", item="A"))
    assert left([credit]) == -40, "it is owed again"
    void([credit], 2)
    assert not charge.reversed
    charge, credit, _ = paired(
        line(40, ref="T", item="A"), line(-40, "credit", ref="C", item="A"), line(0, "void", ref="T", message=2)
    )
    assert (charge.voided_by, left([credit])) == (2, 0)


def test_a_charge_that_was_paid_is_taken_back_whole_and_the_money_stays():
    charge, payment = paired(line(40, ref="T"), line(-40, "payment", ref="T"))
    assert transaction([charge, payment], "T", 2) == [charge]
    assert left([charge]) == 40


def test_a_payment_of_its_own_number_is_taken_back_and_its_charge_is_unpaid_again():
    charge, payment, _ = paired(line(40, ref="T"), line(-40, "payment", ref="P"), line(40, "void", ref="P", message=2))
    assert (charge.paid_by, payment.voided_by) == (None, 2)


def test_a_correction_concerns_earlier_messages_and_only_then_its_own():
    old, own = line(40, ref="T", message=1), line(50, ref="T", message=2)
    assert transaction([old, own], "T", 2) == [old]
    assert transaction([own], "T", 2) == [own]
    assert transaction([own], "T", 2, within=False) == []
    assert transaction([own], "T", 1) == [own], "a void that came too early and was tried again"
    assert transaction([own], "T", 1, within=False) == [], "but no replacement replaces what is newer"
    old.voided_by = 2
    assert transaction([old, line(50, ref="T", message=4)], "T", 3) == [], "a void whose charge is void already"


LINES = st.lists(
    st.builds(
        lambda kind, amount, ref, item: (kind, amount if kind == "charge" else -amount, ref, item),
        st.sampled_from(["charge", "credit", "payment", "void"]), st.sampled_from([10, 25]),
        st.sampled_from(["", "T", "U"]), st.sampled_from(["", "A"]),
    ),
    max_size=12,
)  # fmt: skip


@given(LINES)
def test_who_judges_line_by_line_and_who_reads_the_entries_again_see_the_same(lines):
    """`pair` must find what `match` and `void` marked while the lines came in, one message each."""
    live: list[Line] = []
    for number, (kind, amount, ref, item) in enumerate(lines, start=1):
        found = line(amount, kind, ref, item, number)
        if kind == "void":
            takes = transaction(live, ref, number) if ref else []
            if not takes:
                continue
            found.amount = -left(takes)
            void(takes, number)
        elif amount < 0:
            match(found, live)
        live.append(found)

    def seen(lines: list[Line]) -> list[tuple]:
        at = {id(one): position for position, one in enumerate(lines)}
        return [(at.get(id(own.taken_by)), at.get(id(own.paid_by)), own.voided_by, own.reversed) for own in lines]

    again = [line(one.amount, one.kind, one.reference, one.item, one.message_id) for one in live]
    pair(again)
    assert seen(again) == seen(live)


@given(LINES)
def test_once_every_transaction_is_voided_nothing_of_what_had_a_number_is_left_but_payments(lines):
    live: list[Line] = []
    for number, (kind, amount, ref, item) in enumerate(lines, start=1):
        if kind != "void" and ref:
            live.append(line(amount, kind, ref, item, number))
    pair(live)
    for ref in ("T", "U"):
        takes = transaction(live, ref, 99)
        if takes:
            live.append(line(-left(takes), "void", ref, "", 99))
            void(takes, 99)
    pair(live)
    still = sum(one.amount for one in live)
    money = sum(one.amount for one in live if one.kind == "payment" and not one.voided_by)
    unmatched = [one for one in live if one.kind == "credit" and not one.voided_by]
    assert unmatched == []
    assert still == money
