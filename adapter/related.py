"""Which messages and requests belong together: the scope of one story, found from any id in it. Reads only."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from chartpost.adapter.ledger.tables import (
    account_change,
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
from chartpost.adapter.views import named

#: What a request's own rows are called by people.
_BY_REQUEST = (notice, card_session, payment)


@dataclass(slots=True)
class Scope:
    """Ids of rows."""

    messages: set[int] = field(default_factory=set)
    requests: set[int] = field(default_factory=set)
    events: set[int] = field(default_factory=set)  #: of somebody nobody here has written to: a text of a stranger


def related(connection: Connection, name: str) -> Scope:
    """Return what belongs to `name`: M12, A3, H4, a public id, a control id or a provider's id. Empty: unknown."""
    scope = _find(connection, name)
    _widen(connection, scope)
    return scope


def _ids(connection: Connection, column: ColumnElement[Any], where: ColumnElement[bool]) -> set[int]:
    return {int(one) for one in connection.scalars(select(column).where(where)) if one is not None}


def _find(connection: Connection, name: str) -> Scope:
    scope = Scope()
    if match := re.fullmatch(r"([MAHmah])(\d{1,18})", name):
        _find_numbered(connection, scope, match[1].upper(), int(match[2]))
        if scope.messages or scope.requests:
            return scope
    scope.messages |= _ids(connection, message.c.id, message.c.control_id == name)
    scope.requests |= _ids(connection, request.c.id, request.c.public_id == name)
    for table in _BY_REQUEST:
        theirs = or_(table.c.public_id == name, table.c.provider_ref == name)
        scope.requests |= _ids(connection, table.c.request_id, theirs)
    pages = select(card_session.c.id).where(or_(card_session.c.public_id == name, card_session.c.provider_ref == name))
    scope.requests |= _ids(connection, card_part.c.request_id, card_part.c.card_session_id.in_(pages))
    scope.events |= _ids(connection, event.c.id, (event.c.event_id == name) & (event.c.reference == ""))
    referred = select(event.c.reference).where(event.c.event_id == name, event.c.reference != "")
    scope.requests |= _ids(connection, notice.c.request_id, notice.c.public_id.in_(referred))
    paid = _ids(connection, posting.c.payment_id, or_(posting.c.public_id == name, posting.c.control_id == name))
    scope.requests |= _ids(connection, payment.c.request_id, payment.c.id.in_(paid))
    told = select(posting.c.account_id).where(or_(posting.c.public_id == name, posting.c.control_id == name))
    scope.requests |= _ids(connection, request.c.id, request.c.account_id.in_(told))
    return scope


def _changes(connection: Connection, where: ColumnElement[bool], until: dt.datetime | None = None) -> set[int]:
    """Return the ADT that changed an account, without an entry: the time is the message's own."""
    said = select(account_change.c.message_id).join(message, message.c.id == account_change.c.message_id).where(where)
    return set(connection.scalars(said.where(message.c.done_at <= until) if until else said))


def _find_numbered(connection: Connection, scope: Scope, letter: str, number: int) -> None:
    if letter == "M":
        scope.messages |= _ids(connection, message.c.id, message.c.id == number)
    elif letter == "A":
        scope.messages |= _ids(connection, entry.c.message_id, entry.c.account_id == number)
        scope.messages |= _changes(connection, account_change.c.account_id == number)
        scope.requests |= _ids(connection, request.c.id, request.c.account_id == number)
    else:
        for held in connection.scalars(select(hold.c.object).where(hold.c.id == number)):
            found = _find(connection, named(held))
            scope.messages |= found.messages
            scope.requests |= found.requests
            scope.events |= found.events


def _widen(connection: Connection, scope: Scope) -> None:
    """Add the requests that a message moved, the messages that moved a request, and the copies of a message."""
    asked = set(scope.requests)
    done = message.c.id.in_(scope.messages) & message.c.done_at.is_not(None)
    for row in connection.execute(select(message.c.id, message.c.done_at).where(done)):
        accounts = _ids(connection, entry.c.account_id, entry.c.message_id == row.id)
        while_open = request.c.account_id.in_(accounts) & (request.c.opened_at <= row.done_at)
        still_open = or_(request.c.closed_at.is_(None), request.c.closed_at >= row.done_at)
        scope.requests |= _ids(connection, request.c.id, while_open & still_open)
    for row in connection.execute(select(request).where(request.c.id.in_(asked))):
        of_account = entry.c.account_id == row.account_id
        until_closed = of_account & (entry.c.at <= row.closed_at) if row.closed_at else of_account
        scope.messages |= _ids(connection, entry.c.message_id, until_closed)
        scope.messages |= _changes(connection, account_change.c.account_id == row.account_id, row.closed_at)
    parents = _ids(connection, message.c.parent_id, message.c.id.in_(scope.messages))
    scope.messages |= parents | _ids(connection, message.c.id, message.c.parent_id.in_(scope.messages))
