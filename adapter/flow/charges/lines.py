"""What the lines of one message mean for its account: each is judged, and the first problem holds the whole message.

Which part is the patient's says share.py, and what a correction takes back corrections.py; here stands what else
decides: our own echo, lines sent twice, currencies, and what an earlier held message might have meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chartpost.adapter.flow.charges import corrections, elsewhere, share, typed
from chartpost.adapter.flow.charges.corrections import Correction, Why
from chartpost.adapter.ledger import books, reversals, sealed, states
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.reversals import MONEY, VOID, Line
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.settings import Source
from chartpost.mappings.mapspec import SameReference
from chartpost.mappings.model import Charge, Kind, Problem, Reading

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
    like: Iterable[Problem | str] = ()  #: what else its hold has in common with others (holds.likeness)
    shadow: dict[str, Any] | None = None  #: what would have been, where something is only tried (shadow.py)


def hold(
    cause: str, text: str, fix: str, trace: list[dict[str, Any]] | None = None, like: Iterable[Problem | str] = ()
) -> Verdict:
    """Return the verdict that holds a message: cause, one sentence, what to do."""
    return Verdict(states.Message.HELD, text, trace or [], cause, fix, like)


Counted = tuple[str, str, int, dict[str, Any]]  #: cause, kind, amount, columns
Decided = tuple[list[Counted], list[dict[str, Any]]] | Verdict  #: entries and notes for the trace, or none and why


def judge(
    tx: Tx, row: Any, reading: Reading, source: Source, book: Book, *, held: bool, same_reference: SameReference = "add"
) -> Decided:
    """Judge every line against the book; the first problem holds the whole message.

    `held`: an earlier message of the account waits for a person; `same_reference`: the map's word on corrections.
    """
    judging = _Judging(tx, row, reading, source, book, held, same_reference)
    counted: list[Counted] = []
    notes: list[dict[str, Any]] = []
    problems: list[Why] = []
    for charge in reading.charges:
        where = f"FT1[{charge.ordinal}]"
        problem, note, found = judging.line(charge)
        if problem is not None:
            problems.append((problem[0], f"{where}: {problem[1]}", problem[2]))
        value = note if problem is None else problem[1]
        notes.append({"target": f"charges[{charge.ordinal}]", "path": where, "raw": "", "value": value})
        counted += found
    if problems:
        reversals.pair(book.lines)  # what its lines would have taken back stays
        cause, _, fix = problems[0]
        text = "; ".join(list(dict.fromkeys(problem[1] for problem in problems))[:SHOWN])
        return Verdict(states.Message.HELD, text, notes, cause, fix)
    return counted, notes


_Found = tuple[Why | None, str, list[Counted]]  #: a problem or None, a note for the trace, the entries of a line


class _Judging:
    """One message against its book: the lines that were counted before it, and those that it has brought so far."""

    def __init__(
        self, tx: Tx, row: Any, reading: Reading, source: Source, book: Book, held: bool, same_reference: SameReference
    ) -> None:
        self.tx, self.row, self.reading, self.source, self.book = tx, row, reading, source, book
        self.held, self.same_reference = held, same_reference
        self.before = tuple(book.lines)
        self.lines = list(book.lines)

    def line(self, charge: Charge) -> _Found:
        if charge.kind in MONEY and (echo := self.echo(charge)) is not None:
            return echo
        more, line = _describe(charge, self.row.id)
        found = corrections.find(charge, line, self.reading, self.same_reference, self.lines, held=self.held)
        if found.problem is not None or found.note:
            return found.problem, found.note, []
        cause = f"message:{self.row.id}:{charge.ordinal}"
        if found.kind is Kind.VOID:
            return self.void(charge, found, cause, more)
        if found.kind is not charge.kind:
            charge = charge.model_copy(update={"kind": found.kind})
            more, line = _describe(charge, self.row.id)
        if found.takes and found.says_again(line, self.share(charge).amount):
            return None, "the same as is counted already", []
        counted, took = [], ""
        if found.takes:
            counted.append(self.take(found, f"{cause}:{VOID}", more))
            took = f"; takes back {found.amount:+d} minor units of its Transaction ID"
        problem, note, amount = self.own(charge, line, replaces=bool(found.takes))
        if amount:
            line.amount = amount
            self.lines.append(line)
            counted.append((cause, str(charge.kind), amount, more))
        return problem, note + took, counted

    def share(self, charge: Charge) -> share.Share:
        return share.share(self.source.share, charge, self.reading, self.source.self_pay_classes)

    def echo(self, charge: Charge) -> _Found | None:
        """Say whether a payment is one of ours, told back to us: for certain, perhaps (a problem), or not (None)."""
        book = self.book
        if book.id is None:
            return None
        if (found := typed.judge(self.tx, book, charge, self.row.id)) is not None:
            return *found, []
        if books.is_our_payment(self.tx, book, charge.payment_reference, charge.reference):
            return None, "our own posting, echoed by the sender: nothing to do", []
        if elsewhere.awaited(self.lines, -charge.amount.minor):
            return self.said_here(charge)
        waived = "maybe_echo" in self.row.waived.split()
        if waived or charge.payment_reference or not books.has_payment_of(self.tx, book, -charge.amount.minor):
            return None
        text = "a payment of the same amount as one of ours, without a reference: perhaps our own echo"
        return ("maybe_echo", text, "compare with the chart: dismiss it if it is ours, else retry with --yes"), "", []

    def said_here(self, charge: Charge) -> _Found:
        more, line = _describe(charge, self.row.id)
        kept = elsewhere.mark(line, -charge.amount.minor)
        self.lines.append(kept)
        more |= {"item": kept.item}
        return None, elsewhere.NOTE, [(f"message:{self.row.id}:{charge.ordinal}", kept.kind, 0, more)]

    def void(self, charge: Charge, found: Correction, cause: str, more: dict[str, Any]) -> _Found:
        """Take a transaction back. One that never counted is no matter where the source's rule would not count it."""
        if found.takes:
            note = f"counted: {found.amount:+d} minor units of its Transaction ID"
            return None, note, [self.take(found, cause, more)]
        own = self.share(charge)
        if own.amount is None and not own.problem:
            return None, f"nothing to take back: {own.why}", []
        text = "it takes back a Transaction ID (FT1-2) of which nothing is counted"
        fix = "if what it takes back is still to come, retry this after it; else dismiss it"
        return ("nothing_to_void", text, fix), "", []

    def take(self, found: Correction, cause: str, more: dict[str, Any]) -> Counted:
        """Mark a transaction as taken back; return the entry that does it: one of 0 where credits did so before."""
        amount = found.amount
        reversals.void(found.takes, self.row.id)
        self.lines.append(Line(amount, VOID, more["reference"], "", "", self.row.id))
        return cause, VOID, amount, {"reference": more["reference"], "text": more["text"]}

    def own(self, charge: Charge, line: Line, *, replaces: bool) -> tuple[Why | None, str, int | None]:
        """Judge what a line adds by itself: a problem or None, a note, and the amount that counts."""
        book, source = self.book, self.source
        own = share.judge(source.share, charge, self.reading, source.self_pay_classes, line, self.lines)
        if own.problem:
            return ("unclear_credit", own.problem, own.fix), own.problem, None
        if not own.amount:
            return None, f"not counted: {own.why}", None
        if charge.amount.currency != book.currency:
            text = f"an amount in {charge.amount.currency} for an account in {book.currency}"
            return ("currency", text, "bill other currencies through an account and a facility of their own"), "", None
        # What a counted line takes back exactly may count at once: if it meant an equal one that waits, the sum is the
        # same, and until then nobody is asked for too much. A patient's payment takes no line back.
        if own.amount < 0 and self.held and not own.takes_back and charge.kind is not Kind.PATIENT_PAYMENT:
            text = "an earlier message of this account waits, and this line may take back what is in it"
            return ("behind_held", text, "settle the earlier hold first"), "", None
        money = charge.kind in MONEY and typed.MAYBE not in self.row.waived.split()
        if money and (doubt := typed.doubt(self.tx, book)) is not None:
            return doubt, "", None
        may_repeat = own.takes_back or "same_line" in self.row.waived.split()
        if not may_repeat and _counted_before(line, self.before, replaces=replaces):
            text = "a line like this is counted already, and nothing tells the two apart"
            return ("same_line", text, "dismiss it if it was sent twice; if it was not, retry it with --yes"), "", None
        return None, f"counted: {own.why}", own.amount


def _counted_before(line: Line, before: Iterable[Line], *, replaces: bool) -> bool:
    """Say whether an equal line of an earlier message is counted and FT1-2 does not tell the two apart.

    What was taken back comes again only as a replacement, or in the message that took it back: else it may be an old
    message that was sent once more, and somebody would be asked for what is owed no longer.
    """
    for earlier in before:
        if earlier.likeness != line.likeness:
            continue
        distinct = line.reference and earlier.reference and line.reference != earlier.reference
        taken_by = earlier.taken_by.message_id if earlier.taken_by is not None else 0
        here = line.message_id in (earlier.voided_by, taken_by)
        if not distinct and not here and not (replaces and earlier.reversed):
            return True
    return False


def _describe(charge: Charge, message_id: int) -> tuple[dict[str, Any], Line]:
    search = sealed.keyring().search
    date = charge.service_date.isoformat() if charge.service_date else ""
    likeness = search("line", charge.kind, str(charge.amount.minor), charge.code, date)
    item = search("item", charge.code) if charge.code else ""
    text = (charge.description or charge.code).encode()
    # Some senders put the account number into FT1-2.
    reference = search("reference", charge.reference) if charge.reference else ""
    more = {"reference": reference, "likeness": likeness, "item": item, "text": text}
    return more, Line(charge.amount.minor, str(charge.kind), reference, likeness, item, message_id)
