"""What becomes of money that is too much: an account in credit, by the rule of its facility (`overpaid`).

    ask      a person is told (hold `credit_balance`) and decides
    refund   a person is told how much could go back to which payments (hold `refund_proposed`)
    credit   nobody is told: it stands against the next charge, and is used up by it

In each case the next charge uses it up: a request opens only for what the credit does not cover. To another account
of the payer no money is moved by machine, since no chart could be told of it; a person is told which of them owe.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import holds, payers
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account as accounts
from chartpost.adapter.ledger.tables import payment
from chartpost.mappings.model import Money

ASK, REFUND = "credit_balance", "refund_proposed"
#: Payments that a proposal names, and accounts.
_SHOWN = 5


def tell(flow: Flow, tx: Tx, books: Iterable[Book]) -> None:
    """Say of accounts that were written in this transaction how far they are in credit, or that they no longer are."""
    for book in books:
        if book.balance == book.was or (book.was >= 0 and book.balance >= 0):
            continue
        account = f"account:{book.id}"
        if book.was < 0:  # another amount is another matter: nobody returns what is not there any more
            holds.close(tx, account, ASK)
            holds.close(tx, account, REFUND)
        rule = flow.facility(book.facility).overpaid
        if book.balance >= 0 or rule == "credit":
            continue
        over = Money(minor=-book.balance, currency=book.currency)
        if rule == "refund":
            back, fix = _back(tx, book, over.minor), "refund it at the payment service and correct the chart"
            fix += _owing(tx, book)
            text = f"{over} more than was owed; it could go back to {back}"
            holds.add(tx, account, REFUND, text, fix, holds.likeness(REFUND, book.source))
        else:
            fix = "refund the payer, or let the credit stand against the next charge" + _owing(tx, book)
            text = f"the account is {over} in credit"
            holds.add(tx, account, ASK, text, fix, holds.likeness(ASK, book.source))


def _back(tx: Tx, book: Book, over: int) -> str:
    """Name the payments that `over` minor units could go back to, the newest first; the rest came from elsewhere."""
    statement = select(payment.c.public_id, payment.c.amount).where(payment.c.account_id == book.id)
    named: list[str] = []
    for row in tx.all(statement.order_by(payment.c.id.desc()).limit(_SHOWN)):
        if over <= 0:
            break
        part = min(over, row.amount)
        named.append(f"payment {row.public_id} ({Money(minor=part, currency=book.currency)})")
        over -= part
    if over > 0:
        named.append(f"whoever paid {Money(minor=over, currency=book.currency)} elsewhere")
    return ", ".join(named)


def _owing(tx: Tx, book: Book) -> str:
    """Name the other accounts of the payer on which something is owed, the oldest first."""
    assert book.id is not None
    statement = select(accounts.c.id, accounts.c.balance).where(
        accounts.c.id.in_(payers.joined(book.id)), accounts.c.id != book.id, accounts.c.currency == book.currency,
        accounts.c.balance > 0, accounts.c.stopped == "",
    )  # fmt: skip
    rows = tx.all(statement.order_by(accounts.c.id).limit(_SHOWN))
    named = ", ".join(f"A{row.id} ({Money(minor=row.balance, currency=book.currency)})" for row in rows)
    return f"; the same payer owes on {named}: moving it there is for both charts and a person" if named else ""
