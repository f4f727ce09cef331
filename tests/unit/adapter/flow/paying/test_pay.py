"""pay and card: what the patient presses, against a card provider that remembers (the sandbox, by the real SDK)."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from workbench import configuration, dft, line, unique

from chartpost.adapter.errors import Ambiguous
from chartpost.adapter.flow.attempt import attempt
from chartpost.adapter.flow.paying import card, pay
from chartpost.adapter.ledger import tables


@pytest.fixture
def account():
    return unique("P")


@pytest.fixture
def token(live, account):
    """The link of somebody who owes 40.00."""
    live.take(dft(line("CG", "40.00", "A"), account=account))
    return live.token()


def refusal(live, token, amount):
    with pytest.raises(pay.PayRefused) as caught:
        pay.begin(live.flow, token, amount)
    return caught.value.reason


def minting(live, tx, token):
    """Commit a page for all that is owed, of which the provider has not heard yet."""
    row = pay.find(tx.connection, token)
    return card.insert_new(tx, live.flow, row, {row.account_id: (row.id, row.asked)}, row.currency)


def sessions(live):
    return [(row.state, row.amount) for row in live.rows(tables.card_session)]


def test_looking_changes_nothing_and_says_what_is_owed_now(live, token):
    before = [live.rows(table) for table in tables.metadata.sorted_tables]
    view = pay.look(live.flow, token)
    assert (view.state, view.owed.minor, view.paid.minor, view.pending) == ("open", 4000, 0, False)
    assert pay.returned(live.flow, token, "C1") == "unknown"
    assert [live.rows(table) for table in tables.metadata.sorted_tables] == before


def test_a_link_that_we_never_made_opens_nothing(live, token):
    assert pay.look(live.flow, token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert pay.look(live.flow, "") is None
    assert pay.look(live.flow, "\ud800") is None
    with pytest.raises(LookupError):
        pay.begin(live.flow, "nobody", None)


def test_the_same_amount_again_gets_the_same_page(live, other, token):
    first = pay.begin(live.flow, token, None)
    assert first.startswith(other.ready["http"])
    assert pay.begin(live.flow, token, 4000) == first
    assert sessions(live) == [("open", 4000)]
    assert len(other.sessions(live.one(tables.card_session).public_id)) == 1


def test_another_amount_closes_the_first_page_before_it_opens_another(live, other, token):
    first = pay.begin(live.flow, token, None)
    second = pay.begin(live.flow, token, 1000)
    assert second != first
    assert sessions(live) == [("expired", 4000), ("open", 1000)]
    assert other.pay(first)[0] == 200, "the page says that it is over"
    assert pay.look(live.flow, token).paid.minor == 0


@pytest.mark.parametrize("amount", [0, -1, 4001, 10**12])
def test_only_a_part_of_what_is_owed_can_be_paid(live, token, amount):
    assert refusal(live, token, amount) == "amount"
    assert sessions(live) == []


def test_the_provider_learns_opaque_ids_and_the_message_name_only(live, other, token, account):
    pay.begin(live.flow, token, None)
    (asked,) = other.sessions(live.one(tables.card_session).public_id)
    told = str(asked)
    assert "Lakeside: account payment" in told
    assert not any(word in told for word in (account, "Sample", "Silvia", "COPAY", "M-P", "Invented"))


def test_two_people_who_press_at_once_get_one_page(live, other, token):
    urls, barrier = [], threading.Barrier(2)

    def press():
        barrier.wait()
        try:
            urls.append(pay.begin(live.flow, token, None))
        except pay.PayRefused as refused:
            urls.append(refused.reason)

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({url for url in urls if url.startswith("http")}) == 1
    assert sessions(live) == [("open", 4000)]


def test_two_people_with_different_amounts_leave_one_page_open(live, other, token):
    barrier = threading.Barrier(2)

    def press(amount):
        barrier.wait()
        with suppress(pay.PayRefused):
            pay.begin(live.flow, token, amount)

    threads = [threading.Thread(target=press, args=(amount,)) for amount in (1000, 4000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.check()
    open_here = {row.provider_ref for row in live.rows(tables.card_session) if row.state == "open"}
    for row in live.rows(tables.card_session):
        if row.provider_ref:
            there = live.flow.world.providers["card"].retrieve_session(row.provider_ref)
            assert (str(there.state) == "open") == (row.provider_ref in open_here)


def lose_the_answer(live, monkeypatch):
    """Make the next page at the provider, and never hear of it. (A cut connection the SDK itself gets over.)"""
    provider = live.flow.world.providers["card"]
    real = provider.create_session

    def lost(request):
        monkeypatch.setattr(provider, "create_session", real)
        real(request)
        raise Ambiguous("no answer")

    monkeypatch.setattr(provider, "create_session", lost)


def test_a_connection_that_is_cut_during_the_call_costs_the_payer_nothing(live, other, token):
    other.call("/_control/stripe/next?answer=drop")
    assert pay.begin(live.flow, token, None) == live.one(tables.card_session).url


def test_a_page_whose_answer_was_lost_is_fetched_again_under_the_same_key(live, other, token, monkeypatch):
    lose_the_answer(live, monkeypatch)
    assert refusal(live, token, None) == "provider"
    assert sessions(live) == [("minting", 4000)]
    url = pay.begin(live.flow, token, None)
    (row,) = live.rows(tables.card_session)
    asked = other.sessions(row.public_id)
    assert len(asked) >= 2
    assert {one["idempotency_key"] for one in asked} == {row.public_id}
    assert url == row.url, "and it is the page that was made the first time"
    assert asked[-1]["replayed"]


def test_a_lost_page_is_found_and_closed_before_another_amount_is_offered(live, token, monkeypatch):
    lose_the_answer(live, monkeypatch)
    assert refusal(live, token, None) == "provider"
    pay.begin(live.flow, token, 500)
    lost, now = live.rows(tables.card_session)
    assert (lost.state, now.state) == ("expired", "open")
    assert str(live.flow.world.providers["card"].retrieve_session(lost.provider_ref).state) == "expired"


def test_a_page_that_the_provider_never_heard_of_is_closed_without_asking_it(live, other, token):
    with live.store.write() as tx:
        minting(live, tx, token)
    row = live.one(tables.card_session)
    asked = len(other.get("/_control/stripe/requests"))
    assert card.expire(live.flow, row.public_id) == "expired"
    assert len(other.get("/_control/stripe/requests")) == asked


def test_a_page_that_was_withdrawn_meanwhile_is_not_made(live, other, token):
    """Between the commit of a session and the call for it another tab may have chosen another amount."""
    with live.store.write() as tx:
        session = minting(live, tx, token)
    card.expire(live.flow, session)
    assert card.mint(live.flow, session).value is None
    assert other.sessions(session) == []
    assert sessions(live) == [("expired", 4000)]


def test_a_provider_that_refuses_puts_a_hold_and_the_payer_may_try_again(live, other, token):
    live.use(configuration(dict(other.ready) | {"stripe_key": "sk_test_wrong"}))
    assert refusal(live, token, None) == "provider"
    assert (sessions(live), live.holds()) == ([("failed", 4000)], ["provider_refused"])
    live.use(configuration(other.ready))
    pay.begin(live.flow, token, None)
    assert sessions(live) == [("failed", 4000), ("open", 4000)]


def test_a_page_that_the_provider_refuses_to_close_is_a_persons_business(live, token):
    pay.begin(live.flow, token, None)
    with live.store.write() as tx:
        tx.run(tables.card_session.update().values(provider_ref="cs_test_nobody_knows"))
    row = live.one(tables.card_session)
    assert card.expire(live.flow, row.public_id) == "later"
    assert live.holds() == ["not_closed"]


def test_money_from_elsewhere_that_settles_the_account_closes_the_open_page(live, other, token, account):
    url = pay.begin(live.flow, token, None)
    live.take(dft(line("PY", "40.00", "CASH"), account=account))
    assert live.request().state == "settled"
    assert live.work("expire") == ["expire"]
    assert sessions(live) == [("expired", 4000)]
    assert other.pay(url)[0] == 200
    assert refusal(live, token, None) == "not_open"
    view = pay.look(live.flow, token)
    assert (view.state, view.owed.minor) == ("settled", 0)


def test_a_credit_that_lowers_the_debt_closes_a_page_that_would_take_too_much_and_no_other(live, token, account):
    pay.begin(live.flow, token, 1000)
    live.take(dft(line("AJ", "-5.00", "B"), account=account))
    assert live.work("expire") == []
    live.take(dft(line("AJ", "-30.00", "C"), account=account))
    assert live.work("expire") == ["expire"]
    assert sessions(live) == [("expired", 1000)]


def test_while_the_provider_is_away_closing_is_tried_again(live, other, token, account):
    pay.begin(live.flow, token, None)
    live.take(dft(line("PY", "40.00", "CASH"), account=account))
    live.use(configuration(dict(other.ready) | {"http": "http://127.0.0.1:1"}))
    assert live.work("expire") == ["expire"]
    assert sessions(live) == [("open", 4000)]
    live.use(configuration(other.ready))
    live.clock.advance(seconds=60)
    assert live.work("expire") == ["expire"]
    assert sessions(live) == [("expired", 4000)]


def test_the_patient_may_win_the_race_and_then_the_credit_is_held_and_the_payment_posted(live, other, account):
    body = dft(line("CG", "40.00", "A"), account=account)
    other.knows(body)
    live.take(body)
    url = pay.begin(live.flow, live.token(), None)
    other.call("/_control/stripe/pause")
    assert other.pay(url)[0] == 303
    live.take(dft(line("PY", "40.00", "CASH"), account=account))
    live.work("expire")
    assert sessions(live) == [("complete", 4000)]
    other.call("/_control/stripe/resume")
    other.hooks.until(lambda: live.rows(tables.payment))
    assert (live.one(tables.account).balance, live.holds()) == (-4000, ["credit_balance"])
    live.work("post", "deliver")
    assert live.one(tables.posting).state == "accepted"


def test_a_request_lapses_when_its_time_is_over_and_takes_its_page_with_it(live, other, account):
    facility = configuration(other.ready).facilities["lakeside"].model_copy(update={"request_days": 30})
    live.use(configuration(other.ready).model_copy(update={"facilities": {"lakeside": facility}}))
    live.take(dft(line("CG", "40.00", "A"), account=account))
    token = live.token()
    pay.begin(live.flow, token, None)
    live.clock.advance(days=30, seconds=1)
    assert pay.look(live.flow, token).state == "expired", "before its errand has run"
    assert refusal(live, token, None) == "not_open"
    assert live.work("lapse", "expire") == ["lapse", "expire"]
    assert live.request().state == "expired"
    assert sessions(live) == [("expired", 4000)]


def test_a_part_that_was_paid_while_its_request_lapsed_asks_nobody_again(live, account):
    live.take(dft(line("CG", "40.00", "A"), account=account))
    request = live.request()
    with live.store.write() as tx:
        tx.run(tables.request.update().values(state="expired", closed_at=tx.now))
    live.pay(1000, request=request)
    assert [row.state for row in live.rows(tables.request)] == ["expired"]
    assert live.one(tables.account).balance == 3000


def test_the_way_back_tells_the_truth_at_every_moment(live, other, token):
    url = pay.begin(live.flow, token, None)
    session = live.one(tables.card_session).public_id
    assert pay.returned(live.flow, token, session) == "open"
    other.call("/_control/stripe/pause")
    other.pay(url)
    assert pay.returned(live.flow, token, session) == "received"
    other.call("/_control/stripe/resume")
    other.hooks.until(lambda: live.rows(tables.payment))
    assert pay.returned(live.flow, token, session) == "recorded"
    assert pay.returned(live.flow, token, "C0000000000") == "unknown"
    view = pay.look(live.flow, token)
    assert (view.state, view.paid.minor, view.owed.minor) == ("paid", 4000, 0)


def test_a_slow_method_shows_as_under_way_and_nobody_is_asked_to_pay_again(live, other, token):
    url = pay.begin(live.flow, token, None)
    session = live.one(tables.card_session)
    assert other.pay(url, method="bank_debit")[0] == 303
    other.hooks.until(lambda: sessions(live) == [("complete", 4000)])
    assert pay.returned(live.flow, token, session.public_id) == "processing"
    assert pay.look(live.flow, token).pending
    assert refusal(live, token, None) == "busy"
    other.call(f"/_control/stripe/settle/{session.provider_ref}?outcome=failed")
    other.hooks.until(lambda: sessions(live) == [("failed", 4000)])
    assert pay.begin(live.flow, token, None) != url
    assert live.rows(tables.payment) == []


def test_a_call_that_is_no_longer_wanted_is_not_made(live):
    made = []
    tried = attempt(live.store, "x", lambda: made.append(1), repeatable=True, still=lambda tx: False)
    assert (tried.outcome, made, live.rows(tables.attempt)) == ("transient", [], [])


@pytest.mark.parametrize("store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_what_is_owed_is_looked_up_once_the_account_is_locked(live, other, token, account, monkeypatch):
    """Between the first look and the lock another process may settle the account."""
    finding, first = pay.find, []

    def slow(connection, wanted):
        row = finding(connection, wanted)
        if not first:
            first.append(row)
            live.take(dft(line("PY", "40.00", "CASH"), account=account))
        return row

    monkeypatch.setattr(pay, "find", slow)
    assert refusal(live, token, None) == "not_open"
    assert sessions(live) == []
