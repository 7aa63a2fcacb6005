"""Which item of a library a dataset is, and when its copy into the history was asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, empty: nothing was ever put into a library before."""
    for name in ("item_id", "version_id"):
        op.add_column("dataset", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("dataset", sa.Column("copy_intent_at", sa.DateTime(timezone=True)))
