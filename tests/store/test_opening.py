"""Opening the state: permissions, the lock, readers beside a daemon, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.postgresql import PostgresqlServer
from watcher.clock import ManualClock
from watcher.errors import StateError, Superseded
from watcher.store.lock import ServerLock
from watcher.store.store import Store

HOLD_STATE = """
import asyncio, sys
from watcher.clock import SystemClock
from watcher.store.store import Store

async def hold():
    store = await Store.open(sys.argv[1], SystemClock(), lock=True, migrate=True)
    unit = await store.add_unit("miseq", "files", "240612_A", "240612_A", ".", "/data/240612_A")
    print(unit.id, flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


def hold_state(state: str) -> tuple[subprocess.Popen[str], str]:
    """Start a process that opens the state with the lock, stores a unit and stays; return it and the unit's id."""
    process = subprocess.Popen([sys.executable, "-c", HOLD_STATE, state], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    """End the process as a power cut would, and wait until it is gone."""
    process.kill()
    process.communicate()


async def test_second_daemon_is_refused(state: str, clock: ManualClock) -> None:
    """A second daemon is told which process works with the state; SIGKILL of that one frees it at once."""
    process, unit_id = hold_state(state)
    try:
        with pytest.raises(StateError, match=f"pid {process.pid} on .* works with the state") as refused:
            await Store.open(state, clock, lock=True, migrate=True)
        assert refused.value.hint
    finally:
        kill(process)
    store = await Store.open(state, clock, lock=True, migrate=True)
    assert [unit.id for unit in await store.units()] == [unit_id]
    await store.close()


async def test_lock_ends_with_close(state: str, clock: ManualClock) -> None:
    """A closed store leaves the state to the next daemon."""
    for _ in range(2):
        store = await Store.open(state, clock, lock=True, migrate=True)
        with pytest.raises(StateError, match=f"pid {os.getpid()} "):
            await Store.open(state, clock, lock=True, migrate=True)
        await store.close()


async def test_status_and_verbs_beside_a_daemon(state: str, store: Store, clock: ManualClock) -> None:
    """While a daemon has the state open, others read its rows and leave wishes that it finds."""
    unit = await store.begin(await store.add_unit("miseq", "files", "240612_A", "240612_A", ".", "/data"))
    beside = await Store.open(state, clock, lock=False, migrate=False)
    assert await beside.units() == [unit]
    await beside.add_verb("anna", "hold", unit.id)
    assert [verb.verb for verb in await store.open_verbs()] == ["hold"]
    held = await beside.move(unit, status=unit.status)
    with pytest.raises(Superseded):
        await store.touch(unit, reason="late")
    await beside.close()
    assert await store.unit(unit.id) == held


async def test_nothing_is_made_for_readers(state: str, tmp_path: Path, clock: ManualClock) -> None:
    """A reader of a state that is not there says so and leaves nothing behind."""
    with pytest.raises(StateError, match="no state in"):
        await Store.open(state, clock, lock=False, migrate=False)
    assert list(tmp_path.iterdir()) == []


async def test_state_is_private(tmp_path: Path, clock: ManualClock) -> None:
    """The file, its side files and the folders made for it are closed to others; older folders are left alone."""
    tmp_path.chmod(0o755)
    path = tmp_path / "lib" / "galaxy watcher%20?#" / "state.sqlite"
    store = await Store.open(path, clock, lock=True, migrate=True)
    await store.journal("daemon.started", "here")
    files = sorted(path.parent.iterdir())
    assert [file.name.removeprefix("state.sqlite") for file in files] == ["", "-shm", "-wal", ".lock"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent, tmp_path)] == [
        0o700,
        0o700,
        0o755,
    ]
    await store.close()
    path.chmod(0o644)
    await (await Store.open(path, clock, lock=True, migrate=True)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_one_file_has_one_lock(tmp_path: Path, clock: ManualClock) -> None:
    """A second way to the same file, through a link or as a URL, meets the same lock."""
    store = await Store.open(tmp_path / "state.sqlite", clock, lock=True, migrate=True)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for other in (tmp_path / "link" / "state.sqlite", f"sqlite:///{tmp_path}/state.sqlite"):
        with pytest.raises(StateError, match="works with the state"):
            await Store.open(other, clock, lock=True, migrate=True)
    await store.close()


async def test_durability_settings(tmp_path: Path, clock: ManualClock) -> None:
    """SQLite is opened for receipts that survive a power cut: a log, synced at every commit."""
    store = await Store.open(tmp_path / "state.sqlite", clock, lock=True, migrate=True)
    async with store._engine.connect() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    await store.close()


async def test_other_files_are_left_alone(tmp_path: Path, clock: ManualClock) -> None:
    """A file that is no database, or the database of another program, is refused and not changed."""
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(StateError, match="not a database"):
        await Store.open(text, clock, lock=True, migrate=True)
    assert text.read_text().startswith("not a database, but")
    foreign = tmp_path / "universe.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE galaxy_user (id INTEGER)")
    connection.close()
    with pytest.raises(StateError, match="another program"):
        await Store.open(foreign, clock, lock=True, migrate=True)
    connection = sqlite3.connect(foreign)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("galaxy_user",)]
    connection.close()


async def test_paths_that_cannot_be(tmp_path: Path, clock: ManualClock) -> None:
    """A folder in place of the file, or a file in place of the folder, is a StateError that names the path."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "state.sqlite"):
        for lock in (True, False):
            with pytest.raises(StateError, match=tmp_path.name):
                await Store.open(path, clock, lock=lock, migrate=lock)


@pytest.mark.parametrize(
    "url", ["mysql://u:geheim@h/x", "sqlite://", "sqlite:///:memory:", "://", "postgresql://u:geheim@h:port/x"]
)
async def test_urls_that_cannot_be(url: str, clock: ManualClock) -> None:
    """Other databases, databases in memory and broken URLs are refused; no password is repeated."""
    with pytest.raises(StateError) as refused:
        await Store.open(url, clock, lock=True, migrate=True)
    assert "geheim" not in str(refused.value)
    assert "postgresql://" in refused.value.hint


async def test_server_that_is_not_there(tmp_path: Path, clock: ManualClock) -> None:
    """A PostgreSQL server that does not answer is a StateError without the password."""
    for lock in (True, False):
        with pytest.raises(StateError, match="connection") as refused:
            await Store.open(f"postgresql://u:geheim@/x?host={tmp_path}", clock, lock=lock, migrate=lock)
        assert "geheim" not in str(refused.value)


async def test_server_restart(postgresql: PostgresqlServer, clock: ManualClock) -> None:
    """After a restart of the server the store goes on, and notices that its lock went with the connection."""
    url = postgresql.new_state()
    store = await Store.open(url, clock, lock=True, migrate=True)
    unit = await store.add_unit("miseq", "files", "240612_A", "240612_A", ".", "/data")
    await store.keep_lock()
    postgresql.restart()
    assert await store.unit(unit.id) == unit
    await store.keep_lock()
    with pytest.raises(StateError, match=f"pid {os.getpid()} "):
        await Store.open(url, clock, lock=True, migrate=True)
    postgresql.restart()
    thief = ServerLock(store._engine, "the same state")
    await thief.take()
    with pytest.raises(StateError, match="works with the state"):
        await store.keep_lock()
    await thief.release()
    await store.close()
