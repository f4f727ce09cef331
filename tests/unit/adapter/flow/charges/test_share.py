"""The patient's share of a line, rule by rule; it is never guessed."""

from __future__ import annotations

import pytest
from workbench import configuration, dft, line

from chartpost.adapter.flow.charges.share import judge, share
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.books import Line
from chartpost.adapter.settings import ShareRule
from chartpost.mappings.model import Charge, Kind, Money, Party, Reading


def charge(kind: Kind, minor: int, insurance: int | None = None) -> Charge:
    covered = None if insurance is None else Money(minor=insurance, currency="USD")
    return Charge(ordinal=1, kind=kind, amount=Money(minor=minor, currency="USD"), insurance=covered)


def visit(financial_class: str = "") -> Reading:
    return Reading(patient=Party(role="patient"), financial_class=financial_class)


def of(rule: str, said: Charge, financial_class: str = "") -> int | None:
    return share(rule, said, visit(financial_class), ["SP", "CASH"]).amount  # type: ignore[arg-type]


def decide(rule: str, line: Charge, counted: list[Line], *, ref: str = "", item: str = "x"):
    own = Line(line.amount.minor, str(line.kind), ref, "", item)
    return judge(rule, line, visit(), [], own, counted)  # type: ignore[arg-type]


def counted(amount: int, kind: str = "charge", ref: str = "", item: str = "x") -> Line:
    return Line(amount, kind, ref, "", item)


LINES = [
    (Kind.CHARGE, 10000), (Kind.COPAY, 2500), (Kind.CREDIT, -10000), (Kind.ADJUSTMENT, -300), (Kind.PAYMENT, -2500),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "minor"), LINES)
def test_all_counts_every_kind_at_its_own_sign(kind, minor):
    assert of("all", charge(kind, minor)) == minor


@pytest.mark.parametrize(("kind", "minor"), LINES)
def test_copay_counts_co_payments_and_nothing_else(kind, minor):
    assert of("copay", charge(kind, minor)) == (minor if kind is Kind.COPAY else None)


@pytest.mark.parametrize(("kind", "minor"), LINES)
@pytest.mark.parametrize(("financial_class", "counts"), [("SP", True), ("CASH", True), ("MC", False), ("", False)])
def test_self_pay_counts_every_kind_of_a_visit_whose_class_is_listed(kind, minor, financial_class, counts):
    assert of("self_pay", charge(kind, minor), financial_class) == (minor if counts else None)


@pytest.mark.parametrize(
    ("minor", "insurance", "patients"),
    [(10000, 8000, 2000), (10000, 10000, 0), (10000, 12000, 0), (-10000, 8000, -2000), (10000, 0, None),
     (10000, None, None), (10000, -100, None)],
)  # fmt: skip
def test_net_of_insurance_needs_a_real_insurance_amount_and_never_owes_the_insurer(minor, insurance, patients):
    assert of("net_of_insurance", charge(Kind.CHARGE, minor, insurance)) == patients


@pytest.mark.parametrize(("kind", "minor"), LINES)
def test_balance_counts_no_line_because_the_message_states_the_sum(kind, minor):
    assert of("balance", charge(kind, minor)) is None


@pytest.mark.parametrize("rule", ["all", "copay", "self_pay", "net_of_insurance", "balance"])
def test_every_verdict_says_why_and_names_its_rule(rule):
    assert share(rule, charge(Kind.CHARGE, 100), visit(), []).why


# ---------------------------------------------------------------------------------------------------- taking back


def test_a_credit_of_the_same_item_and_amount_takes_a_counted_line_back_though_the_rule_alone_would_not_count_it():
    line = counted(2500, "copay")
    verdict = decide("copay", charge(Kind.CREDIT, -2500), [line])
    assert (verdict.amount, verdict.problem, line.reversed) == (-2500, "", True)


def test_the_same_transaction_id_is_evidence_enough_where_the_codes_differ():
    line = counted(2500, "copay", ref="TX1", item="x")
    assert decide("copay", charge(Kind.CREDIT, -2500), [line], ref="TX1", item="y").amount == -2500


def test_what_was_taken_back_once_is_not_taken_back_again():
    line = counted(2500, "copay")
    assert decide("copay", charge(Kind.CREDIT, -2500), [line]).amount == -2500
    again = decide("copay", charge(Kind.CREDIT, -2500), [line])
    assert again.amount is None
    assert "neither passes the rule" in again.problem


def test_two_equal_lines_can_each_be_taken_back_once():
    lines = [counted(2500, "copay"), counted(2500, "copay")]
    assert [decide("copay", charge(Kind.CREDIT, -2500), lines).amount for _ in range(2)] == [-2500, -2500]
    assert [line.reversed for line in lines] == [True, True]


@pytest.mark.parametrize(
    "line", [counted(2400, "copay"), counted(2500, "copay", item="other"), counted(-2500, "credit")]
)
def test_another_amount_or_another_item_is_no_evidence(line):
    verdict = decide("copay", charge(Kind.CREDIT, -2500), [line])
    assert verdict.amount is None
    assert verdict.problem
    assert verdict.fix


def test_a_payment_at_the_desk_settles_the_line_of_exactly_its_amount_because_desks_do_not_know_our_lines():
    assert decide("copay", charge(Kind.PAYMENT, -2500), [counted(2500, "copay")], item="").amount == -2500
    assert decide("copay", charge(Kind.PAYMENT, -2400), [counted(2500, "copay")], item="").problem


@pytest.mark.parametrize("rule", ["all", "copay", "self_pay", "net_of_insurance"])
def test_an_adjustment_with_a_positive_amount_is_a_question_not_an_answer(rule):
    verdict = decide(rule, charge(Kind.ADJUSTMENT, 300), [])
    assert verdict.amount is None
    assert "sites disagree" in verdict.problem
    assert "table" in verdict.fix


def test_an_adjustment_that_lowers_counts_where_everything_counts():
    assert decide("all", charge(Kind.ADJUSTMENT, -300), []).amount == -300


def test_under_balance_no_line_is_a_problem():
    assert not decide("balance", charge(Kind.CREDIT, -300), []).problem


def test_the_patients_part_of_a_credit_takes_back_the_patients_part_of_its_charge():
    """net_of_insurance: the entry is 20.00 of a charge of 100.00, and so is what the credit takes back."""
    line = counted(2000, "charge")
    verdict = decide("net_of_insurance", charge(Kind.CREDIT, -10000, 8000), [line])
    assert (verdict.amount, line.reversed) == (-2000, True)


def test_a_full_price_that_happens_to_equal_a_counted_share_is_not_taken_for_it():
    """net_of_insurance: −100.00 of which 70.00 is the insurer's is −30.00, whatever else stands at 100.00."""
    verdict = decide("net_of_insurance", charge(Kind.CREDIT, -10000, 7000), [counted(10000, "charge")])
    assert verdict.amount == -3000


# --------------------------------------------------------------------------------------------- a rule of the site's own


def by(when: str, line: Charge, amount: str | None = None, **reading: object):
    rule = ShareRule(when=when, amount=amount)
    return share(rule, line, visit().model_copy(update=reading), [])


def test_a_sites_own_rule_says_which_lines_are_the_patients():
    rule = "kind == 'copay' || (kind == 'charge' && my.plan == 'CASH')"
    assert by(rule, charge(Kind.COPAY, 2500), my={"plan": ""}).amount == 2500
    assert by(rule, charge(Kind.CHARGE, 10000), my={"plan": "CASH"}).amount == 10000
    refused = by(rule, charge(Kind.CHARGE, 10000), my={"plan": "AETNA"})
    assert refused.amount is None
    assert not refused.problem


def test_and_how_much_of_them_in_whole_minor_units():
    found = by("insurance != null", charge(Kind.CHARGE, 10000, insurance=7999), "amount - insurance")
    assert found.amount == 2001


@pytest.mark.parametrize(
    ("when", "amount"),
    [
        ("amount > insurance", None),
        ("amount", None),
        ("true", "amount + 1"),
        ("true", "-amount"),
        ("true", "kind"),
        ("true", "amount - insurance"),
    ],
)
def test_what_a_rule_cannot_tell_or_cannot_mean_is_held_and_never_asked_for(when, amount):
    found = by(when, charge(Kind.CHARGE, 10000), amount)
    assert found.amount is None
    assert found.problem
    assert found.fix


def test_the_flow_asks_for_what_the_rule_says_and_holds_what_it_cannot_tell(bench):
    settings = configuration()
    rule = ShareRule(when="kind == 'charge' && code.startsWith('COPAY')", amount="amount / 4")
    unsure = ShareRule(when="amount > insurance")
    sources = {
        name: settings.sources["all"].model_copy(update={"share": one})
        for name, one in {"own": rule, "unsure": unsure}.items()
    }
    bench.use(settings.model_copy(update={"sources": {**settings.sources, **sources}}))
    assert bench.take(dft(line("CG", "40.00"), line("CG", "100.00", "XRAY")), source="own").state == "translated"
    assert bench.one(tables.account).balance == 1000
    held = bench.take(dft(line("CG", "40.00"), account="A-2"), source="unsure")
    assert held.state == "held"
    assert "empty is insurance" in bench.one(tables.hold).text


@pytest.mark.parametrize("rule", ["net_of_insurance", ShareRule(when="insurance > 0", amount="amount - insurance")])
def test_an_insurance_amount_of_another_currency_is_not_taken_off_but_holds_the_line(rule):
    said = charge(Kind.CHARGE, 10000, 8000).model_copy(update={"insurance": Money(minor=8000, currency="EUR")})
    found = share(rule, said, visit(), [])
    assert found.amount is None
    assert "currency" in found.problem
