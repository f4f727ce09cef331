"""Postings that a person sends again: written anew, under which number, and when not."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.flow.charges.typed import TYPED
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No, Release, Word, close, close_all
from chartpost.adapter.flow.posting import preference
from chartpost.adapter.ledger import errands, states
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import hold, posting

HL7 = "application/hl7-v2"


def resend(flow: Flow, posting_id: str, *, by: str, sure: bool = False) -> Release:
    """Render and send a posting once more, and close what waits about it."""
    obj = f"posting:{posting_id}"
    try:
        with flow.store.write() as tx:
            text = _send_again(flow, tx, posting_id, sure)
            close_all(tx, obj, Word(by))
    except No as no:
        return Release(posting_id, obj, "", False, str(no))
    return Release(posting_id, obj, "", True, text)


def retry_posting(flow: Flow, tx: Tx, held: Any, key: str, word: Word) -> str:
    """Send the posting of a hold again, or do what else the hold is about."""
    if held.cause == "invoice_not_settled":
        destination = tx.scalar(select(posting.c.destination).where(posting.c.public_id == key).with_for_update())
        close(tx, held, word)
        errands.add(tx, "settle", key, f"settle:{destination}")
        return "the chart's Invoice is set to balanced now"
    text = _send_again(flow, tx, key, word.sure)
    close(tx, held, word)
    close_all(tx, held.object, word)
    return text


def _send_again(flow: Flow, tx: Tx, posting_id: str, sure: bool) -> str:
    row = tx.one(select(posting).where(posting.c.public_id == posting_id).with_for_update())
    if row is None:
        raise No("there is no such posting; `chartpost postings` lists them")
    state = states.Posting(row.state)
    if _overdue(tx, row):  # given up waiting for its receipt: from here on nobody knows
        states.check(state, states.Posting.UNKNOWN)
        state = states.Posting.UNKNOWN
    if not states.allowed(state, states.Posting.DUE):
        raise No(f"it is {state}; only what was refused, or is unknown, is sent again")
    if row.kind == preference.KIND and preference.overtaken(tx.connection, posting_id):
        raise No("it is so no longer: the person has said otherwise since, and the chart is told of that; dismiss it")
    if state is states.Posting.UNKNOWN and not sure:
        raise No(
            "the chart may have it, and would then have it twice: look at the account in the chart; "
            "if it is not there, say so with --yes"
        )
    if state is states.Posting.SHADOWED:
        _out_of_shadow(flow, row, sure)
    values = {
        "state": states.Posting.DUE, "body": None, "answer_code": "", "answer_text": "", "answer": None,
        "control_id": _control_id(row), "changed_at": tx.now,
    }  # fmt: skip
    tx.run(update(posting).where(posting.c.public_id == posting_id).values(values))
    errands.add(tx, "post", posting_id, f"post:{row.destination}")
    return "it is written anew and sent again"


def _out_of_shadow(flow: Flow, row: Any, sure: bool) -> None:
    """Raise No unless the posting's destination is no longer only tried, and a person has looked."""
    place = flow.settings.destinations.get(row.destination)
    if place is None or place.shadow is not None:
        raise No("its destination is only tried: take `shadow` out of the configuration first")
    if not sure:
        known = f"the chart told of it ({row.answer_text})" if row.answer_code == TYPED else "it may have been typed"
        raise No(f"{known}, and would be there twice: look at the account; if it is not there, say so with --yes")


def _overdue(tx: Tx, row: Any) -> bool:
    """Say whether an engine has the posting, or has not, and a person was told that it does not answer."""
    waits = (hold.c.object == f"posting:{row.public_id}", hold.c.cause == "no_receipt", hold.c.state == "open")
    return bool(row.state == states.Posting.PUBLISHED and tx.one(select(hold.c.id).where(*waits)))


def _control_id(row: Any) -> str:
    """Return MSH-10 for the next try: a new one once a message was answered, "P…-2".

    The corrected message is another message: under the old number a careful receiver repeats its old answer. Where
    nobody answered it stays, and a receiver that drops duplicates drops this one too.
    """
    if row.content_type != HL7 or not row.answer_code or row.state == states.Posting.UNKNOWN:
        return str(row.control_id)
    last = re.fullmatch(rf"{row.public_id}-(\d+)", row.control_id)
    return f"{row.public_id}-{int(last[1]) + 1 if last else 2}"
