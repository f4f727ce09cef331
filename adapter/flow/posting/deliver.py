"""deliver: carry one posting, as it came out of its queue, to the destination, and believe only what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update

from chartpost.adapter.errors import Permanent
from chartpost.adapter.flow.attempt import Tried, attempt, close, silences
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.posting import settle
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import account, payment, posting
from chartpost.adapter.ports import Answer, Verdict

#: After so many refused connections in a row a person is told; we keep trying all the same.
TELL_AFTER = 5
#: Where the destination drops duplicates, silence is answered by sending again, so often.
RESENDS = 3
_STATE_OF = {
    Verdict.ACCEPTED: states.Posting.ACCEPTED,
    Verdict.RECEIVED: states.Posting.RECEIVED,
    Verdict.REFUSED: states.Posting.REFUSED,
}


def published(flow: Flow, posting_id: str) -> None:
    """Note that the broker confirmed the posting."""
    with flow.store.write() as tx:
        move(tx, posting_id, states.Posting.PUBLISHED, {})


def queue_refuses(flow: Flow, destination: str, queue: str) -> None:
    """Tell a person that the broker does not take a destination's postings: a queue that nobody empties is full."""
    with flow.store.write() as tx:
        _tell(tx, destination, f"the broker takes nothing into {queue}")


def run(flow: Flow, errand: Errand, body: bytes) -> None:
    """Send `body` to the errand's destination and record the answer."""
    with flow.store.write() as tx:
        row = tx.one(select(posting).where(posting.c.public_id == errand.subject).with_for_update())
        if row is None or row.state not in (states.Posting.DUE, states.Posting.PUBLISHED):
            return errands.done(tx, errand)
        # It came out of the queue, so it was published, even if the confirm was not yet on record.
        move(tx, errand.subject, states.Posting.PUBLISHED, {})
    configured = flow.settings.destinations.get(row.destination)
    harmless = configured is not None and configured.options.get("resend", "never") != "never"

    def send() -> Answer:
        sender = flow.world.senders.get(row.destination)
        if sender is None:
            raise Permanent("its destination is no longer in the configuration, or nothing is sent to it any more")
        return sender.send(body, row.control_id)

    tried = attempt(flow.store, f"posting:{errand.subject}", send, repeatable=harmless)
    with flow.store.write() as tx:
        close(tx, tried)
        if tried.outcome == "transient":
            if errand.attempts >= TELL_AFTER:
                _tell(tx, row.destination, tried.detail)
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        holds.close(tx, f"destination:{row.destination}", "not_reachable")
        if tried.outcome == "unknown" and harmless and silences(tx, tried.subject) <= RESENDS:
            return errands.again(tx, errand, tx.now + delay(errand.attempts), tried.detail)
        _conclude(tx, errand.subject, tried, row.destination)
        if tried.value is not None and tried.value.verdict is Verdict.ACCEPTED:
            settle.ask_for(flow, tx, errand.subject, row.destination)
        errands.done(tx, errand)
    return None


def _conclude(tx: Tx, posting_id: str, tried: Tried[Answer], destination: str) -> None:
    match tried.outcome, tried.value:
        case "done", Answer() as answer:
            heard(tx, posting_id, answer, destination)
        case "refused", _:
            move(tx, posting_id, states.Posting.REFUSED, {"answer_code": tried.code, "answer_text": tried.detail})
            holds.add(
                tx, f"posting:{posting_id}", "refused", f"the posting could not be sent: {tried.detail}",
                "correct the destination's configuration, then retry this hold",
                holds.likeness("refused", destination, [tried.code]),
            )  # fmt: skip
        case _:
            move(tx, posting_id, states.Posting.UNKNOWN, {"answer_text": tried.detail})
            holds.add(
                tx, f"posting:{posting_id}", "unknown", f"nobody knows whether the chart has it: {tried.detail}",
                "look at the account in the chart; it is not sent again by itself",
                holds.likeness("unknown", destination),
            )  # fmt: skip


def heard(tx: Tx, posting_id: str, answer: Answer, destination: str) -> bool:
    """Record what the destination said; False when that changes nothing: said before, or too late."""
    values = {"answer_code": answer.code, "answer_text": answer.text, "answer": answer.raw}
    moved = move(tx, posting_id, _STATE_OF[answer.verdict], values)
    if moved and answer.verdict is Verdict.ACCEPTED and answer.text:
        holds.add(
            tx, f"posting:{posting_id}", "taken_in_part", f"the chart has the payment, but not all: {answer.text}",
            "enter in the chart by hand what is missing, then dismiss this",
            holds.likeness("taken_in_part", destination),
        )  # fmt: skip
    if moved and answer.verdict is Verdict.REFUSED:
        holds.add(
            tx, f"posting:{posting_id}", "refused", f"the destination refused it: {answer.code} {answer.text}".rstrip(),
            "correct the cause at the destination (an open batch, a mapped code), then retry this hold",
            holds.likeness("refused", destination, [answer.code]),
        )  # fmt: skip
    return moved


def move(tx: Tx, posting_id: str, after: states.Posting, values: Mapping[str, Any]) -> bool:
    """Take a posting to a state if that may follow its own; say whether it did."""
    row = tx.one(
        select(posting.c.state, posting.c.destination, account.c.key)
        .outerjoin(payment, payment.c.id == posting.c.payment_id)
        .join(account, account.c.id == func.coalesce(payment.c.account_id, posting.c.account_id))
        .where(posting.c.public_id == posting_id)
        .with_for_update(of=posting)  # the relay's confirm and the destination's answer may come at once
    )
    if row is None or not states.allowed(states.Posting(row.state), after):
        return False
    changes = {**values, "state": after, "changed_at": tx.now}
    tx.run(update(posting).where(posting.c.public_id == posting_id).values(changes))
    tx.moved("posting", after, row.destination, row.key, posting=posting_id)
    return True


def _tell(tx: Tx, destination: str, detail: str) -> None:
    holds.add(
        tx, f"destination:{destination}", "not_reachable", f"it takes no postings, and they wait: {detail}",
        "check its address, the network and what listens there; delivery goes on by itself",
    )  # fmt: skip
