"""settle: tell the chart's own Invoice that it is balanced, once it is paid here to the last cent.

An option of a FHIR destination, for charts that do not do so by themselves when a PaymentReconciliation arrives.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from chartpost.adapter.flow.attempt import attempt, close
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import errands, holds
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, payment, posting
from chartpost.adapter.ports import Answer, Verdict

#: After so many tries without an answer a person is told; we keep trying all the same.
TELL_AFTER = 5
_BY_HAND = "set the Invoice to balanced in the chart by hand"


def ask_for(flow: Flow, tx: Tx, posting_id: str, destination: str) -> None:
    """Ask for it when this accepted posting told of the payment that left nothing to pay."""
    configured = flow.settings.destinations.get(destination)
    if configured is None or not configured.options.get("settle_invoice"):
        return
    row = tx.one(
        select(account.c.balance, account.c.chart)
        .join(payment, payment.c.account_id == account.c.id)
        .join(posting, posting.c.payment_id == payment.c.id)
        .where(posting.c.public_id == posting_id)
    )
    if row is not None and row.balance <= 0 and row.chart.get("Invoice.id"):
        errands.add(tx, "settle", posting_id, f"settle:{destination}")


def run(flow: Flow, errand: Errand) -> None:
    """Balance the Invoice that the posting of the errand's subject paid. Harmless to repeat: it states a state."""
    with flow.store.read() as connection:
        row = connection.execute(
            select(posting.c.destination, account.c.balance, account.c.chart)
            .join(payment, payment.c.id == posting.c.payment_id)
            .join(account, account.c.id == payment.c.account_id)
            .where(posting.c.public_id == errand.subject)
        ).one()
    # Optional in ports.Sender: not every chart has Invoices.
    balance: Callable[[str], Answer] | None = getattr(flow.world.senders.get(row.destination), "settle_invoice", None)
    if row.balance > 0 or balance is None:
        with flow.store.write() as tx:
            return errands.done(tx, errand)
    reference = f"Invoice/{row.chart['Invoice.id']}"
    tried = attempt(flow.store, f"settle:{errand.subject}", lambda: balance(reference), repeatable=True)
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.outcome in ("transient", "unknown"):
            if errand.attempts >= TELL_AFTER:
                _tell(tx, errand, row.destination, tried.detail, f"{_BY_HAND}; it is still tried")
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        errands.done(tx, errand)
        holds.close(tx, f"posting:{errand.subject}", "invoice_not_settled")
        refused = tried.outcome == "refused" or (tried.value is not None and tried.value.verdict is Verdict.REFUSED)
        if refused:
            why = f"{tried.value.code} {tried.value.text}" if tried.value is not None else tried.detail
            fix = f"{_BY_HAND}, or correct what hinders and retry this hold"
            _tell(tx, errand, row.destination, why, fix)
    return None


def _tell(tx: Tx, errand: Errand, destination: str, why: str, fix: str) -> None:
    text = f"the payment is in the chart, but its Invoice could not be set to balanced: {why}".rstrip()
    like = holds.likeness("invoice_not_settled", destination)
    holds.add(tx, f"posting:{errand.subject}", "invoice_not_settled", text, fix, like)
