"""Several accounts of one payer in one payment: who may, which amounts, and where every cent of it goes."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbench import dft, line, unique

from chartpost.adapter.flow.paying import card, family, pay, record
from chartpost.adapter.ledger import states, tables
from chartpost.adapter.policy import Amounts
from chartpost.adapter.ports import EventType, PaymentEvent
from chartpost.adapter.related import related

PAULA = "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550109"


def owe(bench, *amounts, guarantor=PAULA, source="all", **more):
    """Charge an account of its own for each amount, one after the other; return their open requests."""
    made = []
    for amount in amounts:
        bench.clock.advance(seconds=1)
        account = unique("F")
        bench.take(dft(line("CG", amount, "A"), account=account, guarantor=guarantor, **more), source=source)
        made.append(bench.request())
    return made


def parts(*chosen):
    return {request.public_id: amount for request, amount in chosen}


def begin(bench, request, *chosen, **more):
    return pay.begin(bench.flow, bench.token(request), parts=parts(*chosen), **more)


def refusal(bench, request, *chosen):
    with pytest.raises(pay.PayRefused) as caught:
        begin(bench, request, *chosen)
    return caught.value.reason


def of(bench, request):
    with bench.store.read() as connection:
        return [one.request for one in family.of(bench.flow, connection, request)]


def policy(bench, **changes):
    kept = bench.flow.settings
    facility = kept.facilities["lakeside"].model_copy(update=changes)
    bench.use(kept.model_copy(update={"facilities": {**kept.facilities, "lakeside": facility}}))


def paid(bench):
    """Account → minor units that were paid through us."""
    return {row.account_id: row.amount for row in bench.rows(tables.payment)}


def told(bench, amount, kind=EventType.PAID, payment="pi_1", currency="USD"):
    session = bench.rows(tables.card_session)[-1]
    return PaymentEvent(
        unique("evt_"), kind, bench.clock(), session.public_id, session.provider_ref, payment, amount, currency
    )


def take(bench, event):
    record.take(bench.flow, "card", event, b"{}")


def commit(bench, request, *chosen):
    """Commit a card page for these parts, of which the provider has not heard."""
    with bench.store.write() as tx:
        row = pay.find(tx.connection, bench.token(request))
        wanted = {one.account_id: (one.id, amount) for one, amount in chosen}
        return card.insert_new(tx, bench.flow, row, wanted, "USD")


# ------------------------------------------------------------------------------------------------------ whose they are


def test_a_guarantor_sees_every_account_they_pay_for_the_oldest_first(bench):
    one, two = owe(bench, "40.00", "25.00")
    (three,) = owe(bench, "10.00", name="Payer^Paula", phone="6085550109", guarantor="")
    wanted = [row.public_id for row in (one, two, three)]
    assert [of(bench, row) for row in (one, two, three)] == [wanted] * 3
    with bench.store.read() as connection:
        found = family.of(bench.flow, connection, two)
    assert [(row.amount, row.own) for row in found] == [(4000, False), (2500, True), (1000, False)]
    assert [row.patient for row in found] == ["Silvia Sample", "Silvia Sample", "Paula Payer"]


@pytest.mark.parametrize(
    "guarantor",
    [
        "GT1|1|G1|Other^Olga|||^PRN^CP^^1^608^5550109",  # a number that belongs to two families
        "GT1|1|G1|Payer^Paula|||^PRN^CP^^1^608^5550177",  # another one of this name
        "GT1|1|G1|Payer^Paula",
        "GT1|1|G1||||^PRN^CP^^1^608^5550109",
        "",
    ],
)
def test_one_who_shares_only_the_number_or_only_the_name_is_somebody_else(bench, guarantor):
    (mine,), (theirs,) = owe(bench, "40.00"), owe(bench, "25.00", guarantor=guarantor)
    assert (of(bench, mine), of(bench, theirs)) == ([mine.public_id], [theirs.public_id])


@pytest.mark.parametrize(
    "changed",
    [
        {tables.account: {"stopped": "collections"}},
        {tables.account: {"patient_only": True}},
        {tables.account: {"facility": "hillside"}},
        {tables.account: {"currency": "EUR"}},
        {tables.request: {"paused": "not_me"}},
        {tables.request: {"said": {"payer": "Grandma Payer"}}},
        {tables.request: {"expires_at": dt.datetime(2026, 5, 4, tzinfo=dt.UTC)}},
        {tables.request: {"state": "cancelled"}},
    ],
)
def test_what_is_confidential_stopped_or_not_theirs_any_more_is_not_joined(bench, changed):
    one, two = owe(bench, "40.00", "25.00")
    ((table, values),) = changed.items()
    with bench.store.write() as tx:
        which = table.c.id == (two.id if table is tables.request else two.account_id)
        before = tx.one(table.select().where(which))
        tx.run(table.update().where(which).values(values))
    assert of(bench, one) == [one.public_id]
    assert one.public_id not in of(bench, two)
    with bench.store.write() as tx:
        tx.run(table.update().where(which).values({name: getattr(before, name) for name in values}))


def test_a_payer_whom_a_person_wrote_differently_is_still_the_same(bench):
    one, two = owe(bench, "40.00", "25.00")
    with bench.store.write() as tx:
        tx.run(tables.request.update().where(tables.request.c.id == two.id).values(said={"payer": "PAYER, Paula"}))
    assert of(bench, one) == [one.public_id, two.public_id]


def test_accounts_of_another_payer_are_joined_and_parted_as_messages_say(bench):
    (one,), (two,) = owe(bench, "40.00"), owe(bench, "25.00", guarantor="")
    number = bench.one(tables.account, id=two.account_id).number.decode()
    assert of(bench, one) == [one.public_id]
    bench.take(dft(line("CG", "1.00", "B"), account=number, guarantor=PAULA))
    assert of(bench, one) == [one.public_id, two.public_id]
    bench.take(dft(line("CG", "1.00", "C"), account=number, guarantor="GT1|1|G1|New^Nora|||^PRN^CP^^1^608^5550155"))
    assert of(bench, one) == [one.public_id]


# ------------------------------------------------------------------------------------------------------------ one page


def test_one_payment_pays_several_accounts_and_each_chart_hears_of_its_own(live, other):
    kept = live.flow.settings
    sources = {**kept.sources, "self_pay": kept.sources["self_pay"].model_copy(update={"destinations": ("fhir",)})}
    live.use(kept.model_copy(update={"sources": sources}))
    other.hooks.flow = live.flow
    one, two = owe(live, "40.00", "25.10")
    (three,) = owe(live, "10.00", source="self_pay", pv1="PV1|1|O" + "|" * 18 + "SP")
    other.pay(begin(live, two, (one, 4000), (two, 1000), (three, 333)))
    other.hooks.until(lambda: live.rows(tables.payment))
    assert paid(live) == {one.account_id: 4000, two.account_id: 1000, three.account_id: 333}
    assert {row.provider_ref for row in live.rows(tables.payment)} == {live.rows(tables.payment)[0].provider_ref}
    assert [row.balance for row in live.rows(tables.account)] == [0, 1510, 667]
    assert [(row.state, row.asked) for row in live.rows(tables.request)] == [("paid", 0), ("open", 1510), ("open", 667)]
    told_to = {row.id: row.account_id for row in live.rows(tables.payment)}
    assert [(told_to[row.payment_id], row.destination) for row in live.rows(tables.posting)] == [
        (one.account_id, "chart"), (two.account_id, "chart"), (three.account_id, "fhir"),
    ]  # fmt: skip
    page = live.one(tables.card_session)
    assert (page.state, page.amount, page.request_id) == ("complete", 5333, two.id)
    assert [row.live for row in live.rows(tables.card_part)] == [False] * 3
    assert pay.returned(live.flow, live.token(two), page.public_id) == "recorded"
    assert pay.returned(live.flow, live.token(one), page.public_id) == "unknown", "it was begun with another link"
    for request, sum_, owed in ((one, 4000, 0), (two, 1000, 1510), (three, 333, 667)):
        view = pay.look(live.flow, live.token(request))
        assert (view.paid.minor, view.owed.minor, view.pending) == (sum_, owed, False)
    with live.store.read() as connection:
        for name in (page.public_id, live.rows(tables.payment)[0].provider_ref):
            assert related(connection, name).requests == {one.id, two.id, three.id}


def test_the_chart_takes_each_of_them_though_they_name_one_payment_of_the_provider(live, other):
    numbers = [unique("F"), unique("F")]
    for number, amount in zip(numbers, ("40.00", "25.10"), strict=True):
        body = dft(line("CG", amount, "A"), account=number, guarantor=PAULA)
        other.knows(body)
        live.take(body)
    one, two = live.rows(tables.request)
    other.pay(begin(live, one, (one, 4000), (two, 1000)))
    other.hooks.until(lambda: live.rows(tables.payment))
    live.work("post", "deliver")
    assert [row.state for row in live.rows(tables.posting)] == ["accepted", "accepted"]
    (reference,) = {row.provider_ref for row in live.rows(tables.payment)}
    told = [[(row["amount"], row["reference"]) for row in other.chart(number)["postings"]] for number in numbers]
    assert told == [[("40.00", reference)], [("10.00", reference)]]


def test_the_provider_learns_of_one_amount_and_of_no_account(live, other):
    one, two = owe(live, "40.00", "25.00")
    begin(live, one, (one, 4000), (two, 2500))
    (asked,) = other.sessions(live.one(tables.card_session).public_id)
    amounts = [value for key, value in asked["params"].items() if key.endswith("[unit_amount]")]
    assert amounts == ["6500"]
    numbers = [row.number.decode() for row in live.rows(tables.account)]
    private = [*numbers, one.public_id, two.public_id, "Paula", "Payer", "Silvia", "Sample", "4000", "2500"]
    # The link of the page that was left is in the addresses to come back to, and says nothing of the others.
    assert [word for word in private if word in str(asked["params"])] == []


def test_the_same_choice_again_gets_the_same_page_and_another_choice_closes_it(live, other):
    one, two = owe(live, "40.00", "25.00")
    first = begin(live, one, (one, 4000), (two, 2500))
    assert begin(live, one, (two, 2500), (one, 4000)) == first
    assert begin(live, one, (one, 2500), (two, 4000 - 1500)) != first
    assert pay.begin(live.flow, live.token(two)) != first
    assert [(row.state, row.amount) for row in live.rows(tables.card_session)] == [
        ("expired", 6500), ("expired", 5000), ("open", 2500),
    ]  # fmt: skip
    assert [row.live for row in live.rows(tables.card_part)] == [False] * 4 + [True]


def test_pages_that_are_open_for_any_of_the_accounts_are_closed_before_one_is_made_for_all(live, other):
    one, two = owe(live, "40.00", "25.00")
    urls = [pay.begin(live.flow, live.token(one)), pay.begin(live.flow, live.token(two), 1000)]
    begin(live, one, (one, 4000), (two, 2500))
    assert [row.state for row in live.rows(tables.card_session)] == ["expired", "expired", "open"]
    for url in urls:
        assert other.pay(url)[0] == 200, "the card page says that it is over"
    assert live.rows(tables.payment) == []


def test_an_amount_may_go_to_all_accounts_the_oldest_first(live):
    one, two, three = owe(live, "40.00", "25.00", "10.00")
    with live.store.read() as connection:
        owed = family.of(live.flow, connection, three)
    pay.begin(live.flow, live.token(three), parts=family.spread(owed, 4001))
    assert [(row.request_id, row.amount) for row in live.rows(tables.card_part)] == [(one.id, 4000), (two.id, 1)]
    pay.begin(live.flow, live.token(three), parts=family.spread(owed, 7500))
    assert [row.amount for row in live.rows(tables.card_part)][2:] == [4000, 2500, 1000]


def test_what_is_not_theirs_or_too_much_is_refused_and_no_page_is_made(live):
    one, two = owe(live, "40.00", "25.00")
    (theirs,) = owe(live, "30.00", guarantor="GT1|1|G1|Other^Olga|||^PRN^CP^^1^608^5550109")
    choices = [[(one, 4001)], [(one, 1000), (theirs, 3000)], [], [(theirs, 3000)], [(two, 2500), (one, 10**12)]]
    for chosen in choices:
        assert refusal(live, one, *chosen) == "parts"
    for part in (0, -1):
        assert refusal(live, one, (one, 4000), (two, part)) == "amount"
    with pytest.raises(pay.PayRefused, match="parts"):
        pay.begin(live.flow, live.token(one), parts={"R00000000000": 4000})
    assert live.rows(tables.card_session) == []


def test_what_was_paid_or_cancelled_in_another_tab_is_not_paid_with_the_others(live):
    one, two = owe(live, "40.00", "25.00")
    live.pay(2500, request=two)
    assert refusal(live, one, (one, 4000), (two, 2500)) == "parts"
    assert refusal(live, two, (one, 4000)) == "not_open"
    assert begin(live, one, (one, 4000))


def test_the_link_may_pay_for_others_only(live, other):
    one, two = owe(live, "40.00", "25.00")
    other.pay(begin(live, one, (two, 2500)))
    other.hooks.until(lambda: live.rows(tables.payment))
    assert paid(live) == {two.account_id: 2500}
    assert pay.returned(live.flow, live.token(one), live.one(tables.card_session).public_id) == "recorded"
    assert not pay.look(live.flow, live.token(one)).pending


def test_the_smallest_part_counts_for_the_whole_payment_and_all_that_is_owed_is_no_part(live):
    one, two = owe(live, "40.00", "3.00")
    policy(live, amounts=Amounts(part_minimum=Decimal("5.00")))
    assert refusal(live, one, (one, 499)) == "amount"
    assert refusal(live, one, (one, 1), (two, 300)) == "amount"
    assert begin(live, one, (one, 200), (two, 300))
    assert begin(live, one, (two, 300))
    with pytest.raises(pay.PayRefused, match="amount"):
        pay.begin(live.flow, live.token(one), 499)
    policy(live, amounts=Amounts(parts=False))
    assert refusal(live, one, (one, 3999), (two, 300)) == "amount"
    assert begin(live, one, (one, 4000), (two, 300))


def test_an_instalment_that_is_due_may_be_paid_where_parts_may_not(live):
    one, two = owe(live, "40.00", "25.00")
    policy(live, amounts=Amounts(parts=False))
    today = live.clock().date()
    with live.store.write() as tx:
        for number, (days, amount) in enumerate(((-1, 1500), (40, 2500)), start=1):
            row = {"request_id": one.id, "number": number, "amount": amount}
            tx.run(tables.instalment.insert(), [row | {"due_on": (today + dt.timedelta(days=days)).isoformat()}])
    assert refusal(live, two, (one, 1499), (two, 2500)) == "amount"
    assert begin(live, two, (one, 1500), (two, 2500))
    assert pay.begin(live.flow, live.token(one), 1500)


def test_while_the_money_of_one_is_under_way_none_of_them_is_paid_again(live, other):
    one, two = owe(live, "40.00", "25.00")
    other.pay(begin(live, one, (one, 4000), (two, 2500)), method="bank_debit")
    other.hooks.until(lambda: live.one(tables.card_session).state == "complete")
    for request in (one, two):
        assert pay.look(live.flow, live.token(request)).pending
        with pytest.raises(pay.PayRefused, match="busy"):
            pay.begin(live.flow, live.token(request))
    (three,) = owe(live, "10.00")
    assert refusal(live, three, (three, 1000), (two, 2500)) == "busy"
    assert begin(live, three, (three, 1000))


def test_two_members_who_press_at_once_leave_one_page_for_each_account(live, other):
    one, two, three = owe(live, "40.00", "25.00", "10.00")
    choices = [(one, [(one, 4000), (two, 2500)]), (two, [(two, 2500), (three, 1000)]), (three, [(three, 1000)])]
    barrier, urls = threading.Barrier(3), []

    def press(request, chosen):
        barrier.wait()
        with suppress(pay.PayRefused):
            urls.append(begin(live, request, *chosen))

    threads = [threading.Thread(target=press, args=choice) for choice in choices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert urls, "one of them wins"
    live.check()
    provider = live.flow.world.providers["card"]
    pages = [row for row in live.rows(tables.card_session) if row.provider_ref]
    open_there = [row.id for row in pages if str(provider.retrieve_session(row.provider_ref).state) == "open"]
    holding = [row.account_id for row in live.rows(tables.card_part) if row.card_session_id in open_there]
    assert len(set(holding)) == len(holding) > 0


# --------------------------------------------------------------------------------------------------- what becomes of it


def test_when_one_of_the_accounts_is_settled_elsewhere_the_page_for_all_is_closed(live, other):
    one, two = owe(live, "40.00", "25.00")
    url = begin(live, one, (one, 4000), (two, 2500))
    number = live.one(tables.account, id=two.account_id).number.decode()
    live.take(dft(line("PY", "25.00", "CASH"), account=number))
    assert live.work("expire") == ["expire"]
    assert other.pay(url)[0] == 200
    assert refusal(live, one, (one, 4000), (two, 2500)) == "parts"
    assert begin(live, one, (one, 4000)) != url


def test_when_one_of_the_requests_lapses_the_page_for_all_is_closed(live):
    policy(live, request_days=30)
    (two,) = owe(live, "25.00")
    policy(live, request_days=None)
    (one,) = owe(live, "40.00")
    begin(live, one, (one, 4000), (two, 2500))
    live.clock.advance(days=30)
    assert live.work("lapse", "expire") == ["lapse", "expire"]
    assert [row.state for row in live.rows(tables.request)] == ["expired", "open"]
    assert live.one(tables.card_session).state == "expired"


def test_a_request_that_lapses_while_somebody_presses_is_told_so_and_no_page_is_made_of_nothing(bench):
    """The clock goes on between the looks of one transaction."""
    policy(bench, request_days=1)
    (one,) = owe(bench, "40.00")
    token, before, after = bench.token(one), one.expires_at - dt.timedelta(seconds=1), one.expires_at
    for looks in range(8):
        times = iter([before] * looks)
        bench.store.clock = lambda times=times: next(times, after)
        with pytest.raises((pay.PayRefused, KeyError)) as caught:  # there is no provider here
            pay.begin(bench.flow, token)
        assert getattr(caught.value, "reason", "not_open") == "not_open"
    assert {row.amount for row in bench.rows(tables.card_session)} <= {4000}


def test_money_for_a_page_that_was_closed_still_counts_for_each_account(bench):
    """The payer pressed the button while one of the requests was cancelled in another tab."""
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, one, (one, 4000), (two, 2500))
    take(bench, told(bench, 0, EventType.EXPIRED))
    with bench.store.write() as tx:
        tx.run(tables.request.update().where(tables.request.c.id == two.id).values(state="cancelled", closed_at=tx.now))
    take(bench, told(bench, 6500))
    assert paid(bench) == {one.account_id: 4000, two.account_id: 2500}
    assert [row.state for row in bench.rows(tables.request)] == ["paid", "cancelled"]
    assert [row.balance for row in bench.rows(tables.account)] == [0, 0]


def test_what_was_paid_twice_in_two_tabs_is_credit_of_its_own_account_and_somebody_is_told(bench):
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, one, (one, 4000), (two, 2500))
    take(bench, told(bench, 0, EventType.EXPIRED))
    bench.pay(2500, request=two)
    with bench.store.write() as tx:  # the page was paid before it was closed
        tx.run(tables.card_session.update().where(tables.card_session.c.amount == 6500).values(state="open"))
    first = bench.rows(tables.card_session, amount=6500)[0]
    take(bench, PaymentEvent(unique("evt_"), EventType.PAID, bench.clock(), first.public_id, "", "pi_2", 6500, "USD"))
    assert [row.balance for row in bench.rows(tables.account)] == [0, -2500]
    assert bench.holds() == ["credit_balance"]


def test_credit_names_the_other_accounts_of_the_payer_and_moves_nothing_to_them(bench):
    one, two, _ = owe(bench, "40.00", "25.00", "10.00")
    bench.pay(2500, request=two)
    number = bench.one(tables.account, id=two.account_id).number.decode()
    bench.take(dft(line("CD", "25.00", "A"), account=number))
    (hold,) = bench.rows(tables.hold)
    assert (hold.cause, hold.object) == ("credit_balance", f"account:{two.account_id}")
    assert hold.fix.endswith(
        f"the same payer owes on A{one.account_id} (40.00 USD), A3 (10.00 USD): moving it there is for both charts "
        "and a person"
    )
    assert [row.balance for row in bench.rows(tables.account)] == [4000, -2500, 1000]


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [(6500, (4000, 2500)), (6000, (4000, 2000)), (4000, (4000, 0)), (39, (39, 0)), (7000, (4500, 2500))],
)
def test_another_amount_than_was_asked_goes_to_the_oldest_first_and_a_person_is_told(bench, amount, wanted):
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, two, (one, 4000), (two, 2500))
    take(bench, told(bench, amount))
    assert paid(bench) == {row.account_id: sum_ for row, sum_ in zip((one, two), wanted, strict=True) if sum_}
    assert ("amount_differs" in bench.holds()) == (amount != 6500)
    assert not any(pay.look(bench.flow, bench.token(request)).pending for request in (one, two))


def test_a_payment_in_another_currency_is_not_counted_on_any_account(bench):
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, one, (one, 4000), (two, 2500))
    take(bench, told(bench, 6500, currency="EUR"))
    assert (bench.rows(tables.payment), [row.state for row in bench.rows(tables.event)]) == ([], ["received"])
    assert [row.kind for row in bench.rows(tables.errand, kind="apply")] == ["apply"]


def test_a_payment_for_a_family_that_fails_halfway_is_written_not_at_all(bench, monkeypatch):
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, one, (one, 4000), (two, 2500))
    event, real, calls = told(bench, 6500), record._post_everywhere, []

    def break_down(*args):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("out of paper")
        real(*args)

    monkeypatch.setattr(record, "_post_everywhere", break_down)
    take(bench, event)
    assert (paid(bench), [row.balance for row in bench.rows(tables.account)]) == ({}, [4000, 2500])
    monkeypatch.setattr(record, "_post_everywhere", real)
    with bench.store.write() as tx:
        assert record.apply(bench.flow, tx, "card", event) == ""
    assert paid(bench) == {one.account_id: 4000, two.account_id: 2500}


def test_a_payment_of_which_several_tell_at_once_is_written_once(bench):
    one, two = owe(bench, "40.00", "25.00")
    commit(bench, one, (one, 4000), (two, 2500))
    events = [replace(told(bench, 6500), session_ref="cs_faster_than_our_record") for _ in range(4)]
    barrier = threading.Barrier(4)

    def tell(event):
        barrier.wait()
        take(bench, event)

    threads = [threading.Thread(target=tell, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paid(bench) == {one.account_id: 4000, two.account_id: 2500}
    assert len(bench.rows(tables.payment)) == 2
    assert sorted(row.state for row in bench.rows(tables.event)) == ["applied", "ignored", "ignored", "ignored"]


DIVISORS = st.lists(st.sampled_from([1, 2, 3, 7]), min_size=1, max_size=4)
OWED = st.lists(st.integers(1, 99999), min_size=4, max_size=4)
EVENTS = st.lists(st.sampled_from([*EventType]), max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DIVISORS, EVENTS, st.sampled_from([0, 0, 1, -1, 777, -777]), OWED)
def test_whatever_is_chosen_and_however_often_it_is_told_every_cent_is_written_once(bench, divisors, events, off, owed):
    before = len(bench.rows(tables.payment))
    requests = owe(bench, *(f"{minor // 100}.{minor % 100:02}" for minor in owed[: len(divisors)]))
    chosen = [(row, max(1, row.asked // divisor)) for row, divisor in zip(requests, divisors, strict=True)]
    commit(bench, requests[-1], *chosen)
    total = max(1, sum(amount for _, amount in chosen) + off)
    reference = unique("pi_")
    for kind in (*events, EventType.PAID, *events):
        take(bench, told(bench, total, kind, reference))
    payments = bench.rows(tables.payment)[before:]
    assert sum(row.amount for row in payments) == total, "what the provider took is what is written"
    assert len({row.account_id for row in payments}) == len(payments)
    for (request, amount), asked in zip(chosen, owed, strict=False):
        mine = sum(row.amount for row in payments if row.account_id == request.account_id)
        account = bench.one(tables.account, id=request.account_id)
        assert account.balance == asked - mine
        assert mine == amount or off != 0
        assert mine <= amount or request is requests[0], "only the oldest may be in credit"
        entries = [row.amount for row in bench.rows(tables.entry, account_id=account.id, kind="card")]
        assert entries == [-mine] * bool(mine)
        after = bench.one(tables.request, id=request.id)
        assert (after.state, after.asked) == (("open", asked - mine) if mine < asked else ("paid", 0))
    (page,) = bench.rows(tables.card_session, state=states.CardSession.COMPLETE)[-1:]
    assert not bench.rows(tables.card_part, card_session_id=page.id, live=True)
    bench.check()
