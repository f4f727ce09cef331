"""Whatever comes in whatever order, the ledger keeps its promises (Workbench.check, and what stands below)."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.flow.asking import expire
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.paying import record
from chartpost.adapter.ledger import states, tables
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ports import EventType, PaymentEvent
from chartpost.mappings import mapfile

ACCOUNTS = ("A-1", "A-2", "A-3")
LINES = st.lists(
    st.tuples(
        st.sampled_from(["CG", "CO", "CD", "AJ", "PY", "ZB", "VD", "RP", "PP"]),
        st.sampled_from(["10.00", "25.00", "-10.00", "0.01", ""]),
        st.sampled_from(["X", "Y"]),
        st.sampled_from(["", "T1", "T2"]),
    ),
    min_size=0,
    max_size=3,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("message"), st.sampled_from(ACCOUNTS), LINES),
        st.tuples(st.just("deceased"), st.sampled_from(ACCOUNTS), LINES),
        st.tuples(st.just("release"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("translate")),
        st.tuples(st.just("pay"), st.sampled_from(ACCOUNTS), st.sampled_from([1, 2]), st.integers(1, 2)),
        st.tuples(st.just("pay_again"), st.sampled_from([EventType.PAID, EventType.EXPIRED, EventType.FAILED])),
        st.tuples(st.just("lapse"), st.sampled_from(ACCOUNTS)),
    ),
    max_size=14,
)
NOUNS = {
    tables.message: states.Message, tables.request: states.Request, tables.card_session: states.CardSession,
    tables.event: states.Event, tables.hold: states.Hold,
}  # fmt: skip


class Story:
    """Plays steps on a fresh ledger and watches every state."""

    def __init__(self, directory: str, empty: Path, rule: str = "add") -> None:
        path = Path(directory) / "chartpost.db"
        shutil.copy(empty, path)
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def _fast(connection: object, _: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

        self.bench = Workbench(store, clock, configuration())
        self.rule = rule
        self.bench.flow = replace(self.bench.flow, maps=dict.fromkeys(self.bench.flow.maps, _site(rule)))
        self.sent: list[bytes] = []
        self.told: list[PaymentEvent] = []
        self.seen: dict[tuple[str, int], str] = {}

    def play(self, source: str, step: tuple) -> None:
        match step:
            case ("message", account, lines):
                self.sent.append(dft(*(line(k, a, c, ref=r) for k, a, c, r in lines), account=account))
                self.bench.receive(self.sent[-1], source=source)
            case ("deceased", account, lines):
                body = dft(*(line(k, a, c, ref=r) for k, a, c, r in lines), account=account)
                self.sent.append(body.replace(b"^^^LAKESIDE^AN\r", b"^^^LAKESIDE^AN" + b"|" * 12 + b"Y\r", 1))
                self.bench.receive(self.sent[-1], source=source)
            case ("release", n, sure):
                for number in release.open_holds(self.bench.store)[n : n + 1]:
                    release.retry(self.bench.flow, number, by="a person", sure=sure)
            case ("again", n) if self.sent:
                self.bench.receive(self.sent[-1 - n % len(self.sent)], source=source)
            case ("translate",):
                self.bench.translate()
            case ("pay", account, divisor, times):
                self.pay(account, divisor, times)
            case ("pay_again", kind) if self.told:
                last = self.told[-1]
                told = PaymentEvent(
                    f"e{len(self.told)}{kind}", kind, last.created, last.reference, last.session_ref, last.payment_ref,
                    last.amount, last.currency,
                )  # fmt: skip
                record.take(self.bench.flow, "card", told, b"{}")
            case ("lapse", account):
                for row in self.open_requests(account):
                    expire.lapse(self.bench.flow, Errand(0, "lapse", row.public_id, "", 1))
        self.watch()

    def open_requests(self, number: str) -> list:
        wanted = [row.id for row in self.bench.rows(tables.account) if row.number.decode() == number]
        return [row for row in self.bench.rows(tables.request, state="open") if row.account_id in wanted]

    def pay(self, account: str, divisor: int, times: int) -> None:
        for row in self.open_requests(account):
            number = len(self.told) + 1
            live = self.bench.rows(tables.card_session, account_id=row.account_id)
            if any(session.state in ("minting", "open") for session in live):
                continue
            amount = max(1, row.asked // divisor)
            with self.bench.store.write() as tx:
                session = {
                    "public_id": f"C{number}", "account_id": row.account_id, "request_id": row.id, "provider": "card",
                    "state": "open", "amount": amount, "currency": "USD", "success_url": "", "cancel_url": "",
                    "expires_at": tx.now, "created_at": tx.now,
                }  # fmt: skip
                own = tx.run(tables.card_session.insert().returning(tables.card_session.c.id), [session]).scalar_one()
                part = {"account_id": row.account_id, "request_id": row.id, "amount": amount, "live": True}
                tx.run(tables.card_part.insert(), [part | {"card_session_id": own}])
            told = PaymentEvent(
                f"e{number}",
                EventType.PAID,
                self.bench.clock(),
                f"C{number}",
                f"cs{number}",
                f"pi{number}",
                amount,
                "USD",
            )
            self.told.append(told)
            for _ in range(times):
                record.take(self.bench.flow, "card", told, b"{}")

    def watch(self) -> None:
        for table, noun in NOUNS.items():
            for row in self.bench.rows(table):
                before = self.seen.get((table.name, row.id))
                if before is not None and before != row.state:
                    assert states.allowed(noun(before), noun(row.state)), f"{table.name}: {before} to {row.state}"
                self.seen[table.name, row.id] = row.state

    def end(self, source: str) -> None:
        bench = self.bench
        bench.translate()
        self.watch()
        bench.check()
        assert bench.rows(tables.message, state="received") == [], "nothing is left behind"
        assert "internal" not in bench.holds()
        assert bench.rows(tables.event, state="received") == [], "every event had its effect, or none"
        assert len(bench.rows(tables.payment)) == len(self.told), "each payment counts once"
        for row in bench.rows(tables.message, state="held"):
            assert bench.rows(tables.entry, message_id=row.id) == [], "all or nothing"
        if (
            source == "all"
        ):  # here every line counts, so the entries of a message are its lines, unless it corrects others
            for row in bench.rows(tables.message, state="translated"):
                if self.rule != "add" or b"|VD|" in row.raw or b"|RP|" in row.raw:
                    continue
                counted = bench.rows(tables.entry, message_id=row.id)
                lines = [s for s in row.raw.decode().split("\r") if s.startswith("FT1") and "|0.00" not in s]
                assert len(counted) == len(lines)

    def close(self) -> None:
        self.bench.close()
        self.bench.store.close()


@lru_cache
def _site(rule: str) -> mapfile.Map:
    """A map with every kind, and a word on corrections."""
    codes = "{VD: void, RP: replacement, PP: patient_payment}"
    text = f"extends: hl7v2-dft\ntables:\n  kinds: {{codes: {codes}}}\ncorrections: {{same_reference: {rule}}}\n"
    return mapfile.parse(text, "site.yaml")


RULES = st.sampled_from(["add", "replace", "void", "hold"])


@given(source=st.sampled_from(["all", "copay"]), rule=RULES, steps=STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_story_leaves_a_ledger_that_adds_up(migrated, source, rule, steps):
    with tempfile.TemporaryDirectory() as directory:
        story = Story(directory, migrated, rule)
        try:
            for step in steps:
                story.play(source, step)
            story.end(source)
        finally:
            story.close()


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_makes_no_difference_how_messages_fall_into_batches(migrated, data):
    bodies = [
        dft(*(line(k, a, c, ref=r) for k, a, c, r in lines), account=account)
        for account, lines in data.draw(st.lists(st.tuples(st.sampled_from(ACCOUNTS), LINES), max_size=10))
    ]
    source = data.draw(st.sampled_from(["all", "copay", "net_of_insurance"]))
    rule = data.draw(RULES)
    ends = []
    for at_once in (True, False):
        with tempfile.TemporaryDirectory() as directory:
            story = Story(directory, migrated, rule)
            try:
                if at_once and bodies:
                    story.bench.receive(*bodies, source=source)
                for body in () if at_once else bodies:
                    story.bench.receive(body, source=source)
                    story.bench.translate()
                story.bench.translate()
                messages = [(row.state, row.reason) for row in story.bench.rows(tables.message)]
                balances = {row.number: row.balance for row in story.bench.rows(tables.account)}
                ends.append((messages, balances, sorted(story.bench.holds())))
            finally:
                story.close()
    assert ends[0] == ends[1]
