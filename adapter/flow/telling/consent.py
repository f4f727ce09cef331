"""Who may be written to: what is on record of a number or address, and what the source says of all of them.

Texts need consent; an e-mail needs none. Whoever has asked for no more is written to by neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.posting import preference
from chartpost.adapter.flow.telling import reach
from chartpost.adapter.flow.telling.reach import EMAIL, SMS, Why
from chartpost.adapter.ledger import consents
from chartpost.adapter.ledger.books import Book
from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ports import Explaining, Trouble
from chartpost.mappings.model import Reading

_BY_OTHER_MEANS = "reach the payer by other means"
NOT_RECORDED: Why = (
    "no_consent", "the number is not texted: no consent for it is on record",
    f"record the consent with `chartpost consents set`, or {_BY_OTHER_MEANS}",
)  # fmt: skip
OPTED_OUT: dict[str, Why] = {
    SMS: (
        "opted_out", "the number is not texted: consent was taken back",
        f"{_BY_OTHER_MEANS}; whoever sends START gets texts again, and `chartpost consents set` records a new consent",
    ),
    EMAIL: (
        "opted_out", "nobody writes to the address: whoever reads it wants no messages",
        f"{_BY_OTHER_MEANS}; `chartpost consents set` records it if that has changed",
    ),
}  # fmt: skip
#: Kind of contact → channel.
CHANNEL = {"phone": SMS, "email": EMAIL}


def why_not(
    connection: Connection, flow: Flow, *, source: str, facility: str, notifier: str, channel: str, recipient: str
) -> Why | None:
    """Say why a number or address may not be written to for a facility through a notifier; None: it may."""
    configured = flow.settings.sources.get(source)
    said = configured.consent if configured is not None else "none"
    if channel == SMS and said == "none":
        return reach.NO_CONSENT
    scopes = (consents.facility(facility), consents.notifier(notifier))
    found = consents.standing(consents.history(connection, channel, consents.key(channel, recipient), scopes))
    if found is not None and found.state == REVOKED:
        return OPTED_OUT[channel]
    if channel == SMS and said == "recorded" and found is None:
        return NOT_RECORDED
    return None


def said(tx: Tx, flow: Flow, row: Any, reading: Reading, book: Book) -> None:
    """Write down what a message says of consent, for those whom it would let be written to."""
    for channel, yes in reading.consent.items():
        word = Word(GRANTED if yes else REVOKED, "chart", f"M{row.id}")
        for value in contacts(flow, book, channel):
            if record(flow, tx, channel, value, word, facilities=(book.facility,)) and yes:
                book.renewed = True  # whoever could not be told may be, by now


def contacts(flow: Flow, owner: Any, channel: str) -> list[str]:
    """Return the numbers (E.164) or addresses of all who may be written to about an account, each once.

    `owner` is the account, as a row or a book; of a confidential one only the patient's own come.
    """
    people = reach.ordered(owner, flow.facility(owner.facility).contacts)
    found = (contact for person in people for contact in person.get("contacts", ()))
    return list(dict.fromkeys(str(one["value"]) for one in found if CHANNEL.get(one["kind"]) == channel))


def record(
    flow: Flow, tx: Tx, channel: str, value: str, word: Word, *, facilities: Iterable[str] = (), notifier: str = ""
) -> list[int]:
    """Write a word down for these facilities, and for a notifier and all facilities that write through it.

    The charts hear of what a person or a service has said. Returns the ids of new rows, [] where it says nothing new.
    """
    names = dict.fromkeys(facilities)
    if notifier:
        configured = flow.settings.facilities.items()
        names |= dict.fromkeys(name for name, facility in configured if notifier in facility.notifiers)
    scopes = [*([consents.notifier(notifier)] if notifier else []), *map(consents.facility, names)]
    key = consents.key(channel, value)
    added = consents.add(tx, channel, key, scopes, word)
    if added and channel == SMS and word.origin in consents.OWN:
        preference.ask_for(flow, tx, added[0], key, names)
    return added


def refused(flow: Flow, tx: Tx, notice: Any, code: str) -> Why | None:
    """Write down that a service keeps a number from us, where that is what its refusal of a notice says; and why.

    `notice`: its notifier, channel, recipient and public id.
    """
    service: object = flow.world.notifiers.get(notice.notifier)
    if not isinstance(service, Explaining) or service.trouble(code) is not Trouble.STOPPED:
        return None
    word = Word(REVOKED, "service", f"notice {notice.public_id}")
    record(flow, tx, notice.channel, notice.recipient.decode(), word, notifier=notice.notifier)
    return OPTED_OUT[notice.channel]
