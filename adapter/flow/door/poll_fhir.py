"""fhir_poll: ask a source's server for the Invoices that have changed, and take them as if they had been sent.

Each page is one transaction: its Invoices, and how far the server was read. Whatever is interrupted goes on there, and
what is seen twice is taken once (found.py). It comes back for ever; after an empty notification at once.
"""

from __future__ import annotations

import datetime as dt
import time

from sqlalchemy import update

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.flow.backoff import delay
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.door import found
from chartpost.adapter.ledger import cursors, errands, holds
from chartpost.adapter.ledger.errands import Errand
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import errand as errand_table
from chartpost.adapter.log import get
from chartpost.adapter.ports import Page, Server
from chartpost.adapter.settings import FhirPoll, FhirSource
from chartpost.mappings.fhir import paging
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.fhir.paging import Progress

KIND = "fhir_poll"
#: Seconds of reading pages for one errand, with one more call well below a lease.
SHIFT = 45.0
#: Tries (a minute or two) before a person is told that the server is away.
TRIES = 7
#: After a refusal it makes no sense to ask soon.
REFUSED = dt.timedelta(minutes=1)
#: Clocks further apart than this are noticed at the first look.
APART = dt.timedelta(minutes=1)

log = get(__name__)


def plan(tx: Tx, source: str) -> None:
    """See to it that a source is polled from now on."""
    errands.add(tx, KIND, source, f"{KIND}:{source}")


def hurry(tx: Tx, source: str) -> None:
    """Poll a source now, or again if it is being polled; while its server does not answer, not sooner than it would."""
    cursors.count(tx, _asked(source))
    waiting = (errand_table.c.kind == KIND, errand_table.c.subject == source)
    due = (errand_table.c.state == "due", errands.is_open(), errand_table.c.error == "")
    tx.run(update(errand_table).where(*waiting, *due).values(due_at=tx.now))
    plan(tx, source)
    tx.work.add(KIND)


def run(flow: Flow, errand: Errand) -> None:
    """Poll the source that is the errand's subject."""
    source, server = flow.settings.sources.get(errand.subject), flow.world.invoices.get(errand.subject)
    if not isinstance(source, FhirSource) or source.poll is None or server is None:
        with flow.store.write() as tx:  # taken out of the configuration
            return errands.done(tx, errand)
    until, finished = time.monotonic() + SHIFT, False
    with flow.store.write() as tx:
        before = cursors.value(tx, _asked(errand.subject))
    try:
        round = _Round(flow, errand.subject, source.poll, server)
        while not finished and time.monotonic() < until:
            finished = round.page()
    except (Transient, Permanent) as error:
        return _failed(flow, errand, error)
    with flow.store.write() as tx:
        if finished:
            holds.close(tx, f"source:{errand.subject}", "not_polled")
        soon = not finished or cursors.value(tx, _asked(errand.subject)) != before
        errands.again(tx, errand, tx.now if soon else tx.now + dt.timedelta(seconds=source.poll.every))
    return None


def _failed(flow: Flow, errand: Errand, error: Transient | Permanent) -> None:
    asked = dt.timedelta(seconds=error.wait) if isinstance(error, Transient) else REFUSED
    wait = max(delay(errand.attempts), asked)
    log.warning("poll.failed", source=errand.subject, attempts=errand.attempts, reason=str(error))
    with flow.store.write() as tx:
        if isinstance(error, Permanent) or errand.attempts >= TRIES:
            holds.add(
                tx, f"source:{errand.subject}", "not_polled",
                f"the server of source {errand.subject} cannot be polled, and no Invoices come from there: {error}",
                "see that it answers, that we may search Invoices there, and that `poll` is right; it closes by itself",
            )  # fmt: skip
        errands.again(tx, errand, tx.now + wait, str(error))


class _Round:
    """One run through what has changed, or as much of it as one errand may do."""

    def __init__(self, flow: Flow, name: str, poll: FhirPoll, server: Server) -> None:
        self.flow, self.name, self.poll, self.server = flow, name, poll, server
        self.finder = found.finder(flow, name)
        with flow.store.write() as tx:
            stored = cursors.value(tx, _cursor(name))
        self.at = paging.progress(stored) if stored else None
        self.stale = self.at is not None and self.at.next != ""  #: the next page was named some time ago
        self.asked: set[str] = set()  #: addresses of this run
        self.seen: set[str] = set()  #: Invoices and versions of this run

    def page(self) -> bool:
        """Take one page; return whether the round has ended. Raises Transient or Permanent: nothing of it is taken."""
        at, page = self._ask()
        if why := paging.unfit(at, page.bundle):
            raise Permanent(f"the FHIR server cannot be polled: {why}")
        turned = paging.turned(at, page.bundle, page.next, page.at or self.flow.store.clock())
        with found.turn(self.name):
            try:
                taken = self.finder.found(page.bundle, found.now(self.flow))
            except FhirError as error:
                raise Permanent(f"the FHIR server's page cannot be read: {error}") from None
            wrong = turned.wrong or self._circle(page)
            with self.flow.store.write() as tx:
                found.take(tx, taken)
                self.at = turned.progress._replace(next="", asked=None) if wrong else turned.progress
                cursors.put(tx, _cursor(self.name), self.at.text())
        if taken.rows:
            log.info("poll.found", source=self.name, count=len(taken.rows))
        if wrong:
            raise Permanent(f"the FHIR server cannot be polled: {wrong}")
        return turned.finished

    def _ask(self) -> tuple[Progress, Page]:
        """Return where we are, and the page that the server shows."""
        first, overlap = self.at is None, dt.timedelta(seconds=self.poll.overlap)
        look = dt.timedelta(seconds=self.poll.since)
        now = self.flow.store.clock()
        at = paging.begun(self.at or Progress(now - look + overlap), overlap)
        try:
            page = self._search(at)
        except Permanent:
            if not self.stale:
                raise
            # Servers forget their pages after a while: ask anew from where they were read to.
            at = paging.begun(Progress(at.since), overlap)
            self.asked.clear()
            page = self._search(at)
        self.stale = False
        if first and page.at is not None and abs(page.at - now) > APART:
            at = paging.begun(Progress(page.at - look + overlap), overlap)
            page = self._search(at)
        return at, page

    def _search(self, at: Progress) -> Page:
        target = at.next or paging.question(at, self.poll.query)
        self.asked.add(target)
        return self.server.search(target)

    def _circle(self, page: Page) -> str:
        """Say that the server goes round in a circle, "" while it does not."""
        shown = {paging.label(one) for one in paging.invoices(page.bundle)}
        news = not shown or not shown <= self.seen
        self.seen |= shown
        if page.next and (page.next in self.asked or not news):
            return "its next pages lead in a circle"
        return ""


def _cursor(source: str) -> str:
    return f"{KIND}:{source}"


def _asked(source: str) -> str:
    """How often somebody said that there is something new: it may have come just after we had looked."""
    return f"{KIND}_asked:{source}"
