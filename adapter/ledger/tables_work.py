"""The tables of work: what waits for a person, for its time, or for an answer (tables.py has them all)."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text, text

from chartpost.adapter.ledger.columns import Utc, row_id, string
from chartpost.adapter.ledger.schema import metadata

#: The work list: why something waits for a person, and what would help.
hold = Table(
    "hold",
    metadata,
    row_id(),
    string("object"),  #: "message:7", "posting:3": what waits
    string("cause"),  #: a word that does not change: "unknown_code"
    string("text"),  #: one sentence for a person, without a person's data
    string("fix"),  #: what to do
    string("likeness", ""),  #: holds of one likeness are mended by one change: "unknown_code his kinds XX"
    string("state"),
    Column("at", Utc, nullable=False),
    Column("closed_at", Utc),
    string("closed_by", ""),  #: who released or dismissed it; "" when what it waited for happened
    string("note", ""),  #: why, in that person's words
    Index(
        "uq_hold_open",
        "object",
        "cause",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

#: How far something that is read again and again was read: a FHIR server that is polled, a topic's event number.
cursor = Table(
    "cursor",
    metadata,
    Column("name", Text, primary_key=True),
    string("value"),
    Column("at", Utc, nullable=False),
)

#: Work to do outside the transaction that asked for it; announced through Kombu.
errand = Table(
    "errand",
    metadata,
    row_id(),
    string("kind"),
    string("subject"),  #: id of the row it is about (a public name for `poll`)
    string("lane"),  #: errands of one lane are worked in order, one at a time
    string("state"),
    Column("due_at", Utc, nullable=False),
    Column("leased_until", Utc),
    string("leased_by", ""),  #: host and data directory of the process that works it
    Column("attempts", Integer, nullable=False, server_default="0"),
    string("error", ""),
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
    row_id(),
    string("subject"),  #: "notice:4", "posting:3", "card_session:9/expire"
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    string("outcome", ""),  #: done, refused, transient, unknown
    string("detail", ""),
    Index("ix_attempt_subject", "subject", "id"),
)
