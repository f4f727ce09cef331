"""Ask a FHIR server for what has changed, page by page (FHIR R4 §3.1.1: search), and know how far one has come.

Times are the server's own: whatever our clock says, nothing between two of its times is passed over. Servers differ:
some pass over `_lastUpdated`, some name no next page, some name the same one for ever. Pure.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from chartpost.mappings.fhir.references import Resource, objects, text
from chartpost.mappings.fhir.state import Instant, instant, last_updated, written

#: Resources asked for at once; and at most, where so many changed at one instant that no page shows all of them.
COUNT, MOST = 50, 800
#: Pages of one round. What is left is for the next.
PAGES = 1000
#: Servers keep times to the second, or to the microsecond.
_BLUR = dt.timedelta(seconds=1)


class Progress(NamedTuple):
    """How far a server was read: a round begins at `since`, less an overlap, and ends with its last page."""

    since: Instant  #: what was changed before is known
    asked: Instant | None = None  #: from when on this round asks; None: no round has begun
    next: str = ""  #: the page to go on with, an address; "" for one that a question finds
    newest: Instant | None = None  #: seen in this round
    clock: Instant | None = None  #: the server's, when the round began
    ordered: bool = True  #: so far the round has come in the order of its times
    size: int = COUNT  #: how many are asked for at once
    pages: int = 0

    def text(self) -> str:
        """Return it as it is stored."""
        values = [written(value) if isinstance(value, dt.datetime) else value for value in self]
        return json.dumps(values, separators=(",", ":"))


def progress(stored: str) -> Progress:
    """Return what `Progress.text` wrote."""
    since, asked, next, newest, clock, *rest = json.loads(stored)
    found = instant(since)
    assert found is not None, "written by us"
    return Progress(found, instant(asked), next, instant(newest), instant(clock), *rest)


def begun(at: Progress, overlap: dt.timedelta) -> Progress:
    """Return the beginning of a round: changes are seen late where a server takes its time to show them."""
    return at if at.asked is not None else Progress(at.since, asked=at.since - overlap)


def question(at: Progress, query: str) -> str:
    """Return what to search for: "Invoice?status=issued&_lastUpdated=ge…"."""
    assert at.asked is not None, "the round has begun"
    known = f"{query}&" if query else ""
    return f"Invoice?{known}_lastUpdated=ge{written(at.asked)}&_sort=_lastUpdated&_count={at.size}"


def invoices(page: Resource) -> list[Resource]:
    """Return the Invoices that a page has found; what else is in it was not asked for."""
    found = (entry.get("resource") for entry in objects(page.get("entry")))
    return [one for one in found if isinstance(one, dict) and one.get("resourceType") == "Invoice"]


def label(invoice: Resource) -> str:
    """Return what tells one state of an Invoice from all others that a server shows."""
    meta = invoice.get("meta")
    return repr((invoice.get("id"), meta if isinstance(meta, dict) and meta else invoice))


def unfit(at: Progress, page: Resource) -> str:
    """Say why a page must not be taken, "" where it may: a server that passes over our question shows everything.

    Whoever believed it would bill what is long settled.
    """
    assert at.asked is not None, "the round has begun"
    times = [last_updated(one) for one in invoices(page)]
    if None in times and "_lastUpdated" not in dict(parse_qsl(urlsplit(_link(page, "self")).query)):
        return "it says neither when Invoices were changed nor that it has searched for that (meta.lastUpdated)"
    if any(time is not None and time < at.asked - _BLUR for time in times):
        return "it passes over _lastUpdated and shows Invoices that were changed long ago"
    return ""


class Turned(NamedTuple):
    """Where one is after a page."""

    progress: Progress
    finished: bool  #: the round has ended
    wrong: str = ""  #: why it cannot go on, though it should


def turned(at: Progress, page: Resource, next: str, clock: Instant) -> Turned:
    """Return where one is after a page. `next` is the address of the next page or ""; `clock` is the server's time."""
    assert at.asked is not None, "the round has begun"
    found = invoices(page)
    times = [time for one in found if (time := last_updated(one)) is not None]
    ordered = at.ordered and len(times) == len(found) and times == sorted(times)
    ordered = ordered and (at.newest is None or not times or times[0] >= at.newest)
    newest = max([*times, *filter(None, [at.newest])], default=None)
    began = at.clock or clock
    # One wrong time in the future must not hide everything until then.
    reached = min(newest, began) if newest is not None else began if found and at.pages == 0 else at.since
    now = at._replace(newest=newest, clock=began, ordered=ordered, pages=at.pages + 1)
    ended = Progress(max(at.since, reached))
    kept = ended if ordered else Progress(at.since)
    if next:
        if now.pages >= PAGES:
            return Turned(kept, True, f"it has shown {PAGES} pages, and there is no end")
        return Turned(now._replace(next=next, since=kept.since), False)
    total = page.get("total")
    whole = len(found) < at.size and not (isinstance(total, int) and total > len(found))
    if at.next or not found or whole:
        return Turned(ended, True)
    # A full page, and no next one: ask on from the last time that it has shown.
    if not ordered or newest is None:
        return Turned(Progress(at.since), True, "it shows a part of the Invoices, out of order, and names no next page")
    if newest > at.asked:
        return Turned(now._replace(asked=newest, since=kept.since), False)
    if at.size < MOST:
        return Turned(now._replace(size=min(MOST, at.size * 4)), False)
    return Turned(ended, True, f"more than {MOST} Invoices were changed at one instant, and it names no next page")


def next_link(page: Resource) -> str:
    """Return the address of the next page as the server wrote it, "" where this is the last one."""
    return _link(page, "next")


def _link(page: Resource, relation: str) -> str:
    links: list[Any] = [one for one in objects(page.get("link")) if one.get("relation") == relation]
    return text(links[0].get("url")) if links else ""
