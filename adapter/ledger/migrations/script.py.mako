"""${message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chartpost.adapter.ledger.sealed import Sealed, SealedJson
from chartpost.adapter.ledger.tables import Utc

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
