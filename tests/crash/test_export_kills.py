"""Promise 2 for deliveries that Galaxy makes: killed at each of their instants, it is asked for each of them once."""

from __future__ import annotations

import tarfile

import pytest

from tests.crash.runner import LIMITS, Runner, reached
from tests.crash.test_kill_matrix import BY_GALAXY
from tests.rarer import rarer
from tests.stages.test_sent_by_galaxy import jobs, old, sent, to_bucket
from tests.stages.test_written_by_galaxy import export_jobs, only_batch, there
from tests.world import RUN, World

__all__ = ["old"]

pytestmark = pytest.mark.timeout(180)

AT_SOURCE = tuple(point for point in BY_GALAXY if point.startswith(("deliver.write", "deliver.log")))


AT_ARCHIVES = tuple(point for point in BY_GALAXY if point.startswith("deliver.archive"))


AT_BUCKET = tuple(point for point in BY_GALAXY if point.startswith(("deliver.send", "deliver.log")))


@pytest.mark.parametrize("point", rarer(sorted(AT_SOURCE, key="deliver.write.act".__ne__), keep=1))
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


@pytest.mark.parametrize(("point", "time"), rarer([(point, time) for time in (2, 1) for point in AT_ARCHIVES[1:]]))
async def test_a_kill_makes_one_archive(world: World, runner: Runner, point: str, time: int) -> None:
    """The history's comes home whole and was made once; the invocation's is where Galaxy wrote it, by one request."""
    home = {"folder": f"{world.results}/{{run}}", "export": "history"}
    written = {"url": "gxfiles://results/core/{run}", "export": "invocation"}
    world.write_config(rule={"deliver": [home, written]}, limits=LIMITS)
    world.add_run(samples=("S1",))
    runner.die(world, point, on=time)
    runner.finish(world)
    batch = await only_batch(world)
    assert [row["status"] for row in batch["deliveries"]] == ["done", "done"], batch
    assert list(there(world)) == ["invocation.rocrate.zip"]
    assert tarfile.is_tarfile(world.results / RUN / "history.tar.gz")
    assert len(world.fake.state.archives.archives) == 1
    assert len(world.fake.requests.all("POST", "write_store")) == 1
    assert set(AT_ARCHIVES) <= set(reached(world))


@pytest.mark.parametrize("point", rarer(sorted(AT_BUCKET, key="deliver.send.act".__ne__), keep=1))
async def test_a_kill_sends_each_object_once(old: World, runner: Runner, point: str) -> None:
    """One request, a job for each object, no object beside another, and no log left."""
    to_bucket(old, limits=LIMITS)
    runner.die(old, point)
    runner.finish(old)
    assert (await only_batch(old))["status"] == "done"
    assert len(sent(old)) == 2
    assert jobs(old) == ["ok", "ok"]
    assert all(row["deleted"] for row in old.fake.datasets() if row["name"].startswith("Send to cloud"))
    assert set(AT_BUCKET) <= set(reached(old))
