"""post: render a posting once, have it checked, keep its bytes; the relay publishes them to the destination's queue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.posting import preference
from chartpost.adapter.flow.posting.deliver import move
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import account, payment, posting
from chartpost.mappings import model
from chartpost.mappings.write import Unwritable, check, write

#: A destination that reads its postings from our FHIR face.
PULL = "pull"
#: Said where the map knows no better.
_FIX = "correct the destination's map, or have the source send what is missing; then retry this hold"


def run(flow: Flow, errand: Errand) -> None:
    """Render the posting whose public id is the errand's subject and ask for its delivery."""
    flow = flow.frozen()
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                posting.c.public_id, posting.c.state, posting.c.destination, posting.c.kind, posting.c.control_id,
                posting.c.body, posting.c.batch, posting.c.created_at, payment.c.amount, payment.c.currency,
                payment.c.medium, payment.c.paid_at, payment.c.provider_ref, account.c.number, account.c.chart,
                account.c.facility,
            )
            .join(payment, payment.c.id == posting.c.payment_id)
            .join(account, account.c.id == payment.c.account_id)
            .where(posting.c.public_id == errand.subject)
        ).first() or preference.find(connection, errand.subject)  # fmt: skip
    body, problem, fix = (None, "", "") if row is None or row.state != states.Posting.DUE else _render(flow, row)
    with flow.store.write() as tx:
        mine = posting.c.public_id == errand.subject
        if row is None or tx.scalar(select(posting.c.state).where(mine).with_for_update()) != states.Posting.DUE:
            return errands.done(tx, errand)  # somebody else was faster
        if problem:  # our own checks refuse it, before anything was sent
            move(tx, errand.subject, states.Posting.REFUSED, {"answer_text": problem})
            like = holds.likeness("not_sent", row.destination)
            holds.add(tx, f"posting:{errand.subject}", "not_sent", f"the posting {problem}", fix, like)
        elif body is not None:
            values: dict[str, Any] = {"body": body, "content_type": flow.outbound[row.destination].content_type}
            place = flow.settings.destinations[row.destination]
            if place.shadow is not None:
                move(tx, errand.subject, states.Posting.SHADOWED, values)
            elif place.type == PULL:  # it is there to be read: nothing carries it
                move(tx, errand.subject, states.Posting.PUBLISHED, values)
            else:
                values["changed_at"] = tx.now
                tx.run(update(posting).where(mine).values(values))
                errands.add(tx, "deliver", errand.subject, f"deliver:{row.destination}")
        errands.done(tx, errand)
    return None


def _render(flow: Flow, row: Any) -> tuple[bytes | None, str, str]:
    """Return the bytes, or what is wrong and what to do."""
    if row.kind == preference.KIND:
        return preference.render(flow, row)
    if row.destination not in flow.outbound:
        return None, "its destination is no longer in the configuration", "put the destination back, or post by hand"
    options = flow.settings.destinations[row.destination].options
    value = model.Posting(
        kind=row.kind, posting_id=row.public_id, control_id=row.control_id,
        amount=model.Money(minor=row.amount, currency=row.currency),
        paid_at=row.paid_at, posted_at=row.created_at, timezone=flow.facility(row.facility).timezone,
        facility=flow.facility(row.facility).name,
        medium=row.medium, provider_reference=row.provider_ref, account=row.number.decode(), chart=row.chart,
        batch=row.batch,
        sending=(options.get("sending_application") or "CHARTPOST", options.get("sending_facility") or ""),
        receiving=(options.get("receiving_application") or "", options.get("receiving_facility") or ""),
    )  # fmt: skip
    map = flow.outbound[row.destination]
    try:
        body = write(value, map)
    except Unwritable as error:
        causes = "; ".join(f"{problem.path}: {problem.cause}" for problem in error.problems)
        fixes = dict.fromkeys(problem.fix for problem in error.problems if problem.fix)
        return None, f"cannot be written: {causes}", "; ".join(fixes) or _FIX
    if problems := check(body, map):
        return None, "does not conform to the standard: " + "; ".join(problems), "correct the destination's map"
    return body, "", ""
