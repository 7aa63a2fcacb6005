"""The dated rows: which run folder goes, when, how far that is, and what lay in it when it was planned.

Written by the stages plan and finish, fenced like everything below a unit, and by a person's wish. Nothing here knows
what makes a removal right; that is `stages/removal.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StateError
from watcher.model import Stage, Status
from watcher.rows import Removal, StockFile, Unit
from watcher.store import schema
from watcher.store.database import Database
from watcher.store.rows import first, listed, refuse_overtaken, refuse_unknown, select_of, values_of

SOME = 5000
"""Entries of a folder that are written with one statement."""


class Removals(Database):
    """The part of the store that knows what becomes of run folders."""

    async def removal(self, unit_id: str) -> Removal | None:
        """Return the dated row of a unit."""
        return await self._read(lambda connection: first(connection, Removal, schema.removal.c.unit_id == unit_id))

    async def removals_due(self, now: datetime) -> list[str]:
        """Return the units that are done, and whose dated row is due."""
        unit, table = schema.unit.c, schema.removal.c
        select = (
            sa.select(table.unit_id)
            .join_from(schema.removal, schema.unit, unit.id == table.unit_id)
            .where(table.status == Status.WAITING, table.due_at <= now)
            .where(unit.stage == Stage.FINISH, unit.status == Status.DONE)
            .order_by(table.due_at, table.unit_id)
        )

        async def work(connection: AsyncConnection) -> list[str]:
            return [unit_id for (unit_id,) in await connection.execute(select)]

        return await self._read(work)

    async def put_removal(self, unit: Unit, **values: Any) -> Removal:
        """Make or change the dated row of a unit; the first time `action` is needed."""
        refuse_unknown(Removal, values, fixed=("unit_id",))
        table = schema.removal

        async def work(connection: AsyncConnection) -> Removal:
            await refuse_overtaken(connection, unit)
            stored = await first(connection, Removal, table.c.unit_id == unit.id)
            if stored is None:
                if "action" not in values:
                    raise StateError("A new removal row needs an action.")
                stored = Removal(unit.id, **values)
                await connection.execute(sa.insert(table).values(values_of(stored)))
                return stored
            await connection.execute(sa.update(table).where(table.c.unit_id == unit.id).values(values))
            return replace(stored, **values)

        return await self._write(work)

    async def put_stock(self, unit: Unit, files: Sequence[StockFile]) -> None:
        """Store what lies in the unit's folder, in place of what was stored before."""
        table = schema.stock_file

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, unit)
            await connection.execute(sa.delete(table).where(table.c.unit_id == unit.id))
            for at in range(0, len(files), SOME):
                rows = [{**values_of(file), "unit_id": unit.id} for file in files[at : at + SOME]]
                await connection.execute(sa.insert(table), rows)

        await self._write(work)

    async def stock(self, unit_id: str) -> list[StockFile]:
        """Return what lay in the unit's folder, by path."""
        table = schema.stock_file
        select = select_of(StockFile).where(table.c.unit_id == unit_id).order_by(table.c.path)
        return await self._read(lambda connection: listed(connection, StockFile, select))

    async def put_copied(self, unit: Unit, hashes: Mapping[str, str]) -> None:
        """Store that these entries are whole in the archive, with the SHA-256 that was read there."""
        table = schema.stock_file
        one = (table.c.unit_id == unit.id) & (table.c.path == sa.bindparam("copied_path"))
        statement = sa.update(table).where(one).values(sha256=sa.bindparam("copied_sha256"))
        rows = [{"copied_path": path, "copied_sha256": sha256} for path, sha256 in hashes.items()]

        async def work(connection: AsyncConnection) -> None:
            await refuse_overtaken(connection, unit)
            if rows:
                await connection.execute(statement, rows)

        await self._write(work)
