"""Reads that are there but cannot be read hold the run: nothing is sent without them, and it goes on by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rarer import rarer
from tests.world import World, fastq, packed
from watcher.disk.paths import disk_error
from watcher.disk.scan import read_ends
from watcher.disk.threads import DiskThreads

NAME = "S2_S2_L001_R2_001.fastq.gz"


def _link(run: Path) -> Callable[[], None]:
    outside = run.parent.parent / "outside.fastq.gz"
    path = run / NAME
    path.rename(outside)
    path.symlink_to(outside)

    def put_right() -> None:
        path.unlink()
        path.write_bytes(outside.read_bytes())

    return put_right


def _fifo(run: Path) -> Callable[[], None]:
    path = run / "S9_S9_L001_R1_001.fastq.gz"
    os.mkfifo(path)
    return path.unlink


def _odd_name(run: Path) -> Callable[[], None]:
    odd = os.fsencode(run) + b"/S9\xff_S9_L001_R1_001.fastq.gz"
    os.close(os.open(odd, os.O_CREAT | os.O_WRONLY, 0o600))
    return lambda: os.unlink(odd)  # noqa: PTH108 - a path that is no text


CASES = {
    "link": (_link, f"`{NAME}`: it is a link that leaves the watched folder."),
    "fifo": (_fifo, "`S9_S9_L001_R1_001.fastq.gz`: it is a FIFO."),
    "odd name": (_odd_name, "`S9\\xff_S9_L001_R1_001.fastq.gz`: the name is not valid UTF-8."),
}


@pytest.mark.parametrize("case", rarer(CASES, keep=1))
async def test_a_file_that_cannot_be_read_holds_the_run_until_it_is_put_right(world: World, case: str) -> None:
    """The hold names the path and its problem, `plan` says the same, and no command is needed to go on."""
    spoil, told = CASES[case]
    run = world.add_run()
    put_right = spoil(run)
    planned = world.command("plan", str(run), "--json", "--assume-quiet")
    assert planned.code == 5
    assert [(unit["status"], unit["reasons"]) for unit in planned.report["units"]] == [("held", [told])]
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == told
        assert world.uploads() == {}
        put_right()
        await world.until_status("done")
    assert world.uploads() == world.fastqs(run)


async def test_a_held_run_is_not_released_while_nothing_has_changed(world: World) -> None:
    """A name that cannot be asked for on the disk does not look as if it had gone."""
    _odd_name(world.add_run())
    async with world.daemon() as daemon:
        await world.until_status("held", stage="verify")
        del daemon
    report = await world.once(wait_s=2.5)
    assert [unit["status"] for unit in report["units"]] == ["held"]
    assert await world.journal("hold.released") == []


async def test_a_read_that_the_file_server_refuses_is_told_with_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode may allow what the server does not: the hold names the file and goes on when it has changed."""
    run = world.add_run()

    async def refusing(threads: DiskThreads, root: Path, path: str) -> tuple[bytes, bytes]:
        if path == NAME:
            raise disk_error(PermissionError(13, "Permission denied"), path)
        return await read_ends(threads, root, path)

    monkeypatch.setattr("watcher.stages.looking.read_ends", refusing)
    async with world.daemon():
        unit = await world.until_status("held", stage="verify")
        assert unit["reason"] == f"{NAME}: it cannot be read by the watcher's user."
        monkeypatch.setattr("watcher.stages.looking.read_ends", read_ends)
        (run / NAME).write_bytes(packed(fastq(4, read=2)))
        await world.until_status("done")
