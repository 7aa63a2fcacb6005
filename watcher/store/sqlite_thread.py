"""SQLite's connections: one visit to the connection's thread per statement.

aiosqlite goes to its thread and back for each single call of the driver, and SQLAlchemy makes four of them for one
SELECT (make a cursor, execute, fetch, close) and another one to roll back what was committed already. Such a visit
costs more than most of our statements do. Here a statement is executed and its rows are fetched in one visit, and the
rest needs none. It serves SQLAlchemy, whose cursors fetch all rows at once anyway; see `database.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")


class _Cursor(aiosqlite.Cursor):
    """A cursor that comes into being with its statement, and brings all rows along."""

    def __init__(self, connection: OneVisitConnection) -> None:
        self._conn: OneVisitConnection = connection  # as the base class calls it
        self._cursor: sqlite3.Cursor  # what the base class asks for description and counts, after a statement
        self._rows: list[sqlite3.Row] = []

    async def __aenter__(self) -> _Cursor:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> _Cursor:
        """Execute the statement and fetch its rows."""
        values = () if parameters is None else tuple(parameters)

        def visit() -> tuple[sqlite3.Cursor, list[sqlite3.Row]]:
            cursor = self._conn.driver.execute(sql, values)
            return cursor, cursor.fetchall() if cursor.description else []

        self._cursor, self._rows = await self._conn.visit(visit)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> _Cursor:
        """Execute the statement with each of the parameters."""
        rows = [tuple(values) for values in parameters]
        self._cursor = await self._conn.visit(lambda: self._conn.driver.executemany(sql, rows))
        return self

    async def fetchall(self) -> Iterable[sqlite3.Row]:
        """Return the rows that the statement brought."""
        return self._rows

    async def close(self) -> None:
        """Do nothing: a statement whose rows were all fetched holds nothing in the database."""


class OneVisitConnection(aiosqlite.Connection):
    """A connection whose thread is visited once per statement, and which a leaving interpreter does not wait for."""

    def __init__(self, database: str, **settings: Any) -> None:
        super().__init__(lambda: sqlite3.connect(database, **settings), iter_chunk_size=64)
        self._thread.daemon = True

    @property
    def driver(self) -> sqlite3.Connection:
        """Return the driver's connection, which only its thread may use."""
        return self._conn

    async def visit(self, work: Callable[[], T]) -> T:
        """Return what `work` returns in the thread."""
        answer: T = await self._execute(work)  # type: ignore[no-untyped-call]
        return answer

    def cursor(self) -> _Cursor:  # type: ignore[override] # SQLAlchemy enters it; nobody awaits it
        """Return a cursor, without a visit."""
        return _Cursor(self)

    async def rollback(self) -> None:
        """Roll back, where there is something to roll back."""
        if self.in_transaction:
            await super().rollback()
