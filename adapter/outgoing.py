"""A posting as it would be made if what a message asks for were paid: for trying maps of postings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from chartpost.adapter.goldens import Terms
from chartpost.adapter.trial import Outcome
from chartpost.mappings.model import Posting

#: When the payment of the example was made: always the same, so that the result is too.
PAID_AT = dt.datetime(2026, 1, 15, 15, 4, 5, tzinfo=dt.UTC)


def example(found: Sequence[Outcome], terms: Terms) -> Posting:
    """Return the posting of a card payment of all that is asked after these messages. Raises ValueError."""
    last = next((one for one in reversed(found) if one.reading is not None), None)
    if last is None or last.reading is None:
        reason = found[-1].reason if found else "there is none"
        raise ValueError(f"the message cannot be read, so nobody could be asked: {reason}")
    amount = last.asked or next((charge.amount for charge in last.reading.charges if charge.amount.minor > 0), None)
    if amount is None:
        raise ValueError("the message asks for nothing, so there is nothing to post")
    facility = terms.settings.facilities[terms.settings.sources[terms.source].facility]
    return Posting(
        kind="payment", posting_id="P0EXAMPLE001", control_id="P0EXAMPLE001", amount=amount, paid_at=PAID_AT,
        posted_at=PAID_AT + dt.timedelta(seconds=2), timezone=facility.timezone, facility=facility.name,
        medium="card/visa", provider_reference="pi_example", batch="EXAMPLE001",
        account=last.reading.account, chart=last.reading.chart,
    )  # fmt: skip
