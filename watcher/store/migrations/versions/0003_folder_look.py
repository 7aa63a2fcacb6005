"""What was seen of each folder, so that a rescan need not look into all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table, empty: the next rescan looks at everything once and fills it."""
    op.create_table(
        "folder_look",
        sa.Column("watch", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folders", sa.JSON(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("units", sa.Text(), nullable=False),
        sa.Column("again_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("watch", "name", name="pk_folder_look"),
    )
