"""gather: open the request of an account for which charges were gathered, once no new one has come for some hours.

While it waits nobody is asked; what is paid or credited meanwhile lowers what will be asked for, perhaps to nothing.
"""

from __future__ import annotations

from sqlalchemy import select

from chartpost.adapter.flow.asking import accounts, ask
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import books, errands
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import errand as table


def run(flow: Flow, errand: Errand) -> None:
    """Ask for what is owed on the account whose key is the errand's subject, if its time has come."""
    with flow.store.write() as tx:
        book = books.load(tx, [errand.subject]).get(errand.subject)
        # Only now the account is ours alone: a charge that came a moment ago has moved the time.
        due = tx.scalar(select(table.c.due_at).where(table.c.id == errand.id))
        if due > tx.now:
            return errands.again(tx, errand, due)
        if book is not None:
            ask.follow(book, flow.link_key, tx.now, flow.facility(book.facility))
            accounts.write(flow, tx, [book])
        errands.done(tx, errand)
    return None
