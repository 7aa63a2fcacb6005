"""The tables: what the migrations make is what `schema.py` says, and rows of the first version can be read for ever."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from watcher.clock import ManualClock
from watcher.errors import StateError
from watcher.model import Plan, Stage, Status
from watcher.store import upgrade
from watcher.store.database import make_engine
from watcher.store.place import StatePlace, make_private_file, state_place
from watcher.store.schema import metadata
from watcher.store.store import Store
from watcher.store.upgrade import HEAD, LAYOUT_TABLE, REVISIONS, check_layout, migrate_tables

FIRST_VERSION = Path(__file__).with_name("rows_0001.sql")


def layout(connection: Connection) -> dict[str, Any]:
    """Return everything about the tables that the database itself can tell."""
    inspector = sa.inspect(connection)
    return {
        name: {
            "columns": [
                (str(column["name"]), str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)
            ],
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": inspector.get_foreign_keys(name),
            "unique": sorted(str(found) for found in inspector.get_unique_constraints(name)),
            "checks": sorted(str(found) for found in inspector.get_check_constraints(name)),
            "indexes": sorted(str(found) for found in inspector.get_indexes(name)),
        }
        for name in inspector.get_table_names()
    }


async def migrated(state: str) -> dict[str, Any]:
    """Make the tables by migrations alone, compare them with the metadata, and return their layout."""
    place = state_place(state)
    if place.path is not None:
        make_private_file(place.path)
    engine = make_engine(place, owner=True)

    def look(connection: Connection) -> dict[str, Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "version_table": LAYOUT_TABLE}
        )
        assert compare_metadata(context, metadata) == []
        return layout(connection)

    await migrate_tables(engine)
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


async def test_migrations_end_at_the_schema(state: str, clock: ManualClock, request: pytest.FixtureRequest) -> None:
    """An old database that was migrated and a new one have the same tables, columns, keys, checks and indexes."""
    by_migrations = await migrated(state)
    on_server = state_place(state).url is not None
    other = request.getfixturevalue("postgresql").new_state() if on_server else f"{state}.new"
    store = await Store.open(other, clock, lock=True, migrate=True)
    async with store._engine.connect() as connection:
        made_at_once = await connection.run_sync(layout)
    await store.close()
    assert by_migrations == made_at_once
    assert set(metadata.tables) == set(made_at_once) - {LAYOUT_TABLE}


def test_known_layouts_are_the_migrations() -> None:
    """The list that decides without Alembic names exactly Alembic's migrations, in their order."""
    scripts = ScriptDirectory(str(Path(upgrade.__file__).with_name("migrations")))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_current_head() == HEAD


async def test_migrated_state_opens(state: str, clock: ManualClock) -> None:
    """A state whose tables came from migrations is opened like any other."""
    await migrated(state)
    store = await Store.open(state, clock, lock=True, migrate=False)
    assert await store.units() == []
    await store.close()


async def stamp(state: str, revision: str) -> None:
    """Write another layout's version into the state."""
    engine = make_engine(state_place(state), owner=True)
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"UPDATE {LAYOUT_TABLE} SET version_num = '{revision}'"))
    await engine.dispose()


async def test_newer_state_is_refused(state: str, clock: ManualClock) -> None:
    """A state that a newer version wrote is neither read nor changed, and the lock is free again."""
    await (await Store.open(state, clock, lock=True, migrate=True)).close()
    await stamp(state, "0999")
    for lock in (True, False):
        with pytest.raises(StateError, match="newer galaxy-watcher") as refused:
            await Store.open(state, clock, lock=lock, migrate=lock)
        assert f"layout 0999, this one knows {HEAD}" in refused.value.message
        assert "newer version" in refused.value.hint


async def test_older_state_is_migrated_by_the_lock_holder_only(state: str, clock: ManualClock) -> None:
    """Whoever has no lock, or may not migrate, leaves an older state alone and says who must bring it up to date."""
    await (await Store.open(state, clock, lock=True, migrate=True)).close()
    place = state_place(state)
    engine = make_engine(place, owner=True)
    known = (*REVISIONS, "0999")
    for locked, migrate in ((False, False), (False, True), (True, False)):
        with pytest.raises(StateError, match=f"older layout {HEAD}; this program needs 0999") as refused:
            await check_layout(engine, place, locked=locked, migrate=migrate, revisions=known)
        assert "serve" in refused.value.hint
    await engine.dispose()


async def at_first_layout(place: StatePlace) -> None:
    """Make the tables as the first version did."""
    if place.path is not None:
        make_private_file(place.path)
    engine = make_engine(place, owner=True)
    await migrate_tables(engine, REVISIONS[0])
    await engine.dispose()


@pytest.fixture
def first_rows(state: str) -> str:
    """Return a state at the first layout, with rows that a newer program of that layout wrote."""
    place = state_place(state)
    asyncio.run(at_first_layout(place))
    statements = FIRST_VERSION.read_text(encoding="utf-8")
    if place.path is not None:
        connection = sqlite3.connect(place.path)
        connection.executescript(statements)
        connection.close()
    else:
        engine = sa.create_engine(place.url or "")
        with engine.begin() as server:
            server.exec_driver_sql(statements)
        engine.dispose()
    return state


async def test_rows_of_the_first_version(first_rows: str, clock: ManualClock) -> None:
    """Rows written by the first version load, and what a newer one added to their JSON survives our writes."""
    store = await Store.open(first_rows, clock, lock=True, migrate=True)
    unit = await store.unit("k7m2x9")
    batch = await store.batch("k7m2x9-1")
    assert unit is not None and batch is not None
    assert (unit.stage, unit.status, unit.more["left_by_newer"]) == (Stage.FINISH, Status.WAITING, {"deep": [1, None]})
    assert unit.seen_at is not None and unit.seen_at.isoformat() == "2026-06-12T20:15:00.250000+00:00"
    plan = batch.plan
    assert plan.model_extra == {"cloud": {"bucket": "b"}}
    assert plan.samples[0].files[0].model_extra == {"umi": True}
    assert (plan.samples[0].files[0].path, plan.datasets[0].key) == ("Data/S1_R1_001.fastq.gz", "001")

    (due,) = [row for row in await store.due(clock.now().replace(year=2100)) if row.kind == "batch"]
    assert (due.account, due.planned_bytes) == ("galaxy", 10)

    begun = await store.begin(batch)
    await store.finish_stage(begun, stage=Stage.POLL, status=Status.WAITING, more={"ours": 1})
    assert await store.invocations_followed({plan.galaxy}) == {batch.id: 0}
    unit = await store.begin(unit)
    again = await store.add_batch(unit, 2, "r", plan.model_copy(update={"history": "changed"}))
    batch = await store.batch("k7m2x9-1")
    copied = await store.batch(again.id)
    assert batch is not None and copied is not None
    assert batch.more == {"newer": "kept", "ours": 1}
    assert batch.plan == plan
    assert Plan.model_validate(copied.plan.model_dump()) == copied.plan
    assert copied.plan.model_extra == {"cloud": {"bucket": "b"}}
    assert copied.plan.samples[0].files[0].model_extra == {"umi": True}
    dataset = (await store.datasets("k7m2x9-1"))[0]
    assert (dataset.session, dataset.offset, dataset.records) == ("s", 2**33, None)
    assert (dataset.item_id, dataset.version_id, dataset.copy_intent_at) == ("", "", None)
    assert (dataset.quiet_at, dataset.doubt_end) == (None, None)
    (delivered,) = await store.delivered_files("k7m2x9-1")
    assert (delivered.path, delivered.sha256, delivered.checked) == ("report.txt", "ab", "")
    await store.close()
