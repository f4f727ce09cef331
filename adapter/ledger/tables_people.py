"""The tables of who pays, who may be written to, and who did what (tables.py has them all)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text, UniqueConstraint, false

from chartpost.adapter.ledger.columns import Utc, ref, row_id, string
from chartpost.adapter.ledger.schema import metadata
from chartpost.adapter.ledger.sealed import Sealed

#: Who pays for an account, as far as accounts can be known to have one payer: name and a number or address, together.
account_payer = Table(
    "account_payer",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True),
    Column("key", Text, primary_key=True),  #: keyed hash of facility, the payer's name and one contact
    Index("ix_account_payer_key", "key"),
)

#: Who may be written to by which channel, and who may not: append-only, the newest word of whoever may say it counts.
consent = Table(
    "consent",
    metadata,
    row_id(),
    string("key"),  #: keyed hash of the number or address
    string("channel"),  #: sms, email
    string("purpose"),  #: billing
    string("scope"),  #: "facility:lakeside", or "notifier:sms": whoever sends through it
    string("state"),  #: granted, revoked
    string("origin"),  #: chart, fhir, csv, staff, page, reply (STOP, START), service (error 21610)
    string("evidence", ""),  #: where it can be looked up: "M12", "consents.csv:4", "event SM…"; no person's data
    Column("words", Sealed),  #: what the person wrote, where they did
    string("by", ""),  #: who said so here
    Column("at", Utc, nullable=False),
    Index("ix_consent_key", "key", "channel", "id"),
)

#: What a service said of a number or address: a landline takes no texts, a mailbox is gone.
contact_fact = Table(
    "contact_fact",
    metadata,
    Column("key", Text, primary_key=True),  #: keyed hash of the number or address
    string("line", ""),  #: mobile, landline, voip, unknown: as the service said; "" before it was asked
    string("dead", ""),  #: why nothing arrives there any more: "bounced 5.1.1"; "" while it may
    Column("at", Utc, nullable=False),
)

#: A browser that has opened a link; `verified_at` once whoever sits there has shown who they are.
visit = Table(
    "visit",
    metadata,
    row_id(),
    string("token_hash"),  #: of the cookie
    ref("request_id", "request"),
    string("method", ""),  #: date_of_birth, code
    Column("verified_at", Utc),
    Column("expires_at", Utc, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("token_hash"),
)

#: One try to show who one is: a one-time code that was sent, or an answer. Rate limits count these rows.
identity_try = Table(
    "identity_try",
    metadata,
    row_id(),
    string("public_id"),
    ref("request_id", "request"),
    string("kind"),  #: code (it was sent), code_answer, birth_answer
    Column("good", Boolean, nullable=False, server_default=false()),
    Column("used", Boolean, nullable=False, server_default=false()),  #: a code: it was answered rightly
    Column("expires_at", Utc),
    Column("at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    Index("ix_identity_try_request", "request_id", "kind", "at"),
)

#: What a person did here: who, what, to what, why. Append-only.
act = Table(
    "act",
    metadata,
    row_id(),
    string("by"),  #: a user's name, the machine's user of a command, "payer" for the page
    string("verb"),  #: make, edit, cancel, extend, resend, settle, reopen, approve, plan, pause, resume …
    string("object"),  #: "request:R…", "account:7"
    Column("note", Sealed),  #: why, and what with: a person's own words
    Column("at", Utc, nullable=False),
    Index("ix_act_object", "object", "id"),
)
