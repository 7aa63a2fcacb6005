"""The connection to either database, and transactions on it.

SQLite is opened for durability (WAL, `synchronous=FULL`: a receipt must survive a power cut), foreign keys are on,
and a transaction that writes takes the write lock at its start. A transaction runs to its end even when its caller is
cancelled: a stage that is stopped leaves either all of a write or nothing, and the connection stays usable. Errors of
the driver leave here as StateError. What is written stands in `moving.py`, `children.py`, `shared.py` and `store.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from watcher.clock import Clock
from watcher.errors import StateError
from watcher.store.place import StatePlace
from watcher.store.sqlite_thread import OneVisitConnection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

T = TypeVar("T")

BUSY_S = 30.0
"""How long a write waits for another process's write before it gives up."""

CLOSE_S = 5.0
"""How long the end of running transactions is waited for at the end of the program."""

LOG_BYTES = 64 * 2**20
"""What the write-ahead log is cut back to after a burst."""


def make_engine(place: StatePlace, *, owner: bool) -> AsyncEngine:
    """Return an engine that has not connected yet; a missing SQLite file is not made here.

    The `owner` holds the lock, and sees to it that the file has a write-ahead log.
    """
    if place.url is not None:
        try:
            # A server that was restarted must not cost the next stage its transaction.
            return create_async_engine(
                place.url,
                pool_pre_ping=True,
                pool_size=4,
                max_overflow=8,
                connect_args={"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000},
            )
        except ModuleNotFoundError as error:
            raise StateError(
                "PostgreSQL's driver is not installed.", hint="Install it: pip install 'galaxy-watcher[postgresql]'."
            ) from error
    # `mode=rw`: only `make_private_file` makes files.
    url = URL.create("sqlite+aiosqlite", database=_uri(place), query={"mode": "rw", "uri": "true"})
    # Without an isolation level the driver leaves BEGIN to us.
    settings = {"timeout": BUSY_S, "isolation_level": None, "async_creator_fn": OneVisitConnection}
    engine = create_async_engine(url, pool_size=2, max_overflow=6, connect_args=settings)

    def prepare(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        try:
            for setting in _OWNER_SETTINGS if owner else _SETTINGS:
                cursor.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()  # the pool forgets a connection that could not be prepared, its thread would stay
            raise
        finally:
            cursor.close()

    sa.event.listen(engine.sync_engine, "connect", prepare)
    sa.event.listen(engine.sync_engine, "begin", _begin)
    return engine


_SETTINGS = ("foreign_keys=ON", "synchronous=FULL")
_OWNER_SETTINGS = (*_SETTINGS, "journal_mode=WAL", f"journal_size_limit={LOG_BYTES}")


def _uri(place: StatePlace) -> str:
    return f"file:{quote(str(place.path))}"


def read_once(place: StatePlace) -> None:
    """Raise StateError when the SQLite file cannot be opened or is no database.

    The asynchronous driver has a thread per connection, which outlives a failure and then cries on standard error.
    """
    try:
        with closing(sqlite3.connect(f"{_uri(place)}?mode=rw", uri=True, timeout=BUSY_S)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise state_error(error, place) from error


def _begin(connection: Connection) -> None:
    """Begin a SQLite transaction; one that will write takes its lock now, as a later upgrade could only fail."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Transactions for the parts of the store; `clock` gives the times that the store itself sets."""

    def __init__(self, engine: AsyncEngine, place: StatePlace, clock: Clock) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writes=True)
        self._place = place
        self._clock = clock
        self._running: set[asyncio.Future[Any]] = set()
        # SQLite has one writer at a time anyway, and queueing here needs no polling for its lock. On both it keeps the
        # order: a write whose caller was cancelled lands before those that were asked for later.
        self._one_writer = asyncio.Lock()

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction that sees one state of the database."""
        return await self._to_its_end(self._transaction(work, self._engine))

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction that is durable when this returns, or leaves nothing."""

        async def alone() -> T:
            async with self._one_writer:
                return await self._transaction(work, self._writing)

        return await self._to_its_end(alone())

    async def _to_its_end(self, transaction: Awaitable[T]) -> T:
        running = asyncio.ensure_future(transaction)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    async def _transaction(self, work: Callable[[AsyncConnection], Awaitable[T]], engine: AsyncEngine) -> T:
        try:
            async with engine.begin() as connection:
                return await work(connection)
        # A number too big for SQLite and a value that is no JSON come from the drivers as they are.
        except (SQLAlchemyError, sqlite3.Error, OverflowError, TypeError) as error:
            raise state_error(error, self._place) from error

    def _insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT that knows ON CONFLICT."""
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # late: most daemons never need it

        return postgresql.insert(table)

    async def _dispose(self) -> None:
        """Wait for what still runs, but not for a database that does not answer, then close all connections."""
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_S)
        await self._engine.dispose()


def state_error(error: Exception, place: StatePlace) -> StateError:
    """Say what the driver's error means for the operator; statements and their values stay out of it."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n", 1)[0]
    hint = next((hint for words, hint in _HINTS.items() if words in text), "")
    return StateError(f"The state database {place} failed: {text}.", hint=hint)


_HINTS = {
    "disk is full": "Make room on its disk; the watcher goes on from its last receipt.",
    "disk I/O error": "Look at the disk (dmesg).",
    "readonly database": "Run as the user the watcher runs as.",
    "unable to open database": "Does the file exist, and may this user read and write it and its folder?",
    "not a database": "The file is something else: give another path, or restore it.",
    "malformed": "The file is damaged: stop the watcher and restore it, or try `sqlite3 FILE .recover`.",
    "database is locked": f"Another process has been writing for over {BUSY_S:.0f} s.",
    "connection": "Is the PostgreSQL server up, and is state: {url: ...} right?",
}
