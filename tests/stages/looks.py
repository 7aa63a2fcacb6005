"""Rooms of a watch without a daemon, in which a test looks again and again, and sees what each look cost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from tests.world import World
from watcher.clock import ManualClock
from watcher.model import Stage, Status
from watcher.rows import Unit
from watcher.service.build import build
from watcher.stages.detect import detect
from watcher.stages.rooms import Rooms

LONG_S = 400.0
"""More than all that a look must wait for before it is believed."""


@dataclass
class Looks:
    """A watch that is looked at when the test says so; `clock` moves only then, too."""

    world: World
    rooms: Rooms
    clock: ManualClock

    @property
    def watch(self) -> str:
        """Return the name of the first watch."""
        return self.rooms.settings.watches[0].name

    async def look(self, after_s: float = LONG_S) -> list[str]:
        """Let time go by, look, and return the folders that were listed, relative to the root and without it."""
        self.clock.advance(after_s)
        with listed_folders() as folders:
            await detect(await self.rooms.store.watch(self.watch), self.rooms)
        root = f"{self.rooms.settings.watches[0].path}/"
        inside = [folder.removeprefix(root).rstrip("/") for folder in folders if folder.startswith(root)]
        return [folder for folder in inside if folder]

    async def units(self) -> list[Unit]:
        """Return all rows of units, oldest first."""
        return list(reversed(await self.rooms.store.units()))

    async def end_all(self, *, stage: Stage = Stage.FINISH, status: Status = Status.DONE) -> None:
        """Put all units at their end, longer ago than anybody looks after them."""
        for unit in await self.rooms.store.units():
            await self.rooms.store.move(
                unit, stage=stage, status=status, more={"ended_at": "2020-01-01T00:00:00+00:00"}
            )

    async def until_known(self) -> None:
        """Take in what is there, end it, and look until no folder is listed any more; AssertionError if that never
        comes.
        """
        await self.look()
        await self.end_all()
        for _ in range(3):
            if not await self.look():
                return
        raise AssertionError("known runs are listed again and again")


@contextlib.asynccontextmanager
async def looks_of(world: World) -> AsyncIterator[Looks]:
    """Open the rooms of a world for the time of the block; what the kernel tells is not heard."""

    def ignore(*_: str) -> None:
        pass

    clock = ManualClock(datetime.now(UTC))
    async with build(world.settings(), on_wake=ignore, on_blind=ignore, clock=clock) as rooms:
        yield Looks(world, rooms, clock)


async def looks_until_left_alone(looks: Looks, each_s: float, most: int = 9) -> int:
    """Return how many looks it takes until nothing is listed; `most` when it is listed by all of those."""
    for count in range(most):
        if not await looks.look(each_s):
            return count
    return most


@contextlib.contextmanager
def listed_folders() -> Iterator[list[str]]:
    """Gather the folders that this process lists during the block, in all its threads."""
    folders: list[str] = []

    def gathered(call: Callable[..., Any]) -> Callable[..., Any]:
        def listed(path: Any = ".") -> Any:
            folders.append(os.fspath(path))
            return call(path)

        return listed

    with mock.patch.object(os, "scandir", gathered(os.scandir)), mock.patch.object(os, "listdir", gathered(os.listdir)):
        yield folders


def freeze_mtime(folder: Path, change: Callable[[], Any]) -> None:
    """Change something in a folder and set its mtime back, as copying programs do (`rsync -t`, `cp -p`, `tar`)."""
    before = folder.stat()
    change()
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
