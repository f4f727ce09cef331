"""Which accounts have one payer: a keyed hash of facility, the payer's name and one contact, for each contact.

Name and contact count together. A number alone joins nobody, since families share it, and a name alone neither, since
people share it. An account after a confidential visit has no key: it is never joined with anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from sqlalchemy import Select, bindparam, delete, insert, select

from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account_payer

_KNOWN = select(account_payer).where(account_payer.c.account_id.in_(bindparam("ids", expanding=True)))


class Owner(Protocol):
    """What is asked of a book."""

    id: int | None
    facility: str
    patient: dict[str, Any]
    guarantor: dict[str, Any] | None
    patient_only: bool


def name(party: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name by which a stored person is compared; None for one who has not both names."""
    family, given = (" ".join(party.get(part, "").split()).casefold() for part in ("family", "given"))
    return (family, given) if family and given else None


def payer(owner: Owner) -> dict[str, Any]:
    """Return who pays, as stored: the guarantor, else the patient."""
    return owner.patient if owner.guarantor is None else owner.guarantor


def keys(owner: Owner) -> frozenset[str]:
    """Return the keys by which the payer of an account is known; none where it must not be joined with others."""
    who = payer(owner)
    named = name(who)
    if owner.patient_only or named is None:
        return frozenset()
    search = sealed.keyring().search
    contacts = ((one["kind"], one["value"].casefold()) for one in who.get("contacts", ()))
    return frozenset(search("payer", owner.facility, *named, *contact) for contact in contacts)


def write(tx: Tx, owners: Collection[Owner]) -> None:
    """Keep the keys of accounts in step with what is known of their people."""
    wanted = {owner.id: keys(owner) for owner in owners}
    known: dict[int, set[str]] = {}
    for row in tx.all(_KNOWN, {"ids": list(wanted)}):
        known.setdefault(row.account_id, set()).add(row.key)
    changed = [id for id in wanted if known.get(id or 0, set()) != wanted[id]]
    if old := [id for id in changed if id in known]:
        tx.run(delete(account_payer).where(account_payer.c.account_id.in_(old)))
    if rows := [{"account_id": id, "key": key} for id in changed for key in sorted(wanted[id])]:
        tx.run(insert(account_payer), rows)


def joined(account_id: int) -> Select[tuple[int]]:
    """Select the ids of the accounts that have the same payer as this one, itself among them if it has a key."""
    own = select(account_payer.c.key).where(account_payer.c.account_id == account_id)
    return select(account_payer.c.account_id).where(account_payer.c.key.in_(own))
