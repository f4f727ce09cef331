"""What the API answers with. Amounts are minor units with their currency; times are UTC, days the facility's own."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel

from chartpost.adapter.users import RoleName, Scope
from chartpost.mappings.model import Money


class Me(BaseModel):
    """Who calls."""

    name: str
    role: RoleName
    scopes: list[Scope]
    facilities: list[str]  #: [] for all


class NoticeShown(BaseModel):
    """One message to one person."""

    id: str
    purpose: str
    step: str
    channel: str
    to: str  #: masked: its last four characters, or the first of an address
    state: str
    code: str
    at: dt.datetime


class PaymentShown(BaseModel):
    """Money that moved through us, for one account."""

    id: str
    account: str
    request: str
    amount: Money
    medium: str
    paid_at: dt.datetime
    postings: dict[str, str]  #: destination → state


class InstalmentShown(BaseModel):
    """A part of a plan."""

    number: int
    due_on: dt.date
    amount: Money


class RequestShown(BaseModel):
    """One ask, as a list has it."""

    id: str
    state: str
    account: str  #: "A7"
    number: str  #: the account's, as the chart has it
    source: str
    facility: str
    payer: str
    asked: Money  #: what is asked now; zero unless open
    balance: Money  #: of the account
    opened_at: dt.datetime
    due_on: dt.date | None
    expires_at: dt.datetime | None
    closed_at: dt.datetime | None
    made_by: str
    paused: str
    waits: list[str]  #: causes of its open holds


class RequestWhole(RequestShown):
    """One ask with all that belongs to it."""

    note: str
    language: str
    items: list[dict[str, Any]]
    notices: list[NoticeShown]
    payments: list[PaymentShown]
    plan: list[InstalmentShown]
    acts: list[ActShown]


class EntryShown(BaseModel):
    """One line of an account: the patient's share."""

    at: dt.datetime
    kind: str
    amount: Money
    cause: str
    text: str


class AccountShown(BaseModel):
    """What is owed at one place."""

    id: str
    number: str
    source: str
    facility: str
    patient: str
    payer: str
    balance: Money
    withheld: Money
    stopped: str
    request: str  #: the open one, or ""


class AccountWhole(AccountShown):
    """An account with its lines."""

    entries: list[EntryShown]
    requests: list[str]
    waits: list[str]


class ActShown(BaseModel):
    """What a person did."""

    id: int
    by: str
    verb: str
    object: str
    note: str
    at: dt.datetime


class HoldShown(BaseModel):
    """Why something waits for a person."""

    id: str
    object: str
    cause: str
    text: str
    fix: str
    at: dt.datetime


class MessageShown(BaseModel):
    """What came through a door."""

    id: str
    source: str
    type: str
    control_id: str
    ack: str  #: what it was answered
    state: str
    reason: str
    map: str
    received_at: dt.datetime
    done_at: dt.datetime | None


class StatusShown(BaseModel):
    """How it goes, as `chartpost status --json` has it."""

    at: dt.datetime
    doors: list[dict[str, Any]]
    queues: list[dict[str, Any]] | None
    errands: list[dict[str, Any]]
    states: dict[str, dict[str, Any]]
    payments: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    holds: list[dict[str, Any]]
    destinations: list[dict[str, Any]]
    last: dict[str, Any]
    maps: list[dict[str, Any]]


class Messages(BaseModel):
    items: list[MessageShown]
    next: str


class Requests(BaseModel):
    items: list[RequestShown]
    next: str  #: `before` of the next page; "" at the end


class Accounts(BaseModel):
    items: list[AccountShown]
    next: str


class Payments(BaseModel):
    items: list[PaymentShown]
    next: str


class Acts(BaseModel):
    items: list[ActShown]
    next: str


class Holds(BaseModel):
    items: list[HoldShown]
    next: str


RequestWhole.model_rebuild()
