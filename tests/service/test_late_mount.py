"""A daemon that starts before its file server does: what it saw then was the bare folder below the mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World, until


@pytest.fixture
def mounted_later(world: World) -> Iterator[Path]:
    """Yield the watched folder; whatever the test mounted on it is taken off again."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    yield world.watched
    subprocess.run(["umount", str(world.watched)], check=False, capture_output=True)


def _mount(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=True)


async def _has_looked(world: World) -> bool:
    return any(watch["last_look"] for watch in (await world.status())["watches"])


async def test_a_mount_that_comes_after_the_first_look_is_the_first_look(world: World, mounted_later: Path) -> None:
    """The empty folder seen before the mount is not remembered as the place; runs on the mount were there before."""
    world.write_config(watch={"existing": "ignore"}, rescan="1s")
    async with world.daemon():
        await until(lambda: _has_looked(world), what="a first look at the bare folder")
        _mount(mounted_later)
        world.add_run(".on-its-way").rename(mounted_later / "240101_M00001_0001_000000000-AAAAA")
        unit = await world.until_status("ignored")
    assert unit["reason"] == "It was there before the first look."


async def test_another_mount_is_taken_when_a_person_says_so(world: World, mounted_later: Path) -> None:
    """A file server that got another name blinds the watch until `retry` of the watch accepts it; nothing is lost."""
    world.write_config(rescan="1s")
    world.add_run()
    await world.once()
    _mount(mounted_later)
    world.add_run("240101_M00001_0002_000000000-BBBBB")
    blind = await world.once()
    assert [unit["status"] for unit in blind["units"]] == ["done"]
    assert "`galaxy-watcher retry miseq`" in blind["obstacles"][0]["hint"]
    assert "takes its folder as it is now" in world.command("retry", "miseq").out
    assert [unit["status"] for unit in (await world.once())["units"]] == ["done", "done"]
