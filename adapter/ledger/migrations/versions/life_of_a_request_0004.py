"""What requests, payers and people need: amounts by a person, plans, consent, identity, several accounts a payment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "act",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_act"),
    )
    op.create_index("ix_act_object", "act", ["object", "id"])
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=True),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_key", "consent", ["key", "channel", "id"])
    op.create_table(
        "contact_fact",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("dead", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_contact_fact"),
    )
    op.create_table(
        "account_payer",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_payer_account_id"),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_account_payer"),
    )
    op.create_index("ix_account_payer_key", "account_payer", ["key"])
    op.create_table(
        "identity_try",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("good", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("used", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_identity_try_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_identity_try"),
        sa.UniqueConstraint("public_id", name="uq_identity_try_public_id"),
    )
    op.create_index("ix_identity_try_request", "identity_try", ["request_id", "kind", "at"])
    op.create_table(
        "instalment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_instalment_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_instalment"),
        sa.UniqueConstraint("request_id", "number", name="uq_instalment_request_id_number"),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), server_default="", nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_visit_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_visit"),
        sa.UniqueConstraint("token_hash", name="uq_visit_token_hash"),
    )
    op.create_table(
        "card_part",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("card_session_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_card_part_account_id"),
        sa.ForeignKeyConstraint(["card_session_id"], ["card_session.id"], name="fk_card_part_card_session_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_card_part_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_card_part"),
        sa.UniqueConstraint("card_session_id", "account_id", name="uq_card_part_card_session_id_account_id"),
    )
    op.create_index("ix_card_part_account", "card_part", ["account_id"])
    op.create_index(
        "uq_card_part_live",
        "card_part",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "notice_cover",
        sa.Column("notice_id", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_notice_cover_notice_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_notice_cover_request_id"),
        sa.PrimaryKeyConstraint("notice_id", "request_id", name="pk_notice_cover"),
    )
    op.create_index("ix_notice_cover_request", "notice_cover", ["request_id"])
    op.add_column("account", sa.Column("others", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("provider", sa.Text(), server_default="", nullable=False))
    op.add_column("account", sa.Column("withheld", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("account", sa.Column("approved", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_index("uq_card_session_open", "card_session")
    op.add_column("notice", sa.Column("purpose", sa.Text(), server_default="request", nullable=False))
    op.add_column("notice", sa.Column("step", sa.Text(), server_default="", nullable=False))
    op.add_column("notice", sa.Column("language", sa.Text(), server_default="", nullable=False))
    op.add_column("notice", sa.Column("recipient_key", sa.Text(), server_default="", nullable=False))
    op.add_column("notice", sa.Column("staff", sa.Text(), server_default="", nullable=False))
    op.create_index(
        "ix_message_consent",
        "message",
        ["lane", "id"],
        sqlite_where=sa.text("type = 'Consent'"),
        postgresql_where=sa.text("type = 'Consent'"),
    )
    op.create_index("ix_notice_recipient", "notice", ["recipient_key", "changed_at"])
    with op.batch_alter_table("payment") as batch_op:
        batch_op.drop_constraint("uq_payment_provider_provider_ref", type_="unique")
        batch_op.create_unique_constraint(
            "uq_payment_provider_provider_ref_account_id", ["provider", "provider_ref", "account_id"]
        )
    op.create_index("ix_payment_request", "payment", ["request_id"])
    op.create_index("ix_payment_card_session", "payment", ["card_session_id"])
    with op.batch_alter_table("posting") as batch_op:
        batch_op.add_column(sa.Column("consent_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("account_id", sa.BigInteger(), nullable=True))
        batch_op.alter_column("payment_id", existing_type=sa.BIGINT(), nullable=True)
        batch_op.create_unique_constraint(
            "uq_posting_consent_id_destination_account_id", ["consent_id", "destination", "account_id"]
        )
        batch_op.create_foreign_key("fk_posting_account_id", "account", ["account_id"], ["id"])
        batch_op.create_foreign_key("fk_posting_consent_id", "consent", ["consent_id"], ["id"])
    op.add_column("request", sa.Column("advance", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("request", sa.Column("due_on", sa.Text(), server_default="", nullable=False))
    op.add_column("request", sa.Column("made_by", sa.Text(), server_default="", nullable=False))
    op.add_column("request", sa.Column("said", sa.LargeBinary(), nullable=True))
    op.add_column("request", sa.Column("note", sa.LargeBinary(), nullable=True))
    op.add_column("request", sa.Column("language", sa.Text(), server_default="", nullable=False))
    op.add_column("request", sa.Column("paused", sa.Text(), server_default="", nullable=False))

    # Every card page of before has one part: all of it.
    op.execute(
        "INSERT INTO card_part (card_session_id, account_id, request_id, amount, live) "
        "SELECT id, account_id, request_id, amount, state IN ('minting', 'open') FROM card_session"
    )
