"""How far each delivered file was compared with what Galaxy has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; nobody knows it of files that were delivered before."""
    op.add_column("delivered_file", sa.Column("checked", sa.Text(), nullable=False, server_default=sa.text("''")))
