"""How much of an account is asked for, as a person says it, within the policy of its facility. Pure: changes the book.

Less than is owed: the rest is withheld. More: an advance, which is asked for until it is paid. The next charge is
asked for beside either, so no cent is asked for twice and none is lost.
"""

from __future__ import annotations

from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.telling.reach import Owner
from chartpost.adapter.ledger.books import Ask, Book
from chartpost.mappings.model import Money


def ask_for(book: Book, asked: Ask, amount: int | None, facility: Facility, *, approved: bool) -> None:
    """Let `asked` be for `amount` minor units; None: for all that is owed. Raises No, and then nothing has changed."""
    owed = book.balance
    wanted = owed if amount is None else amount
    if wanted <= 0:
        raise No("nothing is owed on this account; an amount above zero would be an advance")
    policy = facility.amounts
    if 0 < wanted < owed and not policy.lower:
        raise No(f"{_money(owed, book)} is owed, and by the facility's amounts.lower no less is asked for")
    if wanted > owed and not policy.higher:
        raise No(f"{_money(max(0, owed), book)} is owed, and by the facility's amounts.higher no more is asked for")
    if policy.minimum is not None and wanted < facility.minor(policy.minimum):
        raise No(f"less than {_money(facility.minor(policy.minimum), book)} is not asked for (amounts.minimum)")
    if policy.maximum is not None and wanted > facility.minor(policy.maximum):
        raise No(f"more than {_money(facility.minor(policy.maximum), book)} is never asked for (amounts.maximum)")
    if policy.review_above is not None and wanted > max(facility.minor(policy.review_above), book.approved):
        if not approved:
            above = _money(facility.minor(policy.review_above), book)
            raise No(f"more than {above} goes out only if somebody who may approves it (amounts.review_above)")
        book.approved = wanted
    book.withheld = max(0, owed - wanted)
    asked.advance = wanted if wanted > owed else 0


def refuse(book: Book) -> None:
    """Raise No where no request may be opened on an account: one is open, or nobody is asked about it."""
    if book.ask is not None:
        raise No(f"request {book.ask.public_id} is open on this account, and there is never a second: edit that one")
    if book.stopped:
        raise No(f"nobody is asked about this account: {book.stopped.replace('_', ' ')}; somebody must lift that first")


def may_approve(flow: Flow, by: str) -> bool:
    """Say whether `by` may approve what waits for a person; whoever is no user of the API gives commands here."""
    user = flow.settings.users.get(by)
    return user is None or "holds:write" in user.allowed


def approval(flow: Flow, by: str, approved: bool) -> bool:
    """Return `approved` if `by` may say so. Raises No."""
    if approved and not may_approve(flow, by):
        raise No("you may not approve amounts that wait for a person; ask somebody in billing")
    return approved


def payer_of(owner: Owner) -> str:
    """Return the name of whoever pays as the chart has it; of a confidential account the patient's."""
    party = owner.patient if owner.patient_only or not owner.guarantor else owner.guarantor
    return f"{party.get('given', '')} {party.get('family', '')}".strip()


def _money(minor: int, book: Book) -> Money:
    return Money(minor=minor, currency=book.currency)
