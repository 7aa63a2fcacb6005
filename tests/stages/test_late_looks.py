"""What a look for late files costs: only runs that ended lately are listed, and only what changed is compared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.stages.looks import LONG_S, Looks, freeze_mtime, looks_of, looks_until_left_alone
from tests.stages.test_unchanged import minknow
from tests.world import RUN, World, fastq, packed
from watcher.model import Stage, Status
from watcher.stages import looking
from watcher.stages.settle import settle


async def test_late_files_are_told_until_nobody_looks_after_the_run(world: World) -> None:
    """A run that ended lately is looked through each time, whatever its times say; afterwards no more."""
    world.write_config(watch={"late_for": "1h"})
    run = world.add_run()
    async with looks_of(world) as looks:
        await looks.look()
        (unit,) = await looks.units()
        at = looks.clock.now()
        await looks.rooms.store.move(unit, stage=Stage.FINISH, status=Status.DONE, more={"ended_at": at.isoformat()})
        for _ in range(4):
            assert RUN in await looks.look()
        looks.clock.advance(timedelta(hours=1))
        assert await looks_until_left_alone(looks, LONG_S) < 3
        (run / "S9_S9_L001_R1_001.fastq.gz").write_bytes(packed(fastq(2)))
        assert RUN in await looks.look()


async def ended_lately(looks: Looks) -> None:
    """Take in what is there and end it just now, with the files that there are."""
    await looks.look()
    for unit in await looks.units():
        unit = await looks.rooms.store.begin(unit)
        await settle(unit, looks.rooms)
        more = {"ended_at": looks.clock.now().isoformat()}
        await looks.rooms.store.move(unit, stage=Stage.FINISH, status=Status.DONE, more=more)


async def test_of_a_group_only_the_run_that_ended_lately_is_listed(world: World) -> None:
    """The other runs of the group ended long ago: they are not looked through for its sake."""
    old, new = minknow(world.watched, 1), minknow(world.watched, 2)
    async with looks_of(world) as looks:
        await ended_lately(looks)
        (other,) = [unit for unit in await looks.units() if unit.run_path == str(old)]
        await looks.rooms.store.move(other, status=Status.DONE, more={"ended_at": "2020-01-01T00:00:00+00:00"})
        for _ in range(3):
            await looks.look()
        listed = await looks.look()
        assert str(new.relative_to(world.watched)) in listed
        assert str(old.relative_to(world.watched)) not in listed


async def test_files_that_stay_as_they_are_are_compared_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is sure that times tell of each change, only times are asked for; then each change is told all the
    same.
    """
    run = world.add_run()
    views = []

    async def view_of(*arguments: Any, **named: Any) -> Any:
        views.append(arguments)
        return await looking.view_of(*arguments, **named)

    monkeypatch.setattr("watcher.stages.afterwards.view_of", view_of)
    async with looks_of(world) as looks:
        await ended_lately(looks)
        for _ in range(5):
            await looks.look()
        assert len(views) == 2, "one look, and one that is late enough to be believed"
        path = run / "S1_S1_L001_R1_001.fastq.gz"
        freeze_mtime(path, lambda: path.write_bytes(path.read_bytes() + packed(fastq(2))))
        await looks.look()
        (unit,) = await looks.units()
        assert unit.more["late"] == [[path.name, "other size"]]


async def test_a_comparison_soon_after_another_proves_nothing(world: World) -> None:
    """What is written right after a look may leave the times of a file as they are."""
    world.write_config(rescan="1s")
    world.add_run()
    async with looks_of(world) as looks:
        await ended_lately(looks)
        for _ in range(5):
            await looks.look(5)
        assert not any(late.is_sure for late in looks.rooms.late_looks.values())
        for _ in range(3):
            await looks.look(40)
        assert all(late.is_sure for late in looks.rooms.late_looks.values())
