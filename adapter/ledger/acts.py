"""What people did here, in order: who, what, to what, and why. Append-only; the words are sealed."""

from __future__ import annotations

from sqlalchemy import insert

from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import act


def note(tx: Tx, by: str, verb: str, obj: str, note: str = "") -> int:
    """Write down what `by` did to `obj` ("request:R…"), in the transaction that does it; return the act's number.

    `note` may be a person's own words: it is shown to nobody without their leave.
    """
    row = {"by": by, "verb": verb, "object": obj, "note": note.encode() or None, "at": tx.now}
    return int(tx.run(insert(act).returning(act.c.id), [row]).scalar_one())
