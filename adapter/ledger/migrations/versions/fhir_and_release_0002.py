"""What FHIR needs, and who settled a hold: fetched resources beside a message; by whom and why a hold was closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("message", sa.Column("fetched", sa.LargeBinary(), nullable=True))
    op.add_column("hold", sa.Column("closed_by", sa.Text(), server_default="", nullable=False))
    op.add_column("hold", sa.Column("note", sa.Text(), server_default="", nullable=False))
    statement = sa.text("type = 'Invoice'")
    for name, columns in (
        ("ix_message_statement", ["lane", "id"]),
        ("ix_message_resource", ["source", "control_id", "id"]),
    ):
        op.create_index(name, "message", columns, sqlite_where=statement, postgresql_where=statement)
