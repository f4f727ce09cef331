"""What people change about a request, on both databases: the link stays, nobody is told twice, no cent is lost."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from workbench import MAY, Workbench, dft, line

from chartpost.adapter.flow.charges import elsewhere
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import pay
from chartpost.adapter.flow.requests import change, look
from chartpost.adapter.flow.requests.change import (
    Edit,
    cancel,
    edit,
    extend,
    pause,
    reopen,
    resend,
    resume,
    settle,
    unsettle,
)
from chartpost.adapter.flow.requests.make import Item, Wish, make
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.ledger import states, tables
from chartpost.adapter.ledger.books import ELSEWHERE
from chartpost.adapter.ledger.reversals import Line
from chartpost.adapter.policy import Amounts, Reminders
from chartpost.adapter.settings import Mail
from chartpost.adapter.users import User

MAIL = Mail(sender="Lakeside", address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org")


@pytest.fixture
def bench(bench: Workbench) -> Workbench:
    """A facility that writes texts and e-mails; nobody sends them, and they stay due."""
    facility = bench.flow.settings.facilities["lakeside"]
    policy(bench, facility.model_copy(update={"notifiers": ("sms", "mail"), "mail": MAIL}))
    return bench


def policy(bench: Workbench, facility: Any = None, users: Any = None, **changes: Any) -> None:
    old = bench.flow.settings
    facility = (facility or old.facilities["lakeside"]).model_copy(update=changes)
    bench.use(old.model_copy(update={"facilities": {"lakeside": facility}, "users": users or {}}))
    both = {"sms": SimpleNamespace(channel="sms"), "mail": SimpleNamespace(channel="email")}
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=both))


def asked(bench: Workbench, amount: str = "100.00", **more: Any) -> str:
    """Charge an account, which asks for it; return the request's id."""
    bench.take(dft(line("CG", amount), **more))
    return str(bench.request().public_id)


def told(bench: Workbench) -> list[tuple[str, str]]:
    """Return state and recipient of every notice."""
    return [(row.state, row.recipient.decode() if row.recipient else "") for row in bench.rows(tables.notice)]


def sent(bench: Workbench, after: states.Notice = states.Notice.SENT) -> None:
    """Let every notice that is due have gone out."""
    for row in bench.rows(tables.notice, state="due"):
        with bench.store.write() as tx:
            notify.move(tx, row.public_id, after)
            tx.run(tables.errand.update().where(tables.errand.c.subject == row.public_id).values(state="done"))


def refused(act: Any, *words: str) -> None:
    with pytest.raises(No) as no:
        act()
    assert all(word in str(no.value) for word in words), no.value


# --------------------------------------------------------------------------------------------------------------- edit


def test_an_edit_changes_what_it_names_and_the_link_stays_the_same(bench):
    name = asked(bench)
    before = look.look(bench.flow, name)
    wanted = Edit(
        amount=Decimal("40.00"), payer="Alex Sample", note="Two visits", due_on=dt.date(2026, 6, 1), language="es"
    )
    done = edit(bench.flow, name, wanted, by="anna")
    assert done.text == (
        "changed: amount, payer, note, due date, language; request lowered from 100.00 to 40.00 USD"
    )  # fmt: skip
    after = look.look(bench.flow, name)
    assert (after.asked.minor, after.payer, after.note, after.due_on, after.language) == (
        4000, "Alex Sample", "Two visits", "2026-06-01", "es",
    )  # fmt: skip
    assert (after.link, after.owed.minor, before.payer) == (before.link, 10000, "Silvia Sample")
    assert edit(bench.flow, name, Edit(payer="", note=""), by="anna").state == "open"
    assert (look.look(bench.flow, name).payer, look.look(bench.flow, name).note) == ("Silvia Sample", "")


def test_an_amount_that_is_raised_again_asks_for_what_was_withheld(bench):
    name = asked(bench)
    edit(bench.flow, name, Edit(amount=Decimal("40.00")), by="anna")
    edit(bench.flow, name, Edit(amount=Decimal("100.00")), by="anna")
    assert (bench.request().asked, bench.one(tables.account).withheld) == (10000, 0)


def test_new_recipients_are_told_old_ones_not_again_and_what_waits_for_others_is_taken_back(bench):
    name = asked(bench)
    sent(bench)
    edit(bench.flow, name, Edit(recipients="6085550101; pat@example.org"), by="anna")
    assert told(bench) == [("sent", "+16085550101"), ("due", "pat@example.org")]
    done = edit(bench.flow, name, Edit(recipients="6085550101; sam@example.org"), by="anna")
    assert "1 more told" in done.text
    assert told(bench)[1:] == [("blocked", "pat@example.org"), ("due", "sam@example.org")]
    assert "nobody new" in edit(bench.flow, name, Edit(recipients="sam@example.org"), by="anna").text


def test_who_was_not_to_be_reached_is_told_once_a_person_says_how_and_the_hold_is_done(bench):
    name = asked(bench, phone="")
    assert bench.holds() == ["no_contact"]
    edit(bench.flow, name, Edit(recipients="pat@example.org"), by="anna")
    assert (bench.holds(), told(bench)[-1]) == ([], ("due", "pat@example.org"))


def test_bad_edits_change_nothing_and_say_why(bench):
    name = asked(bench)
    before = bench.request()
    for wanted, why in [
        (Edit(), "say what"), (Edit(amount=Decimal(-1)), "above zero"), (Edit(amount=Decimal("0.001")), "decimals"),
        (Edit(amount=Decimal(200)), "no more is asked"), (Edit(amount=Decimal(1), currency="EUR"), "USD"),
        (Edit(note="gone", recipients="pat@example.org; x"), "recipient 2"), (Edit(language="xx"), "speaks"),
        (Edit(due_on=dt.date(2020, 1, 1)), "passed"),
    ]:  # fmt: skip
        refused(lambda wanted=wanted: edit(bench.flow, name, wanted, by="anna"), why)
    refused(lambda: edit(bench.flow, "RNOTHERE0000", Edit(note="x"), by="anna"), "no such request")
    assert bench.request() == before
    assert bench.rows(tables.act) == []


def test_items_and_the_amount_go_together(bench):
    asked(bench)
    cancel(bench.flow, bench.request().public_id, by="anna")
    name = make(bench.flow, Wish("A1", items=(Item("Visit", Decimal("100.00")),)), by="anna").request
    refused(lambda: edit(bench.flow, name, Edit(amount=Decimal(40)), by="anna"), "items")
    edit(bench.flow, name, Edit(items=(Item("Half a visit", Decimal(50)),)), by="anna")
    assert (bench.request().asked, bench.request().said["items"][0]["description"]) == (5000, "Half a visit")
    edit(bench.flow, name, Edit(items=(), amount=Decimal(40)), by="anna")
    assert (bench.request().asked, bench.request().said) == (4000, None)


def test_of_two_tabs_that_edit_at_once_the_second_is_told_to_look_again(bench):
    name = asked(bench)
    seen = look.look(bench.flow, name).version
    start = threading.Barrier(2)

    def tab(amount: int) -> bool:
        start.wait()
        try:
            return bool(edit(bench.flow, name, Edit(amount=Decimal(amount), seen=seen), by="anna"))
        except No as no:
            assert "look again" in str(no)  # noqa: PT017
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(tab, (40, 50))) == [False, True]
    assert len(bench.rows(tables.act)) == 1


def test_an_edit_after_a_payment_is_about_what_is_left(bench):
    name = asked(bench)
    seen = look.look(bench.flow, name).version
    bench.pay(3000)
    refused(lambda: edit(bench.flow, name, Edit(amount=Decimal(90), seen=seen), by="anna"), "look again")
    refused(lambda: edit(bench.flow, name, Edit(amount=Decimal(90)), by="anna"), "70.00 USD is owed")
    bench.pay(7000)
    refused(lambda: edit(bench.flow, name, Edit(amount=Decimal(1)), by="anna"), "paid")


def under_way(bench: Workbench) -> None:
    """Let the payer have finished a card page of which no event has come yet."""
    row = bench.request()
    session = {
        "public_id": "C00000000009", "account_id": row.account_id, "request_id": row.id, "provider": "card",
        "state": "complete", "amount": row.asked, "currency": "USD", "success_url": "", "cancel_url": "",
        "expires_at": MAY, "created_at": MAY,
    }  # fmt: skip
    with bench.store.write() as tx:
        made = tables.card_session.insert().returning(tables.card_session.c.id)
        part = {"card_session_id": tx.run(made, [session]).scalar_one(), "amount": row.asked, "live": False}
        tx.run(tables.card_part.insert(), [part | {"account_id": row.account_id, "request_id": row.id}])


def test_while_money_is_under_way_nobody_changes_amounts_or_settles(bench):
    name = asked(bench)
    under_way(bench)
    for act in (
        lambda: edit(bench.flow, name, Edit(amount=Decimal(40)), by="anna"),
        lambda: settle(bench.flow, name, method="cash", by="anna"),
    ):
        refused(act, "has just paid")
    assert edit(bench.flow, name, Edit(note="x"), by="anna").state == "open", "a note is no money"


# ---------------------------------------------------------------------------------------------------- cancel, reopen


def test_what_was_withdrawn_is_not_asked_for_by_the_next_charge_and_its_page_takes_nothing(bench):
    name, token = asked(bench), bench.token()
    done = cancel(bench.flow, name, by="anna", why="billed twice")
    assert (done.state, done.text) == ("cancelled", "withdrawn; 100.00 USD are not asked for any more")
    with pytest.raises(pay.PayRefused) as no:
        pay.begin(bench.flow, token, 10000)
    assert no.value.reason == "not_open"
    bench.take(dft(line("CG", "7.00")))
    assert [(row.state, row.asked) for row in bench.rows(tables.request)] == [("cancelled", 0), ("open", 700)]
    assert b"billed twice" in bench.rows(tables.act)[0].note
    refused(lambda: cancel(bench.flow, name, by="anna"), "cancelled", "reopen")


def test_who_withdraws_a_request_is_told_of_all_that_is_not_asked_for_any_more(bench):
    policy(bench, amounts=Amounts(review_above=Decimal(150)))
    name = asked(bench)
    bench.take(dft(line("CG", "100.00", "X")))
    assert (bench.request().asked, bench.holds()) == (15000, ["above_review"])
    done = cancel(bench.flow, name, by="anna")
    assert done.text == "withdrawn; 200.00 USD are not asked for any more"
    assert (bench.one(tables.account).withheld, bench.holds()) == (20000, [])


def test_the_card_page_of_a_withdrawn_request_is_closed(bench):
    name = asked(bench)
    under_way(bench)
    with bench.store.write() as tx:
        tx.run(tables.card_session.update().values(state="open"))
        tx.run(tables.card_part.update().values(live=True))
    cancel(bench.flow, name, by="anna")
    assert [row.subject for row in bench.rows(tables.errand, kind="expire")] == ["C00000000009"]


def test_a_payment_that_comes_after_all_counts_and_nothing_is_asked_again(bench):
    name = asked(bench)
    row = bench.request()
    cancel(bench.flow, name, by="anna")
    bench.pay(10000, request=row)
    assert (bench.one(tables.account).balance, bench.request().state) == (0, "cancelled")
    refused(lambda: reopen(bench.flow, name, by="anna"), "nothing is owed")


def test_a_reopened_request_asks_under_the_same_link_for_what_is_owed_or_less(bench):
    name, token = asked(bench), bench.token()
    cancel(bench.flow, name, by="anna")
    reopen(bench.flow, name, by="anna", amount=Decimal("60.00"))
    assert (bench.request().asked, bench.one(tables.account).withheld, bench.token()) == (6000, 4000, token)
    cancel(bench.flow, name, by="anna")
    reopen(bench.flow, name, by="anna")
    assert (bench.request().state, bench.request().asked, bench.request().closed_at) == ("open", 10000, None)
    refused(lambda: reopen(bench.flow, name, by="anna"), "is open")
    cancel(bench.flow, name, by="anna")
    refused(lambda: reopen(bench.flow, name, by="anna", amount=Decimal(101)), "100.00 USD is owed")


def test_a_request_that_opens_again_after_its_day_is_due_on_another_and_nobody_is_overdue_at_once(bench):
    policy(bench, reminders=Reminders(due_days=10), request_days=15)
    name = asked(bench)
    assert bench.request().due_on == "2026-05-14"
    bench.clock.advance(days=20)
    bench.work("lapse")
    extend(bench.flow, name, "30", by="anna")
    assert bench.request().due_on == "2026-06-03"
    cancel(bench.flow, name, by="anna")
    reopen(bench.flow, name, by="anna")
    assert bench.request().due_on == "2026-06-03"


def test_only_one_request_is_open_whichever_is_reopened(bench):
    first = asked(bench)
    cancel(bench.flow, first, by="anna")
    second = make(bench.flow, Wish("A1", amount=Decimal(5)), by="anna").request
    refused(lambda: reopen(bench.flow, first, by="anna"), f"request {second} is open")
    bench.pay(500)
    refused(lambda: reopen(bench.flow, second, by="anna"), "paid")


def test_reopening_minds_the_policy_and_who_may_approve(bench):
    name = asked(bench)
    cancel(bench.flow, name, by="anna")
    clinician = User.model_validate({"role": "clinician", "billing": True})
    policy(bench, users={"dr": clinician}, amounts=Amounts.model_validate({"review_above": "50.00"}))
    refused(lambda: reopen(bench.flow, name, by="anna"), "approves")
    refused(lambda: reopen(bench.flow, name, by="dr", approved=True), "may not approve")
    assert reopen(bench.flow, name, by="anna", approved=True).state == "open"


# ---------------------------------------------------------------------------------------------------------- its end


def test_extending_moves_the_end_and_the_request_lapses_then_and_not_before(bench):
    policy(bench, request_days=10)
    name = asked(bench)
    extend(bench.flow, name, "20", by="anna")
    bench.clock.advance(days=11)
    bench.work("lapse")
    assert bench.request().state == "open"
    bench.clock.advance(days=10)
    bench.work("lapse")
    assert bench.request().state == "expired"


def test_a_request_without_an_end_any_more_does_not_lapse(bench):
    policy(bench, request_days=10)
    name = asked(bench)
    assert "no end" in extend(bench.flow, name, "never", by="anna").text
    bench.clock.advance(days=400)
    bench.work("lapse")
    assert bench.request().state == "open"
    assert bench.due("lapse") == []


def test_an_expired_request_that_is_extended_is_open_again_with_its_link_and_its_amount(bench):
    policy(bench, request_days=1)
    name, token = asked(bench), bench.token()
    edit(bench.flow, name, Edit(amount=Decimal("40.00")), by="anna")
    bench.clock.advance(days=2)
    bench.work("lapse")
    done = extend(bench.flow, name, "5", by="anna")
    assert (done.state, done.text.startswith("open again")) == ("open", True)
    assert (bench.request().asked, bench.token()) == (4000, token)
    bench.clock.advance(days=6)
    bench.work("lapse")
    assert bench.request().state == "expired"
    cancelled = asked(bench, account="A-2")
    cancel(bench.flow, cancelled, by="anna")
    refused(lambda: extend(bench.flow, cancelled, "5", by="anna"), "cancelled")
    refused(lambda: extend(bench.flow, name, "soon", by="anna"), "an expiry")


def test_what_was_paid_after_a_request_had_expired_is_not_asked_for_again_when_it_is_extended(bench):
    policy(bench, request_days=1)
    name = asked(bench)
    edit(bench.flow, name, Edit(amount=Decimal("60.00")), by="anna")
    row = bench.request()
    bench.clock.advance(days=2)
    bench.work("lapse")
    bench.pay(4000, request=row)
    extend(bench.flow, name, "1", by="anna")
    assert (bench.request().asked, bench.one(tables.account).withheld) == (2000, 4000)
    bench.clock.advance(days=2)
    bench.work("lapse")
    bench.pay(2000, request=row)
    refused(lambda: extend(bench.flow, name, "1", by="anna"), "owed no more", "reopen")


@pytest.mark.parametrize("through_us", [True, False])
def test_what_was_paid_of_an_advance_after_it_had_expired_is_not_asked_for_again(bench, through_us):
    policy(bench, request_days=1, amounts=Amounts(higher=True))
    name = asked(bench, "10.00")
    edit(bench.flow, name, Edit(amount=Decimal("200.00")), by="anna")
    bench.pay(3000)
    row = bench.request()
    bench.clock.advance(days=2)
    bench.work("lapse")
    if through_us:
        bench.pay(5000, request=row)
    else:
        bench.take(dft(line("PY", "-50.00", ref="7")))
    extend(bench.flow, name, "1", by="anna")
    assert (bench.request().asked, bench.request().advance) == (12000, 12000)


# ------------------------------------------------------------------------------------------------------------ resend


def test_resending_is_refused_while_the_last_message_may_still_arrive_unless_somebody_is_sure(bench):
    name = asked(bench)
    refused(lambda: resend(bench.flow, name, by="anna"), "being told already")
    refused(lambda: resend(bench.flow, name, by="anna", sure=True), "being told already")
    sent(bench)
    refused(lambda: resend(bench.flow, name, by="anna"), "may have arrived")
    bench.clock.advance(minutes=11)
    assert resend(bench.flow, name, by="anna").text == "1 told once more"
    sent(bench, states.Notice.UNKNOWN)
    bench.clock.advance(days=3)
    refused(lambda: resend(bench.flow, name, by="anna"), "may have arrived")
    resend(bench.flow, name, by="anna", sure=True)
    steps = [row.step for row in bench.rows(tables.notice)]
    assert (steps[0], len(set(steps))) == ("", 3), "each is a thing of its own"


def test_what_a_resend_or_an_edit_would_send_can_be_seen_before_and_changes_nothing(bench):
    name, token = asked(bench), bench.token()
    sent(bench)
    bench.clock.advance(hours=1)
    before = [bench.rows(table) for table in (tables.request, tables.notice, tables.act)]
    (text,) = resend(bench.flow, name, by="anna", preview=True).messages
    assert (text.to, token in text.text, "x" * 22 in text.text) == ("+16085550101", False, True)
    seen = edit(bench.flow, name, Edit(recipients="pat@example.org; 6085550101"), by="anna", preview=True)
    assert [one.to for one in seen.messages] == ["pat@example.org"]
    assert before == [bench.rows(table) for table in (tables.request, tables.notice, tables.act)]
    (text,) = resend(bench.flow, name, by="anna").messages
    assert token in text.text


def test_resending_goes_to_everybody_whom_a_person_named(bench):
    name = asked(bench)
    sent(bench)
    edit(bench.flow, name, Edit(recipients="6085550101; pat@example.org"), by="anna")
    sent(bench)
    bench.clock.advance(hours=1)
    assert resend(bench.flow, name, by="anna").text == "2 told once more"
    assert told(bench)[2:] == [("due", "+16085550101"), ("due", "pat@example.org")]


def test_nobody_is_written_to_again_about_a_stopped_account_or_a_closed_request(bench):
    name = asked(bench)
    sent(bench)
    bench.clock.advance(hours=1)
    with bench.store.write() as tx:
        tx.run(tables.account.update().values(stopped="collections"))
    refused(lambda: resend(bench.flow, name, by="anna"), "collections")
    bench.pay(10000)
    refused(lambda: resend(bench.flow, name, by="anna"), "paid")


def test_reminders_are_paused_and_go_on_as_a_person_says(bench):
    name = asked(bench)
    pause(bench.flow, name, by="anna")
    assert bench.request().paused == change.BY_HAND
    refused(lambda: pause(bench.flow, name, by="anna"), "already")
    resume(bench.flow, name, by="anna")
    assert bench.request().paused == ""
    refused(lambda: resume(bench.flow, name, by="anna"), "not paused")


# ------------------------------------------------------------------------------------------------- settled otherwise


def test_what_was_paid_otherwise_lowers_what_is_asked_and_all_of_it_ends_the_request(bench):
    name = asked(bench)
    done = settle(bench.flow, name, method="cash", amount=Decimal("30.00"), by="anna", reference="Receipt 112")
    assert (done.state, done.text) == ("open", "30.00 USD recorded as paid by cash; 70.00 USD is still asked for")
    done = settle(bench.flow, name, method="card_terminal", by="anna")
    assert (done.state, bench.one(tables.account).balance) == ("settled", 0)
    entries = bench.rows(tables.entry, kind=ELSEWHERE)
    assert [(row.amount, row.cause) for row in entries] == [(-3000, "act:1"), (-7000, "act:2")]
    assert [row.note for row in bench.rows(tables.act)] == [
        b"30.00 USD by cash; Receipt 112", b"70.00 USD by card_terminal",
    ]  # fmt: skip
    assert bench.rows(tables.posting) == [], "the chart's own cashier books it"


def test_no_more_is_settled_than_is_owed_and_nothing_that_is_no_amount(bench):
    name = asked(bench)
    for amount, why in [("100.01", "100.00 USD is owed"), ("0", "above zero"), ("-5", "above zero"), ("0.001", "more")]:
        refused(lambda amount=amount: settle(bench.flow, name, method="cash", amount=Decimal(amount), by="anna"), why)
    settle(bench.flow, name, method="cash", by="anna")
    refused(lambda: settle(bench.flow, name, method="cash", by="anna"), "settled")


def test_what_the_chart_then_tells_of_the_same_money_counts_no_second_time(bench):
    name = asked(bench)
    settle(bench.flow, name, method="cash", amount=Decimal("30.00"), by="anna")
    bench.take(dft(line("PY", "-30.00", ref="76"), control_id="P1"))
    assert (bench.one(tables.account).balance, bench.request().asked, bench.holds()) == (7000, 7000, [])
    bench.take(dft(line("PY", "-30.00", ref="77"), control_id="P2"))
    assert (bench.one(tables.account).balance, bench.request().asked) == (4000, 4000), "the next one is another"


@pytest.mark.parametrize("ref", ["", "76"])
def test_what_the_chart_tells_of_it_twice_waits_for_a_person_as_any_other_line_that_is_sent_again(bench, ref):
    name = asked(bench)
    settle(bench.flow, name, method="cash", amount=Decimal("30.00"), by="anna")
    for control_id in ("P1", "P2"):
        bench.take(dft(line("PY", "-30.00", ref=ref), control_id=control_id))
    assert (bench.one(tables.account).balance, bench.holds()) == (7000, ["same_line"])


def test_two_lines_of_one_message_are_told_apart(bench):
    name = asked(bench)
    settle(bench.flow, name, method="cash", amount=Decimal("30.00"), by="anna")
    bench.take(dft(line("PY", "-30.00", ref="1"), line("PY", "-30.00", ref="2")))
    assert bench.one(tables.account).balance == 4000


def test_a_payment_that_the_chart_has_told_of_is_not_settled_once_more_unless_somebody_is_sure(bench):
    name = asked(bench)
    bench.take(dft(line("PY", "-30.00")))
    refused(lambda: settle(bench.flow, name, method="cash", amount=Decimal(30), by="anna"), "has told of a payment")
    settle(bench.flow, name, method="cash", amount=Decimal(30), by="anna", sure=True)
    assert bench.one(tables.account).balance == 4000


def test_a_settlement_by_mistake_is_taken_back_once_and_what_the_chart_then_tells_counts(bench):
    name = asked(bench)
    settle(bench.flow, name, method="cash", by="anna")
    for amount in ("30.00", "0"):
        refused(lambda amount=amount: unsettle(bench.flow, name, amount=Decimal(amount), by="anna"))
    done = unsettle(bench.flow, name, amount=Decimal("100.00"), by="anna")
    assert (done.state, "reopen" in done.text, bench.one(tables.account).balance) == ("settled", True, 10000)
    refused(lambda: unsettle(bench.flow, name, amount=Decimal(100), by="anna"), "nobody here said")
    assert reopen(bench.flow, name, by="anna").state == "open"
    settle(bench.flow, name, method="cash", amount=Decimal(30), by="anna")
    assert "raised from 70.00 to 100.00" in unsettle(bench.flow, name, amount=Decimal(30), by="anna").text
    bench.take(dft(line("PY", "-30.00")))
    assert bench.request().asked == 7000, "it is no echo of what was taken back"


def test_what_is_taken_back_of_an_advance_is_asked_for_again(bench):
    policy(bench, amounts=Amounts(higher=True))
    name = asked(bench)
    edit(bench.flow, name, Edit(amount=Decimal(300)), by="anna")
    settle(bench.flow, name, method="cash", amount=Decimal(150), by="anna")
    assert bench.request().asked == 15000
    done = unsettle(bench.flow, name, amount=Decimal(150), by="anna")
    assert ("raised from 150.00 to 300.00" in done.text, bench.request().asked) == (True, 30000)


def test_what_the_chart_has_told_of_is_not_taken_back_here(bench):
    name = asked(bench)
    settle(bench.flow, name, method="cash", amount=Decimal(30), by="anna")
    bench.take(dft(line("PY", "-30.00")))
    refused(lambda: unsettle(bench.flow, name, amount=Decimal(30), by="anna"), "chart has told")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from((100, 200))), max_size=12))
def test_of_each_amount_the_chart_can_tell_as_often_as_a_person_said_it_and_each_later_one_counts(steps):
    lines: list[Line] = []
    said = {100: 0, 200: 0}
    for by_hand, amount in steps:
        if by_hand:
            lines.append(Line(-amount, ELSEWHERE, "", "", ""))
            said[amount] += 1
        elif elsewhere.awaited(lines, amount):
            lines.append(elsewhere.mark(Line(-amount, "payment", "", "", "", 7), amount))
            said[amount] -= 1
        assert {one: elsewhere.awaited(lines, one) for one in said} == {one: n > 0 for one, n in said.items()}
        assert min(said.values()) >= 0


# -------------------------------------------------------------------------------------------------------- everything

ACTS = ("edit", "cancel", "reopen", "settle", "extend", "charge", "credit", "pay", "pause", "resume", "lapse", "make")


@given_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 12000)), max_size=12), higher=st.booleans())
def test_whatever_people_do_in_whatever_order_no_cent_is_asked_for_twice_or_lost(bench, steps, higher):
    policy(bench, amounts=Amounts(higher=higher), request_days=30)
    number = f"P-{len(bench.rows(tables.account))}"
    bench.take(dft(line("CG", "100.00"), account=number))
    owner = bench.rows(tables.account)[-1].id
    for position, (what, minor) in enumerate(steps):
        row, amount = bench.request(account_id=owner), Decimal(minor).scaleb(-2)
        before = row.state
        try:
            match what:
                case "edit":
                    edit(bench.flow, row.public_id, Edit(amount=amount), by="anna")
                case "cancel":
                    cancel(bench.flow, row.public_id, by="anna")
                case "reopen":
                    reopen(bench.flow, row.public_id, by="anna", amount=amount if minor % 2 else None)
                case "settle":
                    settle(bench.flow, row.public_id, method="other", amount=amount, by="anna", sure=True)
                case "extend":
                    extend(bench.flow, row.public_id, "9", by="anna")
                case "charge":
                    bench.take(dft(line("CG", amount, ref=f"{number}-{position}"), account=number))
                case "credit":
                    bench.take(dft(line("PY", -amount, ref=f"{number}-{position}"), account=number))
                case "pay" if row.state == "open":
                    bench.pay(min(minor, row.asked), request=row)
                case "pause":
                    pause(bench.flow, row.public_id, by="anna")
                case "resume":
                    resume(bench.flow, row.public_id, by="anna")
                case "lapse":
                    bench.clock.advance(days=31)
                    bench.work("lapse")
                case "make":
                    make(bench.flow, Wish(f"A{owner}", amount=amount), by="anna")
        except No:
            assert bench.rows(tables.request, id=row.id)[0].state == before, "what is refused changes nothing"
        bench.check()
        account = bench.one(tables.account, id=owner)
        assert 0 <= account.withheld <= max(0, account.balance)
        for one in bench.rows(tables.request, account_id=owner):
            assert one.state != "open" or 0 < one.asked <= max(account.balance, one.advance)
