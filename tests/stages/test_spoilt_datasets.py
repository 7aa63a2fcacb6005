"""Datasets that people delete or spoil in Galaxy after they were checked: seen before anything is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.galaxy import Fault
from tests.fakes.galaxy.ids import decode
from tests.rarer import rarer
from tests.world import World
from watcher.stages.effects import Points, pass_by

Json = dict[str, Any]


def just_before(world: World, point: str, spoil: Callable[[World, str], None]) -> Points:
    """Return points at one of which the first dataset is spoilt, once."""
    left = [point]

    def reach(reached: str) -> None:
        if left == [reached]:
            left.clear()
            spoil(world, world.fake.datasets()[0]["id"])

    return reach


def delete(world: World, dataset: str) -> None:
    """Delete a dataset."""
    world.fake.delete_dataset(dataset)


def purge(world: World, dataset: str) -> None:
    """Delete a dataset with its bytes."""
    world.fake.delete_dataset(dataset, purge=True)


def break_it(world: World, dataset: str) -> None:
    """Let a dataset be in error."""
    set_state(world, dataset, "error")


def set_state(world: World, dataset: str, state: str) -> None:
    """Set the state of a dataset, as Galaxy does when somebody edits it."""
    with world.fake.state.lock:
        world.fake.state.datasets[decode(dataset) or 0].file.state = state


def commands_in(hint: str) -> list[list[str]]:
    """Return the arguments of every command that a hint names."""
    return [command.split() for command in re.findall(r"`galaxy-watcher ([^`]+)`", hint)]


async def held(world: World, points: Points) -> Json:
    """Take the run as far as it goes, and return its batch, which is held before anything was made."""
    (unit,) = (await world.once(points=points))["units"]
    (batch,) = unit["batches"]
    assert (batch["stage"], batch["status"]) == ("invoke", "held"), unit
    assert world.fake.invocations() == []
    assert world.fake.datasets()[0]["name"] in batch["reason"]
    return dict(batch)


async def done(world: World) -> None:
    """Go on, and see that everything is there once and only good datasets were used."""
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    good = {row["id"] for row in world.fake.datasets() if not row["deleted"] and row["state"] == "ok"}
    used = [row for row in world.fake.collections() if not row["made_by_tool"]][-1]
    assert {dataset for reads in used["elements"].values() for dataset in reads.values()} <= good
    assert len(world.fake.invocations()) == 1


SPOILERS = [delete, purge, break_it]


@pytest.mark.parametrize("spoil", rarer(SPOILERS, keep=1))
async def test_a_dataset_spoilt_after_its_check_holds_before_anything_is_made(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    """Neither a collection nor a workflow is asked for; the last command of the hint sends the dataset again."""
    world.add_run(samples=("S1",))
    batch = await held(world, just_before(world, "invoke.begun", spoil))
    assert world.fake.collections() == []
    await sent_again(world, batch)


@pytest.mark.parametrize("spoil", rarer(SPOILERS, keep=1))
async def test_a_dataset_spoilt_after_its_collection_was_made_starts_no_workflow(
    world: World, spoil: Callable[[World, str], None]
) -> None:
    """A workflow that is asked for later than its collection is not started on it either."""
    world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("status", method="POST", path="/api/workflows/*/invocations", status=403))
    unit = (await world.once())["units"][0]
    assert unit["status"] == "held"
    assert len(world.fake.collections()) == 1
    spoil(world, world.fake.datasets()[0]["id"])
    assert world.command("retry", unit["id"]).code == 0
    await sent_again(world, await held(world, pass_by))


async def sent_again(world: World, batch: Json) -> None:
    """Do what the hint says last, and see the run go on to its end."""
    command = commands_in(batch["hint"])[-1]
    assert command[-2:] == ["--from", "plan"]
    assert world.command(*command).code == 0
    await done(world)


async def test_an_undeleted_dataset_needs_no_new_plan(world: World) -> None:
    """After the dataset was undeleted, the first command of the hint goes on with it."""
    run = world.add_run(samples=("S1",))
    batch = await held(world, just_before(world, "invoke.begun", delete))
    assert world.fake.collections() == []
    world.fake.undelete_dataset(world.fake.datasets()[0]["id"])
    assert world.command(*commands_in(batch["hint"])[0]).code == 0
    await done(world)
    assert len([row for row in world.fake.datasets() if row["uploaded"]]) == len(world.fastqs(run))


async def test_a_dataset_that_galaxy_works_on_again_is_waited_for(world: World) -> None:
    """Somebody who edits a dataset right then makes us wait and asks nothing of anybody."""
    world.add_run(samples=("S1",))

    def edit(world: World, dataset: str) -> None:
        set_state(world, dataset, "setting_metadata")
        world.fake.faults.add(
            Fault("act", path="/api/histories/*/contents", skip=1, action=lambda: set_state(world, dataset, "ok"))
        )

    await world.once(points=just_before(world, "invoke.begun", edit))
    await done(world)


async def test_a_deleted_dataset_is_not_taken_for_the_collection_of_the_same_id(world: World) -> None:
    """Dataset 1 and collection 1 have the same id: a new plan sends the deleted dataset again all the same."""
    run = world.add_run(samples=("S1",))
    world.fake.faults.add(Fault("job_paused", tool="wait_then_exit"))
    unit = (await world.once())["units"][0]
    first = min(world.fake.datasets(), key=lambda row: row["hid"])
    assert first["id"] in {row["id"] for row in world.fake.collections()}
    world.fake.delete_dataset(first["id"])
    assert world.command("retry", unit["id"], "--from", "plan").code == 0
    unit = (await world.once())["units"][0]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs(run)
