"""Whether a request may still write into a half-sent upload session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns, empty: of sessions that are half sent now nobody knows, so they are waited for."""
    op.add_column("dataset", sa.Column("quiet_at", sa.DateTime(timezone=True)))
    op.add_column("dataset", sa.Column("doubt_end", sa.BigInteger()))
