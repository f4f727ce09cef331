"""What the lines of one message mean for its account: each is judged, and the first problem holds the whole message.

Which part is the patient's says share.py; here stands what else decides: our own echo, lines sent twice, currencies,
and what an earlier held message might have meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chartpost.adapter.flow import share
from chartpost.adapter.ledger import books, sealed, states
from chartpost.adapter.ledger.books import Book, Line
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.settings import Source
from chartpost.mappings.model import Charge, Kind, Reading

#: Problems of one message that its hold spells out.
SHOWN = 5


@dataclass(slots=True)
class Verdict:
    """What becomes of one message."""

    state: states.Message
    reason: str
    trace: list[dict[str, Any]]
    cause: str = ""  #: of the hold
    fix: str = ""


def hold(cause: str, text: str, fix: str, trace: list[dict[str, Any]] | None = None) -> Verdict:
    """Return the verdict that holds a message: cause, one sentence, what to do."""
    return Verdict(states.Message.HELD, text, trace or [], cause, fix)


Counted = tuple[str, str, int, dict[str, Any]]  #: cause, kind, amount, columns


def judge(
    tx: Tx, row: Any, reading: Reading, source: Source, book: Book, *, held: bool
) -> tuple[list[Counted], list[dict[str, Any]]] | Verdict:
    """Judge every line against the book; the first problem holds the whole message."""
    if source.share == "balance":
        return restate(tx, row, reading, book)
    before = list(book.lines)
    marks = [line.reversed for line in before]
    counted: list[Counted] = []
    notes: list[dict[str, Any]] = []
    problems: list[tuple[str, str, str]] = []
    seen: list[Line] = []
    for charge in reading.charges:
        more, line = _describe(charge)
        problem, note, amount = _judge_line(tx, charge, line, reading, source, book, [*before, *seen], before, held)
        if problem:
            problems.append(problem)
        notes.append(
            {"target": f"charges[{charge.ordinal}]", "path": f"FT1[{charge.ordinal}]", "raw": "", "value": note}
        )
        if amount:
            line.amount = amount
            seen.append(line)
            counted.append((f"message:{row.id}:{charge.ordinal}", str(charge.kind), amount, more))
    if problems:
        for line, mark in zip(before, marks, strict=True):
            line.reversed = mark
        cause, text, fix = problems[0]
        text = "; ".join(list(dict.fromkeys(problem[1] for problem in problems))[:SHOWN])
        return Verdict(states.Message.HELD, text, notes, cause, fix)
    return counted, notes


def _judge_line(
    tx: Tx, charge: Charge, line: Line, reading: Reading, source: Source, book: Book,
    counted: list[Line], before: list[Line], held: bool,
) -> tuple[tuple[str, str, str] | None, str, int | None]:  # fmt: skip
    """Return a problem (cause, text, fix) or None, a note for the trace, and the amount that counts."""
    where = f"FT1[{charge.ordinal}]"
    if charge.kind is Kind.PAYMENT and book.id is not None:
        if books.is_our_payment(tx, book, charge.payment_reference, charge.reference):
            return None, "our own posting, echoed by the sender: nothing to do", None
        if not charge.payment_reference and books.has_payment_of(tx, book, -charge.amount.minor):
            text = f"{where}: a payment of the same amount as one of ours, without a reference: perhaps our own echo"
            return ("maybe_echo", text, "compare with the chart; dismiss it if it is the payment we posted"), text, None
    own = share.judge(source.share, charge, reading, source.self_pay_classes, line, counted)
    if own.problem:
        return ("unclear_credit", f"{where}: {own.problem}", own.fix), own.problem, None
    if not own.amount:
        return None, f"not counted: {own.why}", None
    if charge.amount.currency != book.currency:
        text = f"{where}: an amount in {charge.amount.currency} for an account in {book.currency}"
        return ("currency", text, "bill other currencies through an account and a facility of their own"), text, None
    if own.amount < 0 and held:
        text = f"{where}: an earlier message of this account waits, and this line may take back what is in it"
        return ("behind_held", text, "settle the earlier hold first"), text, None
    if not own.takes_back and _counted_before(line, before):
        text = f"{where}: a line like this is counted already, and nothing tells the two apart"
        return ("same_line", text, "dismiss it if it was sent twice; else bill it by hand"), text, None
    return None, f"counted: {own.why}", own.amount


def _counted_before(line: Line, before: list[Line]) -> bool:
    """Say whether an equal line of an earlier message is counted and FT1-2 does not tell the two apart."""
    for earlier in before:
        if earlier.likeness == line.likeness and not earlier.reversed:
            distinct = line.reference and earlier.reference and line.reference != earlier.reference
            if not distinct:
                return True
    return False


def _describe(charge: Charge) -> tuple[dict[str, Any], Line]:
    search = sealed.keyring().search
    date = charge.service_date.isoformat() if charge.service_date else ""
    likeness = search("line", charge.kind, str(charge.amount.minor), charge.code, date)
    item = search("item", charge.code) if charge.code else ""
    text = (charge.description or charge.code).encode()
    # Some senders put the account number into FT1-2.
    reference = search("reference", charge.reference) if charge.reference else ""
    more = {"reference": reference, "likeness": likeness, "item": item, "text": text}
    return more, Line(charge.amount.minor, str(charge.kind), reference, likeness, item)


def restate(tx: Tx, row: Any, reading: Reading, book: Book) -> tuple[list[Counted], list[dict[str, Any]]] | Verdict:
    """share: balance — the message states what the patient owes; the entry is the difference."""
    if reading.balance is None:
        return Verdict(states.Message.IGNORED, "it states no balance (share: balance)", [])
    if reading.balance.currency != book.currency:
        return hold("currency", f"a balance in {reading.balance.currency}", "state it in the account's currency")
    if book.id is not None and books.has_unposted_payment(tx, book):
        return hold(
            "balance_in_doubt", "a payment of ours is on its way to the chart: the balance may or may not include it",
            "compare with the chart once the posting is accepted",
        )  # fmt: skip
    difference = reading.balance.minor - book.balance
    note = {"target": "balance", "path": "", "raw": "", "value": f"restated: {difference:+d} minor units"}
    if difference == 0:
        return [], [note]
    return [(f"message:{row.id}:balance", "balance", difference, {})], [note]
