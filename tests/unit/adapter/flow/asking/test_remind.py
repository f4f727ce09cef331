"""remind: whoever has not paid hears of it again, on the days of the policy, and never twice of one."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line, unique

from chartpost.adapter.errors import Permanent
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.asking import accounts, remind
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import record
from chartpost.adapter.flow.requests import change, plan
from chartpost.adapter.flow.telling import quiet
from chartpost.adapter.ledger import books, errands, tables
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.policy import Reminders
from chartpost.adapter.ports import EventType, PaymentEvent, Sent

_last = iter(range(10, 96))
CHICAGO = ZoneInfo("America/Chicago")
POLICY = {"due_days": 10, "before": [3], "on": True, "after": [7], "together_days": 3}


@pytest.fixture
def phone() -> str:
    """A number in Chicago that no other test of this process writes to."""
    return f"77355501{next(_last):02d}"


def place(**policy: Any) -> Facility:
    row = configuration().facilities["lakeside"].model_dump() | {"reminders": POLICY} | policy
    return Facility.model_validate(row)


@pytest.fixture
def clinic(live: Workbench, other: Any) -> Any:
    """Work from ten in the morning of 4 May on, by a policy: due on the 14th."""

    def clinic(**policy: Any) -> Workbench:
        live.clock.start, live.clock.ahead = MAY, dt.timedelta()
        row = live.flow.settings.facilities["lakeside"].model_dump() | {"reminders": POLICY} | policy
        live.use(live.flow.settings.model_copy(update={"facilities": {"lakeside": Facility.model_validate(row)}}))
        other.hooks.flow = live.flow
        return live

    return clinic


def owing(live: Workbench, phone: str, *, account: str = "", amount: str = "40.00", name: str = "Sample^Silvia") -> Any:
    live.take(dft(line("CG", amount, "ECHO"), account=account or unique("Q"), phone=phone, name=name))
    return live.request()


def through(live: Workbench, days: int, *, hours: int = 24) -> None:
    """Let so many days pass, working whatever comes due, so many hours apart."""
    live.work("notify", "remind")
    for _ in range(days * 24 // hours):
        live.clock.advance(hours=hours)
        live.work("notify", "remind")


def reminders(live: Workbench) -> list[tuple[str, str]]:
    """Return step and state of each reminder, "out" for what went out."""
    rows = live.rows(tables.notice, purpose="reminder")
    return [(row.step, "out" if row.state in ("sent", "delivered") else row.code or row.state) for row in rows]


def test_an_unpaid_request_is_reminded_of_on_each_day_of_the_policy_and_then_a_person_is_told(
    clinic: Any, other: Any, phone: str
) -> None:
    live = clinic()
    request = owing(live, phone)
    assert request.due_on == "2026-05-14"
    through(live, 30)
    assert reminders(live) == [("due-3 2026-05-14", "out"), ("due 2026-05-14", "out"), ("due+7 2026-05-14", "out")]
    assert len(other.texts("+1" + phone)) == 4
    assert live.holds() == ["reminders_over"]
    assert "2026-05-14" in live.one(tables.hold).text
    through(live, 60)
    assert len(other.texts("+1" + phone)) == 4
    assert live.rows(tables.errand, kind="remind", state="due") == []


def test_whoever_has_paid_hears_no_more(clinic: Any, other: Any, phone: str) -> None:
    live = clinic()
    owing(live, phone)
    through(live, 8)
    live.pay(4000)
    through(live, 30)
    assert (reminders(live), live.holds("open")) == ([("due-3 2026-05-14", "out")], [])


@pytest.mark.parametrize("fails", [True, False])
def test_while_money_is_under_way_nobody_is_reminded_nor_a_person_told_and_if_it_fails_they_are(
    clinic: Any, phone: str, fails: bool
) -> None:
    live = clinic()
    request = owing(live, phone)
    through(live, 6)
    with live.store.write() as tx:
        page = {
            "public_id": unique("C"), "account_id": request.account_id, "request_id": request.id, "provider": "card",
            "state": "complete", "amount": 4000, "currency": "USD", "success_url": "", "cancel_url": "",
            "expires_at": tx.now, "created_at": tx.now,
        }  # fmt: skip
        number = tx.run(tables.card_session.insert().returning(tables.card_session.c.id), [page]).scalar_one()
        part = {"account_id": request.account_id, "request_id": request.id, "amount": 4000, "live": False}
        tx.run(tables.card_part.insert(), [part | {"card_session_id": number}])
    through(live, 20, hours=12)
    assert (reminders(live), live.holds()) == ([], [])
    kind = EventType.FAILED if fails else EventType.PAID
    money = (unique("pi_"), 4000, "USD") if not fails else ()
    record.take(live.flow, "card", PaymentEvent(unique("evt_"), kind, live.clock(), page["public_id"], "", *money), b"")
    through(live, 2)
    went = [step for step, state in reminders(live) if state == "out"]
    assert (went, live.holds()) == ((["due+7 2026-05-14"], ["reminders_over"]) if fails else ([], []))


def test_without_a_policy_nobody_is_reminded(clinic: Any, phone: str) -> None:
    live = clinic(reminders=None)
    owing(live, phone)
    through(live, 40)
    assert (reminders(live), live.rows(tables.errand, kind="remind")) == ([], [])


def test_a_clock_that_jumps_over_steps_sends_the_latest_and_one_that_jumps_back_sends_none_again(
    clinic: Any, other: Any, phone: str
) -> None:
    live = clinic()
    owing(live, phone)
    live.work("notify", "remind")
    live.clock.advance(days=19)
    live.work("notify", "remind")
    expected = [("due+7 2026-05-14", "out"), ("due-3 2026-05-14", "skipped"), ("due 2026-05-14", "skipped")]
    assert reminders(live) == expected
    live.clock.advance(days=-18)
    through(live, 20)
    assert reminders(live) == expected
    assert len(other.texts("+1" + phone)) == 2


def test_a_reminder_keeps_a_day_between_itself_and_the_request(clinic: Any, phone: str) -> None:
    live = clinic(reminders={"due_days": 1, "before": [], "on": True, "after": []})
    live.clock.advance(hours=5)
    owing(live, phone)
    through(live, 1, hours=6)
    assert reminders(live) == [("due 2026-05-05", "out")]
    assert reminders(live) == [("due 2026-05-05", "out")]
    first, second = (row.started_at for row in live.rows(tables.attempt))
    assert second - first >= dt.timedelta(days=1)


def test_while_the_first_message_waits_nobody_is_reminded_of_it(clinic: Any, phone: str) -> None:
    """A holiday of two weeks: the request itself goes out on the day after."""
    holidays = [f"2026-05-{day:02d}" for day in range(4, 18)]
    live = clinic(quiet={"hours": "none", "holidays": holidays})
    owing(live, phone)
    through(live, 13)
    assert (reminders(live), live.rows(tables.attempt)) == ([], [])
    through(live, 3, hours=1)
    went = [row.purpose for row in live.rows(tables.notice) if row.state != "blocked"]
    assert went == ["request", "reminder"]
    first, second = (row.started_at for row in live.rows(tables.attempt))
    assert second - first >= dt.timedelta(days=1)


def test_where_nobody_could_be_told_nobody_is_reminded(clinic: Any) -> None:
    live = clinic()
    owing(live, "")
    through(live, 30)
    assert reminders(live) == []
    assert sorted(live.holds()) == ["no_phone", "reminders_over"]


def test_steps_that_come_while_it_is_paused_are_over_and_the_next_one_comes(clinic: Any, phone: str) -> None:
    live = clinic()
    request = owing(live, phone)
    with live.store.write() as tx:
        tx.run(tables.request.update().values(paused="cannot_afford"))
    through(live, 12)
    with live.store.write() as tx:
        tx.run(tables.request.update().values(paused=""))
        remind.soon(tx, request.public_id)
    through(live, 0)
    assert reminders(live) == []
    through(live, 12)
    assert reminders(live) == [("due+7 2026-05-14", "out")]


def test_a_new_due_date_brings_its_own_steps(clinic: Any, phone: str) -> None:
    live = clinic()
    request = owing(live, phone)
    through(live, 8)
    with live.store.write() as tx:
        tx.run(tables.request.update().values(due_on="2026-06-14"))
        remind.soon(tx, request.public_id)
    through(live, 32)
    assert [step for step, _ in reminders(live)] == ["due-3 2026-05-14", "due-3 2026-06-14"]


def test_a_request_that_is_open_again_with_an_earlier_step_is_reminded_of_in_time(clinic: Any, phone: str) -> None:
    live = clinic()
    request = owing(live, phone)
    through(live, 11)  # what comes next is a week after the 14th
    with live.store.write() as tx:
        key = live.one(tables.account).key
        book = books.load(tx, [key])[key]
        assert book.ask is not None
        book.ask.due_on = "2026-05-19"
        accounts.write(live.flow, tx, [book])
    through(live, 1)
    assert [step for step, _ in reminders(live)] == ["due-3 2026-05-14", "due 2026-05-14", "due-3 2026-05-19"]
    assert request.state == "open"


def test_what_is_paid_while_a_reminder_waits_for_the_morning_is_not_reminded_of(clinic: Any, phone: str) -> None:
    live = clinic(quiet={"hours": "09:00-20:00"})
    owing(live, phone)
    live.clock.advance(hours=11)
    live.work("notify")
    live.clock.advance(days=6, hours=13)  # ten in the morning of the 11th
    live.work("notify", "remind")
    assert reminders(live) == [("due-3 2026-05-14", "due")]
    live.pay(4000)
    through(live, 2, hours=6)
    assert reminders(live) == [("due-3 2026-05-14", "blocked")]
    assert live.holds() == []


def test_a_reminder_that_is_refused_goes_by_the_next_channel_and_speaks_of_the_same_accounts(
    bench: Workbench,
) -> None:
    """The service refuses the reminder alone: the number was taken off a list since the request."""
    mail = {"sender": "Lakeside", "address": "pay@lakeside.example.org", "reply_to": "desk@lakeside.example.org"}
    here = place(notifiers=["sms", "mail"], mail=mail)
    bench.use(bench.flow.settings.model_copy(update={"facilities": {"lakeside": here}}))
    went: list[tuple[str, str]] = []

    def notifier(channel: str) -> Any:
        def send(text: Any) -> Sent:
            purpose = bench.one(tables.notice, public_id=text.reference).purpose
            if (channel, purpose) == ("sms", "reminder"):
                raise Permanent("no", "30008")
            went.append((channel, purpose))
            return Sent(unique())

        return SimpleNamespace(channel=channel, send=send)

    world = {"sms": notifier("sms"), "mail": notifier("email")}
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=world))
    bench.hands._flow = bench.flow
    for _ in range(2):
        body = dft(line("CG", "40.00", "ECHO"), account=unique("Q"), phone="6085550101")
        number = b"^PRN^CP^^1^608^5550101"
        bench.take(body.replace(number, number + b"~^NET^Internet^payer@example.org"))
    through(bench, 7)
    assert went == [("sms", "request"), ("sms", "request"), ("email", "reminder")]
    text, letter = bench.rows(tables.notice, purpose="reminder")
    assert (text.state, letter.state, letter.step) == ("blocked", "sent", text.step)
    assert [row.notice_id for row in bench.rows(tables.notice_cover)] == [letter.id]
    assert bench.holds() == []


# ---------------------------------------------------------------------------------------------------------- plans


def test_reminders_follow_the_instalments_and_what_is_paid_early_is_not_reminded_of(clinic: Any, phone: str) -> None:
    live = clinic(plans={"most": 6}, reminders={**POLICY, "before": []})
    owing(live, phone, amount="150.00")
    live.work("notify", "remind")
    live.clock.advance(hours=3)
    plan.choose(live.flow, live.token(), 3)
    through(live, 0)
    assert reminders(live) == [], "the first instalment is due today, and whoever chose it knows"
    live.pay(5000)
    through(live, 40)  # until 13 June
    assert reminders(live) == [("due 2026-06-04", "out"), ("due+7 2026-06-04", "out")]
    live.pay(5000)
    through(live, 25)
    assert [step for step, _ in reminders(live)][2:] == ["due 2026-07-04"]
    live.pay(5000)
    through(live, 30)
    assert (len(reminders(live)), live.holds()) == (3, [])


def test_a_missed_instalment_is_told_to_a_person_and_no_other_is(clinic: Any, phone: str) -> None:
    live = clinic(plans={"most": 6}, reminders={**POLICY, "before": []})
    owing(live, phone, amount="150.00")
    live.work("notify", "remind")
    plan.choose(live.flow, live.token(), 3)
    live.pay(5000)
    through(live, 44)
    assert live.holds() == []
    through(live, 2)
    assert live.holds() == ["reminders_over"]
    assert "2026-06-04" in live.one(tables.hold, state="open").text


# --------------------------------------------------------------------------------------------- several accounts


def test_one_reminder_speaks_of_all_open_requests_of_a_payer_that_are_near_each_other(
    clinic: Any, other: Any, phone: str
) -> None:
    live = clinic()
    owing(live, phone)
    through(live, 2)
    owing(live, phone)
    through(live, 25)
    own, covered = live.rows(tables.notice, purpose="reminder"), live.rows(tables.notice_cover)
    assert [row.step for row in own] == ["due-3 2026-05-14", "due 2026-05-14", "due+7 2026-05-14"]
    second = live.rows(tables.request)[1].id
    assert [(row.request_id, row.step) for row in covered] == [
        (second, "due-3 2026-05-16"), (second, "due 2026-05-16"), (second, "due+7 2026-05-16"),
    ]  # fmt: skip
    assert [row.notice_id for row in covered] == [row.id for row in own]
    assert len(other.texts("+1" + phone)) == 2 + 3


def test_a_family_with_the_same_number_and_another_payer_is_reminded_by_itself(
    clinic: Any, other: Any, phone: str
) -> None:
    live = clinic()
    owing(live, phone)
    owing(live, phone, name="Other^Olga")
    through(live, 30)
    assert live.rows(tables.notice_cover) == []
    assert len(reminders(live)) == 6


def test_a_reminder_that_is_no_longer_wanted_leaves_the_other_account_its_own(clinic: Any, phone: str) -> None:
    live = clinic(quiet={"hours": "09:00-20:00"}, reminders={**POLICY, "on": False, "before": [3], "after": []})
    first = owing(live, phone)
    live.clock.advance(days=2)
    owing(live, phone)
    live.clock.advance(hours=11)
    live.work("notify")
    live.clock.advance(days=4, hours=13)  # ten in the morning of the 11th: quiet
    live.work("notify", "remind")
    assert len(live.rows(tables.notice_cover)) == 1
    live.pay(4000, request=first)
    through(live, 4, hours=6)
    assert live.rows(tables.notice_cover) == []
    assert reminders(live) == [("due-3 2026-05-14", "blocked"), ("due-3 2026-05-16", "out")]


@pytest.mark.parametrize("how", ["stopped", "other recipients"])
def test_a_reminder_that_may_not_go_out_leaves_the_other_account_its_own(clinic: Any, phone: str, how: str) -> None:
    live = clinic(quiet={"hours": "09:00-20:00"}, reminders={**POLICY, "on": False, "before": [3], "after": []})
    first = owing(live, phone)
    live.clock.advance(days=2)
    owing(live, phone)
    live.clock.advance(hours=11)
    live.work("notify")
    live.clock.advance(days=4, hours=13)  # ten in the morning of the 11th: quiet
    live.work("notify", "remind")
    assert len(live.rows(tables.notice_cover)) == 1
    if how == "stopped":
        with live.store.write() as tx:
            mine = tables.account.c.id == first.account_id
            tx.run(tables.account.update().where(mine).values(stopped="deceased"))
    else:
        change.edit(live.flow, first.public_id, change.Edit(recipients="+13125550197"), by="anna")
    through(live, 4, hours=6)
    assert live.rows(tables.notice_cover) == []
    assert reminders(live) == [("due-3 2026-05-14", "blocked"), ("due-3 2026-05-16", "out")]


def test_a_reminder_that_waits_goes_to_the_new_number_when_the_chart_has_another(clinic: Any, other: Any) -> None:
    old, new = (f"77355501{next(_last):02d}" for _ in range(2))
    live = clinic(quiet={"hours": "09:00-20:00"}, reminders={**POLICY, "on": False, "before": [3], "after": []})
    account = unique("Q")
    owing(live, old, account=account)
    live.clock.advance(hours=11)
    live.work("notify")
    live.clock.advance(days=6, hours=13)
    live.work("notify", "remind")
    live.take(dft(line("CG", "5.00", "XRAY"), account=account, phone=new))
    live.clock.advance(hours=11)
    live.work("notify")
    assert [len(other.texts("+1" + number)) for number in (old, new)] == [1, 1]
    assert (reminders(live), live.holds()) == ([("due-3 2026-05-14", "blocked"), ("due-3 2026-05-14", "out")], [])


def test_a_reminder_that_waits_is_dropped_when_a_person_moves_the_due_date(clinic: Any, phone: str) -> None:
    live = clinic(quiet={"hours": "09:00-20:00"})
    request = owing(live, phone)
    live.clock.advance(hours=11)
    live.work("notify")
    live.clock.advance(days=6, hours=13)
    live.work("notify", "remind")
    assert reminders(live) == [("due-3 2026-05-14", "due")]
    change.edit(live.flow, request.public_id, change.Edit(due_on=dt.date(2026, 6, 30)), by="anna")
    live.clock.advance(hours=11)
    live.work("notify")
    assert reminders(live) == [("due-3 2026-05-14", "blocked")]


def test_two_processes_at_once_send_one_reminder(clinic: Any, other: Any, phone: str) -> None:
    live, before = clinic(), len(other.texts("+1" + phone))
    requests = [owing(live, phone), owing(live, phone)]
    live.work("notify")
    live.clock.advance(days=7)
    rows = [live.one(tables.errand, kind="remind", subject=one.public_id) for one in requests]
    items = [Errand(row.id, row.kind, row.subject, row.lane, 1) for row in rows] * 3
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda item: remind.run(live.flow, item), items))
    live.work("notify")
    assert len(reminders(live)) == 1
    assert len(live.rows(tables.notice_cover)) == 1
    assert len(other.texts("+1" + phone)) == before + 3


# ----------------------------------------------------------------------------------------------- what always holds


def test_the_schedule_is_in_order_and_ends_with_a_person() -> None:
    policy = Reminders.model_validate({"before": [7, 3], "on": True, "after": [0, 1, 14]})
    found = remind.steps(policy, [dt.date(2026, 3, 9)], CHICAGO)
    names = [step.name.split()[0] for step in found]
    assert names == ["due-7", "due-3", "due", "due+1", "due+14", "over"]
    local = [step.at.astimezone(CHICAGO) for step in found]
    assert {one.time() for one in local} == {remind.HOUR}, "also across the night in which clocks are changed"


DEEDS = st.lists(
    st.one_of(
        st.sampled_from(["charge", "pay", "pause", "resume", "plan", "die"]), st.integers(-10 * 24, 20 * 24)
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(deeds=DEEDS, accounts=st.integers(1, 2))
@given_settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_no_step_is_taken_twice_and_nobody_is_reminded_of_what_is_paid_or_paused(
    migrated: Path, deeds: list[Any], accounts: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(migrated, Path(directory) / "chartpost.db")
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{directory}/chartpost.db", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def fast(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        here = place(plans={"most": 6}, quiet={"hours": "21:00-09:30"}, messages_a_week=2)
        bench = Workbench(store, clock, configuration().model_copy(update={"facilities": {"lakeside": here}}))
        dies = []

        def send(text: Any) -> Sent:
            assert not quiet.is_quiet(clock().astimezone(CHICAGO), here.quiet)
            row = bench.one(tables.notice, public_id=text.reference)
            about = bench.one(tables.request, id=row.request_id)
            assert about.state == "open"
            assert row.purpose == "request" or not about.paused
            if dies:
                dies.clear()
                raise SystemExit("killed")
            return Sent(unique())

        bench.flow = replace(
            bench.flow, world=replace(bench.flow.world, notifiers={"sms": SimpleNamespace(channel="sms", send=send)})
        )
        bench.hands._flow = bench.flow

        def work() -> None:
            try:
                bench.work("notify", "remind")
            except SystemExit:
                errands.release_leases(store)
                bench.work("notify", "remind")

        try:
            for number in range(accounts):
                owing(bench, "6085550101", account=f"A-{number}", amount="150.00")
            for deed in deeds:
                request = bench.rows(tables.request)[0]
                with store.write() as tx:
                    if deed in ("pause", "resume"):
                        tx.run(tables.request.update().values(paused="question" if deed == "pause" else ""))
                        remind.soon(tx, request.public_id)
                if deed == "charge":
                    owing(bench, "6085550101", account="A-0")
                elif deed == "pay" and request.asked:
                    bench.pay(min(request.asked, 5000), request=request)
                elif deed == "plan":
                    try:
                        plan.choose(bench.flow, request.public_id, 3, by="anna")
                    except No:
                        assert request.state != "open"
                elif deed == "die":
                    dies.append(True)
                elif isinstance(deed, int):
                    clock.advance(hours=deed)
                work()
            rows = [row for row in bench.rows(tables.notice, purpose="reminder") if row.code != "skipped"]
            taken = [(row.request_id, row.step) for row in rows]
            taken += [(row.request_id, row.step) for row in bench.rows(tables.notice_cover)]
            assert [one for one, times in Counter(taken).items() if times > 1] == [], "a step was taken twice"
            bench.check()
        finally:
            bench.close()
            store.close()
