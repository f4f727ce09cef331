"""fetch: read the resources that an Invoice refers to and its sender did not send: who is to be asked, above all.

The Invoice waits meanwhile, and then is translated with whatever there was to be had: what is owed never depends on
somebody's address.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select, update

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.charges import reading
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.ledger import errands, holds, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.log import get
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.read import Unreadable

#: Tries (a minute and a half of them) before the Invoice is translated without.
TRIES = 7
#: What was fetched may refer further: an Account to its guarantor.
ROUNDS = 3

log = get(__name__)


def run(flow: Flow, errand: Errand) -> None:
    """Fetch for the message whose id is the errand's subject, then hand it back to translation."""
    with flow.store.read() as connection:
        columns = (message.c.id, message.c.source, message.c.control_id, message.c.raw, message.c.edited)
        row = connection.execute(select(*columns).where(message.c.id == int(errand.subject))).one()
    got = _fetch(flow, row)
    with flow.store.write() as tx:
        if got.away and errand.attempts < TRIES:
            return errands.again(tx, errand, tx.now + delay(errand.attempts), got.away)
        waiting = (message.c.id == row.id, message.c.state == states.Message.FETCHING)
        tx.run(
            update(message).where(*waiting).values(state=states.Message.RECEIVED, fetched=jsontext.encode(got.found))
        )
        errands.done(tx, errand)
        tx.work.add(TRANSLATE)
        if why := got.away or got.refused:
            holds.add(
                tx, f"source:{row.source}", "not_fetched",
                f"what Invoices refer to is not to be had, and they are translated without it: {why}",
                "see that the server answers and that we may read there; then send M"
                f"{row.id} and what came after it again, and retry the holds on their requests",
            )  # fmt: skip
        elif got.found:
            holds.close(tx, f"source:{row.source}", "not_fetched")
    return None


class _Got(NamedTuple):
    """What was to be had, and why not all of it."""

    found: list[dict[str, Any]]
    away: str = ""  #: may be had later
    refused: str = ""  #: will not


def _fetch(flow: Flow, row: Any) -> _Got:
    source = flow.settings.sources.get(row.source)
    server = flow.world.servers.get(row.source)
    found: list[dict[str, Any]] = []
    if source is None or server is None:
        return _Got(found)
    asked: set[str] = set()
    away = refused = ""
    for _ in range(ROUNDS):
        try:
            said = reading.read(flow, row, source, found)
        except (Unreadable, FhirError):  # translation finds the same, and says what
            break
        missing = [reference for reference in said.missing if reference not in asked]
        asked.update(missing)
        more = []
        for reference in missing:
            try:
                resource = server.read(reference)
            except (Transient, Ambiguous) as error:  # reading changes nothing: a lost answer is as good as none
                away = str(error)
            except Permanent as error:
                log.warning("fetch.refused", source=row.source, message_id=row.id, code=error.code)
                refused = str(error)
            else:
                more += [resource] if resource is not None else []
        found += more
        if away or not more:
            break
    return _Got(found, away, refused)
