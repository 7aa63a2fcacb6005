"""Datasets that people delete or spoil in Galaxy after they were checked: seen before anything is made of them."""

from __future__ import annotations

from tests.fakes.galaxy import Fault
from tests.world import World


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
