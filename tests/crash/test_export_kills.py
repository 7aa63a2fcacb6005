"""Promise 2 for deliveries that Galaxy makes: killed at each of their instants, it is asked for each of them once."""

from __future__ import annotations

import pytest

from tests.crash.runner import LIMITS, Runner, reached
from tests.crash.test_kill_matrix import BY_GALAXY
from tests.rarer import rarer
from tests.stages.test_written_by_galaxy import export_jobs, only_batch, there
from tests.world import World

pytestmark = pytest.mark.timeout(180)

AT_SOURCE = tuple(point for point in BY_GALAXY if point.startswith(("deliver.write", "deliver.log")))


@pytest.mark.parametrize("point", rarer(["deliver.write.act", *AT_SOURCE, "deliver.begun"], keep=1))
async def test_a_kill_makes_one_job(world: World, runner: Runner, point: str) -> None:
    """The files are there, one job wrote them, and its log is gone."""
    world.write_config(rule={"deliver": {"url": "gxfiles://results/core/{run}"}}, limits=LIMITS)
    world.add_run(samples=("S1",))
    runner.die(world, point)
    runner.finish(world)
    batch = await only_batch(world)
    assert (batch["status"], batch["deliveries"][0]["status"]) == ("done", "done"), batch
    assert len(there(world)) == 4
    assert export_jobs(world) == ["ok"]
    assert all(row["deleted"] for row in world.fake.datasets() if row["name"] == "Export logs")
    assert set(AT_SOURCE) <= set(reached(world))
