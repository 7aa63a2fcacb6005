"""How rows move: which are due, the start of a stage, its outcome, and being woken.

A move names the row as its caller knew it: when the stored `version` differs, somebody else was faster and the caller
gets Superseded. Starting a stage raises `attempt`, by which everything a stage writes is fenced (`children.py`). This
file knows no stage and no reason: it stores what `service/engine.py` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StateError
from watcher.model import Stage, Status
from watcher.rows import Batch, DueRow, JournalEntry, Row, Unit, Watch
from watcher.store import schema
from watcher.store.database import Database
from watcher.store.rows import (
    TABLES,
    WORDS,
    R,
    is_row,
    listed,
    refuse_overtaken,
    refuse_unknown,
    select_of,
    superseded,
    values_of,
)

GOES_ON = (Status.READY, Status.WAITING, Status.WORKING)
"""Statuses of rows that the engine takes up by itself; `working` ones only after their process died."""

_MOVED_BY_ENGINE = ("id", "name", "version", "attempt", "stage", "status", "due_at", "obstacle", "tries", "stage_since")


class Moving(Database):
    """The part of the store that the engine steers by."""

    async def due(self, now: datetime, *, besides: Collection[tuple[str, str]] = ()) -> list[DueRow]:
        """Return what wants a stage now, those waiting longest first; never one that stands behind an obstacle.

        `working` rows are among them, but for those whose kind and id are in `besides`: the caller has them at work.
        """

        async def work(connection: AsyncConnection) -> list[DueRow]:
            found: list[DueRow] = []
            for kept in (Watch, Unit, Batch):
                at_work = [id for kind, id in besides if kind == WORDS[kept]]
                select = _briefs(kept).where(*_is_due(kept, now), _id(kept).not_in(at_work))
                found += [DueRow(kind=WORDS[kept], **row._mapping) for row in await connection.execute(select)]
            return found

        rows = await self._read(work)
        return sorted(rows, key=lambda row: (row.due_at is not None, row.due_at or now, row.id))

    async def due_rows(self, chosen: Sequence[DueRow], now: datetime) -> list[Row]:
        """Return these as they stand, in their order, without those that were moved meanwhile and wait."""

        async def work(connection: AsyncConnection) -> list[Row]:
            rows: list[Row] = []
            for kept in (Watch, Unit, Batch):
                if ids := [one.id for one in chosen if one.kind == WORDS[kept]]:
                    select = select_of(kept).where(*_is_due(kept, now), _id(kept).in_(ids))
                    rows += await listed(connection, kept, select)
            found = {(WORDS[type(row)], row.id): row for row in rows}
            return [found[one.kind, one.id] for one in chosen if (one.kind, one.id) in found]

        return await self._read(work)

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        """Return the earliest time at which a `ready` or `waiting` row is due, the present when one has no time set.

        With `after` (the `now` of the last `due`) only later times count.
        """

        async def work(connection: AsyncConnection) -> datetime | None:
            times: list[datetime] = []
            for kept in (Watch, Unit, Batch):
                table = TABLES[kept]
                idle = sa.and_(table.c.status.in_((Status.READY, Status.WAITING)), table.c.obstacle == "")
                if after is None and await connection.scalar(
                    sa.select(1).where(idle, table.c.due_at.is_(None)).limit(1)
                ):
                    return self._clock.now()
                earliest = sa.select(sa.func.min(table.c.due_at, type_=table.c.due_at.type)).where(idle)
                found = await connection.scalar(earliest if after is None else earliest.where(table.c.due_at > after))
                times += [] if found is None else [found]
            return min(times, default=None)

        return await self._read(work)

    async def begin(self, row: R) -> R:
        """Start the row's stage: `working`, next attempt; Superseded when the row was moved since it was read."""
        started = {
            "status": Status.WORKING,
            "attempt": row.attempt + 1,
            "code": "",
            "reason": "",
            "hint": "",
            "due_at": None,
        }

        async def work(connection: AsyncConnection) -> R:
            stored = await _locked(connection, row)
            return await _move(connection, stored, started)

        return await self._write(work)

    async def finish_stage(
        self,
        row: R,
        *,
        stage: Stage,
        status: Status,
        code: str = "",
        reason: str = "",
        hint: str = "",
        due_at: datetime | None = None,
        obstacle: str = "",
        tries: int = 0,
        more: Mapping[str, Any] | None = None,
        entries: Sequence[JournalEntry] = (),
    ) -> R:
        """Store an outcome and its journal lines in one transaction; Superseded when the row was moved meanwhile.

        `more` is merged into what is stored. A row that was woken during its stage, or whose obstacle ended before this
        was stored, becomes due at once.
        """

        async def work(connection: AsyncConnection) -> R:
            stored = await _locked(connection, row)
            woken = stored.due_at if stored.status is Status.WORKING else None
            stands = bool(obstacle) and await _stands(connection, obstacle)
            if obstacle and not stands:
                woken = self._clock.now()
            values = {
                "stage": stage,
                "status": status,
                "code": code,
                "reason": reason,
                "hint": hint,
                "due_at": min(due_at or woken, woken) if woken is not None and status in GOES_ON else due_at,
                "obstacle": obstacle if stands else "",
                "tries": tries,
                "more": {**stored.more, **(more or {})},
            }
            return await self._stored_move(connection, stored, values, entries)

        return await self._write(work)

    async def move(
        self,
        row: R,
        *,
        status: Status,
        stage: Stage | None = None,
        code: str = "",
        reason: str = "",
        hint: str = "",
        due_at: datetime | None = None,
        more: Mapping[str, Any] | None = None,
        entries: Sequence[JournalEntry] = (),
    ) -> R:
        """Move a row from outside its stage: a person's wish, or another row's end. It forgets tries and obstacle.

        `attempt` is raised: a stage that still runs can write nothing more. Superseded when the row was moved since it
        was read.
        """

        async def work(connection: AsyncConnection) -> R:
            stored = await _locked(connection, row)
            values = {
                "stage": stage or stored.stage,
                "status": status,
                "attempt": stored.attempt + 1,
                "code": code,
                "reason": reason,
                "hint": hint,
                "due_at": due_at,
                "obstacle": "",
                "tries": 0,
                "more": {**stored.more, **(more or {})},
            }
            return await self._stored_move(connection, stored, values, entries)

        return await self._write(work)

    async def _stored_move(
        self, connection: AsyncConnection, stored: R, values: dict[str, Any], entries: Sequence[JournalEntry]
    ) -> R:
        if entries:
            await connection.execute(sa.insert(schema.journal), [values_of(entry) for entry in entries])
        if values["stage"] is not stored.stage:
            values["stage_since"] = self._clock.now()
        return await _move(connection, stored, values)

    async def touch(self, row: R, *, more: Mapping[str, Any] | None = None, **values: Any) -> R:
        """Change what a row remembers without moving it: `reason`, `fingerprint`, `path`, `mount` …; `more` is merged.

        The version stays, so the caller's row can still be finished. Superseded when another attempt has begun.
        """
        refuse_unknown(type(row), values, fixed=(*_MOVED_BY_ENGINE, "plan"))

        async def work(connection: AsyncConnection) -> R:
            await refuse_overtaken(connection, row)
            stored = await _reread(connection, row)
            changed = {**values, "more": {**stored.more, **more}} if more else values
            if changed:
                await connection.execute(sa.update(TABLES[type(row)]).where(is_row(row)).values(changed))
            return replace(stored, **changed)

        return await self._write(work)

    async def wake(self, kind: str = "", row_id: str = "", *, obstacle: str = "") -> int:
        """Make a row (`kind`: watch, unit, batch), or all that stand behind an obstacle, due now; return their number.

        A row whose stage is running takes it as: come back at once.
        """

        async def work(connection: AsyncConnection) -> int:
            if obstacle:
                return await free_rows(connection, obstacle, self._clock.now())
            kept = next((kept for kept, word in WORDS.items() if word == kind), None)
            if kept is None:
                raise StateError(f"There are no rows of the kind {kind!r}.")
            table = TABLES[kept]
            this = (table.c.name if kept is Watch else table.c.id) == row_id
            woken = sa.update(table).where(this, *_goes_on(table)).values(due_at=self._clock.now())
            return (await connection.execute(woken)).rowcount

        return await self._write(work)


async def free_rows(connection: AsyncConnection, obstacle: str, at: datetime) -> int:
    """Take the obstacle off all rows that stand behind it."""
    count = 0
    for kept in WORDS:
        table = TABLES[kept]
        freed = sa.update(table).where(table.c.obstacle == obstacle).values(obstacle="", due_at=at)
        count += (await connection.execute(freed)).rowcount
    return count


def _goes_on(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.status.in_(GOES_ON), table.c.obstacle == ""


def _is_due(kept: type[Row], now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    table = TABLES[kept]
    return *_goes_on(table), sa.or_(table.c.due_at.is_(None), table.c.due_at <= now)


def _id(kept: type[Row]) -> sa.Column[str]:
    table = TABLES[kept]
    return table.c.name if kept is Watch else table.c.id


def _briefs(kept: type[Row]) -> sa.Select[Any]:
    """Return the SELECT of what a `DueRow` tells of such rows."""
    table, unit = TABLES[kept], schema.unit
    base = sa.select(_id(kept).label("id"), table.c.stage, table.c.due_at)
    if kept is Batch:
        base = base.join_from(table, unit, unit.c.id == table.c.unit_id)
        return base.add_columns(unit.c.watch, table.c.account, table.c.priority, table.c.planned_bytes)
    return base.add_columns((table.c.name if kept is Watch else table.c.watch).label("watch"))


async def _stands(connection: AsyncConnection, obstacle: str) -> bool:
    """Tell whether the obstacle is still there; nobody ends it before this transaction has put the row behind it."""
    table = schema.obstacle
    open_now = (
        sa.select(table.c.key).where(table.c.key == obstacle, table.c.ended_at.is_(None)).with_for_update(read=True)
    )
    return await connection.scalar(open_now) is not None


async def _reread(connection: AsyncConnection, row: R, *, locked: bool = False) -> R:
    """Return the row as stored now (its plan, which never changes, from the caller); Superseded when it is gone."""
    kept = type(row)
    columns = [column for column in select_of(kept).selected_columns if column.name != "plan"]
    select = sa.select(*columns).where(is_row(row))
    found = (await connection.execute(select.with_for_update() if locked else select)).first()
    if found is None:
        raise superseded(row)
    return replace(row, **found._mapping)


async def _locked(connection: AsyncConnection, row: R) -> R:
    """Return the stored row, locked until the transaction ends; Superseded unless it is the version the caller knew."""
    stored = await _reread(connection, row, locked=True)
    if stored.version != row.version:
        raise superseded(row)
    return stored


async def _move(connection: AsyncConnection, stored: R, values: Mapping[str, Any]) -> R:
    """Write the values under the next version and return the row so written."""
    table = TABLES[type(stored)]
    changed = {**values, "version": stored.version + 1}
    moved = sa.update(table).where(is_row(stored), table.c.version == stored.version).values(changed)
    if (await connection.execute(moved)).rowcount != 1:
        raise superseded(stored)
    return replace(stored, **{name: value for name, value in changed.items() if hasattr(stored, name)})
