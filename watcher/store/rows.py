"""Between rows of tables and the frozen dataclasses of `watcher/rows.py`.

A dataclass field is the column of the same name; columns that a dataclass does not have stay in the database. A row
is read back without its plan where the plan is known already: plans are frozen, can be long, and every move would
parse them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StateError, Superseded
from watcher.rows import (
    Batch,
    Dataset,
    DeliveredFile,
    DeliveryRow,
    FolderLook,
    GalaxyObject,
    Invocation,
    InvocationRecord,
    JournalEntry,
    Obstacle,
    Removal,
    Row,
    SourceFile,
    StockFile,
    Unit,
    UnitBrief,
    Verb,
    Watch,
)
from watcher.store import schema

Kept = (
    Watch
    | Unit
    | Batch
    | SourceFile
    | Removal
    | StockFile
    | Dataset
    | GalaxyObject
    | Invocation
    | InvocationRecord
    | DeliveryRow
    | DeliveredFile
    | Obstacle
    | JournalEntry
    | Verb
    | FolderLook
    | UnitBrief
)
"""Everything that has a table."""

K = TypeVar("K", bound=Kept)
R = TypeVar("R", bound=Watch | Unit | Batch)

TABLES: Mapping[type[Any], sa.Table] = {
    Watch: schema.watch_state,
    Unit: schema.unit,
    Batch: schema.batch,
    SourceFile: schema.source_file,
    Removal: schema.removal,
    StockFile: schema.stock_file,
    Dataset: schema.dataset,
    GalaxyObject: schema.galaxy_object,
    Invocation: schema.invocation,
    InvocationRecord: schema.invocation_record,
    DeliveryRow: schema.delivery,
    DeliveredFile: schema.delivered_file,
    Obstacle: schema.obstacle,
    JournalEntry: schema.journal,
    Verb: schema.verb,
    FolderLook: schema.folder_look,
    UnitBrief: schema.unit,
}

WORDS: Mapping[type[Any], str] = {Watch: "watch", Unit: "unit", Batch: "batch"}


_COLUMNS: Mapping[type[Any], tuple[sa.Column[Any], ...]] = {
    kept: tuple(table.c[field.name] for field in fields(kept) if field.name in table.c)
    for kept, table in TABLES.items()
}


def select_of(kept: type[K]) -> sa.Select[Any]:
    """Return the SELECT whose rows `made` understands."""
    return sa.select(*_COLUMNS[kept])


def made(kept: type[K], found: sa.Row[Any]) -> K:
    """Make the dataclass from a row of `select_of`."""
    return kept(**found._mapping)


def values_of(row: Kept) -> dict[str, Any]:
    """Return the column values of a dataclass."""
    return {column.name: getattr(row, column.name) for column in _COLUMNS[type(row)]}


async def first(connection: AsyncConnection, kept: type[K], *where: sa.ColumnElement[bool]) -> K | None:
    """Return the row that matches, or None."""
    found = (await connection.execute(select_of(kept).where(*where))).first()
    return None if found is None else made(kept, found)


async def listed(connection: AsyncConnection, kept: type[K], select: sa.Select[Any]) -> list[K]:
    """Return the rows of a SELECT built on `select_of`."""
    return [made(kept, found) for found in await connection.execute(select)]


def is_row(row: Row) -> sa.ColumnElement[bool]:
    """Return the condition for this very row."""
    table = TABLES[type(row)]
    return (table.c.name if isinstance(row, Watch) else table.c.id) == row.id


def superseded(row: Row) -> Superseded:
    """Return what to raise when the row is not as the caller knew it."""
    return Superseded(
        f"The {WORDS[type(row)]} {row.id} was moved or removed meanwhile"
        f" (known: version {row.version}, attempt {row.attempt})."
    )


async def refuse_overtaken(connection: AsyncConnection, row: Row) -> None:
    """Raise Superseded unless the row stands at the caller's attempt; it stays there until the transaction ends."""
    table = TABLES[type(row)]
    # SQLite has no FOR SHARE (it is left out there) and needs none: the transaction holds the only write lock.
    guard = sa.select(table.c.attempt).where(is_row(row)).with_for_update(read=True)
    if await connection.scalar(guard) != row.attempt:
        raise superseded(row)


def refuse_unknown(kept: type[Any], values: Mapping[str, Any], *, fixed: Sequence[str] = ()) -> None:
    """Raise StateError for a column that does not exist, or that the caller may not set."""
    known = {column.name for column in _COLUMNS[kept]} - set(fixed)
    wrong = sorted(set(values) - known)
    if wrong:
        raise StateError(f"A {TABLES[kept].name} row has no changeable {', '.join(wrong)}.")
