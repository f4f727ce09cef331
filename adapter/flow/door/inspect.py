"""lint: what the standard says of the messages of a source that asks for it (`lint: true`), some time after its answer.

A look takes the newest few, passes over those that it cannot keep up with, and comes back: a feed never waits for it.

A report is for the people of the interface. It changes nothing, holds nothing, and names places and rules, no values.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select, update

from chartpost.adapter import report
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import errands, states
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import cursor, message
from chartpost.adapter.log import get
from chartpost.adapter.report import Report
from chartpost.adapter.settings import FhirRules, Hl7Rules, Source
from chartpost.mappings.er7 import Er7Error
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.fhir.lint import lint as lint_fhir
from chartpost.mappings.finding import Finding, unreadable
from chartpost.mappings.hl7.lint import lint as lint_hl7

#: Messages of one look, and how long after it the next one is: some 15 ms of work in two seconds for each source.
BATCH = 10
PAUSE = dt.timedelta(seconds=2)
#: Bytes; a larger message is left to `chartpost lint`.
LARGEST = 65_536
#: Findings of one message that are looked for.
COUNTED = 1_000

log = get(__name__)


def ask_for(flow: Flow, tx: Tx, sources: Iterable[str]) -> None:
    """Ask for a look at each of these sources that is to be linted; one that is asked for already is enough."""
    for name in set(sources):
        source = flow.settings.sources.get(name)
        if source is not None and source.lint:
            errands.add(tx, "lint", name, f"lint:{name}", tx.now + PAUSE)


def run(flow: Flow, errand: Errand) -> None:
    """Judge the newest messages of the source that is the errand's subject, and keep a report with each."""
    name = errand.subject
    source = flow.settings.sources.get(name)
    wanted = source is not None and source.lint
    with flow.store.read() as connection:
        last = int(connection.scalar(select(cursor.c.value).where(cursor.c.name == errand.lane)) or 0)
        theirs = (message.c.source == name, message.c.id > last)
        # A copy was judged when the first came, and the wrapper of a batch is no message.
        told = (message.c.state != states.Message.DUPLICATE, message.c.type != "")
        columns = (message.c.id, message.c.raw, message.c.lane)
        newest = select(*columns).where(*theirs, *told).order_by(message.c.id.desc()).limit(BATCH)
        rows = list(connection.execute(newest)) if wanted else []
    reports = [(row, _report(source, row)) for row in reversed(rows)] if source is not None else []
    seen = max((row.id for row in rows), default=last)
    with flow.store.write() as tx:
        _write(tx, name, reports)
        tx.insert_new(cursor, [{"name": errand.lane, "value": str(last), "at": tx.now}])
        tx.run(update(cursor).where(cursor.c.name == errand.lane).values(value=str(seen), at=tx.now))
        # Whoever came meanwhile saw this errand open, and asked for none.
        more = select(message.c.id).where(message.c.source == name, message.c.id > seen, *told).limit(1)
        if wanted and tx.one(more) is not None:
            return errands.again(tx, errand, tx.now + PAUSE)
        return errands.done(tx, errand)


def _write(tx: Tx, source: str, reports: list[tuple[Any, Report]]) -> None:
    if not reports:
        return
    statement = update(message).where(message.c.id == bindparam("which")).values(report=bindparam("new_report"))
    at = tx.now.isoformat()
    tx.run(statement, [{"which": row.id, "new_report": {"at": at} | found} for row, found in reports])
    for row, found in reports:
        state = "clean" if report.is_clean(found) else "findings"
        tx.moved("report", state, source, row.lane, message=f"M{row.id}")


def _report(source: Source, row: Any) -> Report:
    """Judge one message, whatever it is."""
    try:
        found = list(islice(_findings(source, row), COUNTED))
    except (Er7Error, FhirError) as error:
        found = [unreadable(str(error))]
    except Exception as error:  # a bug of ours costs a report, and nothing else
        log.error("lint.failed", exc_info=error, message_id=row.id)
        found = [Finding("note", "", "failed", f"an unexpected {type(error).__name__} on our side", "")]
    return report.kept(found)


def _findings(source: Source, row: Any) -> Iterable[Finding]:
    if len(row.raw) > LARGEST:
        text = f"larger than {LARGEST} bytes, and not judged here; `chartpost lint` takes it as a file"
        return [Finding("note", "", "size", text, "")]
    if isinstance(source, FhirRules) and row.raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return lint_fhir(row.raw, source.version)
    return lint_hl7(row.raw, charset=source.encoding if isinstance(source, Hl7Rules) else "utf-8")
