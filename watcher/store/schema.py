"""The tables, the same on SQLite and PostgreSQL.

Three tables are moved by the engine: `watch_state`, `unit`, `batch`. Each of their rows carries `stage` and `status`
(the words of `watcher/model.py`, checked here as well), `version` (raised by every move) and `attempt` (raised when a
stage starts). Everything a stage writes for a row hangs below it and goes with it. A change here needs a new file in
`migrations/versions`; a test compares both. Names of columns are the fields of `watcher/rows.py`: they are a public
contract, as are the words.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from watcher.model import Stage, Status
from watcher.store.columns import JsonText, PlainText, PlanText, UnsignedInteger, UtcTime, Word

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

RowNumber = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the column says INTEGER."""


def _text(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, PlainText(), nullable=False, **options)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _time(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, UtcTime(), nullable=nullable)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _added_json(name: str, empty: type[dict[str, Any]] | type[list[Any]]) -> sa.Column[Any]:
    return sa.Column(name, JsonText(empty), nullable=False, server_default=sa.text("''"))


def _one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _status() -> tuple[sa.Column[Any], sa.CheckConstraint]:
    return sa.Column("status", Word(Status), nullable=False), _one_of("status", Status)


def _moved() -> tuple[sa.schema.SchemaItem, ...]:
    """Return what every row that the engine moves has."""
    return (
        sa.Column("stage", Word(Stage), nullable=False),
        _one_of("stage", Stage),
        *_status(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _text("code"),
        _text("reason"),
        _text("hint"),
        _time("due_at"),
        _text("obstacle"),
        sa.Column("tries", sa.Integer(), nullable=False),
        _time("stage_since"),
        _json("more"),
    )


def _below(parent: str, *, primary_key: bool = True) -> sa.Column[Any]:
    """Return the column that names the parent row; children go when the parent goes."""
    return sa.Column(
        f"{parent}_id",
        PlainText(),
        sa.ForeignKey(f"{parent}.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


watch_state = sa.Table(
    "watch_state",
    metadata,
    _text("name", primary_key=True),
    *_moved(),
    _text("mount"),
    sa.Column("device", UnsignedInteger(), nullable=False),
    sa.Column("root_inode", UnsignedInteger(), nullable=False),
    _number("entry_count"),
    _time("first_look_at"),
    _time("last_look_at"),
    _time("blind_since"),
)

folder_look = sa.Table(
    "folder_look",
    metadata,
    _text("watch", primary_key=True),
    _text("name", primary_key=True),
    _json("folders"),
    _text("mark"),
    _text("units"),
    _time("again_until"),
)

unit = sa.Table(
    "unit",
    metadata,
    _text("id", primary_key=True),
    _text("watch"),
    _text("layout"),
    _text("identity"),
    _text("run"),
    _text("unit"),
    sa.Column("unit_version", sa.Integer(), nullable=False),
    _text("replaces"),
    _text("path"),
    _text("run_path"),
    _text("fingerprint"),
    *_moved(),
    _time("seen_at"),
    # The same files must never become two units, whoever looks, and however often.
    sa.UniqueConstraint("identity", "unit", "unit_version"),
    sa.Index("ix_unit_due", "status", "obstacle", "due_at"),
    sa.Index("ix_unit_watch", "watch", "status"),
    sa.Index("ix_unit_fingerprint", "fingerprint"),
)

batch = sa.Table(
    "batch",
    metadata,
    _text("id", primary_key=True),
    _below("unit", primary_key=False),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("revision", sa.Integer(), nullable=False),
    _text("rule"),
    sa.Column("plan", PlanText(), nullable=False),
    sa.Column("priority", sa.Integer(), nullable=False),
    *_moved(),
    _time("created_at"),
    # As its plan says.
    _text("account", server_default=sa.text("''")),
    sa.Column("planned_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    sa.UniqueConstraint("unit_id", "number", "revision"),
    sa.Index("ix_batch_due", "status", "obstacle", "due_at"),
)

source_file = sa.Table(
    "source_file",
    metadata,
    _below("unit"),
    _text("path", primary_key=True),
    _number("size"),
    _number("mtime_ns"),
    _number("ctime_ns"),
    sa.Column("inode", UnsignedInteger(), nullable=False),
    sa.Column("unchanged_s", sa.Double(), nullable=False),
    _time("looked_at"),
    _text("sha256"),
)

removal = sa.Table(
    "removal",
    metadata,
    _below("unit"),
    _text("action"),
    _text("target"),
    _text("base"),
    _time("due_at"),
    *_status(),
    _text("step"),
    _text("code"),
    _text("reason"),
    _time("intent_at"),
    _time("receipt_at"),
    sa.Index("ix_removal_due", "status", "due_at"),
)

stock_file = sa.Table(
    "stock_file",
    metadata,
    _below("unit"),
    _text("path", primary_key=True),
    _text("kind"),
    _number("size"),
    _number("mtime_ns"),
    _text("link"),
    _text("sha256"),
)

dataset = sa.Table(
    "dataset",
    metadata,
    _below("batch"),
    _text("key", primary_key=True),
    _text("name"),
    _text("ext"),
    _number("size"),
    *_status(),
    _text("session"),
    _number("offset"),
    _text("sha256"),
    sa.Column("records", sa.BigInteger()),
    _time("sent_at"),
    _time("fetch_intent_at"),
    _time("fetch_receipt_at"),
    _text("galaxy_id"),
    _text("job_id"),
    _text("checked"),
    _text("reason"),
    # Rows of the first layouts have none of the next two.
    _text("item_id", server_default=sa.text("''")),
    _text("version_id", server_default=sa.text("''")),
    _time("copy_intent_at"),
    _time("quiet_at"),
    sa.Column("doubt_end", sa.BigInteger()),
)

galaxy_object = sa.Table(
    "galaxy_object",
    metadata,
    _below("batch"),
    _text("key", primary_key=True),
    _text("kind"),
    _text("name"),
    _text("galaxy_id"),
    *_status(),
    _time("intent_at"),
    _time("receipt_at"),
    _json("more"),
    sa.Index("ix_galaxy_object_name", "kind", "name"),
)

invocation = sa.Table(
    "invocation",
    metadata,
    _below("batch"),
    _text("key", primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
    _text("workflow_id"),
    _text("galaxy_id"),
    *_status(),
    _text("state"),
    _json("counts"),
    _time("intent_at"),
    _time("receipt_at"),
    _text("reason"),
    # Rows of the first layouts have none of the next ones.
    _text("code", server_default=sa.text("''")),
    _added_json("inner", list),
    _added_json("samples", dict),
    _added_json("replaced", dict),
    _text("request_id", server_default=sa.text("''")),
    _time("moved_at"),
)

invocation_record = sa.Table(
    "invocation_record",
    metadata,
    _below("batch"),
    _text("key", primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
    _time("made_at"),
    _text("report"),
    _json("steps"),
)

delivery = sa.Table(
    "delivery",
    metadata,
    _below("batch"),
    _text("key", primary_key=True),
    _text("target"),
    _text("on_ending"),
    *_status(),
    _time("intent_at"),
    _time("receipt_at"),
    _text("reason"),
    sa.Index("ix_delivery_target", "target"),
)

delivered_file = sa.Table(
    "delivered_file",
    metadata,
    _below("batch"),
    _text("delivery_key", primary_key=True),
    _text("path", primary_key=True),
    _text("galaxy_id"),
    _number("size"),
    _text("sha256"),
    *_status(),
    _time("intent_at"),
    _time("receipt_at"),
    _text("checked", server_default=sa.text("''")),  # rows of the first layout have none
    _text("upload", server_default=sa.text("''")),  # as above
)

obstacle = sa.Table(
    "obstacle",
    metadata,
    _text("key", primary_key=True),
    _text("kind"),
    _text("subject"),
    _text("reason"),
    _text("hint"),
    _time("since", nullable=False),
    _time("next_probe_at"),
    _time("ended_at"),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("id", RowNumber, primary_key=True, autoincrement=True),
    _time("at", nullable=False),
    _text("actor"),
    _text("event"),
    _text("text"),
    _text("unit_id"),
    _text("batch_id"),
    _json("more"),
    sa.Index("ix_journal_unit_id", "unit_id", "id"),
    sqlite_autoincrement=True,
)

verb = sa.Table(
    "verb",
    metadata,
    sa.Column("id", RowNumber, primary_key=True, autoincrement=True),
    _time("at", nullable=False),
    _text("actor"),
    _text("verb"),
    _text("target"),
    _json("arguments"),
    _time("done_at"),
    _text("answer"),
    sa.Index("ix_verb_done_at", "done_at"),
    sqlite_autoincrement=True,
)
