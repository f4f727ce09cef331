"""Requests through the API: preview, make and change, in the caller's name, and only where they may look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select

from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests import change, look, make, plan
from chartpost.adapter.flow.requests.change import Changed, Edit, Method
from chartpost.adapter.flow.requests.planned import Message
from chartpost.adapter.flow.requests.wish import Item, Wish
from chartpost.adapter.ledger import sealed
from chartpost.adapter.ledger.tables import account
from chartpost.adapter.web.api import reading, shown
from chartpost.adapter.web.api.problem import Problem
from chartpost.adapter.web.api.table import Call, Day, Taken
from chartpost.mappings.model import Money

#: Who may say that more may be asked for than goes out without a person's look.
_APPROVES = "holds:write"
Amount = Annotated[Decimal, Field(description="in major units of the currency, as in 45.00")]
Text = Annotated[str, StringConstraints(max_length=2000)]


class ItemSaid(Taken):
    """One line of what is asked for; amounts in major units."""

    description: Text
    unit_amount: Amount
    quantity: Decimal = Decimal(1)
    discount: Amount = Decimal(0)
    tax: Amount = Decimal(0)


class RequestSaid(Taken):
    """A request that is wanted. What is left out is as the account and the facility's policy have it."""

    account: str = Field(min_length=1, max_length=250)  #: "A7", or with `source` the chart's number
    source: str = ""
    amount: Amount | None = None
    currency: str = ""
    payer: Text = ""
    recipients: Text = ""  #: "anna@example.org; 608 555 0142"
    note: Text = ""
    due_on: Day | None = None
    expires: str = ""  #: "once" (24 hours), days as in "30", "never"
    language: str = ""
    items: list[ItemSaid] = Field(default_factory=list, max_length=100)
    patient: Text = ""
    approved: bool = False


class EditSaid(Taken):
    """What is to be different about an open request; what is left out stays."""

    amount: Amount | None = None
    currency: str = ""
    payer: Text | None = None
    recipients: Text | None = None
    note: Text | None = None
    due_on: Day | None = None
    language: str | None = None
    items: list[ItemSaid] | None = Field(None, max_length=100)
    approved: bool = False
    seen: str = ""  #: the version that the person saw: what somebody else changed since is not written over
    preview: bool = False  #: only say what would come of it


class Why(Taken):
    why: str = Field("", max_length=500)


class Extend(Taken):
    expires: str = Field(min_length=1, max_length=20)  #: "once", days, "never"


class Resend(Taken):
    sure: bool = False  #: also where the last message may still arrive
    preview: bool = False  #: only say what would be sent


class Settle(Taken):
    """What was paid otherwise. The chart is not told: its cashier books it."""

    method: Method
    reference: str = Field("", max_length=200)
    amount: Amount | None = None
    sure: bool = False  #: it is another payment than the one of this amount that the chart has told of


class Unsettle(Taken):
    """What was said to be paid otherwise by mistake."""

    amount: Amount


class Reopen(Taken):
    amount: Amount | None = None
    expires: str = Field("", max_length=20)
    approved: bool = False


class PartSaid(Taken):
    """A part of a plan."""

    due_on: Day
    amount: Amount


class PlanSaid(Taken):
    """So many instalments as the policy has them, or a person's own dates and amounts."""

    count: int | None = Field(None, ge=2, le=60)
    parts: list[PartSaid] = Field(default_factory=list, max_length=60)
    why: str = Field("", max_length=500)


class PlanShown(BaseModel):
    """The plan in force."""

    request: str
    parts: list[shown.InstalmentShown]


class Nothing(Taken):
    """There is nothing to say."""


class MessageShown(BaseModel):
    """One message as it will be sent, or why it is not."""

    channel: str
    to: str
    subject: str
    text: str
    segments: int
    later: dt.datetime | None
    why_not: str
    fix: str


class MadeShown(BaseModel):
    """A request as it was made, or in a preview as it would be: then without id and link."""

    request: str
    link: str
    account: str
    facility: str
    amount: Money
    owed: Money
    payer: str
    language: str
    due_on: str
    expires_at: dt.datetime | None
    messages: list[MessageShown]
    why_nobody: str  #: where there is no message at all: why, and what to do


class ChangedShown(BaseModel):
    """What came of a change."""

    request: str
    state: str
    text: str
    messages: list[MessageShown]  #: what is sent because of it


class LinkShown(BaseModel):
    """The link of a request, for a payer who gets no message. Whoever has it can see the amount and pay."""

    request: str
    state: str
    link: str


def preview(call: Call) -> MadeShown:
    return _made(make.preview(call.flow, _wish(call), by=call.caller.name))


def create(call: Call) -> MadeShown:
    return _made(make.make(call.flow, _wish(call), by=call.caller.name))


def edit(call: Call) -> ChangedShown:
    body: EditSaid = call.body
    _may_approve(call, body.approved)
    values = {field.name: getattr(body, field.name) for field in fields(Edit)}
    if body.items is not None:
        values["items"] = _items(body.items)
    name = call.caller.name
    return _changed(change.edit(call.flow, reading.found(call), Edit(**values), by=name, preview=body.preview))


def cancel(call: Call) -> ChangedShown:
    return _changed(change.cancel(call.flow, reading.found(call), by=call.caller.name, why=call.body.why))


def extend(call: Call) -> ChangedShown:
    return _changed(change.extend(call.flow, reading.found(call), call.body.expires, by=call.caller.name))


def resend(call: Call) -> ChangedShown:
    body: Resend = call.body
    name = call.caller.name
    return _changed(change.resend(call.flow, reading.found(call), by=name, sure=body.sure, preview=body.preview))


def settle(call: Call) -> ChangedShown:
    body: Settle = call.body
    return _changed(
        change.settle(
            call.flow, reading.found(call), method=body.method, by=call.caller.name, amount=body.amount,
            reference=body.reference, sure=body.sure,
        )
    )  # fmt: skip


def unsettle(call: Call) -> ChangedShown:
    return _changed(change.unsettle(call.flow, reading.found(call), amount=call.body.amount, by=call.caller.name))


def reopen(call: Call) -> ChangedShown:
    body: Reopen = call.body
    _may_approve(call, body.approved)
    return _changed(
        change.reopen(
            call.flow, reading.found(call), by=call.caller.name, amount=body.amount, expires=body.expires,
            approved=body.approved,
        )
    )  # fmt: skip


def pause(call: Call) -> ChangedShown:
    return _changed(change.pause(call.flow, reading.found(call), by=call.caller.name))


def resume(call: Call) -> ChangedShown:
    return _changed(change.resume(call.flow, reading.found(call), by=call.caller.name))


def agree(call: Call) -> PlanShown:
    """Agree on a plan, in place of the one before. Raises Problem 422 for neither or both of count and parts."""
    body: PlanSaid = call.body
    name = reading.found(call)
    if (body.count is None) == (not body.parts):
        raise Problem(422, "a plan has a count, or parts of its own")
    currency = reading.whole_request(call, name).balance.currency
    if body.count is not None:
        parts = plan.choose(call.flow, name, body.count, by=call.caller.name)
    else:
        try:
            own = [(one.due_on, Money.of(one.amount, currency).minor) for one in body.parts]
        except ValueError as error:
            raise Problem(422, str(error)) from None
        parts = plan.agree(call.flow, name, own, by=call.caller.name, why=body.why)
    return PlanShown(
        request=name,
        parts=[
            shown.InstalmentShown(
                number=one.number, due_on=one.due_on, amount=Money(minor=one.amount, currency=currency)
            )
            for one in parts
        ],
    )  # fmt: skip


def drop(call: Call) -> PlanShown:
    name = reading.found(call)
    plan.drop(call.flow, name, by=call.caller.name, why=call.body.why)
    return PlanShown(request=name, parts=[])


def link(call: Call) -> LinkShown:
    found = look.look(call.flow, reading.found(call))
    if found is None:
        raise Problem(404, "there is no such request here")
    return LinkShown(request=found.request, state=found.state, link=found.link)


def _wish(call: Call) -> Wish:
    """Return what the body wants, once it is certain that this caller may want it of this account."""
    body: RequestSaid = call.body
    _may_approve(call, body.approved)
    if not _sees(call, body):
        raise Problem(404, "there is no such account here")
    values = {field.name: getattr(body, field.name) for field in fields(Wish)}
    return Wish(**values | {"items": _items(body.items)})


def _sees(call: Call, body: RequestSaid) -> bool:
    """Say whether the account, or the place where it would be opened, is one that this caller may know of."""
    user = call.caller.user
    try:
        place = make.facility_of(call.flow, body.account, body.source)
    except No:
        return False
    if user.facilities and place not in user.facilities:
        return False
    if user.role != "clinician":
        return True
    known = account.c.key == sealed.keyring().search(body.source, place, body.account)
    if not body.source:
        known = account.c.id == int(body.account[1:])
    with call.flow.store.read() as connection:
        return connection.execute(select(account.c.id).where(known, call.caller.sees())).first() is not None


def _may_approve(call: Call, approved: bool) -> None:
    if approved and _APPROVES not in call.caller.user.allowed:
        raise Problem(403, "somebody of the billing office has to approve such an amount")


def _items(said: list[ItemSaid]) -> tuple[Item, ...]:
    return tuple(Item(**one.model_dump()) for one in said)


def _made(made: make.Made) -> MadeShown:
    values: dict[str, Any] = {field.name: getattr(made, field.name) for field in fields(made)}
    return MadeShown(**values | {"messages": _messages(made.messages)})


def _messages(said: Sequence[Message]) -> list[MessageShown]:
    return [MessageShown(**{name: getattr(one, name) for name in MessageShown.model_fields}) for one in said]


def _changed(done: Changed) -> ChangedShown:
    messages = _messages(done.messages)
    return ChangedShown(request=done.request, state=done.state, text=done.text, messages=messages)
