"""Why nobody may be asked: the stop list. A rule of the map (`stop:`) says so of a message; the account remembers it.

The message waits for a person, and nobody is written to about its account any more. What was asked before stays
payable: a link that somebody has goes on working. A person lifts the stop by a retry with `--yes`, of the message or of
what waits on the request. After a confidential visit (PV2-22) only the patient is told, by contacts of their own.
"""

from __future__ import annotations

from chartpost.adapter.flow.asking import ask
from chartpost.adapter.flow.charges.lines import Decided, Verdict, hold
from chartpost.adapter.ledger import reversals, states
from chartpost.adapter.ledger.books import Book
from chartpost.mappings.model import Reading, Stop

#: The one cause that does not end with a person's word: everybody but the patient is left out for good.
CONFIDENTIAL = "confidential"
_FIX = "if it is to be asked for all the same: chartpost holds retry --cause {} --yes; else dismiss it"


def waiting(book: Book, reading: Reading, waived: str) -> list[Stop]:
    """Return the stops of a message that no person has lifted. Of a confidential account that was decided before."""
    lifted = {*waived.split(), *((CONFIDENTIAL,) if book.patient_only else ())}
    return [stop for stop in reading.stops if stop.cause not in lifted]


def mark(book: Book, found: list[Stop]) -> None:
    """Ask nobody any more about an account."""
    if found and not book.stopped:
        book.stopped = found[0].cause


def judge(book: Book, reading: Reading, waived: str, decided: Decided) -> Verdict | None:
    """Mark the account of a message that has stops, and return the verdict that holds it; None when it may go on.

    `decided` is what its lines would mean. Where nothing of them counts, or they only lower what is owed, there is
    nothing to hold: a link that somebody has must not show too much.
    """
    found = waiting(book, reading, waived)
    if found and book.stopped in waived.split():
        book.stopped = ""  # a person has lifted this one; the next takes its place
    mark(book, found)
    if isinstance(decided, Verdict):
        asks = decided.state is not states.Message.IGNORED
    else:
        asks = any(amount > 0 for _, _, amount, _ in decided[0])
    if not found or not asks:
        return None
    reversals.pair(book.lines)  # what its lines would have taken back stays
    cause, notes = found[0].cause, decided.trace if isinstance(decided, Verdict) else decided[1]
    return hold(cause, "; ".join(stop.text or stop.cause for stop in found), _FIX.format(cause), notes)


def lift(book: Book, causes: set[str]) -> None:
    """Do what a person said about these causes: the account may be asked about again.

    Once it is confidential, the link that somebody else may have must show nothing more: its request is withdrawn, and
    the next one has another link.
    """
    if book.stopped and book.stopped in causes:
        book.stopped, book.renewed = "", True  # whoever was not told may be, now
    if CONFIDENTIAL not in causes or book.patient_only:
        return
    book.patient_only = book.renewed = True
    if book.ask is not None and (book.guarantor is not None or book.others or (book.ask.said or {}).get("recipients")):
        ask.close(book, states.Request.CANCELLED)
