"""fetch: read the resources that an Invoice refers to and its sender did not send: who is to be asked, above all.

The Invoice waits meanwhile, and then is translated with whatever there was to be had: what is owed never depends on
somebody's address.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.flow import reading
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import TRANSLATE, Flow
from chartpost.adapter.ledger import errands, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.tables import message
from chartpost.adapter.log import get

#: Tries (a minute and a half of them) before the Invoice is translated without.
TRIES = 7
#: What was fetched may refer further: an Account to its guarantor.
ROUNDS = 3

log = get(__name__)


def run(flow: Flow, errand: Errand) -> None:
    """Fetch for the message whose id is the errand's subject, then hand it back to translation."""
    with flow.store.read() as connection:
        columns = (message.c.id, message.c.source, message.c.control_id, message.c.raw)
        row = connection.execute(select(*columns).where(message.c.id == int(errand.subject))).one()
    found: list[dict[str, Any]] = []
    problem = ""
    try:
        found = _fetch(flow, row)
    except (Transient, Ambiguous) as error:  # reading changes nothing: a lost answer is as good as none
        problem = str(error)
    except Permanent as error:
        log.warning("fetch.refused", source=row.source, message_id=row.id, code=error.code)
    with flow.store.write() as tx:
        if problem and errand.attempts < TRIES:
            return errands.again(tx, errand, tx.now + delay(errand.attempts), problem)
        waiting = (message.c.id == row.id, message.c.state == states.Message.FETCHING)
        tx.run(update(message).where(*waiting).values(state=states.Message.RECEIVED, fetched=found))
        errands.done(tx, errand)
        tx.work.add(TRANSLATE)
    return None


def _fetch(flow: Flow, row: Any) -> list[dict[str, Any]]:
    source = flow.settings.sources.get(row.source)
    server = flow.world.servers.get(row.source)
    if source is None or server is None:
        return []
    found: list[dict[str, Any]] = []
    asked: set[str] = set()
    for _ in range(ROUNDS):
        said = reading.read(flow, row, source, found)
        missing = [reference for reference in said.missing if reference not in asked]
        asked.update(missing)
        more = [resource for reference in missing if (resource := server.read(reference)) is not None]
        if not more:
            break
        found += more
    return found
