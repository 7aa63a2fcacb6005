"""The account of a batch, in a column of its own: whoever waits for a workflow to start asks for it again and again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column and fill it from the plans."""
    op.add_column("batch", sa.Column("account", sa.Text(), nullable=False, server_default=sa.text("''")))
    plan = (
        "json_extract(plan, '$.galaxy')"
        if op.get_bind().dialect.name == "sqlite"
        else "CAST(plan AS json) ->> 'galaxy'"
    )
    op.execute(f"UPDATE batch SET account = COALESCE({plan}, '')")
