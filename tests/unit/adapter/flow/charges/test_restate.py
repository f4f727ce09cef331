"""share: balance. A stated balance holds some of our payments and not others; no cent is asked for twice."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line, unique

from chartpost.adapter.flow.charges.restate import SKEW, holds
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests import change
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.store import Store
from chartpost.mappings import mapfile

MAP = "extends: hl7v2-dft\nmessage:\n  - {target: balance, path: PV1-46, transform: money}\n"
HOUR = dt.timedelta(hours=1)


def stating(bench: Workbench) -> Workbench:
    """Let the source `all` state balances in PV1-46."""
    kept = configuration()
    source = kept.sources["all"].model_copy(update={"share": "balance"})
    bench.use(kept.model_copy(update={"sources": {"all": source}}))
    bench.flow = replace(bench.flow, maps={"all": _site()})
    return bench


@lru_cache(maxsize=1)
def _site() -> Any:
    return mapfile.parse(MAP, "site.yaml")


def message(minor: int, at: dt.datetime | None, account: str = "A-1") -> bytes:
    """A DFT that states a balance, made at this moment by its MSH-7 (None: it does not say)."""
    sign, cents = "-" if minor < 0 else "", abs(minor)
    amount = f"{sign}{cents // 100}.{cents % 100:02d}"
    body = dft(line("CG", "999.00", unique()), pv1="PV1|1|O" + "|" * 44 + amount, account=account)
    time = f"{at:%Y%m%d%H%M%S}+0000" if at else ""
    return body.replace(b"20260504100000||DFT", time.encode() + b"||DFT", 1)


def posting(
    bench: Workbench, state: str, payment: int = 1, destination: str = "chart", body: bytes | None = b"x"
) -> None:
    """Write down what is known of a payment at a chart, as of now."""
    with bench.store.write() as tx:
        where = (tables.posting.c.payment_id == payment, tables.posting.c.destination == destination)
        if not tx.run(tables.posting.update().where(*where).values(state=state, changed_at=tx.now, body=body)).rowcount:
            row = {
                "public_id": unique("P"), "payment_id": payment, "destination": destination, "kind": "payment",
                "state": state, "control_id": unique("P"), "body": body, "created_at": tx.now, "changed_at": tx.now,
            }  # fmt: skip
            tx.run(tables.posting.insert(), [row])


@pytest.fixture
def paid(bench):
    """80.00 are owed, 30.00 were paid through us; an hour has passed since each."""
    stating(bench)
    bench.take(message(8000, MAY - HOUR))
    bench.clock.advance(hours=1)
    bench.pay(3000)
    bench.clock.advance(hours=1)
    return bench


def balance(bench: Workbench) -> int:
    return int(bench.one(tables.account).balance)


# ------------------------------------------------------------------------------------------------------- one payment


def test_a_payment_that_the_chart_took_before_the_message_was_made_is_in_its_balance(paid):
    posting(paid, "accepted")
    paid.clock.advance(hours=1)
    row = paid.take(message(9000, paid.clock()))
    assert (row.state, balance(paid)) == ("translated", 9000), "40.00 were charged since"


def test_a_payment_that_was_made_after_the_message_is_not_in_it_whatever_has_become_of_it(paid):
    posting(paid, "accepted")
    row = paid.take(message(9000, MAY))
    assert (row.state, balance(paid)) == ("translated", 6000)
    assert any("less 30.00 USD paid through us since" in note["value"] for note in row.trace)


def test_a_payment_that_has_not_left_us_is_not_in_any_balance(paid):
    posting(paid, "due", body=None)
    paid.take(message(9000, paid.clock()))
    assert balance(paid) == 6000


def test_a_payment_that_the_chart_refused_is_not_in_it_until_somebody_says_that_it_is_settled(paid):
    posting(paid, "refused")
    with paid.store.write() as tx:
        name = tx.scalar(tables.posting.select().with_only_columns(tables.posting.c.public_id))
        row = {"object": f"posting:{name}", "cause": "refused", "text": "no", "fix": "x", "state": "open", "at": tx.now}
        tx.run(tables.hold.insert(), [row])
    paid.take(message(9000, paid.clock()))
    assert balance(paid) == 6000
    release.dismiss(paid.store, 1, by="a person", why="posted by hand")
    paid.take(message(9100, paid.clock()))
    assert paid.holds() == ["balance_in_doubt"]


@pytest.mark.parametrize("state", ["due", "published", "received", "unknown", "refused"])
def test_what_may_or_may_not_be_in_the_chart_holds_the_message(paid, state):
    posting(paid, state)
    assert paid.take(message(8000, paid.clock())).state == "held"
    assert (balance(paid), paid.holds()) == (5000, ["balance_in_doubt"])
    assert paid.one(tables.payment).public_id in paid.one(tables.hold).text


def test_a_payment_of_which_no_chart_is_told_is_in_doubt(paid):
    assert paid.take(message(8000, paid.clock())).state == "held"


@pytest.mark.parametrize("seconds", [-119, 0, 119])
def test_taken_at_about_the_time_of_the_message_is_in_doubt_because_clocks_differ(paid, seconds):
    posting(paid, "accepted")
    now = paid.clock()
    paid.clock.advance(minutes=10)
    assert paid.take(message(8000, now + dt.timedelta(seconds=seconds))).state == "held"


def test_the_balance_that_stands_here_needs_nobody_even_in_doubt(paid):
    """A chart that sends the new balance as soon as it took the payment."""
    posting(paid, "published")
    assert paid.take(message(5000, paid.clock())).state == "ignored"
    assert (balance(paid), paid.holds()) == (5000, [])


def test_a_person_may_say_that_the_stated_balance_holds_the_payment(paid):
    posting(paid, "unknown")
    paid.take(message(7000, paid.clock()))
    assert release.retry(paid.flow, 1, by="a person", sure=True).done
    paid.translate()
    assert (balance(paid), paid.holds()) == (7000, [])


def test_two_charts_that_do_not_agree_are_a_doubt(paid):
    posting(paid, "accepted")
    posting(paid, "due", destination="other", body=None)
    paid.clock.advance(hours=1)
    assert paid.take(message(9000, paid.clock())).state == "held"


def test_a_message_that_does_not_say_when_it_was_made_was_made_when_it_came(paid):
    posting(paid, "accepted")
    paid.clock.advance(hours=1)
    paid.take(message(9000, None))
    assert balance(paid) == 9000


def test_a_clock_that_is_ahead_says_nothing_of_what_was_paid_after_the_message_came(paid):
    early = paid.receive(message(9000, paid.clock() + 5 * HOUR))
    paid.clock.advance(hours=1)
    posting(paid, "accepted")
    paid.translate()
    assert paid.one(tables.message, id=early[-1].id).state == "held"


def test_of_a_day_without_an_hour_what_was_taken_that_day_is_in_doubt(paid):
    posting(paid, "accepted")
    paid.clock.advance(hours=2)
    day = message(8000, MAY).replace(f"{MAY:%Y%m%d%H%M%S}+0000".encode(), b"20260504", 1)
    assert paid.take(day).state == "held"


def test_what_the_chart_forgives_while_a_payment_is_on_its_way_is_a_credit(paid):
    posting(paid, "due", body=None)
    paid.take(message(1000, paid.clock()))
    assert (balance(paid), paid.holds()) == (-2000, ["credit_balance"])


def test_what_a_person_recorded_as_paid_otherwise_is_in_doubt_until_the_chart_states_no_more_than_we_know(bench):
    stating(bench)
    bench.take(message(4000, MAY))
    change.settle(bench.flow, bench.request().public_id, method="cash", amount=Decimal("10.00"), by="anna")
    bench.take(message(4000, MAY + HOUR))
    assert (balance(bench), bench.holds()) == (3000, ["balance_in_doubt"]), "nobody is asked again for what was paid"
    bench.take(message(3000, MAY + 2 * HOUR))
    bench.take(message(2500, MAY + 3 * HOUR))
    assert (balance(bench), bench.holds()) == (2500, ["balance_in_doubt"])
    bench.take(message(3500, MAY + 4 * HOUR))
    assert balance(bench) == 3500, "the chart has stated what is owed since, and its figure counts"


def test_what_a_person_recorded_before_the_chart_stated_what_is_owed_in_all_is_not_taken_back(bench):
    stating(bench)
    bench.take(message(4000, MAY))
    name = bench.request().public_id
    change.settle(bench.flow, name, method="cash", amount=Decimal("10.00"), by="anna")
    bench.take(message(2500, MAY + HOUR))
    with pytest.raises(No, match="chart has told"):
        change.unsettle(bench.flow, name, amount=Decimal("10.00"), by="anna")
    assert balance(bench) == 2500


def told(state: str, changed: dt.datetime, *, paid_at: dt.datetime = MAY, rendered: bool = True, waits: bool = False):
    return SimpleNamespace(state=state, changed_at=changed, paid_at=paid_at, rendered=rendered, waits=waits)


@given(
    state=st.sampled_from([None, "due", "published", "received", "accepted", "refused", "unknown"]),
    changed=st.integers(0, 600), made=st.integers(-600, 600), length=st.integers(0, 300), rendered=st.booleans(),
    waits=st.booleans(),
)  # fmt: skip
def test_a_payment_is_never_said_to_be_in_a_balance_that_is_older_nor_missing_in_one_that_is_newer(
    state, changed, made, length, rendered, waits
):
    """Seconds from the payment on. The chart took it between the payment and its answer."""
    at = MAY + dt.timedelta(seconds=changed)
    first = MAY + dt.timedelta(seconds=made)
    said = holds([told(state, at, rendered=rendered, waits=waits)], (first, first + dt.timedelta(seconds=length)))
    if said is True:
        assert state == "accepted"
        assert at + SKEW < first
    if said is False and state in ("published", "received", "accepted", "unknown"):
        assert first + dt.timedelta(seconds=length) + SKEW < MAY


# ------------------------------------------------------------------------------------------------- any order of things

STEPS = st.lists(
    st.sampled_from([
        ("charge", 1000), ("charge", -1000), ("pay", 1), ("pay", 2), ("carry", 1), ("carry", 2), ("carry", 3),
        ("carry", 4), ("refuse", 0), ("state", 0), ("deliver", 0), ("say", 0), ("say", 0), ("wait", 1), ("wait", 5),
    ]),
    min_size=6,
    max_size=20,
)  # fmt: skip
#: How a payment gets into the chart. Taken, the chart has it; only answered, we know.
WAY = ("due", "rendered", "published", "taken", "accepted")


class Chart:
    """A chart that counts what is owed there, and takes our payments in its own time."""

    def __init__(self, bench: Workbench, skew: int) -> None:
        self.bench, self.skew = bench, dt.timedelta(seconds=skew)
        self.owed = 0
        self.states: list[str] = []  #: of our payments, as we know them
        self.taken: set[int] = set()  #: and as the chart has them
        self.amounts: list[int] = []
        self.bodies: list[tuple[bytes, int]] = []  #: messages on their way, and what was owed without our payments

    def play(self, what: str, value: int) -> None:
        match what:
            case "charge":
                self.owed += value
            case "pay":
                self.pay(value)
            case "carry":
                for _ in range(value):
                    self.carry()
            case "refuse" if "published" in self.states:
                self.move(self.states.index("published"), "refused")
            case "say":
                self.state()
                while self.bodies:
                    self.deliver()
            case "state":
                self.state()
            case "deliver" if self.bodies:
                self.deliver()
            case "wait":
                self.bench.clock.advance(minutes=value)

    def carry(self) -> None:
        """Let the oldest payment that is on its way go one step."""
        number = next((at for at, state in enumerate(self.states) if state in WAY[:-1]), None)
        if number is not None:
            self.move(number, WAY[WAY.index(self.states[number]) + 1])

    def move(self, number: int, state: str) -> None:
        told = {"rendered": "due", "taken": "published"}.get(state, state)
        posting(self.bench, told, number + 1, body=None if state == "due" else b"x")
        self.states[number] = state
        if state in ("taken", "accepted"):
            self.taken.add(number)

    def pay(self, divisor: int) -> None:
        asked = self.bench.rows(tables.request, state="open")
        if asked and asked[0].asked >= divisor:
            self.amounts.append(asked[0].asked // divisor)
            self.bench.pay(self.amounts[-1])
            self.states.append("due")
            self.move(len(self.states) - 1, "due")

    def state(self) -> None:
        stated = self.owed - sum(self.amounts[number] for number in self.taken)
        self.bodies.append((message(stated, self.bench.clock() + self.skew), self.owed))

    def deliver(self) -> Any:
        """Bring the oldest message on its way, and see what it came to."""
        body, owed = self.bodies.pop(0)
        before = self.asked()
        row = self.bench.take(body)
        right = owed - sum(self.amounts)  #: what was owed then, less all that was paid through us by now
        assert self.asked() <= max(before, right, 0), "no cent is asked for twice"
        if row.state == "translated":
            assert self.balance() == right
        return row

    def asked(self) -> int:
        return sum(row.asked for row in self.bench.rows(tables.request, state="open"))

    def balance(self) -> int:
        return sum(row.balance for row in self.bench.rows(tables.account))

    def end(self) -> None:
        """Let everything arrive, and the chart state once more how things are."""
        while self.bodies:
            self.deliver()
        for number in range(len(self.states)):
            self.move(number, "accepted")
        self.bench.clock.advance(hours=1)
        self.state()
        assert self.deliver().state in ("translated", "ignored")
        assert self.balance() == self.owed - sum(self.amounts), "no cent is forgotten"


@given(steps=STEPS, skew=st.sampled_from([-110, 0, 110]))
@example(steps=[("pay", 1), ("carry", 2), ("say", 0)], skew=0)  # published, and not there yet
@example(steps=[("pay", 1), ("carry", 3), ("say", 0), ("charge", 1000), ("say", 0)], skew=0)  # there, and not answered
@example(steps=[("state", 0), ("wait", 1), ("pay", 1), ("carry", 4), ("deliver", 0)], skew=110)  # a clock ahead
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_any_order_of_balances_and_payments_no_cent_is_asked_for_twice_and_none_is_forgotten(migrated, steps, skew):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chartpost.db"
        shutil.copy(migrated, path)
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def _fast(connection: Any, _: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        bench = stating(Workbench(store, clock, configuration()))
        try:
            chart = Chart(bench, skew)
            for what, value in [("charge", 5000), ("state", 0), ("deliver", 0), *steps]:
                chart.play(what, value)
            chart.end()
            bench.check()
            assert set(bench.holds()) <= {"balance_in_doubt", "credit_balance"}
        finally:
            bench.close()
            store.close()
