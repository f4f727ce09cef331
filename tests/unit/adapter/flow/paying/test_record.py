"""record: door 2. Events of the card provider, applied once, whoever brings them and however often."""

from __future__ import annotations

import pytest
from workbench import configuration, dft, line, unique

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.paying import pay, record
from chartpost.adapter.ledger import errands, tables
from chartpost.adapter.ports import EventType, PaymentEvent


@pytest.fixture
def account():
    return unique("R")


@pytest.fixture
def page(live, account):
    """The card page of somebody who owes 40.00."""
    live.take(dft(line("CG", "40.00", "A"), account=account))
    return pay.begin(live.flow, live.token(), None)


def told(live, kind=EventType.PAID, amount=4000, currency="USD", payment="pi_1", event=""):
    session = live.rows(tables.card_session)[-1]
    return PaymentEvent(
        event or unique("evt_"), kind, live.clock(), session.public_id, session.provider_ref, payment, amount, currency
    )


def take(live, event):
    record.take(live.flow, "card", event, b"{}")


def ours(live):
    """Return the events that name our card sessions: the sandbox is shared."""
    names = {row.public_id for row in live.rows(tables.card_session)}
    return [row for row in live.rows(tables.event, provider="card") if row.reference in names]


def event_of(other, live, kind="checkout.session.completed"):
    reference = live.rows(tables.card_session)[-1].public_id
    found = [one for one in other.get("/_control/stripe/events") if one["type"] == kind]
    return next(one for one in found if one["data"]["object"]["client_reference_id"] == reference)


def test_a_payment_lowers_the_balance_pays_the_request_and_is_posted_to_every_destination(live, other, page):
    assert other.pay(page)[0] == 303
    other.hooks.until(lambda: live.rows(tables.payment))
    payment, account, request = live.one(tables.payment), live.one(tables.account), live.request()
    assert (payment.amount, payment.currency, payment.medium, account.balance) == (4000, "USD", "card", 0)
    assert payment.provider_ref.startswith("pi_")
    assert (request.state, request.asked) == ("paid", 0)
    assert live.one(tables.card_session).state == "complete"
    assert [(row.destination, row.state) for row in live.rows(tables.posting)] == [("chart", "due")]
    assert [row.state for row in ours(live)] == ["applied"]


def test_a_payment_whose_source_was_taken_out_of_the_configuration_is_told_to_nobody_but_a_person(live, page):
    kept = live.flow.settings
    live.use(kept.model_copy(update={"sources": {name: kept.sources[name] for name in kept.sources if name != "all"}}))
    take(live, told(live))
    payment = live.one(tables.payment)
    assert (live.one(tables.account).balance, live.rows(tables.posting)) == (0, [])
    assert (live.holds(), live.one(tables.hold).object) == (["not_posted"], f"payment:{payment.public_id}")


def test_a_part_payment_leaves_the_request_open_for_the_rest(live, other, account):
    live.take(dft(line("CG", "40.00", "A"), account=account))
    token = live.token()
    other.pay(pay.begin(live.flow, token, 1500))
    other.hooks.until(lambda: live.rows(tables.payment))
    view = pay.look(live.flow, token)
    assert (view.state, view.owed.minor, view.paid.minor) == ("open", 2500, 1500)
    other.pay(pay.begin(live.flow, token, None))
    other.hooks.until(lambda: len(live.rows(tables.payment)) == 2)
    assert (live.request().state, live.one(tables.account).balance) == ("paid", 0)
    assert [row.purpose for row in live.rows(tables.notice)] == ["request", "receipt", "receipt"]


def test_a_second_copy_of_the_same_event_settles_nothing(live, other, page):
    other.pay(page)
    other.hooks.until(lambda: live.rows(tables.payment))
    event = event_of(other, live)["id"]
    before = len(other.hooks.answers)
    other.call(f"/_control/stripe/resend?event={event}")
    other.hooks.until(lambda: len(other.hooks.answers) > before)
    assert len(live.rows(tables.payment)) == len(live.rows(tables.entry, kind="card")) == len(ours(live)) == 1


def test_another_event_of_the_same_payment_settles_nothing_either(live, page):
    for _ in range(2):
        take(live, told(live))
    assert len(live.rows(tables.payment)) == 1
    assert [row.state for row in ours(live)] == ["applied", "ignored"]
    assert "already" in ours(live)[1].reason


def test_a_wrongly_signed_event_is_refused_and_leaves_no_trace(live, other, page):
    other.call("/_control/stripe/pause")
    other.pay(page)
    event = event_of(other, live)["id"]

    def refused():
        return len([status for path, status in other.hooks.answers if path == "/hooks/card" and status == 400])

    before = refused()
    with pytest.raises(Permanent):
        record.payment_event(live.flow, "card", b"{}", {"Stripe-Signature": "t=1,v1=00"})
    other.call(f"/_control/stripe/resend?event={event}&secret=whsec_wrong")
    assert (ours(live), live.rows(tables.payment)) == ([], [])
    other.call("/_control/stripe/resume")
    other.hooks.until(lambda: live.rows(tables.payment))
    other.hooks.until(lambda: refused() > before)
    assert len(live.rows(tables.payment)) == 1


def test_events_that_belong_to_somebody_else_are_kept_and_harmless(live, other, page):
    foreign = other.call("/_control/stripe/foreign?amount=9900")
    row = other.hooks.until(lambda: live.rows(tables.event, event_id=foreign["id"]))[0]
    assert (row.state, row.reason) == ("ignored", "not ours: it names no card session of this system")
    assert live.rows(tables.payment) == []


def test_kinds_of_events_that_mean_nothing_to_us_are_kept_and_harmless(live, other, page):
    other.pay(page)
    other.hooks.until(lambda: [row for row in live.rows(tables.event) if row.type == "unknown"])
    assert {row.state for row in live.rows(tables.event, type="unknown")} == {"ignored"}


def test_the_money_wins_over_whatever_came_before_or_comes_after(live, page):
    take(live, told(live, EventType.EXPIRED))
    take(live, told(live, EventType.PAID))
    take(live, told(live, EventType.PENDING))
    take(live, told(live, EventType.EXPIRED))
    assert (live.one(tables.card_session).state, live.request().state) == ("complete", "paid")
    assert len(live.rows(tables.payment)) == 1


def test_an_event_that_is_faster_than_our_own_record_of_the_page_is_applied(live, page):
    with live.store.write() as tx:
        tx.run(tables.card_session.update().values(state="minting", provider_ref="", url=""))
    session = live.one(tables.card_session)
    event = PaymentEvent(
        "evt_fast", EventType.PAID, live.clock(), session.public_id, "cs_fast", "pi_fast", 4000, "USD"
    )  # fmt: skip
    take(live, event)
    assert (live.one(tables.card_session).provider_ref, live.one(tables.card_session).state) == ("cs_fast", "complete")


def test_an_amount_that_differs_is_recorded_as_the_provider_reports_it_and_a_person_looks(live, page):
    take(live, told(live, amount=3900))
    assert (live.one(tables.account).balance, live.holds()) == (100, ["amount_differs"])
    assert "3900" in live.one(tables.hold).text


def test_another_currency_is_kept_tried_again_and_a_person_is_told(live, page):
    take(live, told(live, currency="EUR"))
    assert ([row.state for row in ours(live)], live.rows(tables.payment)) == (["received"], [])
    live.flow.world.providers["card"] = type(
        "Stored", (), {"read_event": staticmethod(lambda raw: told(live, currency="EUR"))}
    )
    assert live.work("apply") == ["apply"]
    assert live.holds() == ["not_applied"]
    live.clock.advance(hours=2)
    assert live.work("apply") == ["apply"], "it comes back by itself"
    assert live.holds() == ["not_applied"]
    assert live.one(tables.account).balance == 4000


def test_what_could_not_be_applied_is_applied_later_from_what_was_kept(live, other, page, monkeypatch):
    applying = record._paid

    def broken(*_):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(record, "_paid", broken)
        other.pay(page)
        other.hooks.until(lambda: ours(live))
        assert ours(live)[0].state == "received"
    assert record._paid is applying
    assert live.work("apply") == ["apply"]
    assert (ours(live)[0].state, live.one(tables.account).balance) == ("applied", 0)


def test_a_slow_method_pays_when_its_money_arrives(live, other, page):
    other.pay(page, method="bank_debit")
    other.hooks.until(lambda: live.one(tables.card_session).state == "complete")
    assert live.request().state == "open"
    other.call(f"/_control/stripe/settle/{live.one(tables.card_session).provider_ref}")
    other.hooks.until(lambda: live.rows(tables.payment))
    assert live.request().state == "paid"


def test_polling_finds_what_the_webhooks_lost_and_comes_back_for_ever(live, other, page):
    other.hooks.flow = None  # answered 200, and lost
    other.pay(page)
    before = len(other.hooks.answers)
    other.hooks.until(lambda: len(other.hooks.answers) >= before + 1)
    assert live.rows(tables.payment) == []
    with live.store.write() as tx:
        errands.add(tx, "poll", "card", "poll:card")
    assert live.work("poll") == ["poll"]
    assert (live.request().state, len(live.rows(tables.payment))) == ("paid", 1)
    assert live.work("poll") == []
    live.clock.advance(seconds=60)
    assert live.work("poll") == ["poll"]
    assert len(live.rows(tables.payment)) == 1


def test_a_poll_while_the_provider_is_away_looks_back_as_far_once_it_is_there_again(live, other, page):
    other.hooks.flow = None
    other.pay(page)
    with live.store.write() as tx:
        errands.add(tx, "poll", "card", "poll:card")
    live.use(configuration(dict(other.ready) | {"http": "http://127.0.0.1:1"}))
    for _ in range(3):
        assert live.work("poll") == ["poll"]
        live.clock.advance(minutes=5)
    live.use(configuration(other.ready))
    assert live.work("poll") == ["poll"]
    assert len(live.rows(tables.payment)) == 1


def test_a_currency_without_decimals_goes_all_the_way(live, other, account):
    live.use(configuration(other.ready, currency="JPY"))
    other.hooks.flow = live.flow
    body = dft(line("CG", "1200", "A"), account=account)
    other.knows(body)
    live.take(body)
    token = live.token()
    assert str(pay.look(live.flow, token).owed) == "1200 JPY"
    other.pay(pay.begin(live.flow, token, None))
    (asked,) = other.sessions(live.one(tables.card_session).public_id)
    assert asked["params"]["line_items[0][price_data][unit_amount]"] == "1200"
    other.hooks.until(lambda: live.rows(tables.payment))
    assert (live.one(tables.payment).amount, live.request().state) == (1200, "paid")
    live.work("post", "deliver")
    assert live.one(tables.posting).state == "accepted"
    assert "|1200&JPY|" in live.one(tables.posting).body.decode()
