"""How an invocation ended, of which samples, and what is kept of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns, empty, and the table: of invocations before this nobody wrote it down."""
    for name in ("code", "inner", "samples", "replaced", "request_id"):
        op.add_column("invocation", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("invocation", sa.Column("moved_at", sa.DateTime(timezone=True)))
    op.create_table(
        "invocation_record",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("made_at", sa.DateTime(timezone=True)),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_invocation_record_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "key", "number", name="pk_invocation_record"),
    )
