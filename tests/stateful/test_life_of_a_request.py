"""Thousands of random interleavings of messages, people, payers, notices and time: what must hold, holds after each.

`CHARTPOST_STORIES` says how many stories are played, each of 40 steps. The real flow, on SQLite, against the sandbox.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from workbench import dft, line
from world import ACCOUNTS, MOTHER, OTHER, World

from chartpost.adapter.errors import ChartpostError
from chartpost.adapter.flow.answering import choices, identify
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import family, pay
from chartpost.adapter.flow.paying.pay import PayRefused
from chartpost.adapter.flow.requests import change, make, plan
from chartpost.adapter.flow.requests.change import Edit
from chartpost.adapter.flow.requests.wish import Wish
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import consents, tables

STORIES = int(os.environ.get("CHARTPOST_STORIES", "40"))
NUMBERS = st.sampled_from(sorted(ACCOUNTS))
AMOUNTS = st.sampled_from(["25.00", "60.10", "0.01", "1.99", "399.99", "400.01", "850.00"])
ODD_AMOUNTS = st.sampled_from(["5.00", "25.00", "60.10", "350.00", "0", "-5.00", "10.001", "2000.00", "1e9"])
#: What was done and what came of it, over all stories of this run.
TALLY: Counter[str] = Counter()


def _code(words: str) -> str:
    """Return the one-time code in a message, "" where it has none."""
    found = re.search(r"\b\d{4}[ -]\d{4}\b", words)
    return found[0] if found else ""


class Life(RuleBasedStateMachine):
    """One practice for some months."""

    setup: Any = None

    @initialize(charged=st.lists(st.tuples(NUMBERS, AMOUNTS), min_size=1, max_size=4))
    def begin(self, charged: list[tuple[str, str]]) -> None:
        migrated, other, hooks = type(self).setup
        self.directory = tempfile.mkdtemp()
        self.world = World.made(self.directory, migrated, other, hooks)
        self.bench = self.world.bench
        self.pages: list[str] = []  #: addresses of card pages that somebody has open in a tab
        for number, amount in charged:
            self.charge(number, [amount], False)
        self.work()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def did(self, what: str) -> None:
        TALLY[what] += 1

    # ------------------------------------------------------------------------------------------------- messages

    @rule(number=NUMBERS, amounts=st.lists(AMOUNTS, min_size=1, max_size=2), twice=st.booleans())
    def charge(self, number: str, amounts: list[str], twice: bool) -> None:
        body = self.message(number, *(line("CG", amount, "ONCOCANARY") for amount in amounts))
        self.bench.take(body, source=ACCOUNTS[number][2])
        if twice:  # the sender did not hear our answer
            self.bench.receive(body, source=ACCOUNTS[number][2])
        self.did("charge")

    @rule(number=NUMBERS, kind=st.sampled_from(["CD", "AJ", "PY"]), amount=st.sampled_from(["5.00", "1.00", "25.00"]))
    def lower(self, number: str, kind: str, amount: str) -> None:
        signed = f"-{amount}" if kind == "AJ" else amount
        self.bench.take(self.message(number, line(kind, signed, "ONCOCANARY")), source=ACCOUNTS[number][2])
        self.did("lower")

    def message(self, number: str, *lines: str) -> bytes:
        patient, payer, _ = ACCOUNTS[number]
        guarantor = ""
        if payer is not None:
            phone = f"^PRN^CP^^1^{payer.phone[:3]}^{payer.phone[3:]}~^NET^Internet^{payer.email}"
            guarantor = f"GT1|1||{payer.family}^{payer.given}|||{phone}||{payer.born}"
        body = dft(
            *lines, account=number, phone=patient.phone, name=f"{patient.family}^{patient.given}", guarantor=guarantor
        )
        body = body.replace(b"|19800101|", f"|{patient.born}|".encode(), 1)
        if patient.email:
            body = body.replace(
                f"^{patient.phone[3:]}".encode(), f"^{patient.phone[3:]}~^NET^Internet^{patient.email}".encode(), 1
            )
        return body

    # --------------------------------------------------------------------------------------------------- people

    @rule(
        number=NUMBERS, amount=st.none() | ODD_AMOUNTS, approved=st.booleans(),
        recipients=st.sampled_from(["", "", "zq@work.example.org; 608 555 0121", "no address", "608 555 0133;"]),
        expires=st.sampled_from(["", "once", "30", "never"]), language=st.sampled_from(["", "es", "xx"]),
    )  # fmt: skip
    def make_request(self, number: str, amount: str | None, approved: bool, **more: str) -> None:
        wish = Wish(
            account=number, source=ACCOUNTS[number][2], amount=None if amount is None else Decimal(amount),
            patient="Zebulon Quaggmire", note="NOTECANARY for the payer only", approved=approved, **more,
        )  # fmt: skip
        self.person("make", lambda: make.make(self.bench.flow, wish, by="ana"))

    @precondition(lambda self: self.requests())
    @rule(
        data=st.data(),
        what=st.sampled_from(["edit", "cancel", "extend", "resend", "settle", "reopen", "pause", "resume"]),
        amount=ODD_AMOUNTS,
    )
    def change_request(self, data: Any, what: str, amount: str) -> None:
        row = data.draw(st.sampled_from(self.requests()))
        flow, name, money = self.bench.flow, row.public_id, Decimal(amount)
        acts: dict[str, Any] = {
            "edit": lambda: change.edit(flow, name, Edit(amount=money, note="NOTECANARY", language="es"), by="ana"),
            "cancel": lambda: change.cancel(flow, name, by="ana", why="NOTECANARY"),
            "extend": lambda: change.extend(flow, name, "30", by="ana"),
            "resend": lambda: change.resend(flow, name, by="ana"),
            "settle": lambda: change.settle(
                flow, name, method="cheque", by="ana", amount=money, reference="ELSECANARY"
            ),
            "reopen": lambda: change.reopen(flow, name, by="ana"),
            "pause": lambda: change.pause(flow, name, by="ana"),
            "resume": lambda: change.resume(flow, name, by="ana"),
        }
        self.person(what, acts[what])

    @rule(sure=st.booleans(), n=st.integers(0, 3))
    def settle_a_hold(self, sure: bool, n: int) -> None:
        for number in release.open_holds(self.bench.store)[n : n + 1]:
            done = release.retry(self.bench.flow, number, by="ana", sure=sure)
            if done.done and done.object.startswith("request:"):
                self.world.again[done.object.partition(":")[2]] += 1  # somebody wants the payer to be told once more
            self.did(f"hold {'retried' if done.done else 'kept'}")

    def person(self, what: str, act: Any) -> None:
        try:
            act()
        except No as no:
            self.did(f"{what} refused" if str(no) else f"{what} refused without a word")
        else:
            self.did(what)

    def requests(self) -> list[Any]:
        return self.bench.rows(tables.request)

    # --------------------------------------------------------------------------------------------------- payers

    @precondition(lambda self: self.requests())
    @rule(data=st.data(), part=st.sampled_from([None, 500, 1000, 1, 10**9]))
    def open_card_page(self, data: Any, part: int | None) -> None:
        row = data.draw(st.sampled_from(self.requests()))
        try:
            url = pay.begin(self.bench.flow, self.bench.token(row), part)
        except (PayRefused, ChartpostError) as refused:
            self.did(f"card page refused ({getattr(refused, 'reason', type(refused).__name__)})")
        else:
            self.pages = [*self.pages[-3:], url]
            self.did("card page")

    @precondition(lambda self: any(row.state == "open" for row in self.requests()))
    @rule(data=st.data(), part=st.sampled_from([None, None, 500, 1000]))
    def pay(self, data: Any, part: int | None) -> None:
        """The usual story: somebody opens the link and pays."""
        waiting = [row for row in self.requests() if row.state == "open"]
        try:
            url = pay.begin(self.bench.flow, self.bench.token(data.draw(st.sampled_from(waiting))), part)
        except (PayRefused, ChartpostError) as refused:
            self.did(f"paying refused ({getattr(refused, 'reason', type(refused).__name__)})")
            return
        status, _ = self.world.other.pay(url)
        self.world.settle_webhooks()
        self.did(f"paid: {status}")

    @precondition(lambda self: self.pages)
    @rule(data=st.data(), card=st.sampled_from(["4242424242424242", "4000000000000002"]))
    def press_pay(self, data: Any, card: str) -> None:
        """Also in a tab that has been open for long, or twice."""
        status, _ = self.world.other.pay(data.draw(st.sampled_from(self.pages)), card)
        self.world.settle_webhooks()
        self.did(f"pressed pay: {status}")

    @precondition(lambda self: self.requests())
    @rule(data=st.data(), choice=st.sampled_from(["not_me", "already_paid", "question", "cannot_afford", "stop"]))
    def choose_on_the_page(self, data: Any, choice: Any) -> None:
        row = data.draw(st.sampled_from(self.requests()))
        if row.state in ("open", "expired") and choice in ("stop", "not_me"):
            told = self.bench.rows(tables.notice, request_id=row.id)
            self.world.stopped |= {
                one.recipient.decode() for one in told
                if one.recipient and one.state != "blocked" and one.purpose in ("request", "reminder", "receipt")
            }  # fmt: skip
        choices.say(self.bench.flow, self.bench.token(row), choice, "WORDCANARY of the payer")
        self.did(f"said {choice}")

    @precondition(lambda self: self.requests())
    @rule(data=st.data(), what=st.sampled_from(["plan", "renew", "speak"]), count=st.integers(1, 6))
    def use_the_page(self, data: Any, what: str, count: int) -> None:
        token = self.bench.token(data.draw(st.sampled_from(self.requests())))
        acts: dict[str, Any] = {
            "plan": lambda: plan.choose(self.bench.flow, token, count),
            "renew": lambda: choices.renew(self.bench.flow, token),
            "speak": lambda: choices.speak(self.bench.flow, token, "es"),
        }
        self.person(what, acts[what])

    @precondition(lambda self: self.requests())
    @rule(data=st.data(), how=st.sampled_from(["birth", "wrong birth", "code", "wrong code"]), spread=st.booleans())
    def show_who_one_is_and_pay_for_all(self, data: Any, how: str, spread: bool) -> None:
        row, flow = data.draw(st.sampled_from(self.requests())), self.bench.flow
        token = self.bench.token(row)
        if how.endswith("birth"):
            born = MOTHER.born if how == "birth" else "20010101"
            answered = identify.by_birth_date(flow, token, dt.date.fromisoformat(born))
        else:
            if (sent := identify.send_code(flow, token)) != "sent":
                self.did(f"code {sent}")
                return
            self.work()
            code = next((found for found in map(_code, reversed(self.world.words())) if found), "")
            answered = identify.by_code(flow, token, code if how == "code" else "12345678")
        self.did(f"{how}: {answered.outcome}")
        if answered.outcome != "good":
            return
        assert identify.verified(flow, token, answered.cookie)
        with flow.store.read() as connection:
            owed = family.of(flow, connection, row)
        surnames = {ACCOUNTS[self.number(one.account_id)][0].family for one in owed}
        assert len(surnames) <= 1, "a telephone that two families share joins nobody"
        parts = {one.request: max(500, one.amount // 2) for one in owed}
        if spread:
            parts = family.spread(owed, sum(one.amount for one in owed) * 2 // 3)
        try:
            url = pay.begin(flow, token, None, parts)
        except (PayRefused, ChartpostError) as refused:
            self.did(f"family page refused ({getattr(refused, 'reason', type(refused).__name__)})")
        else:
            self.pages = [*self.pages[-3:], url]
            self.did(f"family page of {len(owed)}")

    def number(self, account_id: int) -> str:
        return str(self.bench.one(tables.account, id=account_id).number.decode())

    @precondition(lambda self: self.texts())
    @rule(
        phone=st.sampled_from([MOTHER.e164, OTHER.e164]),
        words=st.sampled_from(["STOP", "Please stop texting me", "START", "HELP", "WORDCANARY what is this for?"]),
    )
    def answer_by_text(self, phone: str, words: str) -> None:
        before = len(self.bench.rows(tables.event))
        self.world.reply(phone, words)
        self.world.hooks.until(lambda: len(self.bench.rows(tables.event)) > before)
        if "stop" in words.casefold():
            self.world.stopped.add(phone)
        elif words == "START":
            self.world.stopped.discard(phone)
            self.world.granted.add(phone)
        self.did(f"texted {words.split()[0]}")

    @rule(state=st.sampled_from(["granted", "revoked"]), origin=st.sampled_from(["csv", "staff"]))
    def consent_is_recorded(self, state: str, origin: str) -> None:
        to, word = OTHER.e164, consents.Word(state, origin, "a form, binder 12", "ana")
        with self.bench.store.write() as tx:
            consent.record(self.bench.flow, tx, "sms", to, word, facilities=["lakeside"])
        # A record does not outweigh what the person has said; staff with evidence do.
        if state == "revoked":
            self.world.granted.discard(to)
            self.world.revoked_by_record.add(to)
        elif origin == "staff" or to not in self.world.stopped:
            self.world.granted.add(to)
            self.world.stopped.discard(to)
            self.world.revoked_by_record.discard(to)
        self.did(f"consent {state} by {origin}")

    # ------------------------------------------------------------------------------------------- notices and time

    @rule(hours=st.sampled_from([0.1, 1, 5, 9, 14, 24, 24, 70, 24 * 8, 24 * 30]))
    def time_goes_by(self, hours: float) -> None:
        self.bench.clock.advance(hours=hours)
        self.world.tick()
        self.did("time")
        self.work()

    @rule()
    def work(self) -> None:
        for kind in self.bench.work():
            self.did(f"errand {kind}")
        self.world.settle_webhooks()

    @rule(
        trouble=st.sampled_from([
            "twilio/next?answer=drop", "twilio/next?answer=500", "mail/next?answer=450", "mail/next?answer=550",
            "mail/next?answer=close&stage=data", "stripe/next?answer=drop", "stripe/next?answer=500",
        ])
    )  # fmt: skip
    def a_service_fails(self, trouble: str) -> None:
        """Taken and not answered (drop, close), refused, or away: the next call only."""
        self.world.other.call(f"/_control/{trouble}")
        self.did(f"trouble {trouble.partition('?')[0]}")

    @precondition(lambda self: self.texts())
    @rule(data=st.data(), status=st.sampled_from(["delivered", "undelivered", "failed"]))
    def text_is_reported(self, data: Any, status: str) -> None:
        row = data.draw(st.sampled_from(self.texts()))
        code = "&code=30003" if status != "delivered" else ""
        self.world.other.call(f"/_control/twilio/callback?sid={row.provider_ref}&status={status}{code}")
        self.did(f"text {status}")

    def texts(self) -> list[Any]:
        return [row for row in self.bench.rows(tables.notice, channel="sms") if row.provider_ref]

    # ------------------------------------------------------------------------------------------------ what holds

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "world"):
            self.world.watch()
            TALLY["steps"] += 1


@pytest.mark.timeout(1800)
def test_whatever_people_payers_messages_and_clocks_do_no_cent_and_no_word_goes_wrong(migrated, other, hooks):
    Life.setup = (migrated, other, hooks)
    TALLY.clear()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=STORIES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck),
            derandomize="CHARTPOST_STORIES" not in os.environ, print_blob=True, report_multiple_bugs=False,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a story takes seconds: none is made shorter
        ),
    )  # fmt: skip
    print("\n".join(f"{count:7} {what}" for what, count in sorted(TALLY.items())))
    for needed in ("charge", "paid: 303", "time", "errand notify", "errand post"):
        assert TALLY[needed], f"the stories never came to: {needed}"
