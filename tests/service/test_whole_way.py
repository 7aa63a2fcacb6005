"""The main path, end to end in one process: what was found is in Galaxy once, and its results are home."""

from __future__ import annotations

from tests.delivered import assert_whole
from tests.world import RUN, World, until
from watcher.model import Status
from watcher.service.daemon import Daemon
from watcher.stages.rooms import Rooms


async def test_a_finished_run_goes_through_galaxy_and_comes_back(world: World) -> None:
    """Every file becomes one dataset of the same bytes, one workflow runs, its results are delivered and listed."""
    run = world.add_run()
    report = await world.once()
    (unit,) = report["units"]
    (batch,) = unit["batches"]
    assert (unit["status"], batch["status"], batch["checked"]) == ("done", "done", "SHA-256")
    assert world.uploads() == world.fastqs(run)
    assert len(world.fake.invocations()) == 1
    assert_whole(world.results / RUN, 8)


async def test_a_second_catch_up_does_nothing_again(world: World) -> None:
    """Starting again with the same run there posts nothing to Galaxy."""
    world.add_run()
    await world.once()
    before = len(world.fake.requests.all("POST"))
    report = await world.once()
    assert report["units"][0]["status"] == "done"
    assert len(world.fake.requests.all("POST")) == before


async def test_the_last_look_of_a_catch_up_sees_how_it_ended(world: World) -> None:
    """What ends between two looks is in the last one: the exit code is read from it."""
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})
    world.add_run()
    seen: list[list[Status]] = []

    async def statuses(rooms: Rooms) -> list[Status]:
        return [unit.status for unit in await rooms.store.units()]

    async def look(rooms: Rooms) -> None:
        async def is_held() -> bool:
            return await statuses(rooms) == [Status.HELD]

        seen.append(await statuses(rooms))
        await until(is_held, what="the unit held")  # while we look, it ends

    await Daemon(world.settings(), takes_existing=True).catch_up(None, on_look=look)
    assert seen[-1] == [Status.HELD]
