"""Write accounts that changed, and all that follows from it, in one transaction: who is told, and who has to look."""

from __future__ import annotations

from collections.abc import Iterable

from chartpost.adapter.flow.asking import limits, remind
from chartpost.adapter.flow.charges import overpaid
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling import notify, retell
from chartpost.adapter.ledger import books
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx


def write(flow: Flow, tx: Tx, changed: Iterable[Book]) -> list[Book]:
    """Write these accounts down; return those for which a request was opened."""
    changed = list(changed)
    opened = books.flush(tx, changed)
    overpaid.tell(flow, tx, changed)
    limits.tell(flow, tx, changed)
    notify.plan(flow, tx, opened)
    remind.plan(flow, tx, changed)
    just_opened = {book.key for book in opened}
    retell.plan(flow, tx, (book for book in changed if book.renewed and book.key not in just_opened))
    return opened
