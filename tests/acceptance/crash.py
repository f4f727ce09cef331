"""A story with one kill in it, and what must be true when everything has come to rest again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from house import SAMPLES, House, Late, Process, running, until
from killer import Child, Passage, product, read, sandbox
from people import Patient, link_or_hold, send
from sqlalchemy import func, select

from chartpost.adapter.flow.paying.card import LIVE
from chartpost.adapter.ledger.tables import account, attempt, card_session, entry


@dataclass(frozen=True)
class Story:
    """What happens, and what is in the books then."""

    messages: tuple[Path, ...]
    account: str
    owed: int  #: in the end, before it is paid
    tell: Callable[[House], str]  #: returns the link, "" when no SMS came
    fhir: bool = False  #: an Invoice and a PaymentReconciliation, instead of DFTs


def plainly(argv: list[str], out: Path) -> Process:
    """Start the product, without any patch."""
    return Child(product, argv, out)


def armed(passages: Path, kill: Passage | None, argv: list[str], out: Path) -> Process:
    """Start the product so that it counts its passages, and dies at one."""
    return Child(product, argv, out, passages, kill)


def other_side(argv: list[str], out: Path) -> Process:
    return Child(sandbox, argv, out)


@dataclass(frozen=True)
class Life:
    """What came of one story: "complete", or what a person has to look at; and the first process's passages."""

    outcome: str
    passages: list[Passage]
    died: bool


def live(folder: Path, story: Story, kill: Passage | None, **more: Any) -> Life:
    """Live through one story, killed at `kill` (None: not at all), and check everything once it is at rest."""
    folder.mkdir()
    path = folder / "passages"
    with running(folder, product=plainly, sandbox=other_side, **more) as house:
        house.start(partial(armed, path, kill))
        link = story.tell(house)
        if kill is not None:
            with suppress(Late):  # some passages come after the last thing that can be seen from outside
                until("the kill", lambda: house.ends or (house.process and house.process.poll() is not None), 1.0)
        house.until("rest", lambda: at_rest(house))
        outcome, passages = judge(house, link, story), read(path)
        code = house.stop()
        if code != 0:  # on a slow machine all was seen before it came to the passage
            assert (code, house.ends, kill is not None) == (-9, [], True), "it did not drain"
            house.ends.append(code)
    if "SMS unknown" in outcome:
        assert in_doubt("notify.run", passages), "an SMS in doubt that nobody was sending"
    if "receipt unknown" in outcome:
        began = ("after the commit in attempt.attempt ← notify.run", 2)
        assert began in passages, "a receipt in doubt that nobody was sending"
    if "posting unknown" in outcome:
        assert in_doubt("deliver.run", passages), "a posting in doubt that nobody was sending"
    return Life(outcome, passages, house.ends == [-9])


def in_doubt(step: str, passages: list[Passage]) -> bool:
    """Say whether the first process died between the attempt of a call and the record of its outcome."""
    outcome = (f"after the commit in {step} ← worker.Worker._perform", 2)
    return (f"after the commit in attempt.attempt ← {step}", 1) in passages and outcome not in passages


def pay_in_two_thoughts(house: House) -> str:
    """A message with a co-payment comes in; the patient first thinks of paying a part, then pays all."""
    send(house, PAID.messages[0])
    if link := link_or_hold(house):
        patient = Patient(house, link)
        patient.reach_card_page("$20.00", part="20.00")
        patient.pay(patient.reach_card_page("$45.00"))
        patient.paid()
    return link


def lower_under_the_open_page(house: House) -> str:
    """While the card page is open, a second message lowers what is owed: the page closes, the patient pays less."""
    send(house, LOWERED.messages[0])
    link = link_or_hold(house)
    patient = Patient(house, link)
    stale = patient.reach_card_page("$60.00") if link else None
    send(house, LOWERED.messages[1])
    house.until("the credit", lambda: at_rest(house) and house.one("accounts", balance_minor=LOWERED.owed))
    if stale is not None:
        assert not patient.browser.open(stale.url).forms, "the page of the old amount still takes money"
        patient.pay(patient.reach_card_page("$50.00"))
        patient.paid()
    return link


def pay_an_invoice(house: House) -> str:
    """An Invoice comes in whose patient must be fetched; the patient pays, and the Invoice is balanced in the end."""
    house.until("the answer", lambda: _put(house))
    if link := link_or_hold(house):
        patient = Patient(house, link)
        patient.pay(patient.reach_card_page("$45.00"))
        patient.paid()
    return link


def _put(house: House) -> bool:
    """Let the clinic send its Invoice, as a sender does that repeats what was not answered."""
    try:
        return house.sandbox.post("/clinic/send-fhir", INVOICE)["status"] in (200, 201)
    except HTTPError:  # 502: no connection, or closed without an answer
        return False


INVOICE = b"""{
  "resourceType": "Invoice", "id": "inv-crash", "status": "issued", "subject": {"reference": "Patient/p-30901"},
  "identifier": [{"system": "https://clinic.example.org/invoices", "value": "LI-CRASH"}],
  "totalGross": {"value": 45.00, "currency": "USD"}
}"""
PAID = Story((SAMPLES / "01_two_charges.hl7",), "K-30101", 4500, pay_in_two_thoughts)
LOWERED = Story(
    (SAMPLES / "08_paid_in_part.hl7", SAMPLES / "09_credit_lowers_the_request.hl7"),
    *("K-30108", 5000, lower_under_the_open_page),
)
INVOICED = Story((Path("an Invoice"),), "LI-CRASH", 4500, pay_an_invoice, fhir=True)


def at_rest(house: House) -> bool:
    """Say whether nothing is under way, and nothing will happen by itself but the next poll.

    Causes are looked at before their effects, or something could pass from the one to the other in between.
    """
    if house.sandbox.get("/_control/stripe/deliveries")["under_way"]:
        return False
    waiting = ("received", "fetching")
    if not house.rows("messages") or any(row["state"] in waiting for row in house.rows("messages")):
        return False
    for row in house.rows("errands"):
        if row["state"] == "leased" or (row["state"] == "due" and row["kind"] != "poll"):
            return False
    if not house.rows("notices") or any(row["state"] == "due" for row in house.rows("notices")):
        return False
    return not any(row["state"] in ("due", "published") for row in house.rows("postings"))


def judge(house: House, link: str, story: Story) -> str:
    """Check the books, and everything that went out. Returns "complete", or what a person has to look at."""
    # The same Invoice again is no duplicate: it states what was counted already.
    again = "ignored" if story.fhir else "duplicate"
    states = [row["state"] for row in house.rows("messages") if row["state"] != again]
    assert states == ["translated"] * len(story.messages), "each message is translated once"
    [owner] = house.rows("accounts")
    [request] = house.rows("requests")
    with house.store.read() as connection:
        balance = connection.scalar(select(account.c.balance))
        [(total, entries)] = connection.execute(select(func.sum(entry.c.amount), func.count(entry.c.id))).all()
        unended = connection.scalars(select(attempt.c.subject).where(attempt.c.ended_at.is_(None))).all()
        live = connection.scalars(select(card_session.c.public_id).where(card_session.c.state.in_(LIVE))).all()
    assert balance == total == owner["balance_minor"], "the balance is the sum of the entries"
    assert not [row for row in house.rows("errands") if row["state"] == "dead"]
    # A call may have been cut off; what became of it is known all the same, from the provider's own report.
    assert not [subject for subject in unended if subject.startswith("posting:")], "a call without an outcome"
    assert not live, "every card page is known to be paid or closed"
    holds = {(row["cause"], row["object"]) for row in house.rows("holds") if row["state"] == "open"}
    doubts = _sms(house, request, holds, link)
    if link:
        doubts += _money(house, request, holds, story)
        assert (entries, balance) == (len(story.messages) + 1, 0)
    else:
        assert (entries, balance, request["state"]) == (len(story.messages), story.owed, "open")
        assert (house.rows("payments"), house.sandbox.paid()) == ([], [])
    assert not holds, "a hold without a reason"
    return " and ".join(doubts) or "complete"


def _sms(house: House, request: Any, holds: set[tuple[str, str]], link: str) -> list[str]:
    """The SMS of the request, and the receipt once it is paid, went out at most once; if in doubt, a hold says so."""
    words = [text["body"] for text in house.sandbox.texts()] + [mail["text"] for mail in house.sandbox.mails()]
    told = {"receipt": [said for said in words if "payment is recorded" in said]}
    told["request"] = [said for said in words if said not in told["receipt"]]
    assert len(told["request"]) == bool(link), "at most one SMS"
    notices = {notice["purpose"]: notice for notice in house.rows("notices")}
    assert notices.keys() == ({"request", "receipt"} if link else {"request"})
    assert len(house.rows("notices")) == len(notices)
    doubts = []
    for purpose, notice in notices.items():
        assert len(told[purpose]) <= 1, f"a second {purpose}"
        if notice["state"] in ("sent", "delivered"):
            assert told[purpose], "what was never sent counts as sent"
            continue
        assert notice["state"] == "unknown"
        asked = purpose == "request"
        holds.remove(("notice_unknown", request["id"]) if asked else ("receipt_not_sent", notice["id"]))
        doubts.append("SMS unknown" if asked else "receipt unknown")
    return doubts


def _money(house: House, request: Any, holds: set[tuple[str, str]], story: Story) -> list[str]:
    """The card was charged once, the ledger has it once, and the chart has it at most once."""
    [session] = house.sandbox.paid()
    [payment] = house.rows("payments")
    assert (request["state"], payment["amount_minor"]) == ("paid", session["amount_total"]) == ("paid", story.owed)
    assert payment["provider_ref"] == session["payment_intent"]
    [posting] = house.rows("postings")
    sent = house.sandbox.get(f"/_control/{'fhir' if story.fhir else 'clinic'}/received")
    posted = house.sandbox.chart(story.account)["postings"]
    assert len(sent) <= 1, "a posting is sent at most once"
    assert len(posted) == len(sent)
    if posting["state"] == "accepted":
        assert [line["transaction"] for line in posted] == [posting["id"]]
        if story.fhir:
            assert house.sandbox.invoice("inv-crash")["status"] == "balanced"
        return []
    assert posting["state"] == "unknown"
    holds.remove(("unknown", posting["id"]))
    return ["posting unknown"]
