"""Accounts and requests, as a caller may see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, select

from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.tables import account, act, entry, instalment, notice, payment, request
from chartpost.adapter.web.api import shown
from chartpost.adapter.web.api.access import Caller
from chartpost.adapter.web.api.books import paid, shown_act, shown_payments
from chartpost.adapter.web.api.pages import Page, page_of, waiting
from chartpost.adapter.web.api.problem import Problem
from chartpost.adapter.web.api.table import Call, Taken
from chartpost.mappings.model import Money


class RequestsWanted(Page):
    state: str = ""
    facility: str = ""
    account: str = Field("", pattern=r"^(A[0-9]{1,18})?$")


class AccountsWanted(Page):
    facility: str = ""
    source: str = ""
    owing: bool = False


def me(call: Call) -> shown.Me:
    user = call.caller.user
    return shown.Me(
        name=call.caller.name, role=user.role, scopes=sorted(user.allowed), facilities=list(user.facilities)
    )


# --------------------------------------------------------------------------------------------------------- requests

_OF_ACCOUNT = (
    account.c.source, account.c.facility, account.c.currency, account.c.balance, account.c.number, account.c.patient,
    account.c.guarantor,
)  # fmt: skip


def requests(call: Call) -> shown.Requests:
    wanted: RequestsWanted = call.query
    statement = _requests(call.caller)
    if wanted.state:
        statement = statement.where(request.c.state == wanted.state)
    if wanted.facility:
        statement = statement.where(account.c.facility == wanted.facility)
    if wanted.account:
        statement = statement.where(account.c.id == int(wanted.account[1:]))
    with call.flow.store.read() as connection:
        rows, after = page_of(connection, statement, request.c.id, wanted)
        waits = waiting(connection, [f"request:{row.public_id}" for row in rows])
    return shown.Requests(items=[shown.RequestShown(**_request(row, waits)) for row in rows], next=after)


def one_request(call: Call) -> shown.RequestWhole:
    """Return the request that the path names. Raises Problem 404."""
    return whole_request(call, call.path["request"])


def whole_request(call: Call, public_id: str) -> shown.RequestWhole:
    """Return one request with all that belongs to it. Raises Problem 404."""
    answers = "requests:write" in call.caller.user.allowed
    with call.flow.store.read() as connection:
        row = _found(connection, call.caller, public_id)
        waits = waiting(connection, [f"request:{public_id}"])
        parts = select(instalment).where(instalment.c.request_id == row.id).order_by(instalment.c.number)
        notices = select(notice).where(notice.c.request_id == row.id).order_by(notice.c.id)
        acts = select(act).where(act.c.object == f"request:{public_id}").order_by(act.c.id)
        return shown.RequestWhole(
            **_request(row, waits),
            note=(row.note or b"").decode(),
            language=row.language,
            items=(row.said or {}).get("items", []),
            notices=[_notice(one) for one in connection.execute(notices)],
            payments=shown_payments(connection, paid().where(payment.c.request_id == row.id).order_by(payment.c.id)),
            plan=[
                shown.InstalmentShown(
                    number=one.number, due_on=dt.date.fromisoformat(one.due_on),
                    amount=Money(minor=one.amount, currency=row.currency),
                )
                for one in connection.execute(parts)
            ],
            acts=[shown_act(one, answers=answers) for one in connection.execute(acts)],
        )  # fmt: skip


def found(call: Call) -> str:
    """Return the request that the path names, if this caller may know of it. Raises Problem 404."""
    with call.flow.store.read() as connection:
        return str(_found(connection, call.caller, call.path["request"]).public_id)


def _found(connection: Connection, who: Caller, public_id: str) -> Any:
    row = connection.execute(_requests(who).where(request.c.public_id == public_id)).first()
    if row is None:
        raise Problem(404, "there is no such request here")
    return row


def _requests(who: Caller) -> Select[Any]:
    joined = select(request, *_OF_ACCOUNT).join(account, account.c.id == request.c.account_id)
    return joined.where(who.sees())


def _request(row: Any, waits: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "id": row.public_id, "state": row.state, "account": f"A{row.account_id}", "number": row.number.decode(),
        "source": row.source, "facility": row.facility, "payer": (row.said or {}).get("payer") or _payer(row),
        "asked": Money(minor=row.asked if row.state == "open" else 0, currency=row.currency),
        "balance": Money(minor=row.balance, currency=row.currency), "opened_at": row.opened_at,
        "due_on": row.due_on or None, "expires_at": row.expires_at, "closed_at": row.closed_at, "made_by": row.made_by,
        "paused": row.paused, "waits": waits.get(f"request:{row.public_id}", []),
    }  # fmt: skip


def _notice(row: Any) -> shown.NoticeShown:
    return shown.NoticeShown(
        id=row.public_id, purpose=row.purpose, step=row.step, channel=row.channel,
        to=masked((row.recipient or b"").decode()), state=row.state, code=row.code, at=row.changed_at,
    )  # fmt: skip


def masked(recipient: str) -> str:
    """Return a number or address so that its owner knows it, and nobody else can use it."""
    name, at, domain = recipient.rpartition("@")
    if at:
        return f"{name[:1]}…@{domain}"
    return f"…{recipient[-4:]}" if recipient else ""


# --------------------------------------------------------------------------------------------------------- accounts


def accounts(call: Call) -> shown.Accounts:
    wanted: AccountsWanted = call.query
    statement = select(account).where(call.caller.sees())
    if wanted.source:
        statement = statement.where(account.c.source == wanted.source)
    if wanted.facility:
        statement = statement.where(account.c.facility == wanted.facility)
    if wanted.owing:
        statement = statement.where(account.c.balance > 0)
    with call.flow.store.read() as connection:
        rows, after = page_of(connection, statement, account.c.id, wanted)
        asked = _open_requests(connection, [row.id for row in rows])
    return shown.Accounts(items=[shown.AccountShown(**_account(row, asked)) for row in rows], next=after)


class AccountNamed(Taken):
    """An account by the number that its chart knows; a number stands in no address, where logs and proxies keep it."""

    source: str
    number: str = Field(min_length=1, max_length=250)


def account_found(call: Call) -> shown.AccountWhole:
    """Return the account with this number at this source. Raises Problem 404."""
    source = call.flow.settings.sources.get(call.body.source)
    place = source.facility if source is not None else ""
    return _whole(call, account.c.key == sealed.keyring().search(call.body.source, place, call.body.number))


def one_account(call: Call) -> shown.AccountWhole:
    """Return the account that the path names, with its lines. Raises Problem 404."""
    number = call.path["account"]
    which = int(number[1:]) if number[:1] == "A" and number[1:].isdecimal() and len(number) < 19 else 0
    return _whole(call, account.c.id == which)


def _whole(call: Call, which: ColumnElement[bool]) -> shown.AccountWhole:
    with call.flow.store.read() as connection:
        row = connection.execute(select(account).where(which, call.caller.sees())).first()
        if row is None:
            raise Problem(404, "there is no such account here")
        lines = connection.execute(select(entry).where(entry.c.account_id == row.id).order_by(entry.c.id)).all()
        asks = select(request.c.public_id).where(request.c.account_id == row.id).order_by(request.c.id)
        return shown.AccountWhole(
            **_account(row, _open_requests(connection, [row.id])),
            entries=[
                shown.EntryShown(
                    at=line.at, kind=line.kind, amount=Money(minor=line.amount, currency=row.currency),
                    cause=line.cause, text=(line.text or b"").decode(),
                )
                for line in lines
            ],
            requests=list(connection.scalars(asks)),
            waits=waiting(connection, [f"account:{row.id}"]).get(f"account:{row.id}", []),
        )  # fmt: skip


def _account(row: Any, asked: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": f"A{row.id}", "number": row.number.decode(), "source": row.source, "facility": row.facility,
        "patient": _name(row.patient), "payer": _payer(row),
        "balance": Money(minor=row.balance, currency=row.currency),
        "withheld": Money(minor=row.withheld, currency=row.currency), "stopped": row.stopped,
        "request": asked.get(row.id, ""),
    }  # fmt: skip


def _open_requests(connection: Connection, accounts: Sequence[int]) -> dict[int, str]:
    wanted = select(request.c.account_id, request.c.public_id).where(request.c.account_id.in_(accounts))
    return {row.account_id: row.public_id for row in connection.execute(wanted.where(request.c.state == "open"))}


def _payer(row: Any) -> str:
    return _name(row.guarantor) or _name(row.patient)


def _name(party: Mapping[str, Any] | None) -> str:
    return f"{party.get('given', '')} {party.get('family', '')}".strip() if party else ""
