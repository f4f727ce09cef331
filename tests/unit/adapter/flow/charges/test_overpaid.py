"""Money that is too much: what a facility does with it, and the next charge that uses it up."""

from __future__ import annotations

import pytest
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.ledger import tables


@pytest.fixture
def rule(bench):
    """Returns a function that states the facility's `overpaid`."""

    def use(word: str) -> Workbench:
        kept = configuration()
        facility = kept.facilities["lakeside"].model_copy(update={"overpaid": word})
        bench.use(kept.model_copy(update={"facilities": {"lakeside": facility}}))
        return bench

    return use


def texts(bench: Workbench) -> list[str]:
    return [row.text for row in bench.rows(tables.hold, state="open")]


def overpay(bench: Workbench) -> str:
    """Charge 40.00, have it paid, and void 40.00; return the payment."""
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(4000)
    bench.take(dft(line("CD", "40.00", "A")))
    return str(bench.one(tables.payment).public_id)


def test_unless_it_is_said_otherwise_a_person_is_asked(bench):
    overpay(bench)
    assert (bench.holds(), texts(bench)) == (["credit_balance"], ["the account is 40.00 USD in credit"])


def test_credit_stands_against_the_next_charge_without_a_word(rule):
    bench = rule("credit")
    overpay(bench)
    assert bench.holds() == []
    bench.take(dft(line("CG", "25.00", "B")))
    assert [row.state for row in bench.rows(tables.request)] == ["paid"], "nobody is asked for what is paid already"
    bench.take(dft(line("CG", "25.00", "C")))
    assert bench.request().asked == 1000


def test_refund_proposes_how_much_could_go_back_to_which_payment(rule):
    bench = rule("refund")
    paid = overpay(bench)
    assert bench.holds() == ["refund_proposed"]
    assert texts(bench) == [f"40.00 USD more than was owed; it could go back to payment {paid} (40.00 USD)"]


def test_the_newest_payment_goes_back_first_and_what_the_desk_took_is_said_to_be_elsewhere(rule):
    bench = rule("refund")
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(1000)
    bench.pay(1200)
    bench.take(dft(line("PY", "18.00", "CASH")), dft(line("CD", "40.00", "A")))
    old, new = (row.public_id for row in bench.rows(tables.payment))
    assert texts(bench)[0].endswith(
        f"payment {new} (12.00 USD), payment {old} (10.00 USD), whoever paid 18.00 USD elsewhere"
    )


@pytest.mark.parametrize(("word", "cause"), [("refund", "refund_proposed"), ("ask", "credit_balance")])
def test_what_is_said_follows_the_credit_and_ends_with_it(rule, word, cause):
    bench = rule(word)
    overpay(bench)
    bench.take(dft(line("CG", "25.00", "B")))
    assert (bench.holds(), "15.00" in texts(bench)[0]) == ([cause], True)
    bench.take(dft(line("CG", "1.00", "C"), line("CD", "1.00", "C")))
    assert len(bench.rows(tables.hold)) == 2, "the same credit is no news"
    bench.take(dft(line("CG", "15.00", "D")))
    assert bench.holds() == []


def test_paying_too_much_by_card_is_too_much_as_well(rule):
    bench = rule("refund")
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(5000)
    assert bench.holds() == ["refund_proposed"]
    assert "10.00 USD more" in texts(bench)[0]


def test_another_rule_in_the_configuration_ends_what_the_old_one_said_with_the_next_change(rule):
    bench = rule("ask")
    overpay(bench)
    rule("credit")
    bench.take(dft(line("CG", "1.00", "B")))
    assert bench.holds() == []
