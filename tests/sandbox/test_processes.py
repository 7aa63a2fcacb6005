"""Processes of the sandbox end when they should: asked, at once, or with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import until
from watcher.sandbox.processes import Kept

# Says its word, starts a child in a process group of its own as Galaxy does with jobs, and stays.
STAYS = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], process_group=0)
os.write(1, b"here")
child.wait()
"""
OWNER = """
import os, sys, time
from pathlib import Path
from watcher.sandbox.processes import Kept
folder, program, log, word = sys.argv[1:]
kept = Kept([sys.executable, "-c", program], folder=Path(folder), log=Path(log), environment=os.environ)
if word == "let go":
    kept.let_go()
print(kept.keeper_pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Return a pipe that reads as ended only when every process that logs into it is gone."""
    path = tmp_path / "log"
    os.mkfifo(path)
    return path


def all_said(reading: int) -> bytes:
    """Read until every writer is gone."""
    said = b""
    while more := os.read(reading, 1000):
        said += more
    return said


@pytest.mark.parametrize("way", ["asked", "killed"])
def test_it_ends_with_everything_it_started(tmp_path: Path, fifo: Path, way: str) -> None:
    """Whether asked or killed, the process and its own children, in whatever process group, are gone."""
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    kept = Kept([sys.executable, "-c", STAYS], folder=tmp_path, log=fifo, environment=os.environ)
    os.set_blocking(reading, True)
    assert os.read(reading, 4) == b"here"
    assert kept.is_alive()
    if way == "asked":
        kept.ask_to_stop()
        kept.wait()
    else:
        kept.kill()
    assert not kept.is_alive()
    assert all_said(reading) == b""
    os.close(reading)


def state_of(pid: int) -> str:
    """Return how a process stands, in one letter: T for one that stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_it_stands_still_with_everything_it_started(tmp_path: Path, fifo: Path) -> None:
    """A pause holds it and its children, in whatever process group; it goes on afterwards, and ends when asked."""
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    kept = Kept([sys.executable, "-c", STAYS], folder=tmp_path, log=fifo, environment=os.environ)
    os.set_blocking(reading, True)
    assert os.read(reading, 4) == b"here"
    everybody = [kept.pid, *children_of(kept.pid)]
    assert len(everybody) == 2
    kept.pause()

    async def stands() -> bool:
        return [state_of(pid) for pid in everybody] == ["T", "T"]

    async def goes() -> bool:
        return "T" not in [state_of(pid) for pid in everybody]

    await until(stands)
    kept.go_on()
    await until(goes)
    kept.pause()
    kept.ask_to_stop()
    kept.wait()
    assert all_said(reading) == b""
    os.close(reading)


@pytest.mark.parametrize("let_go", [False, True], ids=["owned", "let go"])
def test_it_ends_when_its_owner_is_killed(tmp_path: Path, fifo: Path, let_go: bool) -> None:
    """SIGKILL to the program that started it ends it too, unless it was let go; then ending its keeper does."""
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), STAYS, str(fifo), "let go" if let_go else ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None
        keeper_pid = int(owner.stdout.readline())
        os.set_blocking(reading, True)
        assert os.read(reading, 4) == b"here"
        owner.kill()
    if let_go:
        os.kill(keeper_pid, 0)
        os.kill(keeper_pid, signal.SIGTERM)
    assert all_said(reading) == b""
    os.close(reading)
