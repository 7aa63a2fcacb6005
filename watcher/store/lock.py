"""One daemon per state database.

For SQLite it is an operating-system lock (`flock`) on `<database>.lock`, for PostgreSQL an advisory lock on a
connection of its own: both end with the process, also with SIGKILL, so a restart never waits for a time to pass.
Whoever is refused is told who holds it. Readers (`status`) and writers of verbs take no lock.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.errors import StateError

_STOP_HINT = "Stop the other one first; status, show and retry work while it runs."


class FileLock:
    """The lock file of a SQLite database; the name and number of the process that holds it are written inside."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.path = database.with_name(database.name + ".lock")
        self._descriptor = -1

    async def take(self) -> None:
        """Take the lock, or raise StateError naming the process that has it."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"The lock file {self.path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StateError(
                f"Another galaxy-watcher ({holder}) works with the state database {self._database}.", hint=_STOP_HINT
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode())
        self._descriptor = descriptor

    async def is_held(self) -> bool:
        """Tell whether we have the lock; the system takes it from nobody."""
        return self._descriptor >= 0

    async def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


_WAIT_MS = 1000
_NOT_AVAILABLE = "55P03"  # lock_not_available


class ServerLock:
    """An advisory lock in PostgreSQL, one per schema of a database."""

    _FAMILY = 0x6777  # tells our locks from other programs' in the same database

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._connection: AsyncConnection | None = None

    async def take(self) -> None:
        """Take the lock, or raise StateError naming the process that has it."""
        # In a transaction the connection would hold back the server's clean-up for as long as we run.
        connection = await self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        try:
            # The server shows at most 63 bytes of it to the one who is refused.
            me = f"galaxy-watcher pid {os.getpid()} on {socket.gethostname()}"[:63]
            await connection.execute(sa.text("SELECT set_config('application_name', :me, false)"), {"me": me})
            if not await self._is_taken(connection):
                holder = await connection.scalar(_HOLDER, {"family": self._FAMILY})
                name = str(holder or "unknown").removeprefix("galaxy-watcher ")
                raise StateError(
                    f"Another galaxy-watcher ({name}) works with the state database {self._name}.", hint=_STOP_HINT
                )
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        self._connection = connection

    async def _is_taken(self, connection: AsyncConnection) -> bool:
        """Wait for the lock a little: the server may not have noticed yet that whoever had it was killed."""
        await connection.execute(sa.text(f"SELECT set_config('lock_timeout', '{_WAIT_MS}', false)"))
        try:
            await connection.execute(
                sa.text("SELECT pg_advisory_lock(:family, hashtext(current_schema()))"), {"family": self._FAMILY}
            )
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != _NOT_AVAILABLE:
                raise
            return False
        return True

    async def is_held(self) -> bool:
        """Tell whether the lock's connection still lives; with it the lock would be gone."""
        if self._connection is None:
            return False
        try:
            await self._connection.scalar(sa.text("SELECT 1"))
        except SQLAlchemyError:
            await self.release()
            return False
        return True

    async def release(self) -> None:
        """Close the connection, and the lock with it (a pooled one would keep it)."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.invalidate()
            await connection.close()


_HOLDER = sa.text(
    "SELECT activity.application_name FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)"
    " WHERE locktype = 'advisory' AND classid = :family AND granted"
    " AND objid = (hashtext(current_schema())::bigint & 4294967295)::oid"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
