"""A target that fails in the middle of a delivery: full, read-only, or with errors of its disk.

The batch waits and says for what; once that is repaired everything is there, whole, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivered import assert_whole as assert_folder_whole
from tests.disk.conftest import mount_tmpfs, unmount
from tests.world import RUN, World, until
from watcher.delivery.folder import part_name
from watcher.errors import StateError
from watcher.model import DatasetId
from watcher.results import ResultFile
from watcher.stages import bring_home

__all__ = ["mount_tmpfs"]

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]


def fill(results: Path) -> None:
    """Let others take all the room there is."""
    with (results / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(65536)):
            pass


def make_room(results: Path) -> None:
    """Give it back."""
    (results / "ballast").unlink()


def remount(results: Path, how: str) -> None:
    """Mount it otherwise, as a system does whose disk has failed, and a person afterwards."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(results)], check=True)


BREAKS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None], str]] = {
    "full": (fill, make_room, "No space left on device"),
    "read-only": (lambda place: remount(place, "ro"), lambda place: remount(place, "rw"), "Read-only file system"),
}


def assert_whole(results: Path) -> None:
    """All results are there as the manifest says by `sha256sum -c`; nothing else is, and no temporary file."""
    assert_folder_whole(results / RUN, 4)
    assert [path.name for path in results.iterdir()] == [RUN]


async def until_told(world: World, why: str) -> None:
    """Wait until the batch waits behind its target for that reason."""

    async def stands() -> bool:
        try:
            report = await world.status()
        except StateError:  # the daemon has not made it yet
            return False
        batches = [batch for unit in report["units"] for batch in unit["batches"]]
        told = [one["kind"] for one in report["obstacles"] if why in one["reason"]]
        return told == ["target"] and [(one["status"], why in one["reason"]) for one in batches] == [("waiting", True)]

    await until(stands, what=f"waiting for {why}")


@pytest.fixture
def disk(world: World, mount_tmpfs: Callable[[Path], Path]) -> Path:
    """Return a file system of its own where results go."""
    return mount_tmpfs(world.results)


@pytest.mark.parametrize("broken", BREAKS)
async def test_a_target_that_fails_in_the_middle_is_waited_for(
    world: World, disk: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """After the first file the disk is full, or read-only; the batch goes on by itself when it is no more."""
    monkeypatch.setattr(bring_home, "AT_ONCE", 1)  # nothing is open then: such a file system cannot be made read-only
    breaks, repairs, why = BREAKS[broken]
    broke = []

    def fail_once(point: str) -> None:
        if point == "deliver.file.intent":
            broke.append(point)
            if len(broke) == 2:
                breaks(disk)

    world.add_run(samples=("S1",))
    async with world.daemon(points=fail_once):
        await until_told(world, why)
        assert not (disk / RUN / "MANIFEST.sha256").exists()
        repairs(disk)
        await world.until_status("done")
    assert_whole(disk)


async def test_nothing_is_written_beneath_a_mount_point(
    world: World, disk: Path, mount_tmpfs: Callable[[Path], Path]
) -> None:
    """Also by a watcher that was started when the mount had gone already, and that no fstab tells of it; what was there
    and is not on what is mounted then is brought once more.
    """
    world.add_run(samples=("S1",))
    theirs = disk / RUN / "copy" / "S1" / "forward.tabular"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("somebody else's")
    (batch,) = (await world.once())["units"][0]["batches"]
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    unmount(disk)
    await world.wish("retry", batch["id"])
    async with world.daemon():
        await until_told(world, f"{disk} was mounted when this was planned, and is not")
        assert list(disk.iterdir()) == []
        mount_tmpfs(disk)
        await world.until_status("done")
    assert_whole(disk)


@pytest.fixture
def strace() -> str:
    """Return the program; without it, or where it may not look at others, the test is left out."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed (package: strace)")
    tried = subprocess.run([program, "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine does not allow strace: {tried.stderr.strip()}")
    return program


@contextlib.contextmanager
def failing(strace: str, pid: int, call: str, *paths: Path) -> Iterator[None]:
    """Let every such call of a process fail with an input/output error; with paths those on these alone."""
    command = [strace, "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO", "-p", str(pid)]
    for path in paths:
        command += ["-P", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            attached = process.stderr.readline()
            assert "attached" in attached, attached
            yield
        finally:
            process.terminate()  # it lets go of the process, which goes on
            process.communicate(timeout=10)


@pytest.mark.parametrize(
    "call", ["fsync", pytest.param("pwrite64", marks=pytest.mark.slow), pytest.param("linkat", marks=pytest.mark.slow)]
)
async def test_errors_of_the_disk_are_waited_for(world: World, strace: str, call: str) -> None:
    """A daemon whose writes, syncs or renames fail says so, and brings everything once they no longer do."""
    world.add_run(samples=("S1",))
    hidden = world.folder / "hidden"
    world.results.rename(hidden)
    running = world.start("serve")
    await until_told(world, "cannot be reached")
    # The state of the watcher is written to with such calls as well, and a probe asks for more than the files.
    written = [] if call == "linkat" else [world.results / RUN / path for path in parts_of(world)]
    with failing(strace, running.process.pid, call, *written):
        hidden.rename(world.results)
        await until_told(world, "Input/output error")
        assert not list(world.results.rglob("*.tabular"))
    await world.until_status("done")
    assert_whole(world.results)
    await asyncio.to_thread(running.end)


def parts_of(world: World) -> list[Path]:
    """Return where any result of the fake would be written before it has its name."""
    places = [
        Path(label, "S1", f"{read}.tabular") for label in ("copy", "read counts") for read in ("forward", "reverse")
    ]
    return [
        path.with_name(part_name(ResultFile(DatasetId(row["id"]), (), "", 0), str(path)))
        for row in world.fake.datasets()
        for path in places
    ]
