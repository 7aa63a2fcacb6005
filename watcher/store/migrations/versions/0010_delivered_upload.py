"""Which upload in parts brings a result to an object store, so that another process can go on with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; of what was under way before nothing is known, and it begins anew."""
    op.add_column("delivered_file", sa.Column("upload", sa.Text(), nullable=False, server_default=sa.text("''")))
