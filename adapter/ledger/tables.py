"""The tables. Every one is named for its noun (docs/walk.md); money is minor units; times are UTC.

Columns with personal data are `Sealed`; whatever must be searched among them has a keyed hash beside it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from chartpost.adapter.ledger.sealed import Sealed, SealedJson

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def micros(when: dt.datetime) -> int:
    """Return an aware time as microseconds since 1970, as it is stored."""
    return (when - _EPOCH) // _MICROSECOND


class Utc(TypeDecorator[dt.datetime]):
    """An aware time, stored as microseconds since 1970: exact, sortable and the same on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else _EPOCH + dt.timedelta(microseconds=value)


def _id() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _ref(name: str, target: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(f"{target}.id"), nullable=nullable)


def _str(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


#: By which keys this ledger was written: other keys would find no account again and open every one anew.
key_mark = Table("key_mark", metadata, Column("mark", Text, primary_key=True))

#: What came through a door, as it came. A row in state `received` is itself the errand to translate it.
message = Table(
    "message",
    metadata,
    _id(),
    _str("source"),
    _ref("parent_id", "message", nullable=True),  #: the message it repeats, or the batch it came in
    _str("control_key"),  #: MSH-3 | MSH-4 | MSH-10
    _str("control_id"),  #: MSH-10
    _str("type"),  #: "DFT^P03"
    _str("version"),  #: MSH-12.1
    _str("lane"),  #: keyed hash of the account it speaks of; messages of one lane are worked in order
    Column("received_at", Utc, nullable=False),
    Column("raw", Sealed, nullable=False),
    Column("digest", LargeBinary, nullable=False),  #: keyed hash of the body without MSH-7
    _str("ack_code"),  #: what we answered: AA, AE, AR, CA …; "" where nothing was asked for
    _str("state"),
    _str("reason", ""),
    _str("map", ""),  #: name and version of the map that read it
    Column("trace", SealedJson),
    Column("done_at", Utc),
    Column("fetched", Sealed),  #: FHIR: the resources that it refers to, from its source's server: a JSON list
    Index("ix_message_control", "source", "control_key", "received_at"),
    Index(
        "ix_message_received",
        "id",
        sqlite_where=text("state = 'received'"),
        postgresql_where=text("state = 'received'"),
    ),
    Index(  # a later statement on the same Invoice
        "ix_message_statement",
        "lane",
        "id",
        sqlite_where=text("type = 'Invoice'"),
        postgresql_where=text("type = 'Invoice'"),
    ),
    Index(  # what is known of an Invoice, by the id of its address
        "ix_message_resource",
        "source",
        "control_id",
        "id",
        sqlite_where=text("type = 'Invoice'"),
        postgresql_where=text("type = 'Invoice'"),
    ),
    Index(
        "ix_message_held",
        "lane",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
)

#: What is owed at one place.
account = Table(
    "account",
    metadata,
    _id(),
    _str("key"),  #: keyed hash of source, facility and number; also the lane
    _str("source"),
    _str("facility"),
    Column("number", Sealed, nullable=False),
    _str("currency"),
    Column("balance", BigInteger, nullable=False),  #: the sum of its entries, written in the same transaction
    Column("patient", SealedJson, nullable=False),  #: Party
    Column("guarantor", SealedJson),  #: Party, or null
    Column("chart", SealedJson, nullable=False),  #: PID-3, PID-5, PID-18, PV1-19 as they came
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("key"),
)

#: One append-only line of an account: always the patient's share. Positive raises what is owed.
entry = Table(
    "entry",
    metadata,
    _id(),
    _ref("account_id", "account"),
    _str("cause"),  #: "message:7:2" or "payment:19": unique, so nothing counts twice
    _str("kind"),  #: charge, credit, adjustment, copay, payment, balance; or "card" for money through us
    Column("amount", BigInteger, nullable=False),
    _ref("message_id", "message", nullable=True),
    _ref("payment_id", "payment", nullable=True),
    _str("reference", ""),  #: keyed hash of FT1-2: two lines of one transaction
    _str("likeness", ""),  #: keyed hash of what makes two lines look the same: kind, amount, code, date
    _str("item", ""),  #: keyed hash of the code: what was charged for
    Column("text", Sealed),  #: description: health information
    Column("at", Utc, nullable=False),
    UniqueConstraint("cause"),
    Index("ix_entry_account", "account_id", "id"),
)

#: One ask. It follows the balance silently; at most one is open per account.
request = Table(
    "request",
    metadata,
    _id(),
    _str("public_id"),
    _ref("account_id", "account"),
    _str("state"),
    Column("asked", BigInteger, nullable=False),  #: minor units owed when last changed
    Column("generation", Integer, nullable=False),
    _str("token_hash"),
    Column("opened_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("closed_at", Utc),
    UniqueConstraint("public_id"),
    UniqueConstraint("token_hash"),
    Index(
        "uq_request_open",
        "account_id",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

#: One hosted card page: committed before the provider hears of it. Its public id is the idempotency key.
card_session = Table(
    "card_session",
    metadata,
    _id(),
    _str("public_id"),
    _ref("account_id", "account"),
    _ref("request_id", "request"),
    _str("provider"),
    _str("state"),
    Column("amount", BigInteger, nullable=False),
    _str("currency"),
    _str("provider_ref", ""),
    _str("url", ""),
    _str("success_url"),  #: kept, because the same idempotency key must come with the same parameters
    _str("cancel_url"),
    Column("expires_at", Utc, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    Index("ix_card_session_request", "request_id"),
    Index(
        "uq_card_session_open",
        "account_id",
        unique=True,
        sqlite_where=text("state IN ('minting', 'open')"),
        postgresql_where=text("state IN ('minting', 'open')"),
    ),
)

#: One SMS or e-mail.
notice = Table(
    "notice",
    metadata,
    _id(),
    _str("public_id"),
    _ref("request_id", "request"),
    _str("channel"),
    _str("notifier"),
    Column("recipient", Sealed),
    _str("state"),
    _str("provider_ref", ""),
    _str("code", ""),  #: the service's error code
    Column("created_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    Index("ix_notice_provider_ref", "notifier", "provider_ref"),
    Index("ix_notice_request", "request_id"),
)

#: What a provider told us, kept raw, applied once.
event = Table(
    "event",
    metadata,
    _id(),
    _str("provider"),
    _str("event_id"),
    _str("type"),
    _str("reference"),  #: our CardSession or Notice id, where it names one
    _str("state"),
    _str("reason", ""),
    Column("raw", Sealed, nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("provider", "event_id"),
)

#: Money that a provider says has moved.
payment = Table(
    "payment",
    metadata,
    _id(),
    _str("public_id"),
    _ref("account_id", "account"),
    _ref("request_id", "request"),
    _ref("card_session_id", "card_session"),
    _str("provider"),
    _str("provider_ref"),
    Column("amount", BigInteger, nullable=False),
    _str("currency"),
    _str("medium"),
    Column("paid_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    UniqueConstraint("provider", "provider_ref"),
    Index("ix_payment_account", "account_id"),
)

#: One movement told to one destination.
posting = Table(
    "posting",
    metadata,
    _id(),
    _str("public_id"),  #: 12 characters, in FT1-2
    _ref("payment_id", "payment"),
    _str("destination"),
    _str("kind"),  #: payment (refund and dispute are to come)
    _str("state"),
    _str("control_id"),  #: MSH-10 of what we send
    _str("content_type", ""),
    Column("body", Sealed),  #: rendered once, sent as it is
    _str("answer_code", ""),
    _str("answer_text", ""),
    Column("answer", Sealed),
    Column("created_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    UniqueConstraint("payment_id", "destination", "kind"),
)

#: The work list: why something waits for a person, and what would help.
hold = Table(
    "hold",
    metadata,
    _id(),
    _str("object"),  #: "message:7", "posting:3": what waits
    _str("cause"),  #: a word that does not change: "unknown_code"
    _str("text"),  #: one sentence for a person, without a person's data
    _str("fix"),  #: what to do
    _str("state"),
    Column("at", Utc, nullable=False),
    Column("closed_at", Utc),
    _str("closed_by", ""),  #: who released or dismissed it; "" when what it waited for happened
    _str("note", ""),  #: why, in that person's words
    Index(
        "uq_hold_open",
        "object",
        "cause",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

#: Work to do outside the transaction that asked for it; announced through Kombu.
errand = Table(
    "errand",
    metadata,
    _id(),
    _str("kind"),
    _str("subject"),  #: id of the row it is about (a public name for `poll`)
    _str("lane"),  #: errands of one lane are worked in order, one at a time
    _str("state"),
    Column("due_at", Utc, nullable=False),
    Column("leased_until", Utc),
    _str("leased_by", ""),  #: host and data directory of the process that works it
    Column("attempts", Integer, nullable=False, server_default="0"),
    _str("error", ""),
    Column("created_at", Utc, nullable=False),
    Column("done_at", Utc),
    Index(
        "uq_errand_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("state IN ('due', 'leased')"),
        postgresql_where=text("state IN ('due', 'leased')"),
    ),
    Index(
        "ix_errand_due",
        "kind",
        "due_at",
        sqlite_where=text("state IN ('due', 'leased')"),
        postgresql_where=text("state IN ('due', 'leased')"),
    ),
    Index(
        "ix_errand_lane",
        "lane",
        "id",
        sqlite_where=text("state IN ('due', 'leased')"),
        postgresql_where=text("state IN ('due', 'leased')"),
    ),
)

#: One call to the outside: committed before it is made, closed in the transaction of its outcome.
#: A row without an outcome after a crash is a call of which nobody knows whether it happened.
attempt = Table(
    "attempt",
    metadata,
    _id(),
    _str("subject"),  #: "notice:4", "posting:3", "card_session:9/expire"
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    _str("outcome", ""),  #: done, refused, transient, unknown
    _str("detail", ""),
    Index("ix_attempt_subject", "subject", "id"),
)
