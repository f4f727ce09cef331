"""What happens to accounts: visits, corrections, payments, and everything that goes wrong on the way. With labels."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from random import Random

from shapes.site import Ft1, Site
from shapes.sites import SITES
from shapes.truth import Account, Item, Label, Truth

#: What brings new charges: sent once more under another control id they look like more of the same.
_BILLS = ("visit", "correct")
_NOT_RESENT = ("resend", "resend_new_id", "training")
#: What a person must decide, wherever it comes from.
_UNCLEAR = ("unknown", "unpriced", "foreign", "deceased")


def stories(site: Site, seed: int, accounts: int = 9) -> list[Label]:
    """Return the messages of a site in the order in which it sends them, each with what is true afterwards."""
    return _Story(site, Random(f"{site.name}-{seed}")).run(accounts)


def folder(shape: str, directory: Path, seed: int = 1) -> list[Path]:
    """Write the messages of a site into a folder, as files; return them. For tools that look at messages."""
    directory.mkdir(parents=True, exist_ok=True)
    site = next(site for site in SITES if site.name == shape)
    paths = []
    for number, label in enumerate(stories(site, seed), 1):
        path = directory / f"{number:04d}.hl7"
        path.write_bytes(label.body)
        paths.append(path)
    return paths


def right_targets(shape: str) -> dict[str, str]:
    """Return where a site has what a map must read: target → path."""
    return dict(next(site for site in SITES if site.name == shape).targets)


class _Story:
    """One site, from its first message to its last."""

    def __init__(self, site: Site, random: Random) -> None:
        self.site, self.random = site, random
        self.truth = Truth(random, site.name[:2].upper(), site.pays)
        self.sent = dt.datetime(2026, 4, 20, 7, 0)  # the site's own time
        self.count = 0
        self.told: list[Label] = []

    def run(self, accounts: int) -> list[Label]:
        names = [name for name, weight in self.site.events.items() for _ in range(weight)]
        for number in range(1, accounts + 1):
            account = self.truth.account(number)
            last = self._visit(account)
            for _ in range(self.random.randrange(2, 5)):
                account.day += dt.timedelta(days=1)
                last = self._happen(self.random.choice(names), account, last) or last
        return self.told

    def _happen(self, event: str, account: Account, last: Label) -> Label | None:
        """Let one thing happen; return the label of the last message with lines of this account, if one was sent."""
        if event in ("take_back", "correct", "desk_exact") and not [item for item in account.standing if item.owed]:
            return None
        if event in ("desk", "paid_online") and not account.owed:
            return None
        if event == "paid_online" and (account.unclear or account.stopped):
            return None
        own = getattr(self, f"_{event}", None)
        return own(account, last) if own else self._unclear(event, account)

    # ----------------------------------------------------------------------------------------------------- the events

    def _visit(self, account: Account, last: Label | None = None) -> Label:
        before = account.due
        done = self._items(account, self.random.choice((1, 1, 2, 3)))
        account.items += done
        lines = [line for item in done for line in self.site.lines(account, item)]
        return self._label("visit", account, self._message(account, lines), before)

    def _take_back(self, account: Account, last: Label) -> Label | None:
        before = account.due
        item = self._pick(account)
        item.alive = False
        return self._label("take_back", account, self._message(account, self.site.back(account, item)), before)

    def _correct(self, account: Account, last: Label) -> Label | None:
        before = account.due
        old = self._pick(account)
        ratio = self.random.choice((50, 80, 130))
        new = replace(
            old, reference=f"{old.reference}N", price=_round(old.price * ratio // 100, old.quantity),
            owed=_round(old.owed * ratio // 100, old.quantity) if old.owed != old.price else 0,
            insurance=old.insurance * ratio // 100,
        )  # fmt: skip
        if old.owed == old.price:
            new.owed = new.price
        elif self.site.pays == "net":
            new.owed = new.price - new.insurance
        old.alive = False
        account.items.append(new)
        lines = self.site.corrected(account, old, new)
        return self._label("correct", account, self._message(account, lines), before, lowers=True)

    def _desk(self, account: Account, last: Label, amount: int = 0) -> Label | None:
        amount = amount or self.random.choice((account.owed, max(100, account.owed // 3)))
        before = account.due
        account.paid += amount
        lines = self.site.desk(account, amount, account.items[-1])
        return self._label("desk", account, self._message(account, lines), before)

    def _desk_exact(self, account: Account, last: Label) -> Label | None:
        """The patient pays exactly one line, and that line is then settled."""
        item = self._pick(account)
        if item.owed > account.owed:
            return None
        return self._desk(account, last, item.owed)

    def _insurer(self, account: Account, last: Label) -> Label | None:
        lines = self.site.insurer(account, account.items[-1].insurance + 13, account.items[-1])
        return self._label("insurer", account, self._message(account, lines), account.due)

    def _paid_online(self, account: Account, last: Label) -> Label | None:
        """Paid through us in full; then the chart sends on what we posted."""
        self.count += 1
        amount, reference = account.owed, f"pi_{self.site.name}{self.count:04d}"
        before = account.due
        account.paid += amount
        lines = self.site.echo(account, amount, reference, account.day)
        return self._label("paid_online", account, self._message(account, lines), before, pay=(amount, reference))

    def _resend(self, account: Account, last: Label) -> Label | None:
        """The same message once more with another time of sending."""
        body = self._at(last.body, self._tick())
        self._label("resend", account, body, account.due)
        return last

    def _resend_new_id(self, account: Account, last: Label) -> Label | None:
        """An engine sends an old message once more, any of this account, under another control id."""
        sent = [label for label in self.told if label.account == account.number]
        old = self.random.choice([label for label in sent if label.event not in _NOT_RESENT])
        body = self._at(old.body, self._tick(), self._id())
        copied = old.event in _BILLS and not self.site.knows_copies
        account.unclear = account.unclear or copied
        self._label("resend_new_id", account, body, account.due, decide=copied)
        return last

    def _training(self, account: Account, last: Label) -> Label | None:
        lines = self.site.lines(account, self._items(account, 1)[0])
        self._label("training", account, self._message(account, lines, mode="T"), account.due)
        return last

    def _no_lines(self, account: Account, last: Label) -> Label | None:
        self._label("no_lines", account, self._message(account, []), account.due)
        return last

    def _unclear(self, event: str, account: Account) -> Label | None:
        assert event in _UNCLEAR, event
        item = self._items(account, 1)[0]
        write = self.site.lines if event == "deceased" else getattr(self.site, event)
        body = self._message(account, write(account, item), dead=event == "deceased")
        account.unclear = True
        account.stopped = account.stopped or event == "deceased"
        return self._label(event, account, body, account.due, decide=True)

    # ------------------------------------------------------------------------------------------------------- together

    def _items(self, account: Account, count: int) -> list[Item]:
        done: list[Item] = []
        for _ in range(count):
            done.append(self.truth.item(account, {item.code for item in done}))
        return done

    def _pick(self, account: Account) -> Item:
        return self.random.choice([item for item in account.standing if item.owed])

    def _message(self, account: Account, lines: list[Ft1], mode: str = "P", dead: bool = False) -> bytes:
        return self.site.message(account, lines, self._id(), self._tick(), mode=mode, dead=dead)

    def _label(
        self, event: str, account: Account, body: bytes, before: int, *, lowers: bool = False, decide: bool = False,
        pay: tuple[int, str] | None = None,
    ) -> Label:  # fmt: skip
        """Say what is true after a message that found `before` owed. `lowers`: a line in it lowers what is owed."""
        change = account.due - before
        behind = account.unclear and (lowers or change < 0) and self.site.share != "balance"
        account.waiting += change if behind else 0
        decide = decide or behind
        rightful = (
            bool(change) and account.owed > 0 and account.most == account.owed and not account.stopped and not decide
        )
        label = Label(event, body, account.number, account.owed, account.most, account.payer, decide, rightful, pay)
        self.told.append(label)
        return label

    def _id(self) -> str:
        self.count += 1
        return f"{self.site.name[:2].upper()}{self.count:06d}"

    def _tick(self) -> dt.datetime:
        self.sent += dt.timedelta(minutes=self.random.randrange(1, 9))
        return self.sent

    def _at(self, body: bytes, sent: dt.datetime, control_id: str = "") -> bytes:
        """Return a message with another time of sending, and another control id."""
        head, end, rest = body.partition(self.site.end.encode())
        fields = head.decode("ascii").split("|")
        fields[6] = self.site.time(sent)
        if control_id:
            fields[9] = control_id
        return "|".join(fields).encode() + end + rest


def _round(minor: int, quantity: int) -> int:
    """Round to what can be divided by the quantity."""
    return max(quantity, minor // quantity * quantity)
