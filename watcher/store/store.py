"""The store: opening it, and the rows that others hang below.

    store = await Store.open(path, clock, lock=True, migrate=True)     # the daemon and `once`
    store = await Store.open(path, clock, lock=False, migrate=False)   # `status`, `show`, and verbs, daemon up or down

`moving.py` holds how rows move, `children.py` and `removals.py` what stages write below them, `shared.py` obstacles,
journal and verbs.
Rows are made here, once for ever: whoever finds the same unit or plans the same batch again gets the row that is
there.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.clock import Clock
from watcher.errors import StateError
from watcher.model import Plan, Stage, Status
from watcher.rows import Batch, FolderLook, Unit, UnitBrief, Watch
from watcher.store import schema
from watcher.store.children import Children
from watcher.store.database import make_engine, read_once, state_error
from watcher.store.followed import Followed
from watcher.store.lock import FileLock, ServerLock
from watcher.store.moving import Moving
from watcher.store.place import StatePlace, make_private_file, refuse_network_disk, state_place
from watcher.store.removals import Removals
from watcher.store.rows import first, listed, made, refuse_overtaken, select_of, values_of
from watcher.store.shared import Shared
from watcher.store.upgrade import check_layout, no_state

LETTERS = "abcdefghjkmnpqrstuvwxyz"
"""No i, l, o: ids are read off screens and typed."""

DIGITS = "23456789"

_MOST_NAMES = 500
_TRIES = 100


def random_word() -> str:
    """Return six letters and digits, a letter first, so that no reader takes it for a number."""
    return secrets.choice(LETTERS) + "".join(secrets.choice(LETTERS + DIGITS) for _ in range(5))


class Store(Moving, Children, Removals, Shared, Followed):
    """Durable state. Every method is one transaction; what it returned is on the disk."""

    def __init__(
        self,
        engine: AsyncEngine,
        place: StatePlace,
        clock: Clock,
        lock: FileLock | ServerLock | None,
        new_word: Callable[[], str],
    ) -> None:
        super().__init__(engine, place, clock)
        self._lock = lock
        self._new_word = new_word

    @classmethod
    async def open(
        cls,
        url_or_path: str | Path,
        clock: Clock,
        *,
        lock: bool,
        migrate: bool,
        new_word: Callable[[], str] = random_word,
    ) -> Store:
        """Open the state, made if need be when `lock` is set.

        StateError: network disk, another process holds the lock, not readable, not ours, layout newer than this program
        or older (an older one is migrated when `lock` and `migrate` are set).
        """
        place = state_place(url_or_path)
        if place.path is not None:
            refuse_network_disk(place.path)
            if lock:
                make_private_file(place.path)
            elif not place.path.exists():
                raise no_state(place)
            read_once(place)
        engine = make_engine(place, owner=lock)
        held = None if not lock else FileLock(place.path) if place.path else ServerLock(engine, str(place))
        try:
            if held is not None:
                await held.take()
            await check_layout(engine, place, locked=lock, migrate=migrate)
        except BaseException as error:
            await engine.dispose()
            if held is not None:
                await held.release()
            if isinstance(error, SQLAlchemyError | sqlite3.Error):
                raise state_error(error, place) from error
            raise
        return cls(engine, place, clock, held, new_word)

    async def close(self) -> None:
        """Let running transactions end, close all connections, give the lock back."""
        try:
            await self._dispose()
        finally:
            if self._lock is not None:
                await self._lock.release()

    async def keep_lock(self) -> None:
        """Make sure that the lock is still ours: a PostgreSQL server forgets it when its connection breaks.

        It is taken again; StateError when another process has it by now (then this one must end).
        """
        if self._lock is not None and not await self._lock.is_held():
            try:
                await self._lock.take()
            except SQLAlchemyError as error:
                raise state_error(error, self._place) from error

    async def watch(self, name: str) -> Watch:
        """Return the watch of this name, made if it is new."""
        table = schema.watch_state
        new = self._insert(table).values(values_of(Watch(name, stage_since=self._clock.now()))).on_conflict_do_nothing()

        async def work(connection: AsyncConnection) -> Watch:
            await connection.execute(new)
            return made(Watch, (await connection.execute(select_of(Watch).where(table.c.name == name))).one())

        known = await self._read(lambda connection: first(connection, Watch, table.c.name == name))
        return await self._write(work) if known is None else known

    async def watches(self) -> list[Watch]:
        """Return all watches ever seen, by name."""
        select = select_of(Watch).order_by(schema.watch_state.c.name)
        return await self._read(lambda connection: listed(connection, Watch, select))

    async def unit(self, unit_id: str) -> Unit | None:
        """Return the unit of this id."""
        return await self._read(lambda connection: first(connection, Unit, schema.unit.c.id == unit_id))

    async def units(
        self,
        *,
        watch: str | None = None,
        status: Collection[Status] | None = None,
        stage: Stage | None = None,
        fingerprint: str | None = None,
        limit: int | None = None,
    ) -> list[Unit]:
        """Return the units that fit all that is given, newest first."""
        table = schema.unit
        select = select_of(Unit).order_by(table.c.seen_at.desc(), table.c.id).limit(limit)
        if watch is not None:
            select = select.where(table.c.watch == watch)
        if status is not None:
            select = select.where(table.c.status.in_(status))
        if stage is not None:
            select = select.where(table.c.stage == stage)
        if fingerprint is not None:
            select = select.where(table.c.fingerprint == fingerprint)
        return await self._read(lambda connection: listed(connection, Unit, select))

    async def unit_briefs(self, watch: str) -> list[UnitBrief]:
        """Return all units of a watch, in brief."""
        select = select_of(UnitBrief).where(schema.unit.c.watch == watch)
        return await self._read(lambda connection: listed(connection, UnitBrief, select))

    async def units_of(self, unit_ids: Sequence[str]) -> list[Unit]:
        """Return the units of these ids that there are, newest first (among each 500)."""
        column = schema.unit.c
        newest_first = select_of(Unit).order_by(column.seen_at.desc(), column.id)

        async def work(connection: AsyncConnection) -> list[Unit]:
            found: list[Unit] = []
            for at in range(0, len(unit_ids), _MOST_NAMES):
                found += await listed(
                    connection, Unit, newest_first.where(column.id.in_(unit_ids[at : at + _MOST_NAMES]))
                )
            return found

        return await self._read(work) if unit_ids else []

    async def folder_looks(self, watch: str) -> list[FolderLook]:
        """Return what was seen of the folders of a watch."""
        select = select_of(FolderLook).where(schema.folder_look.c.watch == watch)
        return await self._read(lambda connection: listed(connection, FolderLook, select))

    async def put_folder_looks(self, watch: str, looks: Sequence[FolderLook], gone: Sequence[str] = ()) -> None:
        """Store what was seen of folders, and forget those that are gone."""
        table = schema.folder_look
        names = [*(look.name for look in looks), *gone]

        async def work(connection: AsyncConnection) -> None:
            for at in range(0, len(names), _MOST_NAMES):
                some = names[at : at + _MOST_NAMES]
                await connection.execute(sa.delete(table).where(table.c.watch == watch, table.c.name.in_(some)))
            if looks:
                await connection.execute(sa.insert(table), [values_of(look) for look in looks])

        if names:
            await self._write(work)

    async def find_unit(self, identity: str, unit: str, unit_version: int | None = None) -> Unit | None:
        """Return the unit of this identity: a version of it, or the newest."""
        table = schema.unit
        select = select_of(Unit).where(table.c.identity == identity, table.c.unit == unit)
        if unit_version is not None:
            select = select.where(table.c.unit_version == unit_version)
        newest = select.order_by(table.c.unit_version.desc()).limit(1)
        found = await self._read(lambda connection: listed(connection, Unit, newest))
        return found[0] if found else None

    async def add_unit(
        self,
        watch: Watch | str,
        layout: str,
        identity: str,
        run: str,
        unit: str,
        path: str,
        run_path: str = "",
        status: Status = Status.READY,
        code: str = "",
        reason: str = "",
        unit_version: int = 1,
        replaces: str = "",
        more: Mapping[str, Any] | None = None,
        *,
        stage: Stage = Stage.SETTLE,
        fingerprint: str = "",
    ) -> Unit:
        """Return the unit of this identity and version: a new row with a new id, or the row that is there, unchanged.

        Given a Watch row, this is a write of its detect stage, and refused (Superseded) like any other.
        """
        table = schema.unit
        now = self._clock.now()
        same = (table.c.identity == identity, table.c.unit == unit, table.c.unit_version == unit_version)

        async def work(connection: AsyncConnection) -> Unit:
            if isinstance(watch, Watch):
                await refuse_overtaken(connection, watch)
            for _ in range(_TRIES):
                known = await first(connection, Unit, *same)
                if known is not None:
                    return known
                new = Unit(
                    id=self._new_word(),
                    watch=watch.name if isinstance(watch, Watch) else watch,
                    layout=layout,
                    identity=identity,
                    run=run,
                    unit=unit,
                    path=path,
                    stage=stage,
                    status=status,
                    code=code,
                    reason=reason,
                    unit_version=unit_version,
                    replaces=replaces,
                    fingerprint=fingerprint,
                    run_path=run_path,
                    seen_at=now,
                    stage_since=now,
                    more=more or {},
                )
                # Nothing is inserted when the word is taken, or when somebody else was faster: look again.
                await connection.execute(self._insert(table).values(values_of(new)).on_conflict_do_nothing())
            raise StateError(f"No free id was found for unit {unit} of {identity} in {_TRIES} tries.")

        return await self._write(work)

    async def batch(self, batch_id: str) -> Batch | None:
        """Return the batch of this id."""
        return await self._read(lambda connection: first(connection, Batch, schema.batch.c.id == batch_id))

    async def batches(
        self,
        unit_id: str | None = None,
        *,
        unit_ids: Collection[str] | None = None,
        status: Collection[Status] | None = None,
        stage: Stage | None = None,
    ) -> list[Batch]:
        """Return the batches that fit all that is given, by unit, number and revision."""
        table = schema.batch
        select = select_of(Batch).order_by(table.c.unit_id, table.c.number, table.c.revision)
        if unit_id is not None:
            select = select.where(table.c.unit_id == unit_id)
        if unit_ids is not None:
            select = select.where(table.c.unit_id.in_(unit_ids))
        if status is not None:
            select = select.where(table.c.status.in_(status))
        if stage is not None:
            select = select.where(table.c.stage == stage)
        return await self._read(lambda connection: listed(connection, Batch, select))

    async def add_batch(
        self, unit: Unit, number: int, rule: str, plan: Plan, priority: int = 0, revision: int = 1
    ) -> Batch:
        """Return the unit's batch of this number and revision: new and `ready`, or the one that is there, unchanged.

        A write of the unit's plan stage: Superseded when that was overtaken.
        """
        table = schema.batch
        now = self._clock.now()
        new = Batch(
            id=f"{unit.id}-{number}" if revision == 1 else f"{unit.id}-{number}r{revision}",
            unit_id=unit.id,
            rule=rule,
            plan=plan,
            revision=revision,
            priority=priority,
            created_at=now,
            stage_since=now,
        )

        async def work(connection: AsyncConnection) -> Batch:
            await refuse_overtaken(connection, unit)
            copied = {"account": plan.galaxy, "planned_bytes": sum(planned.size for planned in plan.datasets)}
            values = {**values_of(new), "number": number, **copied}
            await connection.execute(self._insert(table).values(values).on_conflict_do_nothing())
            return made(Batch, (await connection.execute(select_of(Batch).where(table.c.id == new.id))).one())

        return await self._write(work)
