"""Numbers and addresses that lead nowhere: a landline takes no texts, a mailbox is gone. Asked, learned, remembered.

What kind of line a number is says its numbering plan, where that tells (it does not in the US), else the notifier's
service, once before the first text. Where nobody knows, the text is tried.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType
from sqlalchemy import Connection, select

from chartpost.adapter.flow.attempt import attempt, close
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.telling.reach import EMAIL, SMS, Why
from chartpost.adapter.ledger import contact_facts
from chartpost.adapter.ledger.consents import key as key_of
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import notice
from chartpost.adapter.ports import Explaining, Line, LineTypes, Trouble

LANDLINE: Why = (
    "landline", "nobody is texted: the number is a landline",
    "add a mobile number or an e-mail address to the chart, or give the link to the payer by other means",
)  # fmt: skip
#: Causes of holds that a person who knows better may set aside.
CAUSES = frozenset(["landline", "contact_gone"])
_PLAN: dict[int, Line] = {
    PhoneNumberType.FIXED_LINE: "landline", PhoneNumberType.MOBILE: "mobile", PhoneNumberType.VOIP: "voip",
}  # fmt: skip


def gone(channel: str, code: str) -> Why:
    """Say that a number or address was given up by its service."""
    what, where = ("number", "texts") if channel == SMS else ("address", "mails")
    return (
        "contact_gone", f"nothing is sent: {where} to this {what} came to nothing before (code {code})",
        f"correct the {what} in the chart; if the payer has it all the same, retry with --yes",
    )  # fmt: skip


def by_plan(number: str) -> Line:
    """Return what the numbering plan says of a number (E.164). Pure."""
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return "unknown"
    return _PLAN.get(kind, "unknown")


def why_not(connection: Connection, now: dt.datetime, channel: str, recipient: str) -> Why | None:
    """Say why a number or address is known to lead nowhere; None: it may be tried."""
    known = contact_facts.of(connection, key_of(channel, recipient), now)
    if known.dead:
        return gone(channel, known.dead)
    if channel == SMS and "landline" in (by_plan(recipient), known.line):
        return LANDLINE
    return None


def unasked(flow: Flow, connection: Connection, number: str, notifier: str) -> bool:
    """Say whether `line_of` would ask the notifier's service."""
    knows = isinstance(flow.world.notifiers.get(notifier), LineTypes) and by_plan(number) == "unknown"
    return knows and not contact_facts.of(connection, key_of(SMS, number), flow.store.clock()).line


def line_of(flow: Flow, number: str, notifier: str) -> Line:
    """Return what kind of line a number is; asks the notifier's service, once, where nobody else has said.

    A call outside: in no transaction. What fails is remembered as unknown, and the text is tried.
    """
    if (planned := by_plan(number)) != "unknown":
        return planned
    service: object = flow.world.notifiers.get(notifier)
    key = key_of(SMS, number)
    with flow.store.read() as connection:
        known: Line | Literal[""] = contact_facts.of(connection, key, flow.store.clock()).line
    if known or not isinstance(service, LineTypes):
        return known or "unknown"
    tried = attempt(flow.store, f"line:{key}", lambda: service.line_type(number), repeatable=True)
    with flow.store.write() as tx:
        contact_facts.learn(tx, key, line=tried.value or "unknown")
        close(tx, tried)
    return tried.value or "unknown"


def learn(flow: Flow, tx: Tx, notifier: str, channel: str, recipient: str, code: str) -> Trouble | None:
    """Remember what a service's code says of a number or address; return it, None where it is about one message."""
    service: object = flow.world.notifiers.get(notifier)
    trouble = service.trouble(code) if isinstance(service, Explaining) else None
    key = key_of(channel, recipient)
    if trouble is Trouble.GONE:
        contact_facts.learn(tx, key, dead=code)
    elif trouble is Trouble.LANDLINE and channel != EMAIL:
        contact_facts.learn(tx, key, line="landline")
    return trouble


def forget(tx: Tx, request_id: int) -> None:
    """Forget what was learned of the numbers and addresses that a request (its row's id) was to go to."""
    keys = tx.connection.scalars(select(notice.c.recipient_key).where(notice.c.request_id == request_id)).all()
    contact_facts.forget(tx, set(keys))
