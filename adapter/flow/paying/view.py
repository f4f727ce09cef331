"""What a link shows to whoever holds it: what is owed now and to whom, and never a name, a service or its date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.answering import known
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying import card
from chartpost.adapter.flow.requests import plan
from chartpost.adapter.flow.requests.plan import Part
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, payment, request
from chartpost.mappings.model import Money

#: What is asked of a link's account, beside its request.
_OF_ACCOUNT = (
    account.c.key, account.c.source, account.c.facility, account.c.currency, account.c.patient, account.c.guarantor,
    account.c.patient_only, account.c.stopped, account.c.balance, account.c.others,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PayView:
    """What a link shows now: no name, no service, no date of one, because whoever holds the link may see it."""

    state: str  #: open, paid, settled, cancelled or expired; not_me where somebody said that it is not for them
    facility: str
    owed: Money  #: zero unless open
    paid: Money  #: through us, on this request
    pending: bool  #: a payer finished the card page, and the money is not recorded yet
    contact: str  #: how to reach the facility, "" when it is not configured
    locale: str = "en_US"  #: of the words and the amounts
    languages: tuple[str, ...] = ("en",)  #: in which the page can be read
    parts: bool = True  #: whether a part may be paid
    part_minimum: int = 0  #: minor units of the smallest part
    due: Money | None = None  #: of a plan: what cannot wait; None without a plan
    waits: tuple[Part, ...] = ()  #: of a plan: what may wait, and until when
    offers: tuple[tuple[Part, ...], ...] = ()  #: plans that may be chosen
    every: str = ""  #: of the plans that are offered: week, two_weeks, month
    details: bool = False  #: whether a visitor can show who they are, and see more


def look(flow: Flow, token: str, language: str = "") -> PayView | None:
    """Return what the link shows, or None for a link that we never made. Changes nothing: scanners open links too.

    `language` is what the visitor has asked for on this very page, "" for what is known.
    """
    with flow.store.read() as connection:
        row = find(connection, token)
        return None if row is None else view_of(flow, connection, row, language)


def find(connection: Connection, token: str) -> Any:
    """Return the row of a link's request, with what is asked of its account, or None."""
    return connection.execute(
        select(request, *_OF_ACCOUNT)
        .join(account, account.c.id == request.c.account_id)
        .where(request.c.token_hash == link.token_hash(token))
    ).first()


def locked(tx: Tx, token: str) -> Any:
    """Return the same row with its account locked until the transaction ends. Raises LookupError."""
    row = find(tx.connection, token)
    if row is None:
        raise LookupError("no such link")
    tx.one(select(account.c.id).where(account.c.id == row.account_id).with_for_update())
    return find(tx.connection, token)


def view_of(flow: Flow, connection: Connection, row: Any, language: str = "") -> PayView:
    """Return what a request shows now; `row` is what `find` returned."""
    paid = connection.scalar(select(func.sum(payment.c.amount)).where(payment.c.request_id == row.id)) or 0
    facility = flow.facility(row.facility)
    state = state_now(flow, row)
    owed = row.asked if state == states.Request.OPEN else 0
    today = flow.store.clock().astimezone(facility.zone).date()
    parts = plan.of(connection, row.id) if owed else ()
    return PayView(
        state=state,
        facility=facility.name,
        owed=Money(minor=owed, currency=row.currency),
        paid=Money(minor=paid, currency=row.currency),
        pending=card.pending(connection, [row.account_id]),
        contact=facility.contact,
        locale=f"{language_of(facility, row, language)}_{facility.region}",
        languages=facility.languages,
        parts=facility.amounts.parts,
        part_minimum=facility.minor(facility.amounts.part_minimum) if facility.amounts.part_minimum else 0,
        due=Money(minor=plan.due_now(owed, parts, today), currency=row.currency) if parts else None,
        waits=plan.waiting(owed, parts, today),
        offers=plan.offers(facility, owed, today) if owed and not parts else (),
        every=facility.plans.every if facility.plans is not None else "",
        details=state != "not_me" and known.possible(flow, connection, row),
    )


def state_now(flow: Flow, row: Any) -> str:
    """Return the state of a request, as whoever holds its link sees it."""
    if row.paused == "not_me":
        return "not_me"
    if row.state == states.Request.OPEN and row.expires_at is not None and row.expires_at <= flow.store.clock():
        return str(states.Request.EXPIRED)  # its errand is about to say so
    return str(row.state)


def language_of(facility: Facility, row: Any, wanted: str = "") -> str:
    """Return the language of a request's page: as asked for on this visit, else as the payer is written to."""
    payer = row.patient if row.guarantor is None or row.patient_only else row.guarantor
    chosen = wanted if wanted in facility.languages else row.language
    return wording.language_of(chosen, payer, facility.languages)
