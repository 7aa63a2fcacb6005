"""The bytes that a batch sends, in a column of its own: who chooses among a thousand batches reads no plan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column and fill it from the plans."""
    op.add_column("batch", sa.Column("planned_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    planned = (
        "SELECT SUM(json_extract(value, '$.size')) FROM json_each(plan, '$.datasets')"
        if op.get_bind().dialect.name == "sqlite"
        else "SELECT SUM(CAST(one ->> 'size' AS bigint)) FROM json_array_elements(CAST(plan AS json) -> 'datasets') one"
    )
    op.execute(f"UPDATE batch SET planned_bytes = COALESCE(({planned}), 0)")
