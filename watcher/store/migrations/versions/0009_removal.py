"""What is to become of run folders, and when: a dated row of each unit, and what lay in its folder."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# Written out, not imported: this file tells for ever what this version made.
STATUSES = "status IN ('ready', 'working', 'waiting', 'held', 'failed', 'done', 'cancelled', 'ignored')"


def upgrade() -> None:
    """Make both tables, empty: what was planned before stays where it is."""
    op.create_table(
        "removal",
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True)),
        sa.Column("receipt_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(STATUSES, name=op.f("ck_removal_status")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_removal_unit_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("unit_id", name="pk_removal"),
    )
    op.create_index("ix_removal_due", "removal", ["status", "due_at"])
    op.create_table(
        "stock_file",
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_stock_file_unit_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("unit_id", "path", name="pk_stock_file"),
    )
