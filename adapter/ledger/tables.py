"""The tables. Every one is named for its noun (docs/walk.md); money is minor units; times are UTC.

Columns with personal data are `Sealed`; whatever must be searched among them has a keyed hash beside it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from chartpost.adapter.ledger.columns import Utc, ref, row_id, string
from chartpost.adapter.ledger.schema import metadata as metadata
from chartpost.adapter.ledger.sealed import Sealed, SealedJson
from chartpost.adapter.ledger.tables_people import account_payer as account_payer
from chartpost.adapter.ledger.tables_people import act as act
from chartpost.adapter.ledger.tables_people import consent as consent
from chartpost.adapter.ledger.tables_people import contact_fact as contact_fact
from chartpost.adapter.ledger.tables_people import identity_try as identity_try
from chartpost.adapter.ledger.tables_people import visit as visit
from chartpost.adapter.ledger.tables_work import attempt as attempt
from chartpost.adapter.ledger.tables_work import cursor as cursor
from chartpost.adapter.ledger.tables_work import errand as errand
from chartpost.adapter.ledger.tables_work import hold as hold

#: By which keys this ledger was written: other keys would find no account again and open every one anew.
key_mark = Table("key_mark", metadata, Column("mark", Text, primary_key=True))

#: What came through a door, as it came. A row in state `received` is itself the errand to translate it.
message = Table(
    "message",
    metadata,
    row_id(),
    string("source"),
    ref("parent_id", "message", nullable=True),  #: the message it repeats, or the batch it came in
    string("control_key"),  #: MSH-3 | MSH-4 | MSH-10
    string("control_id"),  #: MSH-10
    string("type"),  #: "DFT^P03"
    string("version"),  #: MSH-12.1
    string("lane"),  #: keyed hash of the account it speaks of; messages of one lane are worked in order
    Column("received_at", Utc, nullable=False),
    Column("raw", Sealed, nullable=False),
    Column("digest", LargeBinary, nullable=False),  #: keyed hash of the body without MSH-7
    string("ack_code"),  #: what we answered: AA, AE, AR, CA …; "" where nothing was asked for
    string("state"),
    string("reason", ""),
    string("map", ""),  #: name and version of the map that read it
    Column("trace", SealedJson),
    Column("done_at", Utc),
    Column("fetched", Sealed),  #: FHIR: the resources that it refers to, from its source's server: a JSON list
    Column("edited", Sealed),  #: as a person corrected it; read instead of `raw`, which stays as it came
    string("edited_by", ""),
    string("edited_why", ""),
    string("waived", ""),  #: causes of holds that a person waived for it: "old_charges same_line"
    Column("report", SealedJson),  #: what the standard has to say about it, where its source asks for that
    Column("shadow", SealedJson),  #: what another map would have made of it, where its source tries one
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
    Index(  # the same of a ChargeItem
        "ix_message_item",
        "source",
        "control_id",
        "id",
        sqlite_where=text("type = 'ChargeItem'"),
        postgresql_where=text("type = 'ChargeItem'"),
    ),
    Index(  # what came of consent before a patient had an account
        "ix_message_consent",
        "lane",
        "id",
        sqlite_where=text("type = 'Consent'"),
        postgresql_where=text("type = 'Consent'"),
    ),
    Index(  # what a source in shadow would have counted, by account
        "ix_message_shadow",
        "lane",
        "id",
        sqlite_where=text("shadow IS NOT NULL"),
        postgresql_where=text("shadow IS NOT NULL"),
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
    row_id(),
    string("key"),  #: keyed hash of source, facility and number; also the lane
    string("source"),
    string("facility"),
    Column("number", Sealed, nullable=False),
    string("currency"),
    Column("balance", BigInteger, nullable=False),  #: the sum of its entries, written in the same transaction
    Column("patient", SealedJson, nullable=False),  #: Party
    Column("guarantor", SealedJson),  #: Party, or null
    Column("chart", SealedJson, nullable=False),  #: PID-3, PID-5, PID-18, PV1-19 as they came
    Column("created_at", Utc, nullable=False),
    string("stopped", ""),  #: why nobody is asked: "deceased", "collections" …; "" when somebody may be
    Column("patient_only", Boolean, nullable=False, server_default=false()),  #: a confidential visit: no guarantor
    Column(
        "others", SealedJson
    ),  #: who else may be written to, by role: {"household": Party, "bill_to": …, "insured": …}
    string("provider", ""),  #: FT1-20.1 of the newest charge that names one: whose work it was
    #: minor units that a person said are not asked for: less was asked for, or a request was withdrawn
    Column("withheld", BigInteger, nullable=False, server_default="0"),
    #: up to so many minor units a person has said that they may be asked for, above what the facility lets go out
    Column("approved", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("key"),
)

#: By which patient identifiers an account is known: merges and new addresses name the patient, not the account.
account_identity = Table(
    "account_identity",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True),
    Column("key", Text, primary_key=True),  #: keyed hash of source, assigning authority and PID-3.1
    Index("ix_account_identity_key", "key"),
)

#: The messages that changed whom an account belongs to, or how people are reached, and made no entry.
account_change = Table(
    "account_change",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True),
    Column("message_id", BigInteger, ForeignKey("message.id"), primary_key=True),
    Index("ix_account_change_message", "message_id"),
)

#: One append-only line of an account: always the patient's share. Positive raises what is owed.
entry = Table(
    "entry",
    metadata,
    row_id(),
    ref("account_id", "account"),
    string("cause"),  #: "message:7:2", "payment:19" or "act:4": unique, so nothing counts twice
    #: charge, credit, adjustment, copay, payment, patient_payment, balance; "void" takes a transaction back; "card" is
    #: money through us; "elsewhere" is money that a person here says was paid otherwise
    string("kind"),
    Column("amount", BigInteger, nullable=False),
    ref("message_id", "message", nullable=True),
    ref("payment_id", "payment", nullable=True),
    string("reference", ""),  #: keyed hash of FT1-2: two lines of one transaction
    string("likeness", ""),  #: keyed hash of what makes two lines look the same: kind, amount, code, date
    string("item", ""),  #: keyed hash of the code: what was charged for; of money counted already: reversals.TOLD
    Column("text", Sealed),  #: description: health information
    Column("at", Utc, nullable=False),
    UniqueConstraint("cause"),
    Index("ix_entry_account", "account_id", "id"),
)

#: One ask. It follows the balance silently; at most one is open per account.
request = Table(
    "request",
    metadata,
    row_id(),
    string("public_id"),
    ref("account_id", "account"),
    string("state"),
    Column("asked", BigInteger, nullable=False),  #: minor units owed when last changed
    Column("generation", Integer, nullable=False),
    string("token_hash"),
    Column("opened_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("closed_at", Utc),
    #: minor units that are asked for even where less is owed, until they are paid: a deposit, before its charge comes
    Column("advance", BigInteger, nullable=False, server_default="0"),
    string("due_on", ""),  #: ISO date, in the facility's calendar: reminders count from it; "" for none
    string("made_by", ""),  #: the person who made it; "" for a message
    #: what a person said of it: {"payer": name, "recipients": [{"channel", "to"}], "items": […]}, each only if said
    Column("said", SealedJson),
    Column("note", Sealed),  #: shown on its page after the identity check only
    string("language", ""),  #: ISO 639-1, as a person or the payer chose; "" for what the chart or the facility says
    string("paused", ""),  #: why nobody is reminded: not_me, already_paid, question, cannot_afford, by_hand; "" for not
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

#: A plan: what of a request may wait until when. What is due now is what is asked less what may still wait.
instalment = Table(
    "instalment",
    metadata,
    row_id(),
    ref("request_id", "request"),
    Column("number", Integer, nullable=False),  #: 1 …
    string("due_on"),  #: ISO date, in the facility's calendar
    Column("amount", BigInteger, nullable=False),
    UniqueConstraint("request_id", "number"),
)

#: One hosted card page: committed before the provider hears of it. Its public id is the idempotency key.
card_session = Table(
    "card_session",
    metadata,
    row_id(),
    string("public_id"),
    ref("account_id", "account"),
    ref("request_id", "request"),
    string("provider"),
    string("state"),
    Column("amount", BigInteger, nullable=False),
    string("currency"),
    string("provider_ref", ""),
    string("url", ""),
    string("success_url"),  #: kept, because the same idempotency key must come with the same parameters
    string("cancel_url"),
    Column("expires_at", Utc, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    Index("ix_card_session_request", "request_id"),
)

#: What a card page pays: one account, or several of one payer. The session's own request is that of its link.
card_part = Table(
    "card_part",
    metadata,
    row_id(),
    ref("card_session_id", "card_session"),
    ref("account_id", "account"),
    ref("request_id", "request"),
    Column("amount", BigInteger, nullable=False),  #: minor units; the parts add up to the session's amount
    Column("live", Boolean, nullable=False),  #: its session is minting or open: one of an account, and no more
    UniqueConstraint("card_session_id", "account_id"),
    Index("ix_card_part_account", "account_id"),
    Index(
        "uq_card_part_live",
        "account_id",
        unique=True,
        sqlite_where=text("live = 1"),
        postgresql_where=text("live"),
    ),
)

#: One SMS or e-mail.
notice = Table(
    "notice",
    metadata,
    row_id(),
    string("public_id"),
    ref("request_id", "request"),  #: also of a receipt, a code and what staff are told: what it is about
    string("purpose", "request"),  #: request, reminder, receipt, code, staff
    string("step", ""),  #: which one of them: "due-3", "due+7" of a reminder, the payment's id of a receipt
    string("language", ""),  #: ISO 639-1
    string("channel"),
    string("notifier"),
    Column("recipient", Sealed),
    string("recipient_key", ""),  #: keyed hash of the recipient: how often somebody was written to
    string("staff", ""),  #: of purpose staff: the user's name in the configuration
    string("state"),
    string("provider_ref", ""),
    string("code", ""),  #: the service's error code
    Column("created_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    Index("ix_notice_provider_ref", "notifier", "provider_ref"),
    Index("ix_notice_request", "request_id"),
    Index("ix_notice_recipient", "recipient_key", "changed_at"),
)

#: A reminder that speaks of several requests of one payer: the others beside its own.
notice_cover = Table(
    "notice_cover",
    metadata,
    Column("notice_id", BigInteger, ForeignKey("notice.id"), primary_key=True),
    Column("request_id", BigInteger, ForeignKey("request.id"), primary_key=True),
    string("step"),
    Index("ix_notice_cover_request", "request_id"),
)

#: What a provider told us, kept raw, applied once.
event = Table(
    "event",
    metadata,
    row_id(),
    string("provider"),
    string("event_id"),
    string("type"),
    string("reference"),  #: our CardSession or Notice id, where it names one
    string("state"),
    string("reason", ""),
    Column("raw", Sealed, nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("provider", "event_id"),
)

#: Money that a provider says has moved.
payment = Table(
    "payment",
    metadata,
    row_id(),
    string("public_id"),
    ref("account_id", "account"),
    ref("request_id", "request"),
    ref("card_session_id", "card_session"),
    string("provider"),
    string("provider_ref"),
    Column("amount", BigInteger, nullable=False),
    string("currency"),
    string("medium"),
    Column("paid_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    UniqueConstraint("provider", "provider_ref", "account_id"),  # one payment may pay several accounts: a row each
    Index("ix_payment_account", "account_id"),
    Index("ix_payment_request", "request_id"),
    Index("ix_payment_card_session", "card_session_id"),
)

#: One movement told to one destination.
posting = Table(
    "posting",
    metadata,
    row_id(),
    string("public_id"),  #: 12 characters, in FT1-2
    ref("payment_id", "payment", nullable=True),  #: the movement; null for what is no money
    ref("consent_id", "consent", nullable=True),  #: kind consent: what the chart is told of
    ref("account_id", "account", nullable=True),  #: kind consent: whose chart it goes to
    string("destination"),
    string("kind"),  #: payment, consent (refund and dispute are to come)
    string("state"),
    string("control_id"),  #: MSH-10 of what we send
    string("batch", ""),  #: FT1-3: under which control total the destination finds it
    string("content_type", ""),
    Column("body", Sealed),  #: rendered once, sent as it is
    string("answer_code", ""),
    string("answer_text", ""),
    Column("answer", Sealed),
    Column("created_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    UniqueConstraint("public_id"),
    UniqueConstraint("payment_id", "destination", "kind"),
    UniqueConstraint("consent_id", "destination", "account_id"),
    Index("ix_posting_batch", "destination", "batch"),
)
