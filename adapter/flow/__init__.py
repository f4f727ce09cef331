"""START HERE. The loop, from a charge in the clinical system to the payment in its chart.

    door 1   listeners/mllp.py → receive.py          a frame is stored, committed, and only then acknowledged
             web/fhir.py → receive_fhir.py           the same for Invoices; listeners/broker.py for either from a queue,
                                                     listeners/directory.py and files.py for either from a folder
             translate.py, lines.py, share.py        stored messages become entries; a request follows the balance
             guard.py, gather.py                     what is old or too much waits for a person; asked once, not thrice
             invoice.py, fetch.py                    an Invoice states the whole: what it refers to is fetched first
             chargeitem.py                           a ChargeItem states one line of an account
             notified.py, poll_fhir.py, found.py     Invoices that a subscription tells of, or that nobody sends
             make.py, change.py                      or a person asks, and changes or settles what is asked
             notify.py, reach.py                     to whom and by which channel, or why to nobody; one neutral message
             allowed.py, quiet.py, consent.py        whether it may go out now: looked at when it is sent
             compose.py, proofread.py                in which words, of which language; none that would say too much
             dead_ends.py                            no text to a landline, nothing to what was given up
             remind.py, plan.py                      again if nobody pays, once for each step; in parts, by a plan
             pay.py, card.py                         the patient looks, presses pay, and is sent to the card page
             family.py, allocate.py                  or pays several accounts of theirs at once, exact to the cent
             identify.py, details.py, choices.py     sees more once they show who they are; says "not me", "I paid"
             incoming.py, optout.py                  or answers the text: STOP, in whatever words, counts at once
    door 2   web/webhooks.py → record.py             the provider's event is stored and applied; a posting a destination
             bounced.py                              mail that comes back: the next channel, or a person
             receipts.py, staff.py                   the payer gets a receipt, and whom it concerns is told
             post.py                                 the posting is rendered once, checked, and published to its queue
             preference.py                           so is whether somebody may be texted, for the chart to know
             deliver.py, settle.py                   it is carried to the chart, and only its word makes it accepted
             receipt.py, reconciliations.py          or an engine consumes it and answers, or the chart comes for it

A door is one function and one transaction, and calls nobody. Whatever takes time or may fail is an errand: a row of
that transaction, announced through Kombu, done in the transaction of its own effect. `ERRANDS` is the table. What a
person decides about a hold is release.py and edit.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chartpost.adapter.flow.asking import expire, gather, remind
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.flow.door import acknowledge, fetch, inspect, notified, poll_fhir
from chartpost.adapter.flow.paying import record
from chartpost.adapter.flow.posting import deliver, post, receipt, settle
from chartpost.adapter.flow.telling import notify, staff_digest
from chartpost.adapter.ledger.errands import Errand

__all__ = ["ERRANDS", "TRANSLATE", "Step"]

Step = Callable[[Flow, Errand, bytes], None]


def _by_row(step: Callable[[Flow, Errand], None]) -> Step:
    """Most errands need only their row; the body of the delivery matters to `deliver` alone."""
    return lambda flow, errand, body: step(flow, errand)


#: kind of errand → what does it. Messages need no errand row: a message in state `received` is its own (translate.py).
ERRANDS: Mapping[str, Step] = {
    "notify": _by_row(notify.run),  #: subject: notice
    "remind": _by_row(remind.run),  #: subject: request
    "expire": _by_row(expire.run),  #: subject: card session
    "gather": _by_row(gather.run),  #: subject: account, by its key
    "lapse": _by_row(expire.lapse),  #: subject: request
    "apply": _by_row(record.retry),  #: subject: provider/event
    "poll": _by_row(record.poll),  #: subject: provider; comes back for ever
    "ack": _by_row(acknowledge.run),  #: subject: message
    "post": _by_row(post.run),  #: subject: posting
    "fetch": _by_row(fetch.run),  #: subject: message; an Invoice that refers to what it did not bring
    "lint": _by_row(inspect.run),  #: subject: source
    "notified": _by_row(notified.run),  #: subject: message; a notification that names Invoices and brings none
    "fhir_poll": _by_row(poll_fhir.run),  #: subject: source; comes back for ever
    "settle": _by_row(settle.run),  #: subject: posting
    "staff_digest": _by_row(staff_digest.run),  #: subject: user; comes back for ever
    "receipt_due": _by_row(receipt.overdue),  #: subject: posting; of a destination that consumes its queue itself
    "deliver": deliver.run,  #: subject: posting; woken by the posting itself, on posting.<destination>.<format>
}
