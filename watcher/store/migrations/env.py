"""Alembic's entry: runs the migrations on the connection that `watcher/store/upgrade.py` hands over."""

from __future__ import annotations

from alembic import context

from watcher.store.schema import metadata

given = context.config.attributes
context.configure(
    connection=given["connection"],
    version_table=given["version_table"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
