"""What mappings owned by people need: corrected messages, causes waived, whom an account belongs to, where polling is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("edited", "report", "shadow"):
        op.add_column("message", sa.Column(name, sa.LargeBinary(), nullable=True))
    texts = {
        "message": ("edited_by", "edited_why", "waived"),
        "account": ("stopped",),
        "posting": ("batch",),
        "hold": ("likeness",),
    }
    for table, names in texts.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("account", sa.Column("patient_only", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "account_identity",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_identity_account_id"),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_account_identity"),
    )
    op.create_index("ix_account_identity_key", "account_identity", ["key"])
    op.create_table(
        "account_change",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_change_account_id"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_account_change_message_id"),
        sa.PrimaryKeyConstraint("account_id", "message_id", name="pk_account_change"),
    )
    op.create_index("ix_account_change_message", "account_change", ["message_id"])
    known = sa.text("shadow IS NOT NULL")
    op.create_index("ix_message_shadow", "message", ["lane", "id"], sqlite_where=known, postgresql_where=known)
    item = sa.text("type = 'ChargeItem'")
    columns = ["source", "control_id", "id"]
    op.create_index("ix_message_item", "message", columns, sqlite_where=item, postgresql_where=item)
    op.create_index("ix_posting_batch", "posting", ["destination", "batch"])
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cursor"),
    )
