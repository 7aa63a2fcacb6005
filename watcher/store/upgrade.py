"""The layout of the tables, version by version.

An opened database has exactly the layout this program knows (`HEAD`), or is refused: a newer one belongs to a newer
program, an older one is brought up to date, but only by the process that holds the lock, so that nobody changes tables
under another's feet. A new database gets the tables of `schema.py` at once; an old one goes through
`migrations/versions`, and a test proves that both ends are the same. Alembic is imported only for the latter, as that
costs memory and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from watcher.errors import StateError
from watcher.store.place import StatePlace
from watcher.store.schema import metadata

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""All layouts this program knows, oldest first."""

HEAD = REVISIONS[-1]

LAYOUT_TABLE = "watcher_layout"
"""Where the layout's version is stored; not Alembic's usual name, as others may live in the same PostgreSQL schema."""

_layout = sa.Table(
    LAYOUT_TABLE,
    sa.MetaData(),
    # As Alembic makes it.
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{LAYOUT_TABLE}_pkc"),
)


async def check_layout(
    engine: AsyncEngine, place: StatePlace, *, locked: bool, migrate: bool, revisions: Sequence[str] = REVISIONS
) -> None:
    """Make sure that the tables are those of the newest revision, or raise StateError saying who must do what.

    `locked`: this process holds the lock; only then anything is made, or changed if `migrate` allows it.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(_stored_revision)
    if found == revisions[-1]:
        return
    if found is None:
        raise StateError(f"{place} is the database of another program.", hint="Give another state path.")
    if found and found not in revisions:
        raise StateError(
            f"The state database {place} was written by a newer galaxy-watcher (layout {found}, this one knows"
            f" {revisions[-1]}).",
            hint="Install the newer version again, or give another state path.",
        )
    if not found and not locked:
        raise no_state(place)
    if found and not (locked and migrate):
        raise StateError(
            f"The state database {place} has the older layout {found}; this program needs {revisions[-1]}.",
            hint="`galaxy-watcher serve` or `once` brings it up to date; restart a daemon that still runs.",
        )
    await (migrate_tables(engine) if found else _make_tables(engine))


def no_state(place: StatePlace) -> StateError:
    """Return what to raise when there is nothing to read."""
    return StateError(f"There is no state in {place} yet.", hint="The first `galaxy-watcher serve` or `once` makes it.")


def _stored_revision(connection: Connection) -> str | None:
    """Return the stored layout, "" when there is none yet, None when a whole file of tables is not ours."""
    names = sa.inspect(connection).get_table_names()
    if LAYOUT_TABLE in names:
        return connection.scalar(sa.select(_layout.c.version_num)) or ""
    return None if names and connection.dialect.name == "sqlite" else ""


async def _make_tables(engine: AsyncEngine) -> None:
    """Make all tables of a new database in one transaction."""

    def run(connection: Connection) -> None:
        metadata.create_all(connection, checkfirst=False)
        _layout.create(connection)
        connection.execute(sa.insert(_layout).values(version_num=HEAD))

    async with engine.execution_options(writes=True).begin() as connection:
        await connection.run_sync(run)


async def migrate_tables(engine: AsyncEngine, to: str = HEAD) -> None:
    """Run the migrations that are missing up to a revision, all of them in one transaction."""

    def run(connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
        config.attributes["connection"] = connection
        config.attributes["version_table"] = LAYOUT_TABLE
        command.upgrade(config, to)

    async with engine.execution_options(writes=True).begin() as connection:
        await connection.run_sync(run)
