"""A practice, its patients and the other side, on which the machine plays: the real SDKs, the sandbox, one clock.

What is asserted here is worked out anew, from what the sandbox has seen and what was done, not by the product's code.
"""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import outgoing
from sqlalchemy import event
from workbench import MAY, Clock, Hooks, Other, Workbench, configuration

from chartpost.adapter.ledger import states, tables
from chartpost.adapter.ledger.store import Store

CHICAGO = ZoneInfo("America/Chicago")
WEEK = dt.timedelta(days=7)
CAP = 3


@dataclass(frozen=True)
class Person:
    """Somebody of this world. Some share a number."""

    given: str
    family: str
    phone: str  #: ten digits
    email: str
    born: str  #: YYYYMMDD

    @property
    def e164(self) -> str:
        return f"+1{self.phone}"


MOTHER = Person("Zebulon", "Quaggmire", "6085550121", "zq@home.example.org", "19790213")
SON = Person("Thessaly", "Quaggmire", "6085550121", "", "20110830")
NEIGHBOUR = Person("Ottoline", "Vandersloot", "6085550121", "ov@home.example.org", "19790213")  # the same telephone
OTHER = Person("Ottoline", "Quaggmire", "6085550133", "", "19790213")

#: Accounts: number → patient, who pays, source. Of a mother and her son; of a neighbour with the same telephone.
ACCOUNTS: dict[str, tuple[Person, Person | None, str]] = {
    "KANARI-1": (MOTHER, None, "all"),
    "KANARI-2": (SON, MOTHER, "all"),
    "KANARI-3": (NEIGHBOUR, None, "all"),
    "KANARI-4": (OTHER, None, "recorded"),
    "KANARI-5": (OTHER, None, "no_consent"),
}
POLICY: dict[str, Any] = {
    "notifiers": ["sms", "mail"],
    "mail": {
        "sender": "Lakeside Billing", "address": "pay@lakeside.example.org", "reply_to": "billing@lakeside.example.org",
    },
    "contact": "(608) 555-0100",
    "quiet": {"hours": "21:00-08:00", "days": ["sun"], "holidays": ["2026-05-25"]},
    "messages_a_week": CAP,
    "reminders": {"due_days": 10, "before": [2], "on": True, "after": [3, 9]},
    "plans": {"most": 4, "least": "10.00", "every": "week"},
    "amounts": {
        "minimum": "2.00", "review_above": "400.00", "maximum": "900.00", "part_minimum": "5.00", "higher": True,
    },
}  # fmt: skip


@dataclass
class Told:
    """One message that reached a service."""

    notice: str
    channel: str
    to: str
    at: dt.datetime


@dataclass
class World:
    """One bench on a fresh ledger, and what has left it so far."""

    bench: Workbench
    other: Other
    hooks: Hooks
    stopped: set[str] = field(default_factory=set)  #: numbers whose owner said STOP, and nothing since
    granted: set[str] = field(default_factory=set)  #: numbers for which consent was recorded
    told: list[Told] = field(default_factory=list)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)  #: request → how often a person had it told again
    revoked_by_record: set[str] = field(default_factory=set)  #: of whom a record says no, and nobody yes since
    _texts: int = 0
    _mails: int = 0
    _creates: int = 0

    @classmethod
    def made(cls, directory: str, empty: Path, other: Other, hooks: Hooks) -> World:
        path = Path(directory) / "chartpost.db"
        shutil.copy(empty, path)
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)

        @event.listens_for(store.engine, "connect")
        def _fast(connection: Any, _: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        base = configuration(other.ready)
        sources = {name: base.sources[name].model_dump() for name in ("all", "no_consent")}
        sources["recorded"] = sources["all"] | {"consent": "recorded"}
        clinic = base.facilities["lakeside"].model_dump() | POLICY
        mail = {"type": "smtp", "address": other.ready["smtp"], "security": "none", "timeout_seconds": 3}
        notifiers = {"sms": base.notifiers["sms"].model_dump(), "mail": mail}
        ana = {"role": "billing", "email": "ana@lakeside.example.org", "tell": ["payments"]}
        changes = {
            "facilities": {"lakeside": clinic},
            "sources": sources,
            "notifiers": notifiers,
            "users": {"ana": ana},
        }
        bench = Workbench(store, clock, configuration(other.ready, **changes), hooks.url)
        hooks.flow = bench.flow
        other.calm()
        other.call("/_control/twilio/callbacks?mode=hold")
        world = cls(bench, other, hooks)
        other.call("/_control/twilio/inbound?url=http://127.0.0.1:1/nobody")
        for person in (MOTHER, OTHER):  # the service is shared: here nobody has stopped anything yet
            world.reply(person.e164, "START")
        other.call(f"/_control/twilio/inbound?url={hooks.url}/hooks/sms/incoming")
        world._texts, world._mails, world._creates = (len(found) for found in world._recorded())
        world.tick()
        return world

    def tick(self) -> None:
        """Let the card provider's clock show what ours does."""
        ahead = int(self.bench.clock().timestamp() - time.time())
        self.other.call(f"/_control/stripe/clock?ahead={ahead}")

    def close(self) -> None:
        self.hooks.let_go()
        self.bench.close()
        self.bench.store.close()
        self.other.calm()

    # ------------------------------------------------------------------------------------------- what the world does

    def settle_webhooks(self) -> None:
        """Return once the card provider has told us everything."""
        self.hooks.until(lambda: not self.other.get("/_control/stripe/deliveries")["under_way"])

    def reply(self, phone: str, words: str) -> None:
        """Answer a text on a phone."""
        form = urlencode({"number": phone, "sender": "+16085550100", "body": words}).encode()
        self.other.call("/inbox/reply", "POST", form, {"Content-Type": "application/x-www-form-urlencoded"})

    def words(self) -> list[str]:
        """Return the words of every message so far, oldest first."""
        texts, mails, _ = self._recorded()
        return [one["params"].get("Body", "") for one in texts] + [mail["text"] for mail in mails]

    def account(self, number: str) -> Any:
        """Return the row of an account, or None."""
        return next((row for row in self.bench.rows(tables.account) if row.number.decode() == number), None)

    def open_request(self, number: str) -> Any:
        """Return the open request of an account, or None."""
        account = self.account(number)
        found = self.bench.rows(tables.request, account_id=account.id, state="open") if account else []
        return found[0] if found else None

    # ------------------------------------------------------------------------------------------- what must be true

    def watch(self) -> None:
        """Look at all that has left, and at the ledger. Raises AssertionError."""
        self.settle_webhooks()
        self._look_outside()
        self._look_inside()

    def _recorded(self) -> tuple[list[Any], list[Any], list[Any]]:
        texts = self.other.get("/_control/twilio/requests")
        mails = self.other.get("/mailbox.json")["mails"]
        asked = self.other.get("/_control/stripe/requests")
        return texts, mails, [one for one in asked if one["path"] == "/v1/checkout/sessions"]

    def _look_outside(self) -> None:
        texts, mails, creates = self._recorded()
        new_texts, new_mails, new_creates = texts[self._texts :], mails[self._mails :], creates[self._creates :]
        self._texts, self._mails, self._creates = len(texts), len(mails), len(creates)
        for one in new_creates:
            assert not (wrong := outgoing.wrong_create(one["params"])), wrong
        for one in new_texts:
            if not one["path"].endswith("/Messages.json"):
                continue
            assert not (wrong := outgoing.wrong_text(one["params"])), wrong
            if one["status"] == 201:
                self._reached(outgoing.notice_of(one["params"]), "sms", one["params"]["To"])
        for mail in new_mails:
            assert not (wrong := outgoing.wrong_mail(mail)), wrong
            self._reached(outgoing.notice_of_mail(mail), "email", mail["to"])

    def _reached(self, notice_id: str, channel: str, to: str) -> None:
        """Somebody was written to just now: were they to be?"""
        now = self.bench.clock()
        assert notice_id not in {one.notice for one in self.told}, "one message, once"
        row = self.bench.one(tables.notice, public_id=notice_id)
        asked = self.bench.one(tables.request, id=row.request_id)
        source = self.bench.one(tables.account, id=asked.account_id).source
        assert row.recipient.decode() == to
        if channel == "sms":
            assert to not in self.stopped | self.revoked_by_record, "who said STOP is left alone"
            assert source == "all" or (source == "recorded" and to in self.granted), f"no consent on file ({source})"
        at_once = row.purpose in ("code", "staff") or (row.purpose == "receipt" and channel == "email")
        if not at_once:
            local = now.astimezone(CHICAGO)
            assert 8 <= local.hour < 21, f"in quiet hours: {local}"
            assert local.weekday() != 6, f"on a Sunday: {local}"
            assert local.date() != dt.date(2026, 5, 25), "on a holiday"
        self.told.append(Told(notice_id, channel, to, now))
        if row.purpose in ("request", "reminder"):
            asked_of = [one for one in self.told if one.to == to and one.at > now - WEEK]
            purposes = [self.bench.one(tables.notice, public_id=one.notice).purpose for one in asked_of]
            assert len([one for one in purposes if one in ("request", "reminder")]) <= CAP, "the weekly cap"
        same = [
            other for other in self.bench.rows(tables.notice, request_id=row.request_id, purpose=row.purpose)
            if other.step == row.step and other.recipient == row.recipient and other.staff == row.staff
            and other.public_id in {one.notice for one in self.told}
        ]  # fmt: skip
        times = 1 + (self.again[asked.public_id] if row.purpose == "request" else 0)
        assert len(same) <= times, f"{row.purpose} {row.step} of {asked.public_id} {len(same)} times to one person"

    def _look_inside(self) -> None:
        bench = self.bench
        entries = bench.rows(tables.entry)
        for account in bench.rows(tables.account):
            own = [entry.amount for entry in entries if entry.account_id == account.id]
            assert account.balance == sum(own), "the balance is the sum of the entries"
            assert 0 <= account.withheld <= max(0, account.balance), "no more is withheld than is owed"
            asks = bench.rows(tables.request, account_id=account.id, state="open")
            assert len(asks) <= 1, "at most one request is open"
            assert len(bench.rows(tables.card_part, account_id=account.id, live=True)) <= 1, "one card page is open"
            for ask in asks:
                owed = max(account.balance - account.withheld, ask.advance)
                assert 0 < ask.asked <= owed, f"asked for {ask.asked} of {owed}"
                assert ask.asked == owed or ask.asked >= 40000, "less only where a person has to look first"
        assert len({entry.cause for entry in entries}) == len(entries), "nothing counts twice"
        for session in bench.rows(tables.card_session):
            parts = bench.rows(tables.card_part, card_session_id=session.id)
            assert sum(part.amount for part in parts) == session.amount, "the parts are the whole"
            assert {part.live for part in parts} == {session.state in ("minting", "open")}
        for payment in bench.rows(tables.payment):
            assert [entry.amount for entry in entries if entry.payment_id == payment.id] == [-payment.amount]
        self._states()

    def _states(self) -> None:
        for table, noun in _NOUNS.items():
            for row in self.bench.rows(table):
                before = self.seen.get((table.name, row.id))
                if before is not None and before != row.state:
                    path = _reachable(noun, before)
                    assert row.state in path, f"{table.name}: {before} to {row.state}"
                self.seen[table.name, row.id] = row.state


_NOUNS: dict[Any, Any] = {
    tables.message: states.Message, tables.request: states.Request, tables.card_session: states.CardSession,
    tables.notice: states.Notice, tables.event: states.Event, tables.posting: states.Posting, tables.hold: states.Hold,
}  # fmt: skip


def _reachable(noun: Any, before: str) -> set[str]:
    """Return the states that may follow, in as many legal moves as fit between two looks."""
    found: set[str] = set()
    waiting = [noun(before)]
    while waiting:
        for after in states.MOVES[noun].get(waiting.pop(), ()):
            if str(after) not in found:
                found.add(str(after))
                waiting.append(after)
    return found


def lines(amounts: list[str]) -> Iterator[str]:
    """Return FT1 segments of charges, with a service that must not leave."""
    from workbench import line

    for amount in amounts:
        yield line("CG", amount, "ONCOCANARY")
