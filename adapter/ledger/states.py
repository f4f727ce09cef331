"""Which state may follow which, as data. Pure: the store refuses every move that is not drawn here.

Each noun has one table; a state that is missing as a key is final.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Message(enum.StrEnum):
    """What became of a message as received."""

    RECEIVED = "received"  #: stored and acknowledged; the row itself is the errand to translate it
    FETCHING = "fetching"  #: FHIR: what it refers to is being fetched from its source's server
    TRANSLATED = "translated"  #: its meaning is in the ledger
    HELD = "held"  #: all or nothing: a person decides, see its hold
    IGNORED = "ignored"  #: nothing in it concerns a patient's money here; the reason says why
    DUPLICATE = "duplicate"  #: the same message again; answered again, counted once
    UNREADABLE = "unreadable"  #: kept, answered AE or AR, never interpreted


class Request(enum.StrEnum):
    """One ask for what an account owes."""

    OPEN = "open"
    PAID = "paid"  #: a payment through us brought the balance to zero or below
    SETTLED = "settled"  #: the balance reached zero otherwise (credit, desk)
    CANCELLED = "cancelled"  #: a person withdrew it
    EXPIRED = "expired"


class CardSession(enum.StrEnum):
    """One hosted card page."""

    MINTING = "minting"  #: committed, the provider not yet heard: its id is the idempotency key
    OPEN = "open"
    COMPLETE = "complete"  #: the payer finished; an async method may still be under way
    EXPIRED = "expired"
    FAILED = "failed"  #: the provider refused to make it, or an async payment failed


class Notice(enum.StrEnum):
    """One SMS or e-mail."""

    DUE = "due"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    BLOCKED = "blocked"  #: not allowed (no consent, opted out) or not possible (no number)
    UNKNOWN = "unknown"  #: may or may not have gone out: never repeated by machine


class Event(enum.StrEnum):
    """What a provider told us."""

    RECEIVED = "received"  #: stored; its effect is still to come, an errand retries it
    APPLIED = "applied"
    IGNORED = "ignored"  #: foreign, unknown or without effect; kept


class Posting(enum.StrEnum):
    """One movement told to one destination."""

    DUE = "due"
    PUBLISHED = "published"  #: the broker confirmed it
    RECEIVED = "received"  #: an engine or a CA has it; the chart has not spoken
    ACCEPTED = "accepted"  #: the chart said AA or 201
    REFUSED = "refused"  #: the chart, or our own validation before sending, said no
    UNKNOWN = "unknown"  #: no answer: it may or may not be in the chart
    SHADOWED = "shadowed"  #: written and checked, and not sent: its destination is only tried


class Hold(enum.StrEnum):
    """Why something waits for a person."""

    OPEN = "open"
    DONE = "done"


class Errand(enum.StrEnum):
    """Work to do outside the transaction that asked for it."""

    DUE = "due"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"  #: tried too often; kept, with a hold


MOVES: Mapping[type[enum.StrEnum], Mapping[enum.StrEnum, frozenset[enum.StrEnum]]] = {
    Message: {
        Message.RECEIVED: frozenset({Message.TRANSLATED, Message.HELD, Message.IGNORED, Message.FETCHING}),
        Message.FETCHING: frozenset({Message.RECEIVED}),
        Message.HELD: frozenset({Message.RECEIVED, Message.IGNORED}),
    },
    Request: {
        Request.OPEN: frozenset({Request.PAID, Request.SETTLED, Request.CANCELLED, Request.EXPIRED}),
        # A person reopens it, under the same link; what was paid is owed no more, and there is nothing to reopen.
        Request.CANCELLED: frozenset({Request.OPEN}),
        Request.EXPIRED: frozenset({Request.OPEN}),
        Request.SETTLED: frozenset({Request.OPEN}),
    },
    CardSession: {
        CardSession.MINTING: frozenset(
            {CardSession.OPEN, CardSession.COMPLETE, CardSession.EXPIRED, CardSession.FAILED}
        ),
        CardSession.OPEN: frozenset({CardSession.COMPLETE, CardSession.EXPIRED, CardSession.FAILED}),
        CardSession.COMPLETE: frozenset({CardSession.FAILED}),
        # A payment that arrives late is still a payment: the event wins over what we thought of the page.
        CardSession.EXPIRED: frozenset({CardSession.COMPLETE}),
        CardSession.FAILED: frozenset({CardSession.COMPLETE}),
    },
    Notice: {
        Notice.DUE: frozenset({Notice.SENT, Notice.BLOCKED, Notice.UNKNOWN, Notice.DELIVERED, Notice.UNDELIVERED}),
        Notice.SENT: frozenset({Notice.DELIVERED, Notice.UNDELIVERED}),
        Notice.UNKNOWN: frozenset({Notice.SENT, Notice.DELIVERED, Notice.UNDELIVERED}),
    },
    Event: {Event.RECEIVED: frozenset({Event.APPLIED, Event.IGNORED})},
    Posting: {
        Posting.DUE: frozenset({Posting.PUBLISHED, Posting.REFUSED, Posting.SHADOWED}),
        # Once its destination is no longer only tried, and a person says that it is not in the chart yet.
        Posting.SHADOWED: frozenset({Posting.DUE}),
        Posting.PUBLISHED: frozenset({Posting.RECEIVED, Posting.ACCEPTED, Posting.REFUSED, Posting.UNKNOWN}),
        Posting.RECEIVED: frozenset({Posting.ACCEPTED, Posting.REFUSED}),
        Posting.UNKNOWN: frozenset({Posting.ACCEPTED, Posting.REFUSED, Posting.DUE}),
        # An engine may be made to take it after all, and says so.
        Posting.REFUSED: frozenset({Posting.DUE, Posting.ACCEPTED}),
    },
    Hold: {Hold.OPEN: frozenset({Hold.DONE})},
    Errand: {
        Errand.DUE: frozenset({Errand.LEASED, Errand.DONE, Errand.DEAD}),
        Errand.LEASED: frozenset({Errand.DUE, Errand.DONE, Errand.DEAD}),
    },
}


class IllegalMove(Exception):
    """A move that no table draws: a bug, or an event that arrived out of order and changes nothing."""


def allowed(before: enum.StrEnum, after: enum.StrEnum) -> bool:
    """Say whether `after` may follow `before` (both of the same noun)."""
    return after in MOVES[type(before)].get(before, frozenset())


def check(before: enum.StrEnum, after: enum.StrEnum) -> None:
    """Raise IllegalMove unless `after` may follow `before`."""
    if not allowed(before, after):
        raise IllegalMove(f"{type(before).__name__.lower()}: {before} → {after}")
