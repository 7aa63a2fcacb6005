"""Stores on both databases: every test that takes `store` or `state` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.store.postgresql import PostgresqlServer, find_programs
from watcher.clock import ManualClock
from watcher.store.store import Store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """Return a running PostgreSQL server."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server programs (initdb, pg_ctl) are not installed")
    server = PostgresqlServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a new state can be made, a path or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "state.sqlite")
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_state()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def store(state: str, clock: ManualClock) -> AsyncIterator[Store]:
    """Return an open store with the lock."""
    opened = await Store.open(state, clock, lock=True, migrate=True)
    yield opened
    await opened.close()
