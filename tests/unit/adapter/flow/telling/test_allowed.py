"""Whether a notice may go out now: looked at when it is sent, through a real SMS sandbox."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
import threading
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

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.telling import allowed, notify, quiet
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import books, errands, tables
from chartpost.adapter.ledger.errands import claim
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ports import Sent

_last = iter(range(10, 96))
CHICAGO = ZoneInfo("America/Chicago")
HOURS = {"hours": "21:00-08:00"}


@pytest.fixture
def phone() -> str:
    """A number in Chicago that no other test of this process writes to."""
    return f"31255501{next(_last):02d}"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(dt.UTC)


@pytest.fixture
def clinic(live: Workbench, other: Any) -> Any:
    """Work at a time of our own, by a policy."""

    def clinic(now: str, **policy: Any) -> Workbench:
        live.clock.start, live.clock.ahead = at(now), dt.timedelta()
        row = live.flow.settings.facilities["lakeside"].model_dump() | policy
        live.use(live.flow.settings.model_copy(update={"facilities": {"lakeside": Facility.model_validate(row)}}))
        other.hooks.flow = live.flow
        return live

    return clinic


def owing(live: Workbench, phone: str, account: str = "") -> Any:
    live.take(dft(line("CG", "40.00", "ECHO"), account=account or unique("Q"), phone=phone))
    return live.request()


def until(live: Workbench, text: str) -> None:
    live.clock.ahead = at(text) - live.clock.start


def went(live: Workbench) -> int:
    live.work("notify")
    return len(live.rows(tables.attempt))


def states(live: Workbench) -> list[str]:
    return ["out" if row.state in ("sent", "delivered") else row.state for row in live.rows(tables.notice)]


# --------------------------------------------------------------------------------------------------------- hours


def test_what_is_charged_in_the_evening_is_texted_in_the_morning_and_once(clinic: Any, other: Any, phone: str) -> None:
    live = clinic("2026-05-04 22:00", quiet=HOURS)
    owing(live, phone)
    assert (went(live), states(live)) == (0, ["due"])
    until(live, "2026-05-05 07:59:59")
    assert went(live) == 0
    until(live, "2026-05-05 08:00")
    assert (went(live), went(live), len(other.texts("+1" + phone))) == (1, 1, 1)


def test_it_is_the_payers_evening_too(clinic: Any) -> None:
    live = clinic("2026-05-04 20:30", quiet=HOURS)
    owing(live, "2125550143")  # New York
    assert went(live) == 0
    until(live, "2026-05-05 08:00")
    assert went(live) == 1


def test_holidays_are_quiet_all_day(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-25 12:00", quiet={"holidays": ["2026-05-25"], **HOURS})
    owing(live, phone)
    assert went(live) == 0
    until(live, "2026-05-26 08:00")
    assert went(live) == 1


def test_a_policy_that_leaves_no_minute_is_told_to_a_person(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", quiet={"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]})
    owing(live, phone)
    assert (went(live), states(live), live.holds()) == (0, ["blocked"], ["never_open"])


@pytest.mark.parametrize(
    ("table", "change", "held"),
    [
        (tables.account, {"stopped": "deceased"}, ["account_stopped"]),
        (tables.request, {"state": "cancelled"}, []),
        (tables.request, {"expires_at": at("2026-05-05 03:00")}, []),
    ],
)
def test_what_changes_while_it_waits_counts(clinic: Any, phone: str, table: Any, change: Any, held: list[str]) -> None:
    live = clinic("2026-05-04 22:00", quiet=HOURS)
    owing(live, phone)
    assert went(live) == 0
    with live.store.write() as tx:
        tx.run(table.update().values(**change))
    until(live, "2026-05-05 08:00")
    assert (went(live), states(live), live.holds()) == (0, ["blocked"], held)


def test_a_request_that_would_expire_before_it_may_go_out_is_told_to_a_person_at_once(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1, request_days=5)
    owing(live, phone)
    owing(live, phone)
    assert (went(live), states(live), live.holds()) == (1, ["out", "blocked"], ["expires_first"])


def told(live: Workbench, phone: str, purpose: str, step: str) -> None:
    with live.store.write() as tx:
        row = live.request()
        notify.tell(tx, "", row.id, Way("sms", "sms", "+1" + phone), purpose=purpose, step=step)


def test_a_code_that_was_asked_for_a_moment_ago_waits_for_nothing_and_later_it_is_of_no_use(
    clinic: Any, phone: str
) -> None:
    live = clinic("2026-05-04 12:00", quiet=HOURS, messages_a_week=1)
    owing(live, phone)
    assert went(live) == 1
    until(live, "2026-05-04 23:00")
    told(live, phone, "code", "V00000000001")
    assert went(live) == 2
    told(live, phone, "code", "V00000000002")
    live.clock.advance(minutes=10)
    assert (went(live), states(live), live.holds()) == (2, ["out", "out", "blocked"], [])


@pytest.mark.parametrize(
    ("purpose", "held"), [("receipt", ["receipt_not_sent"]), ("staff", ["staff_not_told"]), ("code", [])]
)
def test_what_is_no_request_and_is_refused_goes_by_no_other_channel_and_asks_nobody_again(
    clinic: Any, phone: str, purpose: str, held: list[str]
) -> None:
    live = clinic("2026-05-04 12:00")
    owing(live, phone)
    assert went(live) == 1
    told(live, "6085550198", purpose, "M00000000001")
    live.work("notify")
    assert (states(live), live.holds()) == (["out", "blocked"], held)
    assert "5550198" not in " ".join(str(row) for row in live.rows(tables.hold))


def test_a_receipt_by_text_waits_for_the_morning_and_does_not_count_against_the_cap(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", quiet=HOURS, messages_a_week=1)
    owing(live, phone)
    assert went(live) == 1
    until(live, "2026-05-04 22:00")
    told(live, phone, "receipt", "M00000000001")
    assert went(live) == 1
    until(live, "2026-05-05 08:00")
    assert (went(live), states(live)) == (2, ["out", "out"])


# ----------------------------------------------------------------------------------------------------------- cap


def test_one_number_gets_no_more_than_the_cap_within_a_week(clinic: Any, other: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)
    owing(live, phone)
    assert (went(live), states(live)) == (1, ["out", "due"])
    live.clock.advance(days=7, seconds=-1)
    assert went(live) == 1
    live.clock.advance(seconds=1)
    assert (went(live), states(live)) == (2, ["out", "out"])
    assert len(other.texts("+1" + phone)) == 2


def test_a_request_that_expires_while_the_service_is_away_is_told_to_a_person(bench: Workbench) -> None:
    bench.take(dft(line("CG", "40.00", "ECHO"), account=unique("Q")))
    ends = bench.clock() + dt.timedelta(days=1)
    with bench.store.write() as tx:
        row = bench.request()
        tx.run(tables.request.update().values(expires_at=ends))
        errands.add(tx, "lapse", row.public_id, f"lapse:{row.public_id}", ends)
    bench.clock.advance(days=1)
    bench.work("lapse")
    assert bench.holds() == ["expires_first"]


def test_what_waits_for_its_turn_does_not_hide_that_another_request_will_expire_first(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)
    owing(live, phone)
    went(live)
    last = owing(live, phone)
    with live.store.write() as tx:
        tx.run(tables.request.update().where(tables.request.c.id == last.id).values(expires_at=at("2026-05-05 12:00")))
    assert (went(live), states(live), live.holds()) == (1, ["out", "due", "blocked"], ["expires_first"])


def test_of_two_processes_that_write_to_one_number_at_once_the_second_counts_the_first(
    clinic: Any, phone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)
    owing(live, phone)
    both, look = threading.Barrier(2), allowed.written

    def looks(*args: Any) -> Any:
        found = look(*args)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)  # the other one has looked too, and neither has begun; or it has to wait for us
        return found

    monkeypatch.setattr(allowed, "written", looks)
    items = [claim(live.store, int(found.key)) for found in live.due("notify")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: notify.run(live.flow, item), items))
    assert sorted(states(live)) == ["due", "out"]


def test_two_numbers_have_a_cap_each(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)
    owing(live, f"31255501{next(_last):02d}")
    assert went(live) == 2


def test_what_was_refused_takes_no_place_below_the_cap(clinic: Any) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, "6085550198")  # the sandbox: no such number
    assert (went(live), states(live)) == (1, ["blocked"])
    with live.store.read() as connection:
        row = notify.look(connection, live.one(tables.notice).public_id)
        assert allowed.written(connection, row.recipient_key, live.clock() - allowed.WEEK, "another") == []


def test_a_call_that_was_cut_off_may_have_gone_out_and_counts(clinic: Any, phone: str) -> None:
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)

    def die(text: Any) -> None:
        raise SystemExit("killed")

    sound = live.flow
    dying = {"sms": SimpleNamespace(channel="sms", send=die)}
    live.hands._flow = replace(sound, world=replace(sound.world, notifiers=dying))
    with pytest.raises(SystemExit):
        live.work("notify")
    live.hands._flow = sound
    owing(live, f"31255501{next(_last):02d}")
    with live.store.read() as connection:
        row = notify.look(connection, live.rows(tables.notice)[0].public_id)
        later = allowed.written(connection, row.recipient_key, live.clock() - allowed.WEEK, "another")
    assert [request for _, request in later] == [row.request_row]


def test_a_notice_of_an_older_version_is_sent_and_counts(clinic: Any, phone: str) -> None:
    """Its lane was the account's, and it knew no recipient's key."""
    live = clinic("2026-05-04 12:00", messages_a_week=1)
    owing(live, phone)
    with live.store.write() as tx:
        tx.run(tables.notice.update().values(recipient_key="", language=""))
        tx.run(tables.errand.update().values(lane="notify:key-of-the-account"))
    assert (went(live), states(live)) == (1, ["out"])
    owing(live, phone)
    assert (went(live), states(live)) == (1, ["out", "due"])


# --------------------------------------------------------------------------------------------- named by a person


def test_everybody_whom_a_person_named_is_told_once_and_one_who_cannot_be_is_on_the_work_list(
    clinic: Any, other: Any, phone: str
) -> None:
    live = clinic("2026-05-04 12:00")
    with live.store.write() as tx:
        tx.run(tables.notice.delete())
    owing(live, phone)
    second = f"31255501{next(_last):02d}"
    named = [{"channel": "sms", "to": "+1" + number} for number in (phone, "6085550198", second)]
    with live.store.write() as tx:
        tx.run(tables.errand.delete())
        tx.run(tables.notice.delete())
        key = live.one(tables.account).key
        book = books.load(tx, [key])[key]
        assert book.ask is not None
        book.ask.said = {"recipients": named}
        books.flush(tx, [book])
        notify.plan(live.flow, tx, [book])
    went(live)
    assert (states(live), live.holds()) == (["out", "blocked", "out"], ["notice_refused"])
    assert [len(other.texts("+1" + number)) for number in (phone, second)] == [1, 1]


# ----------------------------------------------------------------------------------------------- what always holds

STEPS = st.lists(
    st.one_of(st.just("charge"), st.integers(1, 72 * 60)), min_size=1, max_size=7
)  # a charge on another account of the same payer, or minutes that pass


@given(steps=STEPS, cap=st.integers(1, 3), start=st.integers(0, 7 * 24), outcomes=st.lists(
    st.sampled_from(["sent", "refused", "unknown", "transient"]), max_size=8))  # fmt: skip
@given_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_nobody_is_written_to_in_quiet_hours_or_above_the_cap_and_in_the_end_everybody_was(
    migrated: Path, steps: list[Any], cap: int, start: int, outcomes: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(migrated, Path(directory) / "chartpost.db")
        clock = Clock(MAY + dt.timedelta(hours=start))
        store = Store.open(f"sqlite:///{directory}/chartpost.db", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def fast(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        row = configuration().facilities["lakeside"].model_dump()
        policy = {"quiet": {"hours": "20:30-09:15", "days": ["sun"]}, "messages_a_week": cap}
        place = Facility.model_validate(row | policy)
        bench = Workbench(store, clock, configuration().model_copy(update={"facilities": {"lakeside": place}}))
        went: list[dt.datetime] = []
        left = iter(outcomes)

        def send(text: Any) -> Sent:
            assert not quiet.is_quiet(clock().astimezone(CHICAGO), place.quiet), "written to in quiet hours"
            outcome = next(left, "sent")
            if outcome == "refused":
                raise Permanent("no", "30008")
            if outcome == "transient":
                raise Transient("later")
            went.append(clock())
            if outcome == "unknown":
                raise Ambiguous("no answer")
            return Sent(unique())

        bench.flow = replace(
            bench.flow, world=replace(bench.flow.world, notifiers={"sms": SimpleNamespace(channel="sms", send=send)})
        )
        bench.hands._flow = bench.flow
        try:
            for step in [*steps, *[7 * 60] * 24 * (1 + steps.count("charge"))]:
                if step == "charge":
                    owing(bench, "6085550101")
                else:
                    clock.advance(minutes=step)
                bench.work("notify")
            assert all(sum(one <= other < one + allowed.WEEK for other in went) <= cap for one in went), "above the cap"
            assert "due" not in {one.state for one in bench.rows(tables.notice)}
            assert len(bench.rows(tables.notice)) == steps.count("charge"), "and each request once"
        finally:
            bench.close()
            store.close()
