"""Promise 2 between us and Galaxy: answers lost, a kill while Galaxy acts, and a Galaxy that acts after the cut."""

from __future__ import annotations

import signal

import pytest

from tests.crash.exactly_once import assert_exactly_once
from tests.crash.runner import Runner
from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World

pytestmark = pytest.mark.timeout(180)

ACTS = {
    "workflow-imported": ("POST", "/api/workflows", 0),
    "defaults-private": ("PUT", "/api/users/*/permissions/inputs", 0),
    "history-made": ("POST", "/api/histories", 0),
    "history-marked": ("PUT", "/api/histories/*", 0),
    "session-made": ("POST", "/api/upload/resumable_upload", 0),
    "second-session-made": ("POST", "/api/upload/resumable_upload", 1),
    "first-chunk": ("PATCH", "/api/upload/resumable_upload/*", 0),
    "last-chunk": ("PATCH", "/api/upload/resumable_upload/*", 3),
    "datasets-made": ("POST", "/api/tools/fetch", 0),
    "collection-made": ("POST", "/api/dataset_collections", 0),
    "collection-marked": ("PUT", "/api/histories/*/contents/dataset_collections/*", 0),
    "workflow-started": ("POST", "/api/workflows/*/invocations", 0),
    "result-fetched": ("GET", "/api/datasets/*/display", 1),
}
"""Every request that changes something, and the download."""

BODILESS = ("session-made", "second-session-made", "result-fetched")
MAKING = ("workflow-imported", "history-made", "datasets-made", "collection-made", "workflow-started")


def fault(kind: str, act: str, seconds: float = 0.0) -> Fault:
    """Return a fault for one of the acts."""
    method, path, skip = ACTS[act]
    return Fault(kind, method=method, path=path, skip=skip, seconds=seconds)


def kill_in_mid_request(world: World, runner: Runner, act: str, cut: Fault) -> None:
    """Start a daemon and kill it once Galaxy has the whole request that the fault hits."""
    life = runner.start(world)
    cut.wait(60)
    if act not in BODILESS:
        world.fake.wait_until(lambda: any(seen.fault and seen.received for seen in world.fake.requests.all()))
    life.kill()
    assert life.end() == -signal.SIGKILL


@pytest.mark.parametrize("act", rarer(ACTS, keep=8))
async def test_a_lost_answer_doubles_nothing(world: World, runner: Runner, act: str) -> None:
    """Galaxy did it, nobody heard: the daemon finds it and goes on."""
    lost = world.fake.faults.add(fault("lose_answer", act))
    runner.finish(world)
    assert lost.used_up
    await assert_exactly_once(world)


@pytest.mark.parametrize("act", rarer(ACTS, keep=4))
async def test_a_kill_between_the_effect_and_its_answer(world: World, runner: Runner, act: str) -> None:
    """The daemon dies while Galaxy has done it but not yet answered."""
    held = world.fake.faults.add(fault("hold_answer", act))
    kill_in_mid_request(world, runner, act, held)
    held.release()
    runner.finish(world)
    await assert_exactly_once(world)


@pytest.mark.parametrize("act", rarer(MAKING, keep=2))
async def test_a_galaxy_that_acts_after_the_cut(world: World, runner: Runner, act: str) -> None:
    """The daemon dies, is started again, looks and finds nothing; only then Galaxy does what it was asked for."""
    world.write_config(limits={"uncertain_for": "60s"})
    late = world.fake.faults.add(fault("late", act, seconds=3.0))
    kill_in_mid_request(world, runner, act, late)
    runner.finish(world)
    await assert_exactly_once(world)


async def test_a_kill_while_a_bad_dataset_is_thrown_away(world: World, runner: Runner) -> None:
    """Our own deleting is not taken for somebody else's: the file is sent anew, once."""
    world.fake.faults.add(Fault("hash_mismatch"))
    held = world.fake.faults.add(Fault("hold_answer", method="DELETE", path="/api/datasets/*"))
    life = runner.start(world)
    held.wait(60)
    life.kill()
    life.end()
    held.release()
    runner.finish(world)
    (unit,) = (await world.status())["units"]
    assert unit["status"] == "done", unit
    assert world.uploads() == world.fastqs()
    assert sum(row["uploaded"] for row in world.fake.datasets()) == len(world.fastqs()) + 1
    assert len(world.fake.invocations()) == 1
