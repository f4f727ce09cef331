"""The whole story of one message, request, notice, payment or posting, in time order. Reads only.

Without `reveal` it tells amounts, codes, ids and paths; names, contact data, descriptions and raw texts only with it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, false, or_, select

from chartpost.adapter import report
from chartpost.adapter.ledger.holds import EDITED, WAIVED
from chartpost.adapter.ledger.tables import (
    account,
    act,
    attempt,
    card_part,
    card_session,
    entry,
    event,
    hold,
    message,
    notice,
    payment,
    posting,
    request,
)
from chartpost.adapter.related import Scope, related
from chartpost.adapter.views import View, iso, money, named

#: Targets of a map whose values are amounts, codes and ids; all others may name a person.
_SAFE = re.compile(
    r"(^|\.)(account|amount|balance|chargeitem|charges\[\d+\]|code|copay|currency|financial_class|insurance|invoice|kind|ordinal"
    r"|payment_reference|quantity|reference|service_date|status|unit_price)$"
)
#: Targets of what was decided, not read: there is no path to show.
_DECIDED = frozenset({"chargeitem", "invoice"})
#: How holds were settled that were neither dismissed nor simply retried.
_SETTLED = {WAIVED: "waived", EDITED: "edited"}


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `details` are further lines, `fields` the same as data."""

    at: dt.datetime
    noun: str
    id: str
    text: str
    details: tuple[str, ...] = ()
    fields: View = field(default_factory=dict)

    def view(self) -> View:
        """Return it as one row of JSON."""
        shown = {"at": iso(self.at), "noun": self.noun, "id": self.id, "text": self.text}
        return {**shown, "details": list(self.details), **self.fields}


def story(connection: Connection, name: str, *, reveal: bool = False) -> list[Moment]:
    """Return what happened around `name`: M12, A3, H4, a public id, a control id or a provider's id. Empty: unknown."""
    teller = _Teller(connection, related(connection, name), reveal)
    # What happened at the same instant stays in the order in which it is told here: cause before effect.
    return sorted(teller.moments(), key=lambda moment: moment.at)


class _Teller:
    """Tells the moments of a scope, noun by noun."""

    def __init__(self, connection: Connection, scope: Scope, reveal: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.reveal = reveal
        self.objects: set[str] = set()  #: "posting:P…": what was told of so far

    def moments(self) -> Iterator[Moment]:
        yield from self._messages()
        yield from self._entries()
        yield from self._requests()
        yield from self._notices()
        yield from self._sessions()
        yield from self._told(event.c.id.in_(self.scope.events))
        yield from self._payments()
        yield from self._postings()
        yield from self._acts()
        yield from self._attempts()
        yield from self._holds()

    def _rows(self, table: Table, where: ColumnElement[bool]) -> Iterable[Row[Any]]:
        return self.connection.execute(select(table).where(where).order_by(table.c.id)).all()

    def _know(self, obj: str) -> str:
        self.objects.add(obj)
        return named(obj)

    def _messages(self) -> Iterator[Moment]:
        for row in self._rows(message, message.c.id.in_(self.scope.messages)):
            name = self._know(f"message:{row.id}")
            parts = f"{row.type or 'no type'} {row.version} from {row.source}, control id {row.control_id or '(empty)'}"
            copy_of = f", in or after M{row.parent_id}" if row.parent_id else ""
            details = [_frame(row.raw)] + (_text(row.raw) if self.reveal else [])
            yield Moment(row.received_at, "message", name, f"received {parts.strip()}{copy_of}", tuple(details))
            yield Moment(
                row.received_at, "message", name, f"answered {row.ack_code}" if row.ack_code else "not answered"
            )
            if row.state != "received":
                lines = tuple(self._trace_line(line) for line in row.trace or [])
                why = f": {row.reason}" if row.reason else ""
                by = f" by {row.map}" if row.map else ""
                by += f", edited by {row.edited_by} because {row.edited_why}" if row.edited_why else ""
                fields = {"state": row.state, "reason": row.reason, "map": row.map}
                if self.reveal and row.edited:
                    lines += ("as corrected:", *_text(row.edited))
                at = row.done_at or row.received_at
                yield Moment(at, "message", name, f"{row.state}{by}{why}", lines, fields)
            if row.report:
                at = dt.datetime.fromisoformat(row.report["at"])
                yield Moment(at, "message", name, *report.said(row.report), {"lint": row.report["counts"]})

    def _trace_line(self, line: View) -> str:
        target, path = line.get("target", ""), line.get("path") or "default"
        if not self.reveal and not _SAFE.search(target):
            return f"{target} ← {path}"
        raw, value = line.get("raw", ""), line.get("value", "")
        if target in _DECIDED:
            return f"{target}: {value}"
        return f"{target} = {value} ← {path}" + (f" ({raw})" if raw not in ("", value) else "")

    def _entries(self) -> Iterator[Moment]:
        mine = entry.c.message_id.in_(self.scope.messages)
        paid = select(payment.c.id).where(payment.c.request_id.in_(self.scope.requests))
        statement = select(entry, account.c.currency).join(account, account.c.id == entry.c.account_id)
        where = or_(mine, entry.c.payment_id.in_(paid))
        for row in self.connection.execute(statement.where(where).order_by(entry.c.id)):
            self.objects.add(f"account:{row.account_id}")
            sign = "+" if row.amount > 0 else ""
            text = f"{row.kind} {sign}{money(row.amount, row.currency)} {row.currency} on A{row.account_id}"
            said = (row.text.decode("utf-8", "replace"),) if self.reveal and row.text else ()
            fields = {"amount_minor": row.amount, "currency": row.currency, "cause": row.cause}
            yield Moment(row.at, "entry", f"A{row.account_id}", text, said, fields)

    def _requests(self) -> Iterator[Moment]:
        statement = select(request, account.c.currency, account.c.number, account.c.patient, account.c.guarantor).join(
            account, account.c.id == request.c.account_id
        )
        for row in self.connection.execute(
            statement.where(request.c.id.in_(self.scope.requests)).order_by(request.c.id)
        ):
            name = self._know(f"request:{row.public_id}")
            self.objects.add(f"account:{row.account_id}")
            asked = f"{money(row.asked, row.currency)} {row.currency}"
            who = [f"account {row.number.decode('utf-8', 'replace')} (A{row.account_id})"]
            if self.reveal:
                who += [f"{party['role']}: {_person(party)}" for party in (row.guarantor, row.patient) if party]
            fields = {"state": row.state, "asked_minor": row.asked, "currency": row.currency}
            yield Moment(row.opened_at, "request", name, f"opened; last asked for {asked}", tuple(who), fields)
            if row.closed_at:
                yield Moment(row.closed_at, "request", name, row.state)

    def _notices(self) -> Iterator[Moment]:
        rows = list(self._rows(notice, notice.c.request_id.in_(self.scope.requests)))
        for row in rows:
            name = self._know(f"notice:{row.public_id}")
            to = f" to {row.recipient.decode('utf-8', 'replace')}" if self.reveal and row.recipient else ""
            what = "" if row.purpose == "request" else f" for {row.purpose} {row.step}".rstrip()
            yield Moment(row.created_at, "notice", name, f"{row.channel} through {row.notifier} wanted{what}{to}")
            if row.state != "due":
                code = f" ({row.code})" if row.code else ""
                yield Moment(row.changed_at, "notice", name, f"{row.state}{code}", (), {"state": row.state})
        yield from self._events(
            [row.public_id for row in rows] + [row.provider_ref for row in rows if row.provider_ref]
        )

    def _sessions(self) -> Iterator[Moment]:
        part = select(card_part.c.card_session_id).where(card_part.c.request_id.in_(self.scope.requests))
        paying = or_(card_session.c.request_id.in_(self.scope.requests), card_session.c.id.in_(part))
        rows = list(self._rows(card_session, paying))
        for row in rows:
            name = self._know(f"card_session:{row.public_id}")
            text = f"card page for {money(row.amount, row.currency)} {row.currency} at {row.provider}, now {row.state}"
            yield Moment(
                row.created_at, "card_session", name, text, (), {"state": row.state, "amount_minor": row.amount}
            )
        yield from self._events([row.public_id for row in rows])

    def _events(self, references: list[str]) -> Iterator[Moment]:
        yield from self._told(event.c.reference.in_(references))

    def _told(self, where: ColumnElement[bool]) -> Iterator[Moment]:
        for row in self._rows(event, where):
            self.objects.add(f"event:{row.event_id}")
            why = f": {row.reason}" if row.reason else ""
            raw = tuple(_text(row.raw)) if self.reveal else ()
            fields = {"state": row.state, "reference": row.reference}
            yield Moment(
                row.at, "event", row.event_id, f"{row.provider} said {row.type}, {row.state}{why}", raw, fields
            )

    def _payments(self) -> Iterator[Moment]:
        for row in self._rows(payment, payment.c.request_id.in_(self.scope.requests)):
            name = self._know(f"payment:{row.public_id}")
            text = f"{money(row.amount, row.currency)} {row.currency} paid by {row.medium}, {row.provider_ref}"
            yield Moment(row.paid_at, "payment", name, text, (), {"amount_minor": row.amount, "currency": row.currency})

    def _postings(self) -> Iterator[Moment]:
        mine = select(payment.c.id).where(payment.c.request_id.in_(self.scope.requests))
        whose = select(request.c.account_id).where(request.c.id.in_(self.scope.requests))
        for row in self._rows(posting, or_(posting.c.payment_id.in_(mine), posting.c.account_id.in_(whose))):
            name = self._know(f"posting:{row.public_id}")
            body = [_frame(row.body)] + (_text(row.body) if self.reveal else []) if row.body else []
            text = f"{row.kind} to {row.destination}, control id {row.control_id}"
            yield Moment(row.created_at, "posting", name, text, tuple(body))
            if row.state != "due":
                answer = " ".join(filter(None, (row.answer_code, row.answer_text)))
                raw = tuple(_text(row.answer)) if self.reveal and row.answer else ()
                fields = {"state": row.state, "answer_code": row.answer_code}
                said = f"{row.state}: {answer}" if answer else row.state
                yield Moment(row.changed_at, "posting", name, said, raw, fields)

    def _acts(self) -> Iterator[Moment]:
        """What people did, and the money that they say was paid otherwise."""
        its = select(entry, account.c.currency).join(account, account.c.id == entry.c.account_id)
        for row in self._rows(act, act.c.object.in_(self.objects)):
            about = named(row.object)
            # In their own words: an amount, a reference, a reason.
            said = tuple(_text(row.note)) if self.reveal and row.note else ()
            yield Moment(row.at, "act", about, f"{row.verb} by {row.by}", said, {"verb": row.verb, "by": row.by})
            for one in self.connection.execute(its.where(entry.c.cause == f"act:{row.id}")):
                text = f"{one.kind} {money(one.amount, one.currency)} {one.currency} on A{one.account_id}"
                yield Moment(one.at, "entry", f"A{one.account_id}", text, (), {"amount_minor": one.amount})

    def _attempts(self) -> Iterator[Moment]:
        nouns = ("notice:", "card_session:", "posting:")
        calls = [obj for obj in sorted(self.objects) if obj.startswith(nouns)]
        mine = [one for obj in calls for one in (attempt.c.subject == obj, attempt.c.subject.startswith(f"{obj}/"))]
        for row in self._rows(attempt, or_(false(), *mine)):
            obj, _, what = row.subject.partition("/")
            took = (
                f" after {(row.ended_at - row.started_at) // dt.timedelta(milliseconds=1)} ms" if row.ended_at else ""
            )
            outcome = row.outcome or "no outcome known"
            detail = f": {row.detail}" if row.detail else ""
            text = f"{what or 'call'} tried{took}: {outcome}{detail}"
            noun = obj.partition(":")[0]
            yield Moment(row.started_at, noun, named(obj), text, (), {"outcome": row.outcome})

    def _holds(self) -> Iterator[Moment]:
        for row in self._rows(hold, hold.c.object.in_(self.objects)):
            about = named(row.object)
            fields = {"cause": row.cause, "object": about, "state": row.state}
            what = (f"to do: {row.fix}",)
            yield Moment(row.at, "hold", f"H{row.id}", f"{about} waits, {row.cause}: {row.text}", what, fields)
            if row.closed_at:
                by = f" by {row.closed_by}" if row.closed_by else ""
                if row.note in _SETTLED:
                    how = f"{_SETTLED[row.note]}{by}"
                else:
                    how = f"dismissed{by}: {row.note}" if row.note else f"retried{by}" if by else "done"
                fields = {"state": row.state, "closed_by": row.closed_by, "note": row.note}
                yield Moment(row.closed_at, "hold", f"H{row.id}", how, (), fields)


def _frame(raw: bytes) -> str:
    """Return the shape of a message: its size and its segments, without a value."""
    names = Counter(match.decode() for match in re.findall(rb"(?:^|[\r\n])([A-Z][A-Z0-9]{2})(?=[^A-Za-z0-9])", raw))
    return f"{len(raw)} bytes: {' '.join(n if c == 1 else f'{n}×{c}' for n, c in names.items())}".rstrip(": ")


def _text(raw: bytes) -> list[str]:
    """Return a raw text line by line, with control characters made visible."""
    text = raw.decode("utf-8", "replace")
    lines = re.split(r"\r\n|\r|\n", text)
    return ["".join(char if char.isprintable() else "�" for char in line) for line in lines if line]


def _person(party: View) -> str:
    contacts = ", ".join(contact["value"] for contact in party.get("contacts", ()))
    return f"{party.get('given', '')} {party.get('family', '')}".strip() + (f" ({contacts})" if contacts else "")
