"""The first layout of the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Written out, not imported: this file tells for ever what the first version made.
STAGES = "stage IN ('detect', 'settle', 'verify', 'plan', 'upload', 'invoke', 'poll', 'deliver', 'finish')"
STATUSES = "status IN ('ready', 'working', 'waiting', 'held', 'failed', 'done', 'cancelled', 'ignored')"


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_unit_id", "journal", ["unit_id", "id"])
    op.create_table(
        "obstacle",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_probe_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("key", name="pk_obstacle"),
    )
    op.create_table(
        "unit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("watch", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_version", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("run_path", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("obstacle", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("stage_since", sa.DateTime(timezone=True)),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(STAGES, name=op.f("ck_unit_stage")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_unit_status")),
        sa.PrimaryKeyConstraint("id", name="pk_unit"),
        sa.UniqueConstraint("identity", "unit", "unit_version", name="uq_unit_identity"),
    )
    op.create_index("ix_unit_due", "unit", ["status", "obstacle", "due_at"])
    op.create_index("ix_unit_fingerprint", "unit", ["fingerprint"])
    op.create_index("ix_unit_watch", "unit", ["watch", "status"])
    op.create_table(
        "verb",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verb"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_verb_done_at", "verb", ["done_at"])
    op.create_table(
        "watch_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("obstacle", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("stage_since", sa.DateTime(timezone=True)),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.Column("mount", sa.Text(), nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("root_inode", sa.BigInteger(), nullable=False),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("first_look_at", sa.DateTime(timezone=True)),
        sa.Column("last_look_at", sa.DateTime(timezone=True)),
        sa.Column("blind_since", sa.DateTime(timezone=True)),
        sa.CheckConstraint(STAGES, name=op.f("ck_watch_state_stage")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_watch_state_status")),
        sa.PrimaryKeyConstraint("name", name="pk_watch_state"),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("obstacle", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("stage_since", sa.DateTime(timezone=True)),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(STAGES, name=op.f("ck_batch_stage")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_batch_status")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_batch_unit_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_batch"),
        sa.UniqueConstraint("unit_id", "number", "revision", name="uq_batch_unit_id"),
    )
    op.create_index("ix_batch_due", "batch", ["status", "obstacle", "due_at"])
    op.create_table(
        "source_file",
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("unchanged_s", sa.Double(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_source_file_unit_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("unit_id", "path", name="pk_source_file"),
    )
    op.create_table(
        "dataset",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ext", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger()),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("fetch_intent_at", sa.DateTime(timezone=True)),
        sa.Column("fetch_receipt_at", sa.DateTime(timezone=True)),
        sa.Column("galaxy_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("checked", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(STATUSES, name=op.f("ck_dataset_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_dataset_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "key", name="pk_dataset"),
    )
    op.create_table(
        "delivered_file",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("delivery_key", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("galaxy_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True)),
        sa.Column("receipt_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(STATUSES, name=op.f("ck_delivered_file_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_delivered_file_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "delivery_key", "path", name="pk_delivered_file"),
    )
    op.create_table(
        "delivery",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("on_ending", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True)),
        sa.Column("receipt_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(STATUSES, name=op.f("ck_delivery_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_delivery_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "key", name="pk_delivery"),
    )
    op.create_index("ix_delivery_target", "delivery", ["target"])
    op.create_table(
        "galaxy_object",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("galaxy_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True)),
        sa.Column("receipt_at", sa.DateTime(timezone=True)),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.CheckConstraint(STATUSES, name=op.f("ck_galaxy_object_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_galaxy_object_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "key", name="pk_galaxy_object"),
    )
    op.create_index("ix_galaxy_object_name", "galaxy_object", ["kind", "name"])
    op.create_table(
        "invocation",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("galaxy_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True)),
        sa.Column("receipt_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(STATUSES, name=op.f("ck_invocation_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_invocation_batch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "key", "number", name="pk_invocation"),
    )
