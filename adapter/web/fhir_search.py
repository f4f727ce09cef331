"""Searches for PaymentReconciliations: from a query to what is looked for, and from a page to a Bundle. Pure.

Wrong values are always refused. Parameters that nobody here knows are left out, of the search and of its self link, or
refused where the client says `Prefer: handling=strict` (FHIR R4 §3.1.1.3).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from chartpost.adapter.flow.door.receive_invoice import ID, Refused
from chartpost.adapter.flow.posting.reconciliations import SYSTEM, Page, Reference, Search, instant
from chartpost.adapter.web.fhir_table import RECONCILIATION
from chartpost.mappings.fhir.outcome import Issue

COUNT, MOST = 50, 200  #: entries of a page
#: Parameters of a search, and alternatives of one of them.
MOST_PARAMETERS, MOST_VALUES = 50, 200
CURSOR = "_cursor"

_DATE = re.compile(
    r"(?P<prefix>[a-z]{2})?(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
PREFIXES = ("eq", "gt", "lt", "ge", "le", "sa", "eb")
_UNESCAPED = re.compile(r"\\([\\|,$])")


class Query(NamedTuple):
    """A search, and the parameters that were understood, for its self link."""

    search: Search
    used: Sequence[tuple[str, str]]


def understood(pairs: Sequence[tuple[str, str]], *, strict: bool) -> Query:
    """Read the parameters of a search. Raises Refused."""
    ids: list[frozenset[str]] = []
    invoices: list[frozenset[Reference]] = []
    since: list[dt.datetime] = []
    before: list[dt.datetime] = []
    after, count = "", COUNT
    used = []
    if len(pairs) > MOST_PARAMETERS:
        raise Refused(400, Issue("too-costly", f"send at most {MOST_PARAMETERS} parameters"))
    for name, value in pairs:
        if not value:
            continue  # a form sends all of its fields
        match name:
            case "_id":
                ids.append(frozenset(_values(value)))
            case "identifier":
                ids.append(frozenset(_posting(one) for one in _values(value)))
            case "invoice":
                invoices.append(frozenset(_invoice(one) for one in _values(value)))
            case "invoice:identifier":
                invoices.append(frozenset(Reference(identifier=_identifier(one)) for one in _values(value)))
            case "_lastUpdated":
                start, end = _span(value)
                since += [start] if start else []
                before += [end] if end else []
            case "_count":
                count = _count(value)
            case "_cursor":
                after = _values(value)[0]
            case "_format" | "_pretty":
                continue  # how it is written, not what is looked for
            case _ if name.partition(":")[0] in ("_id", "identifier", "invoice", "_lastUpdated", "_count") or strict:
                # A modifier changes what is meant: to ignore it would answer another question.
                raise Refused(
                    400, Issue("not-supported", "a search parameter or modifier is not known here", _shown(name))
                )
            case _:
                continue
        used.append((name, value))
    return Query(Search(ids, invoices, since, before, after, count), used)


def searchset(page: Page, query: Query, base: str, now: dt.datetime) -> dict[str, Any]:
    """Return the Bundle of a page, with links to itself and to the next one."""
    links = [{"relation": "self", "url": _link(base, query.used)}]
    if page.after:
        rest = [pair for pair in query.used if pair[0] != CURSOR]
        links.append({"relation": "next", "url": _link(base, [*rest, (CURSOR, page.after)])})
    entries = [
        {"fullUrl": f"{base}/{RECONCILIATION}/{one.id}", "resource": one.resource, "search": {"mode": "match"}}
        for one in page.found
    ]
    bundle = {
        "resourceType": "Bundle", "meta": {"lastUpdated": instant(now)}, "type": "searchset", "total": page.total,
        "link": links,
    }  # fmt: skip
    return bundle | ({"entry": entries} if entries else {})


def _link(base: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{base}/{RECONCILIATION}" + (f"?{urlencode(pairs)}" if pairs else "")


def _values(text: str) -> list[str]:
    """Return the alternatives of a value; a comma after a backslash is none (FHIR R4 §3.1.1.4.16)."""
    found = re.split(r"(?<!\\),", text)
    if not all(found) or len(found) > MOST_VALUES or "\0" in text:
        raise Refused(400, Issue("invalid", f"a search parameter has 1 to {MOST_VALUES} values, with commas between"))
    return found


def _posting(text: str) -> str:
    """Return the posting that a token names; "" for one of another system."""
    system, bar, value = text.rpartition("|")
    return value if not bar or system == SYSTEM else ""


def _identifier(text: str) -> str:
    """Return a token as the account's key is made of it: "system|value", or the value alone."""
    *system, value = (_UNESCAPED.sub(r"\1", part) for part in re.split(r"(?<!\\)\|", text, maxsplit=1))
    return f"{system[0]}|{value}" if system and system[0] else value


def _invoice(text: str) -> Reference:
    """Return the Invoice of "Invoice/12", "12" or an address that ends so."""
    id = text.rpartition("Invoice/")[2]
    if not ID.fullmatch(id):
        raise Refused(
            400, Issue("invalid", "write Invoice/id; for a business identifier invoice:identifier", "invoice")
        )
    return Reference(id=id)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Refused(400, Issue("invalid", "it is no number", "_count"))
    return min(int(text[:100]), MOST)


def _span(text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return (from, before) of a date with its prefix, as times; a date stands for all of it (FHIR R4 §3.1.1.4.6)."""
    # A "+" that nobody escaped is a space by now.
    match = _DATE.fullmatch(text.replace(" ", "+"))
    prefix = (match and match["prefix"]) or "eq"
    if match is None or prefix not in PREFIXES:
        raise _no_date()
    try:
        start = _start(match)
        end = _end(match, start)
    except (ValueError, OverflowError):
        raise _no_date() from None
    return {
        "eq": (start, end), "ge": (start, None), "gt": (end, None), "sa": (end, None),
        "lt": (None, start), "eb": (None, start), "le": (None, end),
    }[prefix]  # fmt: skip


def _start(match: re.Match[str]) -> dt.datetime:
    zone = match["zone"] if match["zone"] not in (None, "Z") else "+00:00"
    micros = (match["fraction"] or "0")[:6].ljust(6, "0")
    day = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
    time = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}.{micros}"
    return dt.datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(dt.UTC)


def _end(match: re.Match[str], start: dt.datetime) -> dt.datetime:
    if match["fraction"]:
        return start + dt.timedelta(microseconds=10 ** max(0, 6 - len(match["fraction"])))
    for name, span in (("second", {"seconds": 1}), ("minute", {"minutes": 1}), ("day", {"days": 1})):
        if match[name]:
            return start + dt.timedelta(**span)
    month = int(match["month"] or 12)
    return start.replace(year=start.year + month // 12, month=month % 12 + 1)


def _no_date() -> Refused:
    prefixes = ", ".join(PREFIXES)
    return Refused(400, Issue("invalid", f"write {prefixes} and a date or time, as in ge2026-05-04", "_lastUpdated"))


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z:._-]{0,40}", name, re.ASCII) else ""
